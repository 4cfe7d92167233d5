import { type HoldfastError, messageOf } from '../errors/holdfast-error';

/** What a command says and where: results on stdout, everything else on stderr. */
export class Output {
  constructor(readonly json: boolean, readonly quiet: boolean) {}

  /** The result of a command: one JSON document, or lines for people. Names in them come from disks and machines, so control characters go. */
  result(value: unknown, lines: () => readonly string[]): void {
    if (this.json) process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
    else if (!this.quiet) for (const line of lines()) process.stdout.write(`${printable(line)}\n`);
  }

  /** Lines that are the very purpose of the command, which --quiet does not silence. */
  answer(value: unknown, lines: () => readonly string[]): void {
    if (this.json) this.result(value, lines);
    else for (const line of lines()) process.stdout.write(`${printable(line)}\n`);
  }

  /** Something wrong that does not end the command; never silenced. */
  warn(text: string, remedy?: string): void {
    process.stderr.write(`holdfast: ${printable(text)}\n${remedy === undefined ? '' : `What to do: ${remedy}\n`}`);
  }

  /** The failure that ends the command: for people on stderr and, with --json, for scripts on stdout. */
  fail(error: HoldfastError): void {
    process.stderr.write(`holdfast: ${printable(withoutSecrets(error.message))}\nWhat to do: ${error.remedy}\n`);
    if (process.env['HOLDFAST_DEBUG'] === '1') process.stderr.write(`${withoutSecrets(stackOf(error))}\n`);
    if (this.json) process.stdout.write(`${JSON.stringify({ error: error.toJSON() }, null, 2)}\n`);
  }
}

/** A terminal obeys control characters, and an image or a machine may have any name. */
const printable = (text: string): string => text.replace(/[^\P{Cc}\t]/gu, '?');

/** Stacks come from libraries too, which may quote an address with its access signature. */
const withoutSecrets = (text: string): string => text.replace(/\b(sig|se|sp|skoid)=[^&\s"']+/gi, '$1=…').replace(/(AccountKey|SharedAccessSignature)=[^;\s"']+/gi, '$1=…');

function stackOf(error: unknown): string {
  const lines: string[] = [];
  for (let current: unknown = error; current !== undefined && lines.length < 8; current = current instanceof Error ? current.cause : undefined) {
    lines.push(current instanceof Error ? current.stack ?? current.message : messageOf(current));
  }
  return lines.join('\ncaused by: ');
}
