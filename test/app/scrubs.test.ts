import assert from 'node:assert/strict';
import type { ScrubJobView } from '../../functions/scrub-view';
import { VirtualClock } from '../../local/host/clock';
import type { ScrubJobResult } from '../../orchestrations/scrub';
import { DAILY_SCRUB_ID } from '../../orchestrations/names';
import { diskTree } from '../../vault/format/manifest';
import { PackKind } from '../../vault/format/format';
import { packName } from '../../vault/format/pack-names';
import type { DiskTree } from '../../vault/format/tree';
import { createFaultStore, type FaultStore } from '../support/fault-store';
import { addVm, halfDisk, type Home, HOME_START_MS, readImage, startHome, writeDisk } from '../support/home';
import { windowEntries } from '../support/vault-recount';

interface Health {
  readonly state: string;
  readonly items: readonly { readonly id: string; readonly name: string; readonly proved: { readonly recoveryPoint: string; readonly ok: boolean } | null }[];
  readonly damagedPacks: number;
  readonly damage: readonly { readonly pack: string; readonly foundBy: string; readonly recoveryPoints: readonly string[] }[];
}
type Scrub = ScrubJobResult & { readonly state: string; readonly ok: boolean | null; readonly percent: number };

const health = async (home: Home): Promise<Health> => (await home.json('/api/vault/health')).body as Health;
const scrubOf = async (home: Home, id: string): Promise<Scrub> => (await home.json(`/api/vault/scrubs/${id}`)).body as Scrub;

async function scrub(home: Home, body: object = {}): Promise<Scrub> {
  // A later moment than that of any proof before, or they would count for this one.
  await home.host.advanceTo(home.clock.now() + 1_000);
  const started = await home.json('/api/vault/scrubs', { method: 'POST', body: JSON.stringify(body) });
  assert.equal(started.status, 202, started.text);
  const { id } = started.body as { id: string };
  await home.host.waitFor(id, { until: 'finished' });
  return scrubOf(home, id);
}

/** A data pack that the first disk of a recovery point refers to. */
async function dataPack(home: Home, point = 0): Promise<string> {
  const disk = (await home.points())[point]?.disks[0];
  const entries = [...(await windowEntries(home.vault, diskTree(disk as never) as DiskTree)).values()].flat();
  return entries.find(({ chunk }) => chunk)?.chunk?.pack ?? '';
}

async function spoil(home: Home, pack: string): Promise<void> {
  const { store } = home.vault;
  const bytes = await store.read(packName(PackKind.data, pack));
  await store.delete(packName(PackKind.data, pack));
  await store.create(packName(PackKind.data, pack), Buffer.from(bytes.map((byte, at) => (at % 400 === 399 ? byte ^ 1 : byte))));
}

const web01 = (folder: string): Promise<void> => addVm(folder, 'web01', { os: halfDisk(4, 1) });

