import assert from 'node:assert/strict';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { referencesFolder } from '../../../vault/points/references';
import { BLOCK_BYTES } from '../../../vault/format/format';
import { diskTree, findManifest } from '../../../vault/format/manifest';
import { commitRun, openRun, sealRun } from '../../../vault/run';
import { createMemoryStore } from '../../../vault/store/memory-store';
import type { Store } from '../../../vault/store/store';
import type { DiskTree, VaultAccess } from '../../../vault/format/tree';
import { createFaultStore, type FaultStore } from '../../support/fault-store';
import { HOUR_MS, makeManifest, runRequest, STAMP_A, STAMP_B } from '../../support/vault-manifests';
import { assertReferences } from '../../support/vault-recount';
import { assertRestores, backUp, contentBytes, SparseDisk, START_MS, testKeys } from '../../support/vault-kit';

const keys = testKeys();
const changed = [{ offset: 20 * BLOCK_BYTES, length: 30 * BLOCK_BYTES }, { offset: 90 * BLOCK_BYTES, length: BLOCK_BYTES }];

interface World { readonly inner: Store; readonly disk: SparseDisk; readonly parent: DiskTree; readonly champion: DiskTree }

let first: Promise<World> | undefined;
/** A vault with a recovery point, and a disk that has changed since: a copy for each test, made once. */
async function world(): Promise<World> {
  const made = await (first ??= makeWorld());
  const inner = createMemoryStore();
  for await (const { name } of made.inner.list('')) await inner.create(name, await made.inner.read(name));
  return { ...made, inner, disk: made.disk.snapshot() };
}

async function makeWorld(): Promise<World> {
  const inner = createMemoryStore();
  const vault = { store: inner, keys };
  const disk = new SparseDisk(100 * BLOCK_BYTES);
  await disk.write(contentBytes({ kind: 'noise', seed: 1 }, 60 * BLOCK_BYTES), 0);
  const first = await openRun(vault, runRequest('first'));
  const { tree } = await backUp(vault, disk, { folder: referencesFolder(first, 0) });
  await sealRun(vault, first, makeManifest(first, 'first', tree));
  await commitRun(vault, first, START_MS);
  const sibling = new SparseDisk(150 * BLOCK_BYTES);
  await sibling.write(contentBytes({ kind: 'noise', seed: 2 }, 150 * BLOCK_BYTES), 0);
  const champion = await backUp(vault, sibling);
  await disk.write(contentBytes({ kind: 'noise', seed: 2 }, changed[0]?.length ?? 0), changed[0]?.offset ?? 0);
  await disk.write(contentBytes({ kind: 'noise', seed: 4 }, BLOCK_BYTES), changed[1]?.offset ?? 0);
  return { inner, disk, parent: tree, champion: champion.tree };
}

async function run(store: Store, { disk, parent, champion }: World, owner: string, nowMs = START_MS): Promise<string> {
  const vault: VaultAccess = { store, keys };
  const ref = await openRun(vault, runRequest(owner, { stamp: STAMP_B, nowMs }));
  const folder = referencesFolder(ref, 0);
  const made = await backUp(vault, disk, { parent, changed, champions: [champion], folder });
  await sealRun(vault, ref, makeManifest(ref, owner, made.tree));
  await commitRun(vault, ref, nowMs);
  return folder;
}

