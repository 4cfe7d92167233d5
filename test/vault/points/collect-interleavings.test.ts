import assert from 'node:assert/strict';
import { z } from 'zod';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { collect } from '../../../vault/points/collect';
import { PackKind } from '../../../vault/format/format';
import { createDocument, findDocument, parseDocument } from '../../../vault/format/documents';
import { findManifest, type Manifest, manifestSchema } from '../../../vault/format/manifest';
import { MARGINS } from '../../../vault/points/margins';
import { markDeleted, markUndeleted } from '../../../vault/points/marks';
import { packName } from '../../../vault/format/pack-names';
import { recordReferences, referencesPlace, type RecordEntry, treeHistory } from '../../../vault/points/references';
import { commitRun, latestCommitted, openRun, sealRun, workFolder } from '../../../vault/run';
import { createMemoryStore } from '../../../vault/store/memory-store';
import type { Store } from '../../../vault/store/store';
import type { BlobRef } from '../../../vault/format/blob';
import { type Actor, explore, type ExploreOptions, type Objects, sample } from '../../support/vault-explorer';
import { makeManifest } from '../../support/vault-manifests';
import { refOf, START_MS, testKeys } from '../../support/vault-kit';

const DAY_MS = 24 * 3_600_000;
const keys = testKeys();
const pack = (mark: string): string => mark.repeat(32);
const ROOT_1 = pack('a');
const DATA_1 = pack('1');
const RUN_2 = { itemId: 'item', stamp: '20261123T010000Z', slot: null, owner: 'writer', policy: null, maxRunMs: MARGINS.longestRunMs };

/**
 * A run as every backup does it, of a disk with one data pack and one node pack: its own in place of the parent's root, beside the parent's data. `mark` makes the packs of a twin its
 * own, as random ids do.
 */