describe('scrubs of the app', () => {
  let home: Home;
  afterEach(() => home.dispose());

  it('proves everything on demand, shows progress and when each item was proved, and is never green without proof', async () => {
    home = await startHome(web01);
    assert.equal((await health(home)).state, 'unproved', 'an empty vault proves nothing');
    const { itemId, recoveryPoint } = await home.backUp('web01');
    assert.deepEqual((await health(home)).items.map(({ proved }) => proved), [null]);
    const items = async (): Promise<unknown> => (await home.list<{ id: string; proved: { ok: boolean } | null }>('/api/items')).map(({ id, proved }) => [id, proved?.ok ?? null]);
    assert.deepEqual(await items(), [[itemId, null]]);
    const done = await scrub(home);
    assert.deepEqual([done.state, done.ok, done.percent, done.proved, done.error], ['succeeded', true, 100, 1, null]);
    assert.ok(done.plainBytes > 0);
    assert.deepEqual(await items(), [[itemId, true]]);
    const { state, items: [first] } = await health(home);
    assert.deepEqual([state, first?.proved?.recoveryPoint, first?.proved?.ok], ['proved', recoveryPoint, true]);
  });

  it('fault 36: damage is found, shown with what it touches, and healed by the next backup of the machine, which says so; the old points stay damaged', async () => {
    home = await startHome(web01);
    const first = await home.backUp('web01');
    const pack = await dataPack(home);
    await spoil(home, pack);
    const found = await scrub(home, { item: first.itemId });
    assert.deepEqual([found.state, found.ok, found.damaged.map(({ recoveryPoint }) => recoveryPoint)], ['succeeded', false, [first.recoveryPoint]]);
    const sick = await health(home);
    assert.deepEqual([sick.state, sick.damage.map(({ pack: id, foundBy, recoveryPoints }) => [id, foundBy, recoveryPoints])], ['damaged', [[pack, 'scrub', [first.recoveryPoint]]]]);
    // Nothing changed on the disk: the diff names no window, and the damage is healed all the same.
    const second = await home.backUp('web01');
    assert.equal(second.state, 'succeeded', JSON.stringify(second.error));
    assert.ok((second.figures?.healedWindows ?? 0) > 0 && second.warnings.some((text) => /needed damaged packs/.test(text)), JSON.stringify(second.warnings));
    const image = await readImage(home, 'web01', 'os');
    assert.ok((await home.restore(second.recoveryPoint ?? '', 'web01_os')).equals(image));
    assert.equal((await scrub(home, { recoveryPoint: second.recoveryPoint })).ok, true);
    assert.equal((await scrub(home, { recoveryPoint: first.recoveryPoint })).ok, false);
    assert.equal((await health(home)).state, 'proved', 'what would be restored is whole');
    await home.assertClean(1);
  });

  it('fault 36: a leaf or a region that a backup finds lost is read and stored anew in the same run', async () => {
    home = await startHome(web01);
    await home.backUp('web01');
    const packs: string[] = [];
    for await (const { name } of home.vault.store.list('packs/meta/')) packs.push(name);
    for (const name of packs) await home.vault.store.delete(name);
    await writeDisk(home, 'web01', 'os', Buffer.alloc(4096, 7), 8192);
    const second = await home.backUp('web01');
    assert.equal(second.state, 'succeeded', JSON.stringify(second.error));
    assert.ok(second.warnings.some((text) => /damaged/.test(text)), JSON.stringify(second.warnings));
    assert.ok((await home.restore(second.recoveryPoint ?? '', 'web01_os')).equals(await readImage(home, 'web01', 'os')));
    const third = await home.backUp('web01');
    assert.deepEqual([third.state, third.warnings.filter((text) => /damage/.test(text))], ['succeeded', []]);
    await home.assertClean(1);
  });

  it('a store that fails in the middle is waited out; one that refuses fails the scrub, and nothing is called proved', async () => {
    let store: FaultStore | undefined;
    home = await startHome(web01, { wrapStore: (inner) => (store = createFaultStore(inner)) });
    await home.backUp('web01');
    store?.plan({ operation: 'read', matching: /packs\/data/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
    assert.equal((await scrub(home)).ok, true, 'tried again');
    store?.assertAllFired();
    store?.plan({ operation: 'read', matching: /packs\/data/, fault: { kind: 'fail', code: 'STORE_ACCESS_DENIED', when: 'before' } });
    const failed = await scrub(home);
    assert.deepEqual([failed.state, failed.ok, failed.error?.code, failed.proved], ['failed', null, 'STORE_ACCESS_DENIED', 0]);
  });

  it('the timer proves a day\'s share, and over a round of days everything once', async () => {
    home = await startHome(web01, { scrubs: { cron: '0 0 3 * * *', days: 7 } });
    await home.backUp('web01');
    await home.host.advanceTo(home.clock.now() + 24 * 3_600_000);
    await home.host.waitFor(DAILY_SCRUB_ID, { until: 'finished' });
    const { state, items } = await health(home);
    assert.deepEqual([state, items[0]?.proved?.ok], ['proved', true]);
  });

  it('is a job like others: listed, looked at while it runs, and cancelled; what it had not read is not called proved, and the next one goes on', async () => {
    let store: FaultStore | undefined;
    home = await startHome(web01, { wrapStore: (inner) => (store = createFaultStore(inner)) });
    const { recoveryPoint, itemId } = await home.backUp('web01');
    // Each try of the step meets one, and waits in durable time for the next.
    for (let times = 0; times < 3; times++) store?.plan({ operation: 'read', matching: /packs\/data/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
    const { id } = (await home.json('/api/vault/scrubs', { method: 'POST', body: JSON.stringify({ recoveryPoint }) })).body as { id: string };
    await home.host.waitFor(id, { until: ({ customStatus }) => customStatus !== null });
    const job = async (): Promise<ScrubJobView> => (await home.json(`/api/jobs/${id}`)).body as ScrubJobView;
    const { kind, itemId: item, state, phase, endedAt, progress, ok } = await job();
    assert.deepEqual([kind, item, state, phase, endedAt, progress.percent, progress.itemsDone, progress.items, ok], ['scrub', itemId, 'running', 'reading', null, 0, 0, 1, null]);
    const listed = await home.list<{ id: string; kind: string }>('/api/jobs');
    assert.deepEqual(listed.map((one) => [one.kind, one.id === id]).sort(), [['backup', false], ['scrub', true]]);
    const cancelled = await home.json(`/api/jobs/${id}/cancel`, { method: 'POST' });
    assert.deepEqual([cancelled.status, cancelled.headers.get('location')], [202, `/api/jobs/${id}`]);
    await home.host.waitFor(id, { until: 'finished' });
    const ended = await job();
    assert.deepEqual([ended.state, ended.ok, ended.proved, ended.error?.code], ['cancelled', null, 0, 'CANCELLED']);
    assert.equal((await home.json(`/api/jobs/${id}/cancel`, { method: 'POST' })).status, 400, 'what is over cannot be cancelled');
    assert.equal((await health(home)).state, 'unproved');
    assert.equal((await scrub(home)).ok, true);
    store?.assertAllFired();
    assert.equal((await health(home)).state, 'proved');
  });

  for (const seed of [1, 2, 3]) {
    it(`45: a scrub whose steps crash, come twice and late proves everything, and misses no damage (seed ${seed})`, async () => {
      home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(4, 1), data: halfDisk(4, 2) }), { host: { chaos: { seed, duplicateActivity: 0.5, crashBeforeCommit: 0.2, delay: 0.3 }, clock: new VirtualClock(HOME_START_MS) } });
      await home.backUp('web01');
      await home.host.settle();
      assert.deepEqual([(await scrub(home)).ok, (await health(home)).state], [true, 'proved']);
      await home.host.settle();
      await spoil(home, await dataPack(home));
      assert.equal((await scrub(home)).ok, false);
      assert.equal((await health(home)).state, 'damaged');
    });
  }

  it('refuses what is not there and what is no scope, and cancels only what runs', async () => {
    home = await startHome(web01);
    const { recoveryPoint } = await home.backUp('web01');
    const post = async (body: string): Promise<[number, string]> => {
      const { status, body: answer } = await home.json('/api/vault/scrubs', { method: 'POST', body });
      return [status, (answer as { code: string }).code];
    };
    assert.deepEqual(await post('{"item":"nobody"}'), [404, 'ITEM_NOT_FOUND']);
    assert.deepEqual(await post('{"recoveryPoint":"nobody.20261123T010000Z"}'), [404, 'RECOVERY_POINT_NOT_FOUND']);
    assert.deepEqual(await post(`{"item":"web01","recoveryPoint":"${recoveryPoint}"}`), [400, 'REQUEST_INVALID']);
    assert.deepEqual(await post('{"everything":true}'), [400, 'REQUEST_INVALID']);
    assert.equal((await home.json('/api/vault/scrubs/backup.x')).status, 404);
    const done = await scrub(home, { recoveryPoint });
    assert.equal(done.ok, true);
    const started = (await home.json('/api/vault/scrubs', { method: 'POST' })).body as { id: string };
    const cancelled = await home.json(`/api/vault/scrubs/${started.id}/cancel`, { method: 'POST' });
    assert.ok([202, 400].includes(cancelled.status), cancelled.text);
    await home.host.waitFor(started.id, { until: 'finished' });
    assert.ok(['cancelled', 'succeeded'].includes((await scrubOf(home, started.id)).state));
    assert.equal((await home.json(`/api/vault/scrubs/${started.id}/cancel`, { method: 'POST' })).status, 400);
  });
});
