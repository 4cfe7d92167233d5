import assert from 'node:assert/strict';
import { z } from 'zod';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { collect } from '../../../vault/points/collect';
import { PackKind } from '../../../vault/format/format';
import { createDocument, findDocument, parseDocument } from '../../../vault/format/documents';
import { findManifest, manifestSchema } from '../../../vault/format/manifest';
import { MARGINS } from '../../../vault/points/margins';
import { markDeleted, markUndeleted } from '../../../vault/points/marks';
import { packName } from '../../../vault/format/pack-names';
import { recordReferences, referencesPlace, type RecordEntry, treeHistory } from '../../../vault/points/references';
import { commitRun, latestCommitted, openRun, sealRun, workFolder } from '../../../vault/run';
import { createMemoryStore } from '../../../vault/store/memory-store';
import type { Store } from '../../../vault/store/store';
import type { BlobRef } from '../../../vault/format/blob';
import { makeManifest } from '../vault-manifests';
import { refOf, START_MS, testKeys } from '../vault-kit';
import type { Actor } from './actor-graph';
import type { Objects } from './vault-worlds';

export const DAY_MS = 24 * 3_600_000;
export const keys = testKeys();
const pack = (mark: string): string => mark.repeat(32);
const ROOT_1 = pack('a');
const DATA_1 = pack('1');
/** The packs of the first run. */
export const FIRST_PACKS = [packName(PackKind.data, DATA_1), packName(PackKind.meta, ROOT_1)];
/** Those of a writer of the second: its data, and its root. */
export const ownPacks = (mark: string): [string, string] => [packName(PackKind.data, pack(mark)), packName(PackKind.meta, pack(mark === 'b' ? 'c' : 'e'))];
export const STAMP_1 = '20261023T010000Z';
export const RUN_2 = { itemId: 'item', stamp: '20261123T010000Z', slot: null, owner: 'writer', policy: null, maxRunMs: MARGINS.longestRunMs };

export interface WriterOptions {
  /** It begins the run, by the clock of now; else the run is open already, and it goes on with it. */
  readonly begins?: boolean;
  /** As it must not be: it looks for the recovery point to go on from before it begins its run. */
  readonly pinsLate?: boolean;
}

/**
 * A run as every backup does it, of a disk with one data pack and one node pack: its own in place of the parent's root, beside the parent's data. `mark` makes the packs of a twin its
 * own, as random ids do.
 */
export const writer = (mark: string, { begins = false, pinsLate = false }: WriterOptions = {}): Actor => async (store) => {
  const vault = { store, keys };
  const nowMs = begins ? await store.serverTimeMs() : START_MS;
  try {
    const early = pinsLate ? await latestCommitted(vault, 'item') : undefined;
    const run = await openRun(vault, { ...RUN_2, nowMs });
    // As planBackup does: the first plan counts, for a twin too.
    const planned = (early ?? await latestCommitted(vault, 'item'))?.manifest.stamp ?? null;
    const isFirst = await createDocument(vault, `${workFolder(run)}/plan`, { version: 1, parent: planned }) === 'created';
    const { parent: from } = isFirst ? { parent: planned } : await findDocument(vault, `${workFolder(run)}/plan`, z.object({ parent: z.string().nullable() })) ?? { parent: null };
    const loaded = early ?? (from === null ? undefined : await findManifest(vault, 'item', from));
    // Gone for good: then the run's time has long been over, and a step that wakes looks at the run first and stops.
    if (from !== null && !loaded) return;
    const parent = loaded?.manifest;
    const [before] = parent?.disks ?? [];
    const place = referencesPlace(run, 0, 0, parent && before ? { sequence: parent.sequence, lineage: before.tree.lineage } : null);
    const [data, root] = [pack(mark), pack(mark === 'b' ? 'c' : 'e')];
    for (const name of ownPacks(mark)) await store.create(name, Buffer.from(name));
    const records: RecordEntry[] = [];
    const region = await recordReferences(vault, place, '0000', { ref: refOf(root), references: { data: { taken: [data], given: [] }, meta: { taken: [], given: [] } } });
    if (region.record) records.push(region.record);
    const top = await recordReferences(vault, place, 'root', { ref: refOf(root), references: { data: { taken: [], given: [] }, meta: { taken: [root], given: before?.root ? [before.root.pack] : [] } } });
    if (top.record) records.push(top.record);
    const made = makeManifest(run, 'disk', { root: top.ref as BlobRef, sizeBytes: 4096 }, treeHistory(place, records));
    await sealRun(vault, run, { ...made, parent: parent ? { id: parent.id, sequence: parent.sequence, digest: loaded?.digest ?? '' } : null });
    await commitRun(vault, run, nowMs);
  } catch (error) {
    if (!isHoldfastError(error) || !['RUN_IN_PROGRESS', 'SLOT_TAKEN', 'RUN_ABANDONED', 'VAULT_DAMAGED'].includes(error.code)) throw error;
  }
};

/** Collectors are all alike: one that is a zombie is one that the exploration lets wait, at any of its calls, while the others and the clock go on. */
export const collector: Actor = async (store) => {
  let nowMs = 0;
  const timed: Store = { ...store, serverTimeMs: async () => (nowMs = await store.serverTimeMs()) };
  await collect({ store: timed, keys }, { localNowMs: () => nowMs, by: 'collector' });
};

