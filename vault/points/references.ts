import { z } from 'zod';
import { HoldfastError } from '../../errors/holdfast-error';
import { createDocument, findDocument } from '../format/documents';
import { refFromJson, refToJson } from '../format/ref-json';
import { blobRefSchema } from '../format/ref-schema';
import type { BuiltNode, References } from '../format/tree-builder';
import type { VaultAccess } from '../format/tree';

/** A record with more packs than this is named in the manifest and has to be read; a smaller one stands there too. */
const INLINE_PACKS = 64;

const packsSchema = z.array(z.string().regex(/^[0-9a-f]{32}$/));
const sideSchema = z.strictObject({ taken: packsSchema, given: packsSchema });
export const referencesSchema = z.strictObject({ data: sideSchema, meta: sideSchema });

/** A record of references as the manifest names it: `references` is null when there are too many to stand in the manifest. */
export const recordEntrySchema = z.strictObject({ name: z.string().regex(/^(\d{4}|root)$/), references: referencesSchema.nullable() });
export type RecordEntry = z.infer<typeof recordEntrySchema>;

const LINEAGE = /^[1-9]\d{0,9}\.\d{1,3}$/;

/** Where in the history of its item a disk's tree stands (format §8.3). */
export const treeSchema = z.strictObject({
  lineage: z.string().regex(LINEAGE),
  references: z.string().regex(/^\d{1,3}-\d{1,3}$/),
  records: z.array(recordEntrySchema),
});
export type TreeHistory = z.infer<typeof treeSchema>;

/** Where a disk's references are recorded, and what they are relative to. */
export interface ReferencesPlace {
  readonly folder: string;
  /** `<sequence>.<disk>` of the run that began the lineage. */
  readonly lineage: string;
  /** The run whose tree the references are relative to; null where the lineage begins. */
  readonly parentSequence: number | null;
}

/** The tree that a disk goes on from: the same disk in the recovery point of an earlier run. */
export interface TreeParent { readonly sequence: number; readonly lineage: string }

const ten = (sequence: number): string => String(sequence).padStart(10, '0');

/** By run, not by stamp: a run that is given up leaves its records, and the next run for the same slot has other packs. By pass, because each has packs of its own. */
export const referencesFolder = (run: { readonly itemId: string; readonly sequence: number }, disk: number, pass = 0): string =>
  `references/${run.itemId}/${ten(run.sequence)}/${folderName(disk, pass)}`;

const folderName = (disk: number, pass: number): string => `${disk}-${pass}`;

/** A disk without a parent's tree begins a lineage of its own, whatever else its run goes on from. */
export const referencesPlace = (run: { readonly itemId: string; readonly sequence: number }, disk: number, pass: number, parent: TreeParent | null): ReferencesPlace =>
  ({ folder: referencesFolder(run, disk, pass), lineage: parent?.lineage ?? `${run.sequence}.${disk}`, parentSequence: parent?.sequence ?? null });

/** What the manifest says of a disk's place in history. */
export const treeHistory = (place: ReferencesPlace, records: readonly RecordEntry[]): TreeHistory =>
  ({ lineage: place.lineage, references: place.folder.slice(place.folder.lastIndexOf('/') + 1), records: [...records] });

export const regionName = (region: number): string => String(region).padStart(4, '0');

export const recordSchema = z.object({
  version: z.literal(1), lineage: z.string().regex(LINEAGE), parentSequence: z.int().min(1).nullable(), node: blobRefSchema.nullable(), data: sideSchema, meta: sideSchema,
});

export interface Recorded {
  readonly ref: BuiltNode['ref'];
  /** null when there is no record, because the node and what it refers to are the parent's. */
  readonly record: RecordEntry | null;
}

/**
 * Records what a node refers to, and returns the node to go on with. When the same step of the same run recorded another one before
 * (it ran twice, with packs of its own each time), that one counts: record and tree always speak of the same packs.
 */
export async function recordReferences(vault: VaultAccess, place: ReferencesPlace, name: string, built: BuiltNode): Promise<Recorded> {
  const { ref, references } = built;
  if (ref === 'same' || (ref === null && packsOf(references) === 0)) return { ref, record: null };
  const path = `${place.folder}/${name}`;
  const document = { version: 1, lineage: place.lineage, parentSequence: place.parentSequence, node: ref && refToJson(ref), ...references };
  if (await createDocument(vault, path, document) === 'created') return { ref, record: entryOf(name, references) };
  const first = await findDocument(vault, path, recordSchema);
  if (!first) throw new HoldfastError('VAULT_DAMAGED', `The record ${path} is there and is not there`, { data: { name: path } });
  // Both went by the same record of the run's plan, so they have the same parent; with another one the tree and what is recorded of it would not fit.
  if (first.lineage !== place.lineage || first.parentSequence !== place.parentSequence) {
    throw new HoldfastError('INTERNAL', `The record ${path} is relative to run ${first.parentSequence} (lineage ${first.lineage}), and this step to run ${place.parentSequence} (lineage ${place.lineage})`);
  }
  return { ref: first.node && refFromJson(first.node), record: entryOf(name, first) };
}

const packsOf = ({ data, meta }: References): number => data.taken.length + data.given.length + meta.taken.length + meta.given.length;

function entryOf(name: string, { data, meta }: References): RecordEntry {
  const copy = (side: References['data']): RecordEntryPacks => ({ taken: [...side.taken], given: [...side.given] });
  return { name, references: packsOf({ data, meta }) > INLINE_PACKS ? null : { data: copy(data), meta: copy(meta) } };
}

type RecordEntryPacks = z.infer<typeof sideSchema>;
