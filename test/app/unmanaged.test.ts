import assert from 'node:assert/strict';
import { rename, rm, writeFile } from 'node:fs/promises';
import { VirtualClock } from '../../local/host/clock';
import type { ChaosOptions } from '../../local/host/chaos';
import type { Fault } from '../../local/azure/faults';
import type { SweepJobResult } from '../../orchestrations/sweep';
import { assertBlobsClean, assertNoSignature, blobSnapshots, deeds } from '../support/guest';
import { addVm, halfDisk, type Home, HOME_START_MS, imagePath, noise, readImage, startHome, writeDisk } from '../support/home';

const KiB = 1024;
const MiB = 1024 * KiB;
type Guest = Extract<Fault, { kind: 'guest' }>['outcome'];

const twoDisks = (settings: object) => (folder: string): Promise<void> => addVm(folder, 'old01', { os: halfDisk(2, 1), data: halfDisk(2, 2) }, { unmanaged: true, consistency: 'application', ...settings });
const plan = (home: Home, ...faults: Fault[]): void => faults.forEach((fault) => home.standIn.faults.add(fault));
const guestFails = (home: Home, outcome: Guest): void => plan(home, { kind: 'guest', outcome });
const assertAllFired = (home: Home): void => assert.deepEqual(home.standIn.faults.unfired(), [], 'planned faults that never fired');
const putPolicy = (home: Home, changes: object): Promise<unknown> =>
  home.json('/api/policies/p', { method: 'PUT', body: JSON.stringify({ schedule: { daily: { at: ['02:00'] } }, items: { all: true }, ...changes }) });

async function assertLatestIsNow(home: Home): Promise<void> {
  const point = (await home.points()).at(-1);
  for (const disk of ['os', 'data']) assert.ok((await home.restore(point?.id ?? '', `old01_${disk}`)).equals(await readImage(home, 'old01', disk)), `${disk} differs`);
}