const decider = (decide: (vault: { store: Store; keys: typeof keys }, serverNowMs: number) => Promise<unknown>): Actor => async (store) => {
  try {
    await decide({ store, keys }, await store.serverTimeMs());
  } catch (error) {
    // Another decided before.
    if (!isHoldfastError(error) || !['RECOVERY_POINT_DELETED', 'RECOVERY_POINT_NOT_FOUND'].includes(error.code)) throw error;
  }
};
export const retention = decider((vault, serverNowMs) => markDeleted(vault, `item.${STAMP_1}`, { by: 'retention', serverNowMs }, { reason: 'retention', policy: null }));
export const undeleter = decider((vault, serverNowMs) => markUndeleted(vault, `item.${STAMP_1}`, { by: 'person', serverNowMs }));

export const OLD_MS = START_MS - 100 * DAY_MS;
/** Long ago, when what is there was made; now; while a run of now is open; when it is over and the bin's time too; when what it left may go. */
export const EPOCHS_MS = [OLD_MS, START_MS, START_MS + 15 * DAY_MS, START_MS + 30 * DAY_MS];

interface StartObject { readonly name: string; readonly data: Buffer; readonly epoch: number }

/** A recovery point of long ago, and with `isRunning` a second run that is open now: its steps find it by their owner. */
export async function firstRun(isRunning: boolean): Promise<StartObject[]> {
  const store = createMemoryStore({ clock: () => OLD_MS });
  const vault = { store, keys };
  const run = await openRun(vault, { itemId: 'item', stamp: STAMP_1, slot: null, owner: 'first', policy: null, nowMs: OLD_MS, maxRunMs: DAY_MS });
  const place = referencesPlace(run, 0, 0, null);
  const records: RecordEntry[] = [
    { name: '0000', references: { data: { taken: [DATA_1], given: [] }, meta: { taken: [], given: [] } } },
    { name: 'root', references: { data: { taken: [], given: [] }, meta: { taken: [ROOT_1], given: [] } } },
  ];
  await store.create(packName(PackKind.data, DATA_1), Buffer.from('data'));
  await store.create(packName(PackKind.meta, ROOT_1), Buffer.from('root'));
  await sealRun(vault, run, makeManifest(run, 'disk', { root: refOf(ROOT_1), sizeBytes: 4096 }, treeHistory(place, records)));
  await commitRun(vault, run, OLD_MS);
  const objects: StartObject[] = [];
  if (isRunning) await openRun(vault, { ...RUN_2, nowMs: START_MS });
  for await (const { name } of store.list('')) objects.push({ name, data: await store.read(name), epoch: name.startsWith('runs/item/0000000002') ? 1 : 0 });
  return objects;
}

const markSchema = z.looseObject({ kind: z.string() });
const endSchema = z.looseObject({ recoveryPoint: z.string().nullable() });

/** I1 and I2: every recovery point that is there and not purged has its packs, and every one that a run committed is there or was purged. */
export function checker(): (objects: Objects, contentOf: (content: number) => Buffer) => void {
  const parsed = new Map<number, unknown>();
  const open = <T>(name: string, content: number, contentOf: (content: number) => Buffer, schema: z.ZodType<T>): T => {
    if (!parsed.has(content)) parsed.set(content, parseDocument({ store: createMemoryStore(), keys }, name, contentOf(content), schema));
    return parsed.get(content) as T;
  };
  return (objects, contentOf) => {
    const isPurged = (stamp: string): boolean => {
      const last = [...objects].filter(([mark]) => mark.startsWith(`marks/item/${stamp}/`)).at(-1);
      return last !== undefined && open(last[0], last[1].content, contentOf, markSchema).kind === 'purged';
    };
    for (const [name, { content }] of objects) {
      if (/^runs\/.*\/end$/.test(name)) {
        const { recoveryPoint } = open(name, content, contentOf, endSchema);
        const stamp = recoveryPoint?.slice('item.'.length);
        assert.ok(stamp === undefined || objects.has(`recovery-points/item/${stamp}`) || isPurged(stamp), `${recoveryPoint} was committed, and is gone without having been purged`);
      }
      if (!name.startsWith('recovery-points/')) continue;
      const manifest = open(name, content, contentOf, manifestSchema);
      if (isPurged(manifest.stamp)) continue;
      const [disk] = manifest.disks;
      const needed = [packName(PackKind.meta, disk?.root?.pack ?? ''), ...disk?.tree.records.flatMap(({ references }) => references?.data.taken.map((id) => packName(PackKind.data, id)) ?? []) ?? []];
      if (disk?.tree.lineage === '1.0') needed.push(packName(PackKind.data, DATA_1));
      for (const one of needed) assert.ok(objects.has(one), `${manifest.id} needs ${one}, which is gone`);
    }
  };
}

/** An actor whose store is not what it takes it for. */
export const deceived = (actor: Actor, deceive: (store: Store) => Partial<Store>): Actor => (store) => actor({ ...store, ...deceive(store) });
