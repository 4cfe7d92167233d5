import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import path from 'node:path';
import type { Outcome } from '../../activities/outcome';
import { createDriveRestoredMachine } from '../../activities/restore-machine';
import { createPlanRestore } from '../../activities/restore-plan';
import { restoreRecords } from '../../activities/restore-records';
import { restoreBodySchema } from '../../activities/restore-request';
import { createRestoreSlice } from '../../activities/restore-slice';
import { createStartRestoreTarget } from '../../activities/restore-target';
import { toBitmap } from '../../orchestrations/bitmap';
import { createDocument } from '../../vault/format/documents';
import type { ChaosOptions } from '../../local/host/chaos';
import { VirtualClock } from '../../local/host/clock';
import { PackKind } from '../../vault/format/format';
import { packName } from '../../vault/format/pack-names';
import { createFaultStore, createHold, type FaultStore } from '../support/fault-store';
import { addVm, halfDisk, type Home, HOME_START_MS, noise, readImage, startHome, writeDisk } from '../support/home';
import { lookUntil } from '../support/upload-disk';
import { ask, asleep, assertDiskIs, assertLeft, diskIdOf, restoreAndWait, restoreJob, startRestore, stateOf, vmIdOf } from '../support/restores';

const MiB = 1024 * 1024;

async function backedUp(home: Home): Promise<string> {
  const job = await home.backUp('web01');
  assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
  return job.recoveryPoint ?? '';
}

const web01 = (folder: string): Promise<void> => addVm(folder, 'web01', { os: halfDisk(2, 1), data: noise(3 * MiB, 2) });
const network = (home: Home): object => ({ subnetId: `/subscriptions/${home.standIn.subscriptionId}/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/s` });
const phaseIs = (phase: string) => ({ customStatus }: { customStatus: unknown }): boolean => (customStatus as { phase?: string } | null)?.phase === phase;

/** A backup and three restores of it, to a disk, in place and as a machine, in such a host. */
async function restoresUnder(chaos: ChaosOptions): Promise<Home> {
  const home = await startHome(web01, { host: { chaos, clock: new VirtualClock(HOME_START_MS) } });
  try {
    const point = await backedUp(home);
    const images = [await readImage(home, 'web01', 'os'), await readImage(home, 'web01', 'data')] as const;
    await writeDisk(home, 'web01', 'os', noise(4096, 9), 0);
    const restore = async (body: object): Promise<void> => {
      const job = await restoreAndWait(home, point, body);
      assert.equal(job.state, 'succeeded', `seed ${chaos.seed}: ${JSON.stringify(job)}`);
    };
    await restore({ id: 'disk', target: { kind: 'disk', disk: 'web01_data', name: 'back' } });
    await restore({ id: 'swap', target: { kind: 'in-place', differential: true } });
    await restore({ id: 'vm', target: { kind: 'vm', name: 'web02', network: network(home) } });
    const [os, data] = images;
    for (const name of ['back', 'web01_data-swap', 'web02-lun0-vm']) await assertDiskIs(home, diskIdOf(home, name), data);
    for (const name of ['web01_os-swap', 'web02-os-vm']) await assertDiskIs(home, diskIdOf(home, name), os);
    assert.equal((await home.deps.restoreCloud.getVmState(vmIdOf(home, 'web01')))?.osDiskId, diskIdOf(home, 'web01_os-swap'));
    await assertLeft(home, ['back', 'web01_data-swap', 'web01_os-swap', 'web02-lun0-vm', 'web02-os-vm']);
    return home;
  } catch (error) {
    await home.dispose();
    throw error;
  }
}

describe('a restore whose steps run twice, or crash', () => {
  let home: Home | undefined;
  afterEach(() => home?.dispose());

  it('5, 40: every activity executed twice, one after the other, restores the same once', async () => {
    home = await restoresUnder({ seed: 1, runEveryActivityTwice: true });
    assert.ok((home.host.chaos?.counts.duplicates ?? 0) > 30);
  });

  it('6, 40: activities executed twice at once do no harm', async () => {
    home = await restoresUnder({ seed: 2, duplicateActivity: 1 });
    assert.ok((home.host.chaos?.counts.duplicates ?? 0) > 30);
  });

  for (const seed of [21, 22]) {
    it(`40, 45: crashes at the edges of steps, duplicates and delays do no harm (seed ${seed})`, async () => {
      home = await restoresUnder({ seed, duplicateActivity: 0.2, crashBeforeCommit: 0.08, delay: 0.2 });
      assert.ok((home.host.chaos?.counts.crashes ?? 0) > 2);
    });
  }
});