describe('a backup whose store fails', () => {
  const injected = (error: unknown): boolean => isHoldfastError(error, 'STORE_UNREACHABLE');

  for (const owner of ['same', 'successor']) {
    it(`at any one call: says so, shows nothing, and succeeds when it is run again by ${owner === 'same' ? 'the same owner, after the same step ran before' : 'a successor'}`, async () => {
      const rehearsal = await world();
      const counted = createFaultStore(rehearsal.inner);
      await run(counted, rehearsal, 'same');
      const calls = [...counted.calls];
      assert.ok(calls.filter(({ operation }) => operation === 'create').length >= 7, 'open, data, nodes, records, verdict, manifest, end');
      for (const [index, { operation }] of calls.entries()) {
        // What a successor finds differs by what was written; that reading failed leaves the same as not having got so far.
        if (owner === 'successor' && operation !== 'create') continue;
        for (const when of operation === 'create' ? ['before', 'after'] as const : ['before'] as const) {
          const here = await world();
          const store = createFaultStore(here.inner);
          store.plan({ operation, matching: /^/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when }, after: calls.slice(0, index).filter((one) => one.operation === operation).length });
          await assert.rejects(run(store, here, 'same'), injected, `call ${index}, ${operation} ${when}`);
          store.assertAllFired();
          const vault = { store: here.inner, keys };
          const shown = await findManifest(vault, 'item', STAMP_B);
          if (shown) await assertRestores(vault, diskTree(shown.manifest.disks[0] as never), here.disk);
          const folder = await run(here.inner, here, owner, START_MS + 2 * HOUR_MS).catch((error: unknown) => {
            if (!isHoldfastError(error, 'SLOT_TAKEN')) throw error;
            return undefined;
          });
          const point = await findManifest(vault, 'item', STAMP_B);
          assert.ok(point, 'the recovery point is there now');
          const tree = diskTree(point.manifest.disks[0] as never);
          await assertRestores(vault, tree, here.disk, `call ${index}, ${operation} ${when}`);
          await assertReferences(vault, referencesFolder({ itemId: 'item', sequence: point.manifest.sequence }, 0), here.parent, tree);
          assert.ok(folder === undefined || folder.includes('item'));
          const old = await findManifest(vault, 'item', STAMP_A);
          assert.equal(old?.manifest.source.name, 'first', 'what was there before is untouched');
        }
      }
    });
  }

  it('with a full vault: nothing is visible, and what was there still restores', async () => {
    const here = await world();
    const before = new SparseDisk(100 * BLOCK_BYTES);
    await before.write(contentBytes({ kind: 'noise', seed: 1 }, 60 * BLOCK_BYTES), 0);
    const store: FaultStore = createFaultStore(here.inner);
    store.plan({ operation: 'create', matching: /packs/, fault: { kind: 'fail', code: 'STORE_FULL', when: 'before' }, times: Number.POSITIVE_INFINITY });
    await assert.rejects(run(store, here, 'same'), (error) => isHoldfastError(error, 'STORE_FULL'));
    assert.equal(await findManifest({ store: here.inner, keys }, 'item', STAMP_B), undefined);
    await assertRestores({ store: here.inner, keys }, here.parent, before);
  });

  it('with a source that fails: says so, and nothing is visible', async () => {
    const here = await world();
    here.disk.onRead = () => Promise.reject(new Error('the disk has gone'));
    await assert.rejects(run(here.inner, here, 'same'), /the disk has gone/);
    assert.equal(await findManifest({ store: here.inner, keys }, 'item', STAMP_B), undefined);
  });

  it('that is cancelled stops before the next window', async () => {
    const [vault, disk, stop] = [{ store: createMemoryStore(), keys }, new SparseDisk(3 * 64 * 1024 * 1024), new AbortController()];
    disk.onRead = () => stop.abort();
    await assert.rejects(backUp(vault, disk, { signal: stop.signal }), (error) => isHoldfastError(error, 'CANCELLED'));
    assert.ok(disk.readBytes <= 64 * 1024 * 1024, `${disk.readBytes} bytes were read`);
  });
});

describe('reading back damaged packs', () => {
  it('gives the very bytes or an error, never others, whatever byte of any object is wrong', async () => {
    const here = await world();
    const vault = { store: here.inner, keys };
    const original = new SparseDisk(100 * BLOCK_BYTES);
    await original.write(contentBytes({ kind: 'noise', seed: 1 }, 60 * BLOCK_BYTES), 0);
    const names: string[] = [];
    for await (const { name } of here.inner.list('packs/')) names.push(name);
    let noticed = 0;
    for (const name of names) {
      for (let seed = 0; seed < 12; seed++) {
        const store = damagedStore(here.inner, name, seed);
        try {
          await assertRestores({ ...vault, store }, here.parent, original, `${name}, seed ${seed}`);
        } catch (error) {
          assert.ok(isHoldfastError(error) && ['PACK_DAMAGED', 'PACK_MISSING', 'NODE_DAMAGED'].includes(error.code), String(error));
          noticed++;
        }
      }
    }
    assert.ok(noticed > 10, `${noticed} were noticed`);
  });
});

/** The store, with one object's bytes wrong from a place that the seed chooses on, or swapped for its neighbour's, or gone. */
function damagedStore(inner: Store, victim: string, seed: number): Store {
  const spoil = async (): Promise<Buffer> => {
    const bytes = await inner.read(victim);
    const at = Math.floor(bytes.length * (seed + 0.5) / 12);
    bytes[at] = (bytes[at] as number) ^ (1 << (seed % 8));
    return seed % 4 === 3 ? bytes.subarray(0, at) : bytes;
  };
  const pretend = createMemoryStore();
  let ready: Promise<unknown> | undefined;
  return { ...inner, description: 'damaged', create: inner.create.bind(inner), stat: inner.stat.bind(inner), list: inner.list.bind(inner), delete: inner.delete.bind(inner), close: () => Promise.resolve(),
    async read(name, range) {
      if (name !== victim) return inner.read(name, range);
      await (ready ??= spoil().then((bytes) => pretend.create(victim, bytes)));
      return pretend.read(victim, range);
    } };
}
