import { readFile } from 'node:fs/promises';
import { HoldfastError, messageOf } from '../errors/holdfast-error';

const LONGEST_BYTES = 4096;
/** What a terminal sends for Ctrl-C, Ctrl-D, backspace and delete. */
const [INTERRUPT, END, BACKSPACE, DELETE] = ['\u0003', '\u0004', '\b', '\u007f'];

/** The passphrase in a file: its text without the end of the line. Throws PASSPHRASE_NOT_GIVEN; the content never gets into a message. */
export async function readPassphraseFile(path: string): Promise<string> {
  const notGiven = (why: string, cause?: unknown): HoldfastError => new HoldfastError('PASSPHRASE_NOT_GIVEN', `The passphrase file ${path} ${why}`, { data: { path }, cause });
  const text = await readFile(path, 'utf8').catch((cause: unknown) => { throw notGiven(`cannot be read: ${messageOf(cause)}`, cause); });
  const passphrase = text.replace(/\r?\n$/, '');
  if (passphrase === '') throw notGiven('is empty');
  if (Buffer.byteLength(passphrase) > LONGEST_BYTES || /[\r\n]/.test(passphrase)) throw notGiven('has more than one line, or a very long one');
  return passphrase;
}

export const canAsk = (): boolean => process.stdin.isTTY && process.stderr.isTTY;

/** Asks on the terminal, without echo. Throws PASSPHRASE_NOT_GIVEN where there is no terminal, CANCELLED after Ctrl-C. */
export async function askPassphrase(question: string): Promise<string> {
  if (!canAsk()) throw new HoldfastError('PASSPHRASE_NOT_GIVEN', 'There is no terminal to ask for the passphrase');
  // Before the question is seen: what is typed or pasted right after it must not be echoed either.
  process.stdin.setRawMode(true);
  process.stdin.setEncoding('utf8');
  process.stderr.write(`${question}: `);
  try {
    return await readLine(process.stdin);
  } finally {
    process.stdin.setRawMode(false);
    process.stdin.pause();
    process.stderr.write('\n');
  }
}

/** A new passphrase is asked for twice: a mistyped one would lock the vault. */
export async function askNewPassphrase(): Promise<string> {
  const first = await askPassphrase('New passphrase');
  if (await askPassphrase('The same again') !== first) throw new HoldfastError('PASSPHRASE_NOT_GIVEN', 'The two passphrases are not the same');
  return first;
}

function readLine(input: NodeJS.ReadStream): Promise<string> {
  return new Promise((resolve, reject) => {
    const characters: string[] = [];
    const finish = (end: () => void): void => {
      input.off('data', onData);
      end();
    };
    const onData = (data: string | Buffer): void => {
      for (const character of data.toString()) {
        if (character === '\r' || character === '\n' || character === END) return finish(() => resolve(characters.join('')));
        if (character === INTERRUPT) return finish(() => reject(new HoldfastError('CANCELLED', 'Stopped while the passphrase was asked for')));
        if (character === BACKSPACE || character === DELETE) characters.pop();
        else characters.push(character);
      }
    };
    input.on('data', onData);
    input.resume();
  });
}