describe('a restore when things go wrong', () => {
  let home: Home;
  let store: FaultStore;
  afterEach(() => home.dispose());
  const start = async (): Promise<string> => {
    home = await startHome(web01, { wrapStore: (plain) => (store = createFaultStore(plain)) });
    return backedUp(home);
  };
  const diskTarget = { kind: 'disk', disk: 'web01_data', name: 'back' };

  it('18: access that expires in the middle is renewed', async () => {
    const point = await start();
    home.standIn.faults.add({ kind: 'expireAccess', method: 'PUT', path: 'comp=page', skip: 1, times: 1 });
    home.standIn.faults.add({ kind: 'expireAccess', method: 'GET', path: 'abcd$', skip: 1, times: 1 });
    const job = await restoreAndWait(home, point, { target: diskTarget });
    assert.equal(job.state, 'succeeded', JSON.stringify(job));
    assert.deepEqual(home.standIn.faults.unfired(), []);
    await assertDiskIs(home, diskIdOf(home, 'back'), await readImage(home, 'web01', 'data'));
    await assertLeft(home, ['back']);
  });

  it('17: a storm of refusals that does not end fails with its cause, and what was made is removed', async () => {
    const point = await start();
    home.standIn.faults.add({ kind: 'respond', status: 429, code: 'TooManyRequests', times: 100_000, method: 'POST', path: 'disks/.*beginGetAccess' });
    const job = await restoreAndWait(home, point, { target: diskTarget });
    assert.deepEqual([job.state, job.error?.code, job.left], ['failed', 'CLOUD_THROTTLED', []]);
    await assertLeft(home, []);
  });

  it('a restore that is cancelled ends as cancelled at any step, and leaves nothing behind', async () => {
    const point = await start();
    const steps = [/\/plan$/, /\/s0000$/, /\/footer$/, /\/done$/, /\/machine$/];
    for (const [index, matching] of steps.entries()) {
      const hold = createHold();
      store.plan({ operation: 'create', matching: new RegExp(`^restores/c${index}.*${matching.source}`), fault: { kind: 'hold', hold } });
      const id = await startRestore(home, point, { id: `c${index}`, target: { kind: 'vm', name: 'web02', network: network(home) } });
      const finished = home.host.waitFor(id, { until: 'finished' });
      await hold.reached;
      const cancelled = await home.json(`/api/jobs/${id}/cancel`, { method: 'POST' });
      assert.equal(cancelled.status, 202, cancelled.text);
      hold.release();
      await finished;
      const job = await restoreJob(home, id);
      assert.deepEqual([job.state, job.error?.code, job.left], ['cancelled', 'CANCELLED', []], String(matching));
      await assertLeft(home, []);
      assert.equal((await stateOf(home)).vms[vmIdOf(home, 'web02').toLowerCase()], undefined);
      assert.equal((await home.json(`/api/jobs/${id}/cancel`, { method: 'POST' })).status, 400, 'what is over cannot be cancelled');
    }
  });

  it('40: an exchange that fails half-way gives the machine its old disks back', async () => {
    const point = await start();
    home.standIn.faults.add({ kind: 'respond', status: 409, code: 'OperationNotAllowed', message: 'no', times: 1000, path: 'attachDetachDataDisks' });
    const job = await restoreAndWait(home, point, { id: 'half', target: { kind: 'in-place' } });
    assert.equal(job.state, 'failed', JSON.stringify(job));
    home.standIn.faults.clear();
    const vm = await home.deps.restoreCloud.getVmState(vmIdOf(home, 'web01'));
    assert.deepEqual([vm?.osDiskId, vm?.dataDisks.map(({ diskId }) => diskId), vm?.power], [diskIdOf(home, 'web01_os'), [diskIdOf(home, 'web01_data')], 'running']);
    await assertLeft(home, []);
  });

  it('20: a machine that is deleted while its disks are restored fails the exchange with that cause, and the new disks go', async () => {
    const point = await start();
    const hold = createHold();
    store.plan({ operation: 'create', matching: /^restores\/gone\/d1\/done$/, fault: { kind: 'hold', hold } });
    const id = await startRestore(home, point, { id: 'gone', target: { kind: 'in-place' } });
    const finished = home.host.waitFor(id, { until: 'finished' });
    await hold.reached;
    home.standIn.faults.add({ kind: 'deleteVm', vm: 'web01' });
    hold.release();
    await finished;
    const job = await restoreJob(home, id);
    assert.deepEqual([job.state, job.error?.code, job.left], ['failed', 'CLOUD_NOT_FOUND', []]);
    await assertLeft(home, []);
  });

  it('I6: data where the recovery point has zeros fails the restore, and the disk goes', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1), data: 130 * MiB }), { wrapStore: (plain) => (store = createFaultStore(plain)) });
    await writeDisk(home, 'web01', 'data', noise(4096, 3), 4096);
    const point = await backedUp(home);
    const hold = createHold();
    store.plan({ operation: 'create', matching: /^restores\/zeros\/d1\/r0000\/s0000$/, fault: { kind: 'hold', hold } });
    const id = await startRestore(home, point, { id: 'zeros', target: diskTarget });
    const finished = home.host.waitFor(id, { until: 'finished' });
    await hold.reached;
    const record = Object.values((await stateOf(home)).disks).find(({ name }) => name === 'back');
    const content = await open(path.join(home.folder, 'azure', 'content', record?.file ?? ''), 'r+');
    await content.write(Buffer.from([1]), 0, 1, 100 * MiB);
    await content.close();
    hold.release();
    await finished;
    const job = await restoreJob(home, id);
    assert.deepEqual([job.state, job.error?.code], ['failed', 'TARGET_NOT_VERIFIED']);
    await assertLeft(home, []);
  });

  it('I6: what does not read back as it was written is no slice of a restore', async () => {
    const point = await start();
    const input = { restoreId: 'lossy', disk: 1 };
    const { target } = restoreBodySchema.parse({ target: diskTarget });
    await createDocument(home.vault, restoreRecords.request(input), { version: 1, restoreId: 'lossy', recoveryPoint: point, target, requestedAt: new Date(home.clock.now()).toISOString() });
    await createPlanRestore(home.deps)(input);
    while (true) {
      const made = await createStartRestoreTarget(home.deps)(input);
      assert.ok(made.ok, JSON.stringify(made));
      if (made.value.state === 'ready') break;
    }
    const lossy = { ...home.deps, transfer: { ...home.deps.transfer, factory: path.join(__dirname, '..', 'support', 'lossy-transfer-factory.js') } };
    const slice = { ...input, region: 0, windows: toBitmap([0]) };
    const outcome = await createRestoreSlice(lossy)(slice);
    assert.deepEqual([outcome.ok, outcome.ok ? '' : outcome.error.code], [false, 'TARGET_NOT_VERIFIED']);
    assert.ok((await createRestoreSlice(home.deps)(slice)).ok, 'a good one afterwards');
  });

  it('36: a pack that is missing is refused before anything is made, with recovery points that do without it', async () => {
    const first = await start();
    const packs = await packsOf(home);
    await writeDisk(home, 'web01', 'data', noise(3 * MiB, 50), 0);
    const second = await backedUp(home);
    const added = (await packsOf(home)).filter((pack) => !packs.includes(pack));
    for (const pack of added) await home.vault.store.delete(packName(PackKind.data, pack));
    const refused = await ask(home, second, { id: 'lost', target: diskTarget });
    const { code, data } = refused.body as { code: string; data: { packs: string[]; others: string[] } };
    assert.deepEqual([refused.status, code, data.others], [409, 'RESTORE_DAMAGED', [first]]);
    assert.ok(data.packs.every((pack) => added.includes(pack)));
    assert.deepEqual(home.host.client.list().filter(({ instanceId }) => instanceId.startsWith('restore')), []);
    await assertLeft(home, []);
    assert.equal((await restoreAndWait(home, first, { target: diskTarget })).state, 'succeeded');
  });

  it('36: damage inside a pack is found on the way: nothing is left, and no disk is called restored', async () => {
    const point = await start();
    for await (const { name } of home.vault.store.list('packs/data/')) {
      const bytes = await home.vault.store.read(name);
      await home.vault.store.delete(name);
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      await home.vault.store.create(name, bytes);
    }
    const job = await restoreAndWait(home, point, { target: { kind: 'vm', name: 'web02', network: network(home) } });
    assert.deepEqual([job.state, job.error?.code, job.restored], ['failed', 'PACK_DAMAGED', null]);
    await assertLeft(home, []);
  });

  it('7: a step that wakes after the restore was given up does nothing', async () => {
    const point = await start();
    const hold = createHold();
    store.plan({ operation: 'create', matching: /^restores\/late\/plan$/, fault: { kind: 'hold', hold } });
    const id = await startRestore(home, point, { id: 'late', target: diskTarget });
    await hold.reached;
    await home.json(`/api/jobs/${id}/cancel`, { method: 'POST' });
    hold.release();
    await home.host.waitFor(id, { until: 'finished' });
    const outcome = await createStartRestoreTarget(home.deps)({ restoreId: 'late', disk: 1 });
    assert.deepEqual([outcome.ok, outcome.ok ? '' : outcome.error.code], [false, 'RESTORE_ABANDONED']);
    await assertLeft(home, []);
  });

  it('7: steps that wake after the restore was done take nothing back of it', async () => {
    const point = await start();
    const holds = [createHold(), createHold()] as const;
    const { restoreCloud } = home.deps;
    const woken: Promise<Outcome<unknown>>[] = [];
    const sleepAt = async (record: RegExp, hold: ReturnType<typeof createHold>, step: () => Promise<Outcome<unknown>>): Promise<void> => {
      const before = createHold();
      store.plan({ operation: 'create', matching: record, fault: { kind: 'hold', hold: before } });
      await before.reached;
      woken.push(step());
      await hold.reached;
      before.release();
    };
    const slept = [
      sleepAt(/^restores\/twin\/d1\/r0000\/s0000$/, holds[0], () => createStartRestoreTarget(asleep(home, holds[0], 'restoreCloud', 'startCreateUploadDisk'))({ restoreId: 'twin', disk: 1 })),
      sleepAt(/^restores\/twin\/verdict$/, holds[1], () => createDriveRestoredMachine(asleep(home, holds[1], 'restoreCloud', 'getVmState'))({ restoreId: 'twin' })),
    ];
    const job = await restoreAndWait(home, point, { id: 'twin', target: { kind: 'in-place', disks: ['0'] } });
    await Promise.all(slept);
    assert.equal(job.state, 'succeeded', JSON.stringify(job));
    const wake = async (at: 0 | 1): Promise<void> => {
      holds[at].release();
      const outcome = await woken[at];
      assert.equal(outcome?.ok === false && outcome.error.code, 'RESTORE_ABANDONED');
      await home.host.settle();
    };
    const machine = () => restoreCloud.getVmState(vmIdOf(home, 'web01'));
    await wake(1);
    const vm = await machine();
    assert.deepEqual([vm?.power, vm?.dataDisks.map(({ diskId }) => diskId)], ['running', [diskIdOf(home, 'web01_data-twin')]]);
    // Its owner takes the disk off the machine: nothing but the verdict says now that it is a restored one.
    await restoreCloud.startDetachDataDisks(vmIdOf(home, 'web01'), [diskIdOf(home, 'web01_data-twin')]);
    await lookUntil(() => restoreCloud.getDisk(diskIdOf(home, 'web01_data-twin')), (disk) => disk?.managedBy === null);
    await wake(0);
    await assertLeft(home, ['web01_data-twin']);
  });

  it('I7: no access signature in histories, answers or logs', async () => {
    const point = await start();
    const answers = [JSON.stringify(await restoreAndWait(home, point, { id: 'a', target: diskTarget }))];
    home.standIn.faults.add({ kind: 'respond', status: 403, code: 'AuthenticationFailed', times: 1000, path: 'abcd' });
    answers.push(JSON.stringify(await restoreAndWait(home, point, { id: 'b', target: { ...diskTarget, name: 'other' } })));
    home.standIn.faults.clear();
    const histories = home.host.client.list().map(({ instanceId }) => JSON.stringify([home.host.client.getStatus(instanceId, { showHistory: true, showHistoryOutput: true }), home.host.client.history(instanceId)]));
    for (const text of [...histories, ...answers, ...home.logs]) {
      const at = text.search(/sig=|sv=20/i);
      assert.equal(at, -1, text.slice(Math.max(0, at - 100), at + 40));
    }
    assert.ok(answers[1]?.includes('"failed"'));
  });

  it('shows how far it is while it runs', async () => {
    const point = await start();
    const hold = createHold();
    store.plan({ operation: 'create', matching: /^restores\/slow\/d1\/footer$/, fault: { kind: 'hold', hold } });
    const id = await startRestore(home, point, { id: 'slow', target: diskTarget });
    const finished = home.host.waitFor(id, { until: 'finished' });
    await hold.reached;
    const running = await restoreJob(home, id);
    hold.release();
    await finished;
    assert.deepEqual([running.state, running.phase, running.progress.percent, running.progress.bytesTotal], ['running', 'transfer', 100, 3 * MiB]);
    assert.ok(phaseIs('done')({ customStatus: home.host.client.getStatus(id)?.customStatus }));
  });
});

async function packsOf(home: Home): Promise<string[]> {
  const packs: string[] = [];
  for await (const { name } of home.vault.store.list('packs/data/')) packs.push(name.slice(name.lastIndexOf('/') + 1));
  return packs;
}
