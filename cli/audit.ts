import { HoldfastError, type ErrorReport } from '../errors/holdfast-error';
import { isWanted, parseFilter } from '../vault/trail/filter';
import { recordsBackwards } from '../vault/trail/read-trail';
import { trailName, type TrailRecord } from '../vault/trail/record';
import { type KeptAnchor, type TrailReport, verifyTrail } from '../vault/trail/verify-trail';
import { type AppClient, appNamed } from './app-client';
import type { CommonOptions } from './command-options';
import { withVault } from './open-vault';
import type { Output } from './output';
import { stdoutPut } from './record-stream';
import { table } from './sizes';

export interface AuditOptions extends CommonOptions {
  readonly verify?: boolean;
  readonly anchor?: readonly string[];
  readonly jsonl?: boolean;
  readonly who?: string;
  readonly action?: string;
  readonly target?: string;
  readonly outcome?: string;
  readonly since?: string;
  readonly until?: string;
  readonly limit: number;
}

/** Shows the latest records, the newest last; or proves or exports the whole trail. Throws AUDIT_BROKEN, exit code 4, where what was proved does not hold together. */
export async function runAudit(options: AuditOptions, out: Output): Promise<number> {
  if (options.anchor !== undefined && options.verify !== true && options.jsonl !== true) throw new HoldfastError('USAGE', '--anchor belongs to --verify or --jsonl');
  if (options.jsonl === true && out.json) throw new HoldfastError('USAGE', '--jsonl writes one document a line, --json one in all: give one of them');
  const app = appNamed(options);
  if (options.verify === true || options.jsonl === true) {
    if (app) throw new HoldfastError('USAGE', '--verify and --jsonl prove the trail, which an app cannot do for itself: name the vault with --vault and its key');
    return prove(options, out);
  }
  const records = app ? await recordsOfApp(app, options, out) : await recordsOfVault(options, out);
  out.answer(records, () => (records.length === 0 ? ['The audit trail has no such record.'] : table([
    ['NUMBER', 'TIME', 'WHO', 'FROM', 'ACTION', 'TARGET', 'OUTCOME'],
    ...records.map((one) => [String(one.number), one.at, `${one.who.name}${one.who.verified ? '' : ' (unverified)'}`, one.from ?? '-', one.action, one.target ?? '-', outcomeText(one)]),
  ])));
  return 0;
}

async function recordsOfVault(options: AuditOptions, out: Output): Promise<TrailRecord[]> {
  const filter = parseFilter(options);
  const records: TrailRecord[] = [];
  await withVault(options, 'read', async ({ vault }) => {
    for await (const { number, record } of recordsBackwards(vault)) {
      if (record === null) warnDamaged(number, out);
      else if (isWanted(record, filter)) records.unshift(record);
      if (records.length === options.limit || (record !== null && filter.sinceMs !== undefined && isLongBefore(record, filter.sinceMs))) break;
    }
  });
  return records;
}

const warnDamaged = (number: number, out: Output): void => out.warn(`${trailName(number)} does not open: \`holdfast audit --verify\` says what is wrong with the trail`);

const FILTERS = ['who', 'action', 'target', 'outcome', 'since', 'until'] as const;

/** The same of an app, page by page, until there are enough. */
async function recordsOfApp(app: AppClient, options: AuditOptions, out: Output): Promise<TrailRecord[]> {
  parseFilter(options);
  const query = new URLSearchParams({ limit: String(Math.min(1000, options.limit)) });
  for (const name of FILTERS) if (options[name] !== undefined) query.set(name, options[name]);
  const records: TrailRecord[] = [];
  for (let next: string | null = `/api/audit?${query.toString()}`; next !== null && records.length < options.limit;) {
    const page = await app.send('GET', next) as { value: readonly (TrailRecord | { number: number; damaged: true })[]; nextLink: string | null };
    for (const one of page.value) if ('damaged' in one) warnDamaged(one.number, out); else records.unshift(one);
    next = page.nextLink;
  }
  return records.slice(-options.limit);
}

/** Writers that waited for each other may be out of order by minutes, not by a day. */
const isLongBefore = ({ at }: TrailRecord, sinceMs: number): boolean => Date.parse(at) < sinceMs - 86_400_000;

const outcomeText = ({ outcome, code, begun }: TrailRecord): string => `${outcome}${code === null ? '' : `, ${code}`}${begun === null ? '' : ` (of ${begun})`}`;

async function prove(options: AuditOptions, out: Output): Promise<number> {
  const anchors = (options.anchor ?? []).map(parseAnchor);
  const filter = parseFilter(options);
  const put = stdoutPut();
  const report = await withVault(options, 'read', ({ vault }) => verifyTrail(vault, {
    anchors,
    ...(options.jsonl === true && { onRecord: async (record, digest) => { if (isWanted(record, filter)) await put(Buffer.from(`${JSON.stringify({ ...record, digest })}\n`)); } }),
  }));
  if (!report.ok) {
    for (const { message } of report.problems) out.warn(message);
    throw brokenTrail(report);
  }
  if (options.jsonl !== true) out.result(report, () => [whole(report)]);
  return 0;
}

const whole = ({ records, head, anchors }: TrailReport): string => (head === null ? 'The audit trail has no records.'
  : `The audit trail is whole: ${records} records, compared with ${anchors} anchors. It ends at ${head.number}:${head.digest}; with that, kept elsewhere, --anchor notices if its end is cut off.`);

/** One error for all that is wrong with a trail. */
function brokenTrail({ problems, records, head }: TrailReport): HoldfastError {
  const [first] = problems as readonly [ErrorReport];
  const more = problems.length === 1 ? '' : `; and ${problems.length - 1} more`;
  return new HoldfastError('AUDIT_BROKEN', `${first.message}${more}`, { data: { records, head: head && `${head.number}:${head.digest}`, problems: problems.map(({ message }) => message) } });
}

function parseAnchor(text: string): KeptAnchor {
  const [, number, digest] = /^(\d{1,10}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (number === undefined || digest === undefined || Number(number) < 1) throw new HoldfastError('USAGE', `${JSON.stringify(text.slice(0, 80))} is no anchor: it is a number, a colon and a digest of 64 hexadecimal digits, as --verify shows it`);
  return { number: Number(number), digest, where: 'the anchor that was given' };
}