const writer = (mark: string): Actor => async (store) => {
  const vault = { store, keys };
  const nowMs = START_MS;
  try {
    const run = await openRun(vault, { ...RUN_2, nowMs });
    // As planBackup does: the first plan counts, for a twin too.
    const planned = (await latestCommitted(vault, 'item'))?.manifest.stamp ?? null;
    const isFirst = await createDocument(vault, `${workFolder(run)}/plan`, { version: 1, parent: planned }) === 'created';
    const { parent: from } = isFirst ? { parent: planned } : await findDocument(vault, `${workFolder(run)}/plan`, z.object({ parent: z.string().nullable() })) ?? { parent: null };
    const loaded = from === null ? undefined : await findManifest(vault, 'item', from);
    // Gone for good: then the run's time has long been over, and a step that wakes looks at the run first and stops.
    if (from !== null && !loaded) return;
    const parent = loaded?.manifest;
    const [before] = parent?.disks ?? [];
    const place = referencesPlace(run, 0, 0, parent && before ? { sequence: parent.sequence, lineage: before.tree.lineage } : null);
    const [data, root] = [pack(mark), pack(mark === 'b' ? 'c' : 'e')];
    await store.create(packName(PackKind.data, data), Buffer.from(data));
    await store.create(packName(PackKind.meta, root), Buffer.from(root));
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

/** Collectors are all alike; one that is a zombie is one that the exploration lets wait, at any of its calls, while the others and the clock go on. */
const collector: Actor = async (store) => {
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
const STAMP_1 = '20261023T010000Z';
const retention = decider((vault, serverNowMs) => markDeleted(vault, `item.${STAMP_1}`, { by: 'retention', serverNowMs }, { reason: 'retention', policy: null }));
const undeleter = decider((vault, serverNowMs) => markUndeleted(vault, `item.${STAMP_1}`, { by: 'person', serverNowMs }));

const OLD_MS = START_MS - 100 * DAY_MS;
/** Long ago, when what is there was made; now; while a run of now is open; when it is over and the bin's time too; when what it left may go. */
const EPOCHS_MS = [OLD_MS, START_MS, START_MS + 15 * DAY_MS, START_MS + 30 * DAY_MS];

/** A recovery point of long ago, and with `isRunning` a second run that is open now: its steps find it by their owner. */
async function firstRun(isRunning: boolean): Promise<ExploreOptions['start'][number][]> {
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
  const objects: ExploreOptions['start'][number][] = [];
  if (isRunning) await openRun(vault, { ...RUN_2, nowMs: START_MS });
  for await (const { name } of store.list('')) objects.push({ name, data: await store.read(name), epoch: name.startsWith('runs/item/0000000002') ? 1 : 0 });
  return objects;
}

/** I1 and I2: every recovery point that is there and not purged has its packs. */
function checker(): (objects: Objects, contentOf: (content: number) => Buffer) => void {
  const parsed = new Map<number, unknown>();
  const open = <T>(content: number, contentOf: (content: number) => Buffer, read: (bytes: Buffer) => T): T => {
    if (!parsed.has(content)) parsed.set(content, read(contentOf(content)));
    return parsed.get(content) as T;
  };
  return (objects, contentOf) => {
    for (const [name, { content }] of objects) {
      if (!name.startsWith('recovery-points/')) continue;
      const manifest: Manifest = open(content, contentOf, (bytes) => parseDocument({ store: createMemoryStore(), keys }, name, bytes, manifestSchema));
      const last = [...objects].filter(([mark]) => mark.startsWith(`marks/item/${manifest.stamp}/`)).at(-1);
      if (last && open(last[1].content, contentOf, (bytes) => parseDocument({ store: createMemoryStore(), keys }, last[0], bytes, z.looseObject({ kind: z.string() }))).kind === 'purged') continue;
      const [disk] = manifest.disks;
      const needed = [packName(PackKind.meta, disk?.root?.pack ?? ''), ...disk?.tree.records.flatMap(({ references }) => references?.data.taken.map((id) => packName(PackKind.data, id)) ?? []) ?? []];
      if (disk?.tree.lineage === '1.0') needed.push(packName(PackKind.data, DATA_1));
      for (const one of needed) assert.ok(objects.has(one), `${manifest.id} needs ${one}, which is gone`);
    }
  };
}

const [WRITER, TWIN] = [writer('b'), writer('d')];
const LATE_MS = [OLD_MS, START_MS, START_MS + 30 * DAY_MS];

/** Where an actor writes: the explorer holds it to that. */
const writesOf = (actor: Actor): readonly string[] =>
  (actor === collector ? ['runs/', 'marks/', 'packs/', 'work/', 'references/', 'recovery-points/'] : actor === retention || actor === undeleter ? ['marks/'] : actor === rash ? ['packs/'] : ['runs/', 'work/', 'packs/', 'references/', 'recovery-points/']);

const optionsOf = async (actors: readonly Actor[], epochsMs: readonly number[]): Promise<ExploreOptions> => ({
  start: await firstRun(actors.includes(WRITER)), epochsMs, actors, check: checker(), maxStates: 300_000, writes: writesOf,
  isLasting: (name) => /^(runs|marks|work)\//.test(name), isUnique: (name) => name.startsWith('packs/'), isQuiet: (prefix) => prefix === 'work/' && !actors.includes(WRITER),
});

/** A collector as it must not be: it deletes what no recovery point needs, however young. */
const rash: Actor = async (store) => {
  const named: string[] = [];
  for await (const { name } of store.list('recovery-points/')) named.push(parseDocument({ store, keys }, name, await store.read(name), manifestSchema).disks[0]?.root?.pack ?? '');
  for await (const { name } of store.list('packs/meta/')) if (!named.includes(name.slice(-32))) await store.delete(name);
};

describe('collection beside writers, other collectors and retention, order by order', function () {
  this.timeout(300_000); // Some ten seconds of work each, on a machine that may be busy with other things.
  for (const [what, actors, epochsMs] of [
    ['a writer and a collector', [WRITER, collector], LATE_MS],
    ['a writer, a collector and retention', [WRITER, collector, retention], LATE_MS],
    ['a collector, a zombie collector and retention', [collector, collector, retention], EPOCHS_MS],
    ['a collector, retention and who takes it back', [collector, retention, undeleter], EPOCHS_MS],
  ] as [string, Actor[], number[]][]) {
    it(`fault 10, fault 11, fault 12: ${what}, in every order in which their calls of the store and the clock can take effect`, async () => {
      const { states, worlds } = await explore(await optionsOf(actors, epochsMs));
      assert.ok(states > 2_000 && worlds > 30, `${states} states, ${worlds} of the vault`);
    });
  }

  // A full look at one switch with every instant of the clock has 2,654,597 states and takes two minutes of a processor; two switches have some hundred times as many.
  const full = process.env.HOLDFAST_EVERY_SWITCH === '1';
  it(`fault 7, fault 10, fault 11, fault 12: a writer, its twin, a collector, a zombie collector and retention, in every order with one switch${full ? ', at every instant' : ''}`, async () => {
    const options = await optionsOf([WRITER, TWIN, collector, collector, retention], full ? EPOCHS_MS : LATE_MS);
    const { states, worlds } = await explore({ ...options, maxSwitches: 1, maxStates: 4_000_000 });
    assert.ok(states > 500_000 && worlds > 5_000, `${states} states, ${worlds} of the vault`);
  });

  it('finds with a single switch what a collector does that looks at no age', async () => {
    const options = await optionsOf([WRITER, rash], LATE_MS);
    await explore({ ...options, maxSwitches: 0 });
    await assert.rejects(explore({ ...options, maxSwitches: 1 }), /needs packs\/meta\/.*, which is gone/);
  });

  // Every order of all of them is too many (docs/faults.md says what is gone through whole): a writer, a collector and retention alone have 145,727 states.
  it('fault 7, fault 10, fault 11, fault 12: a writer, its twin, a collector, a zombie collector, retention and who takes it back, in random orders', async () => {
    const seed = Number(process.env.HOLDFAST_SEED ?? Date.now() % 1_000_000);
    process.stderr.write(`interleavings: HOLDFAST_SEED=${seed}\n`);
    const { worlds } = await sample(await optionsOf([WRITER, TWIN, collector, collector, retention, undeleter], EPOCHS_MS), 300, seed);
    assert.ok(worlds > 300, `${worlds} states of the vault`);
  });

  it('finds the order in which a collector that looks at no age deletes what a run is about to need', async () => {
    await assert.rejects(async () => explore(await optionsOf([WRITER, rash], LATE_MS)), /needs packs\/meta\/.*, which is gone/);
  });
});
