import { type ErrorReport, HoldfastError } from '../../errors/holdfast-error';
import { ahead } from '../ahead';
import { isUnreadable, parseDocument, readObject } from '../format/documents';
import type { VaultAccess } from '../format/tree';
import { maintenanceAnchors } from '../points/maintenance-log';
import { listNames } from '../store/list-names';
import { PARALLEL_READS } from './read-trail';
import { TRAIL, type TrailAnchor, trailName, type TrailRecord, trailSchema } from './record';
import { digestOf } from './trail';

const MAX_PROBLEMS = 100;
const NAME = /^audit\/\d{10}$/;

/** What was said of the trail at some time, and where: for the message. */
export interface KeptAnchor extends TrailAnchor {
  readonly where: string;
}

export interface TrailReport {
  readonly ok: boolean;
  readonly records: number;
  /** The last record: to be kept elsewhere. Null for a trail without records. */
  readonly head: TrailAnchor | null;
  /** Anchors that it was compared with. */
  readonly anchors: number;
  /** At most 100 of them. */
  readonly problems: readonly ErrorReport[];
}

export interface VerifyOptions {
  /** Anchors that somebody kept, beside those that the vault's maintenance has. */
  readonly anchors?: readonly KeptAnchor[];
  /** Each record that opens, in order, with the digest of its object. */
  readonly onRecord?: (record: TrailRecord, digest: string) => void | Promise<void>;
}

const broken = (message: string, name: string): ErrorReport => new HoldfastError('AUDIT_BROKEN', message, { data: { name } }).toJSON();

/** Reads the whole trail and proves that it holds together (format §15). Throws only what the store throws: then nothing was proved. */
export async function verifyTrail(vault: VaultAccess, { anchors: given = [], onRecord }: VerifyOptions = {}): Promise<TrailReport> {
  // Anchors first: one that is made meanwhile speaks of records that the list may not have.
  const anchors = new Map<number, KeptAnchor[]>();
  for (const anchor of [...given, ...(await maintenanceAnchors(vault)).map(({ stamp, ...anchor }) => ({ ...anchor, where: `the maintenance of ${stamp}` }))]) anchors.set(anchor.number, [...(anchors.get(anchor.number) ?? []), anchor]);
  const problems: ErrorReport[] = [];
  const found = (message: string, name: string): void => { if (problems.length < MAX_PROBLEMS) problems.push(broken(message, name)); };
  const names: string[] = [];
  for await (const name of listNames(vault.store, TRAIL)) if (NAME.test(name)) names.push(name); else found(`${name} is no record, and lies among them`, name);
  let before: string | null = null;
  let next = 1;
  let head: TrailAnchor | null = null;
  for await (const { name, bytes } of readInOrder(vault, names)) {
    const number = Number(name.slice(TRAIL.length));
    const follows = number === next;
    if (!follows) found(`${gap(next, number - 1)} not there, and ${name} is`, name);
    next = number + 1;
    if (!bytes) {
      found(`${name} was listed and is not there`, name);
      continue;
    }
    const digest = digestOf(bytes);
    const opened = open(vault, name, bytes);
    if (typeof opened === 'string') found(opened, name);
    else if (opened.number !== number) found(`${name} says that it is number ${opened.number}`, name);
    // After a gap nothing is known of what came before.
    else if (follows && opened.before !== before) found(`${name} does not go on from the record before it: one of the two was replaced`, name);
    for (const anchor of anchors.get(number) ?? []) if (anchor.digest !== digest) found(`${name} is not the record that it was: ${anchor.where} has another digest of it`, name);
    if (typeof opened !== 'string') await onRecord?.(opened, digest);
    before = digest;
    head = { number, digest };
  }
  for (const [number, [anchor]] of anchors) if (number >= next && anchor) found(`The trail ends at ${head?.number ?? 0}, and ${anchor.where} knows record ${number}: the last ones were cut off`, trailName(number));
  return { ok: problems.length === 0, records: names.length, head, anchors: [...anchors.values()].reduce((sum, list) => sum + list.length, 0), problems };
}

/** In order, a few at once, and the next few under way meanwhile. */
async function* readInOrder(vault: VaultAccess, names: readonly string[]): AsyncGenerator<{ readonly name: string; readonly bytes: Buffer | undefined }> {
  const batches = Array.from({ length: Math.ceil(names.length / PARALLEL_READS) }, (_, index) => names.slice(index * PARALLEL_READS, (index + 1) * PARALLEL_READS));
  const read = (batch: readonly string[]): Promise<{ name: string; bytes: Buffer | undefined }[]> => Promise.all(batch.map(async (name) => ({ name, bytes: await readObject(vault, name) })));
  for await (const [, objects] of ahead(batches, read)) yield* objects;
}

const gap = (from: number, to: number): string => (from === to ? `Record ${from} is` : `Records ${from} to ${to} are`);

/** The record, or why it is none. */
function open(vault: VaultAccess, name: string, bytes: Buffer): TrailRecord | string {
  try {
    return parseDocument(vault, name, bytes, trailSchema);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return error.message;
  }
}