describe('a machine with unmanaged disks', () => {
  let home: Home;
  afterEach(() => home.dispose());

  for (const [osType, consistency, expected] of [['Windows', 'application', 'application'], ['Linux', 'application', 'application'], ['Linux', 'file-system', 'file-system']] as const) {
    it(`is backed up ${expected}-consistent through the extension (${osType}), and the next time by the diff of its blob snapshots`, async () => {
      home = await startHome(twoDisks({ osType, consistency }));
      const first = await home.backUp('old01');
      assert.equal(first.state, 'succeeded', JSON.stringify(first.error));
      const [point] = await home.points();
      assert.deepEqual([point?.consistency, point?.warnings, point?.disks.map(({ mode, sizeBytes }) => [mode, sizeBytes])], [expected, [], [['full', 2 * MiB], ['full', 2 * MiB]]]);
      await assertLatestIsNow(home);
      const bases = await blobSnapshots(home);
      await assertBlobsClean(home, 2);

      await writeDisk(home, 'old01', 'data', noise(8 * KiB, 3), 64 * KiB);
      await writeDisk(home, 'old01', 'data', Buffer.alloc(128 * KiB), 512 * KiB);
      const second = await home.backUp('old01');
      assert.equal(second.state, 'succeeded', JSON.stringify(second.error));
      const incremental = (await home.points()).at(-1);
      assert.deepEqual(incremental?.disks.map(({ mode }) => mode), ['incremental', 'incremental']);
      assert.ok((incremental?.stats.readBytes ?? 4 * MiB) < MiB, `read ${incremental?.stats.readBytes}`);
      await assertLatestIsNow(home);
      const after = await blobSnapshots(home);
      assert.ok(after.every(({ name }) => !bases.some((base) => base.name === name)), 'the bases before are gone');
      await assertBlobsClean(home, 2);
      assert.deepEqual(await deeds(home), ['freeze old01', 'thaw old01', 'freeze old01', 'thaw old01']);
      const puts = home.standIn.calls.matching('PUT', /\/extensions\//);
      assert.deepEqual(puts.map(({ path }) => path.split('/').at(-1)), Array.from({ length: 2 }, () => (osType === 'Windows' ? 'VMSnapshot' : 'VMSnapshotLinux')));
      assert.deepEqual(home.standIn.calls.matching('DELETE', /\/extensions\//), [], 'the extension is shared and stays');
      await assertNoSignature(home);
    });
  }

  it('25: an incremental one equals a full one of the same snapshot, and a diff that lies is found by the audit', async () => {
    home = await startHome((folder) => addVm(folder, 'old01', { os: noise(2 * MiB, 1), data: halfDisk(2, 2) }, { unmanaged: true, consistency: 'application' }));
    await home.backUp('old01');
    await writeDisk(home, 'old01', 'data', noise(4 * KiB, 5), 0);
    for (let at = 0; at < 2 * MiB; at += 256 * KiB) await writeDisk(home, 'old01', 'os', noise(64 * KiB, at + 1), at);
    plan(home, { kind: 'omitRanges', count: 1000, path: 'os.vhd', times: 50 });
    assert.equal((await home.backUp('old01')).state, 'succeeded');
    const point = (await home.points()).at(-1);
    assert.deepEqual(point?.disks.map(({ mode }) => mode), ['compared', 'incremental']);
    await assertLatestIsNow(home);
    await assertBlobsClean(home, 2);
  });

  for (const [outcome, osType, code] of [
    ['freezeFailed', 'Linux', 'GUEST_FREEZE_FAILED'], ['freezeTimeout', 'Linux', 'GUEST_FREEZE_TIMEOUT'], ['vssFailed', 'Windows', 'GUEST_VSS_FAILED'], ['noNetwork', 'Linux', 'GUEST_NO_NETWORK'],
    ['tooLate', 'Linux', 'GUEST_TOO_LATE'], ['scriptFailed', 'Linux', 'GUEST_SCRIPT_FAILED'], ['agentNotReady', 'Windows', 'GUEST_AGENT_NOT_READY'], ['neverAnswers', 'Linux', 'GUEST_NO_ANSWER'],
    ['garbage', 'Linux', 'GUEST_SNAPSHOT_FAILED'],
  ] as const) {
    it(`${outcome}: a crash-consistent recovery point, labelled so and with the cause; refused where the policy wants more`, async () => {
      home = await startHome(twoDisks({ osType }));
      await putPolicy(home, {});
      guestFails(home, outcome);
      const job = await home.backUp('old01', { policy: 'p' });
      assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
      const [point] = await home.points();
      assert.equal(point?.consistency, 'crash-per-disk');
      assert.match(point?.warnings.join('\n') ?? '', new RegExp(`${code}[\\s\\S]*"crash-per-disk", weaker`));
      await assertLatestIsNow(home);
      await assertBlobsClean(home, 2);

      await putPolicy(home, { onWeakerConsistency: 'fail' });
      guestFails(home, outcome);
      const refused = await home.backUp('old01', { policy: 'p' });
      assert.deepEqual([refused.state, refused.error?.code], ['failed', code]);
      assert.match(refused.error?.message ?? '', /^old01: /);
      assertAllFired(home);
      await assertBlobsClean(home, 2);
      await assertNoSignature(home);
    });
  }

  it('a limit of snapshots fails the run, whatever the policy lets pass', async () => {
    home = await startHome(twoDisks({}));
    for (const outcome of ['snapshotLimit', 'oneSnapshotFails'] as const) {
      guestFails(home, outcome);
      const job = await home.backUp('old01');
      assert.equal(job.error?.code, 'SNAPSHOT_LIMIT');
      await assertBlobsClean(home, 0);
    }
  });

  it('a script of the extension that was passed over leaves file-system consistency, with a warning', async () => {
    home = await startHome(twoDisks({}));
    guestFails(home, 'scriptPassedOver');
    await home.backUp('old01');
    const [point] = await home.points();
    assert.equal(point?.consistency, 'file-system');
    assert.match(point?.warnings.join() ?? '', /301: the post-script failed/);
  });

  it('27: asks nothing of the guest where the policy says crash; one disk is then of one instant', async () => {
    home = await startHome((folder) => addVm(folder, 'old01', { os: halfDisk(2, 1) }, { unmanaged: true }));
    await putPolicy(home, { consistency: 'crash' });
    assert.equal((await home.backUp('old01', { policy: 'p' })).state, 'succeeded');
    assert.deepEqual((await home.points()).map(({ consistency, warnings }) => [consistency, warnings]), [['crash', []]]);
    assert.deepEqual(home.standIn.calls.matching('PUT', /extensions/), []);
    await assertBlobsClean(home, 1);
  });

  it('a machine that is off is backed up crash-consistent', async () => {
    home = await startHome(twoDisks({}));
    plan(home, { kind: 'respond', status: 409, code: 'OperationNotAllowed', message: 'Cannot modify extensions in the VM when the VM is not running.', method: 'PUT', path: '/extensions/' });
    assert.equal((await home.backUp('old01')).state, 'succeeded');
    assert.match((await home.points())[0]?.warnings.join() ?? '', /GUEST_AGENT_NOT_READY.*not running/);
  });

  it('keeps no base where the policy says so, and compares then', async () => {
    home = await startHome(twoDisks({}));
    await putPolicy(home, { keepBase: 'none' });
    await home.backUp('old01', { policy: 'p' });
    await assertBlobsClean(home, 0);
    await writeDisk(home, 'old01', 'os', noise(4 * KiB, 8), 4 * KiB);
    await home.backUp('old01', { policy: 'p' });
    assert.deepEqual((await home.points()).at(-1)?.disks.map(({ mode }) => mode), ['compared', 'compared']);
    await assertLatestIsNow(home);
    await assertBlobsClean(home, 0);
  });

  it('24: a base that someone deleted means a comparison, never "no changes"', async () => {
    home = await startHome(twoDisks({}));
    await home.backUp('old01');
    for (const { name } of await blobSnapshots(home)) {
      const [blob, snapshot] = name.split('?');
      assert.equal((await fetch(`${home.standIn.url}/localvhds/vhds/${blob}?snapshot=${snapshot}`, { method: 'DELETE' })).status, 202);
    }
    await writeDisk(home, 'old01', 'os', noise(4 * KiB, 8), 4 * KiB);
    assert.equal((await home.backUp('old01')).state, 'succeeded');
    assert.deepEqual((await home.points()).at(-1)?.disks.map(({ mode }) => mode), ['compared', 'compared']);
    await assertLatestIsNow(home);
    await assertBlobsClean(home, 2);
  });

  it('22: a blob that was written anew under its name is read whole and compared', async () => {
    home = await startHome(twoDisks({}));
    await home.backUp('old01');
    await writeFile(`${home.folder}/new.img`, halfDisk(2, 77));
    await rename(`${home.folder}/new.img`, imagePath(home, 'old01', 'data'));
    assert.equal((await home.backUp('old01')).state, 'succeeded');
    const point = (await home.points()).at(-1);
    assert.deepEqual(point?.disks.map(({ mode }) => mode), ['incremental', 'compared']);
    assert.match(String(point?.disks[1]?.source['modeBecause']), /replaced/);
    await assertLatestIsNow(home);
  });

  it('18: an access signature that is refused in the middle is made anew', async () => {
    home = await startHome(twoDisks({}));
    plan(home, { kind: 'respond', status: 403, code: 'AuthenticationFailed', method: 'GET', path: 'vhd$', skip: 5 }, { kind: 'cutBody', afterBytes: 70_000, times: 2 });
    assert.equal((await home.backUp('old01')).state, 'succeeded');
    assertAllFired(home);
    await assertLatestIsNow(home);
  });

  it('17: a storm of 503 at the storage account is outlived', async () => {
    home = await startHome(twoDisks({ consistency: 'crash' }));
    plan(home, { kind: 'respond', status: 503, times: 30, path: '/localvhds/' });
    assert.equal((await home.backUp('old01')).state, 'succeeded');
    assertAllFired(home);
    await assertLatestIsNow(home);
    await assertBlobsClean(home, 2);
  });

  it('1, 8: an extension and snapshots whose answers were lost are adopted, not asked for twice', async () => {
    home = await startHome(twoDisks({}));
    plan(home, { kind: 'loseAnswer', method: 'PUT', path: '/extensions/' });
    assert.equal((await home.backUp('old01')).state, 'succeeded');
    assertAllFired(home);
    assert.deepEqual(await deeds(home), ['freeze old01', 'thaw old01']);
    await putPolicy(home, { consistency: 'crash' });
    plan(home, { kind: 'loseAnswer', method: 'PUT', path: 'comp=snapshot', times: 2 });
    assert.equal((await home.backUp('old01', { policy: 'p' })).state, 'succeeded');
    assertAllFired(home);
    await assertBlobsClean(home, 2);
  });

  it('28: a snapshot of the guest\'s that no record knows is deleted by the item\'s next run, and others\' stay', async () => {
    home = await startHome(twoDisks({}));
    await home.backUp('old01');
    const [base] = await blobSnapshots(home);
    const take = (tags: Readonly<Record<string, string>>): Promise<Response> =>
      fetch(`${home.standIn.url}/localvhds/vhds/old01_os.vhd?comp=snapshot`, { method: 'PUT', headers: Object.fromEntries(Object.entries(tags).map(([name, value]) => [`x-ms-meta-${name}`, value])) });
    await take(base?.tags ?? {});
    await take({ backup: 'someone else' });
    await take({ ...base?.tags, holdfastvault: 'another vault' });
    await home.backUp('old01');
    assert.deepEqual((await blobSnapshots(home)).map(({ tags }) => [tags['holdfastvault'] === base?.tags['holdfastvault'], tags['holdfastrun'] ?? tags['backup']]).sort(),
      [[false, '1'], [false, 'someone else'], [true, '2'], [true, '2']]);
  });

  it('28: the sweep finds what was left on the blobs of a machine that is never backed up again, and leaves the base, others\' snapshots and young ones alone', async () => {
    home = await startHome(twoDisks({}));
    await home.backUp('old01');
    const [base] = await blobSnapshots(home);
    const take = (tags: Readonly<Record<string, string>>): Promise<Response> =>
      fetch(`${home.standIn.url}/localvhds/vhds/old01_os.vhd?comp=snapshot`, { method: 'PUT', headers: Object.fromEntries(Object.entries(tags).map(([name, value]) => [`x-ms-meta-${name}`, value])) });
    await take(base?.tags ?? {});
    await take({ backup: 'someone else' });
    await take({ ...base?.tags, holdfastvault: 'another vault' });
    await take({ ...base?.tags, holdfastrun: '99' });
    const sweep = async (dryRun: boolean): Promise<SweepJobResult> => {
      const { id, location } = (await home.json('/api/vault/sweeps', { method: 'POST', body: JSON.stringify({ dryRun }) })).body as { id: string; location: string };
      await home.host.waitFor(id, { until: 'finished' });
      await home.host.advanceTo(home.clock.now() + 1000);
      return (await home.json(location)).body as SweepJobResult;
    };
    assert.deepEqual([(await sweep(false)).orphans, (await blobSnapshots(home)).length], [0, 6], 'too young');
    await home.host.advanceTo(home.clock.now() + 5 * 3_600_000);
    const dry = await sweep(true);
    assert.deepEqual([dry.orphans, dry.kept, dry.unknown, dry.error, (await blobSnapshots(home)).length], [1, 2, 1, null, 6], JSON.stringify(dry));
    for (const [path, orphans] of [['vhds/?([?]|$)', 0], ['old01_os.vhd([?]|$)', 1]] as const) {
      plan(home, { kind: 'respond', status: 403, times: 1, path });
      const refused = await sweep(false);
      assert.deepEqual([refused.orphans, refused.failed, refused.error], [orphans, 1, null], `what is refused keeps nothing else from it: ${JSON.stringify(refused)}`);
      assertAllFired(home);
    }
    assert.equal((await sweep(false)).orphans, 1);
    assert.deepEqual((await blobSnapshots(home)).map(({ tags }) => tags['holdfastrun'] ?? tags['backup']).sort(), ['1', '1', '1', '99', 'someone else']);
    assert.equal((await home.backUp('old01')).state, 'succeeded');
    assert.deepEqual((await home.points()).at(-1)?.disks.map(({ mode }) => mode), ['incremental', 'incremental'], 'the base was kept');

    await home.host.advanceTo(home.clock.now() + 5 * 3_600_000);
    await home.json('/api/policies/p', { method: 'PUT', body: JSON.stringify({ schedule: { daily: { at: ['02:00'] } }, items: { all: true }, keepBase: 'none' }) });
    const idle = await sweep(false);
    assert.equal(idle.orphans, 2, JSON.stringify(idle));
    assert.deepEqual((await blobSnapshots(home)).filter(({ tags }) => tags['holdfastvault'] === base?.tags['holdfastvault'] && tags['holdfastrun'] !== '99'), []);
  });

  it('20: the machine is deleted while the guest is at work: the run fails cleanly and the old recovery point stays', async () => {
    home = await startHome(twoDisks({}));
    await home.backUp('old01');
    guestFails(home, 'neverAnswers');
    const { id } = (await home.json('/api/items/old01/backups', { method: 'POST' })).body as { id: string };
    await home.host.waitFor(id, { until: ({ customStatus }) => (customStatus as { phase?: string } | null)?.phase === 'snapshot' });
    plan(home, { kind: 'deleteVm', vm: 'old01' });
    await home.host.waitFor(id, { until: 'finished' });
    const job = await home.job(id);
    assert.equal(job.state, 'failed');
    assert.match(job.error?.code ?? '', /CLOUD_NOT_FOUND|GUEST_SNAPSHOT_FAILED/);
    assert.equal((await home.points()).length, 1);
  });

  it('a cancel while the guest is at work leaves nothing but the base before', async () => {
    home = await startHome(twoDisks({}));
    await home.backUp('old01');
    guestFails(home, 'neverAnswers');
    const { id } = (await home.json('/api/items/old01/backups', { method: 'POST' })).body as { id: string };
    await home.host.waitFor(id, { until: ({ customStatus }) => (customStatus as { snapshotPercent?: number | null } | null)?.snapshotPercent === 0 });
    assert.equal((await home.json(`/api/jobs/${id}/cancel`, { method: 'POST' })).status, 202);
    await home.host.waitFor(id, { until: 'finished' });
    assert.equal((await home.job(id)).error?.code, 'CANCELLED');
    await assertBlobsClean(home, 2);
    await rm(imagePath(home, 'old01', 'data'), { force: true });
  });

  const chaotic: readonly [string, ChaosOptions][] = [
    ['5: every step twice, one after the other', { seed: 1, runEveryActivityTwice: true }], ['6: every step twice at once', { seed: 2, duplicateActivity: 1 }],
    ['1, 4, 45: crashes, duplicates and delays', { seed: 3, duplicateActivity: 0.2, crashBeforeCommit: 0.1, delay: 0.2 }],
  ];
  for (const [title, chaos] of chaotic) {
    it(`${title}, the guest is frozen once for each run`, async () => {
      home = await startHome(twoDisks({}), { host: { chaos, clock: new VirtualClock(HOME_START_MS) } });
      for (const round of [1, 2]) {
        await writeDisk(home, 'old01', 'data', noise(8 * KiB, round), round * 64 * KiB);
        const job = await home.backUp('old01');
        assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
        await home.host.settle();
        await assertLatestIsNow(home);
        await assertBlobsClean(home, 2);
      }
      assert.deepEqual(await deeds(home), ['freeze old01', 'thaw old01', 'freeze old01', 'thaw old01']);
      assert.equal((await home.points()).at(-1)?.disks[1]?.mode, 'incremental');
    });
  }
});
