import assert from 'node:assert/strict';
import * as df from 'durable-functions';
import { VirtualClock } from '../../local/host/clock';
import { createHost, type EmbeddedHost } from '../../local/host/host';
import { backupDisk, type BackupDiskInput } from '../../orchestrations/backup-disk';
import { backupRegion, type BackupRegionInput } from '../../orchestrations/backup-region';
import { backupVm, type BackupVmInput } from '../../orchestrations/backup-vm';
import { toBitmap } from '../../orchestrations/bitmap';
import { parallelism } from '../../orchestrations/limits';
import { restore } from '../../orchestrations/restore';
import { restoreDisk } from '../../orchestrations/restore-disk';
import { restoreRegion, type RestoreRegionRun } from '../../orchestrations/restore-region';
import { ACTIVITIES, ORCHESTRATIONS, restoreInstanceId } from '../../orchestrations/names';
import { policyLane, runPolicy, type RunPolicyInput } from '../../orchestrations/run-policy';
import { emptyStats } from '../../vault/transfer/transfer-types';

const ok = <T>(value: T): { ok: true; value: T } => ({ ok: true, value });
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
type Handler = (input: Record<string, unknown>) => unknown;

const MAX_EVENTS = 1_000;
const PARALLEL = parallelism(65, 4, null);
const DEADLINE_MS = Date.UTC(2026, 0, 2);
/** A custom status of more than 16 KB of UTF-16 text is refused (Durable Functions documentation, custom orchestration status). */
const MAX_STATUS_CHARS = 8 * 1024;
const MAX_INSTANCE_ID_CHARS = 100;

/** The orchestrators over activities that only answer: what counts is what they leave in their histories. */
async function startHost(orchestrations: Readonly<Record<string, df.OrchestrationHandler>>, activities: Readonly<Record<string, Handler>>): Promise<{ host: EmbeddedHost; large: string[] }> {
  const large: string[] = [];
  const host = await createHost({
    stateFolder: ':memory:', clock: new VirtualClock(), onLargePayload: (kind, name, bytes) => large.push(`${kind} of ${name}: ${bytes} bytes`),
    load: () => {
      for (const [name, handler] of Object.entries(orchestrations)) df.app.orchestration(name, handler);
      for (const [name, handler] of Object.entries(activities)) df.app.activity(name, { handler: (input: unknown) => handler(input as Record<string, unknown>) });
    },
  });
  await host.start();
  return { host, large };
}

describe('the histories of orchestrations', () => {
  let host: EmbeddedHost;
  afterEach(() => host?.stop());

  function assertBounded(large: readonly string[]): void {
    assert.deepEqual(large, [], 'payloads above 45 KB');
    const { longestHistory, largestPayloadBytes } = host.metrics();
    for (const [name, events] of Object.entries(longestHistory)) assert.ok(events <= MAX_EVENTS, `${name} has ${events} events`);
    for (const [name, bytes] of Object.entries(largestPayloadBytes)) if (name.startsWith('customStatus')) assert.ok(bytes <= MAX_STATUS_CHARS, `${name} has ${bytes} bytes`);
    for (const { instanceId } of host.client.list()) assert.ok(instanceId.length <= MAX_INSTANCE_ID_CHARS, `${instanceId} has ${instanceId.length} characters`);
  }

  it('are refused by the host when a payload, a status or an id is too large for Azure', async () => {
    const big: [string, df.OrchestrationHandler, RegExp][] = [
      ['output', function* (context) { yield context.df.callActivity('nothing'); return 'x'.repeat(45 * 1024); }, /The output of main has 46082 bytes/],
      ['status', function* (context) { context.df.setCustomStatus('x'.repeat(8 * 1024)); yield context.df.callActivity('nothing'); }, /The customStatus of main has 8194 bytes/],
      ['argument', function* (context) { yield context.df.callActivity('nothing', { x: 'x'.repeat(45 * 1024) }); }, /The activityInput of nothing/],
      ['child', function* (context) { yield context.df.callSubOrchestrator('main', { x: 'x'.repeat(45 * 1024) }, 'c'); }, /The input of main/],
      ['id', function* (context) { yield context.df.callSubOrchestrator('other', {}, 'i'.repeat(101)); }, /The instanceId of i+ has 101 characters/],
    ];
    for (const [what, orchestrator, words] of big) {
      const strict = await createHost({ stateFolder: ':memory:', clock: new VirtualClock(), load: () => {
        df.app.orchestration('main', function* (context) { return context.df.instanceId === 'c' ? null : yield* orchestrator(context) as Generator<df.Task, unknown, unknown>; });
        df.app.orchestration('other', function* (context) { yield context.df.callActivity('nothing'); });
        df.app.activity('nothing', { handler: () => null });
      } });
      await strict.start();
      strict.client.startNew('main');
      await assert.rejects(strict.settle(), words, what);
      await assert.rejects(strict.stop(), words, what);
    }
  });

  it('31: a region of 1,024 changed windows stays small, and each window is transferred once', async () => {
    const slices: string[] = [];
    const started = await startHost({ [ORCHESTRATIONS.backupRegion]: backupRegion }, {
      [ACTIVITIES.planRegion]: () => ok({ windows: toBitmap(range(1024)) }),
      [ACTIVITIES.transferSlice]: (input) => { slices.push(String(input.windows)); return ok(emptyStats()); },
      [ACTIVITIES.finishRegion]: () => ok(emptyStats()),
    });
    host = started.host;
    const input: BackupRegionInput = { itemId: 'a', sequence: 1, stamp: '20261123T010000Z', disk: 0, pass: 0, region: 511, parallelTransfers: 4, sliceWindows: 16, deadlineMs: DEADLINE_MS };
    await host.waitFor(host.client.startNew(ORCHESTRATIONS.backupRegion, { input }));
    assert.equal(slices.length, 64);
    assert.equal(new Set(slices).size, 64);
    assertBounded(started.large);
  });

  it('31: a disk of 512 regions (32 TiB) continues as new, each region once', async () => {
    const regions: number[] = [];
    const started = await startHost({
      [ORCHESTRATIONS.backupDisk]: backupDisk,
      [ORCHESTRATIONS.backupRegion]: function* (context) {
        regions.push((context.df.getInput() as BackupRegionInput).region);
        yield context.df.callActivity('nothing');
        return ok(emptyStats());
      },
    }, {
      nothing: () => null,
      [ACTIVITIES.planDisk]: () => ok({ mode: 'full', sizeBytes: 32 * 1024 ** 4, regions: toBitmap(range(512)), why: 'test' }),
      [ACTIVITIES.finishDisk]: () => ok(emptyStats()), [ACTIVITIES.auditDisk]: () => ok({ samples: 0, mismatches: 0 }),
    });
    host = started.host;
    const input: BackupDiskInput = { itemId: 'a', sequence: 1, stamp: '20261123T010000Z', disk: 0, pass: 0, parallel: PARALLEL, deadlineMs: DEADLINE_MS };
    const done = await host.waitFor(host.client.startNew(ORCHESTRATIONS.backupDisk, { input, instanceId: `backup.${'i'.repeat(40)}.20261123T010000Z.01234567.d63p1` }));
    assert.equal((done.output as { ok: boolean }).ok, true);
    // A generator starts anew at each replay: what counts is that all were there.
    assert.deepEqual([...new Set(regions)].sort((a, b) => a - b), range(512));
    assertBounded(started.large);
  });

  it('31: a restore of disks of 512 regions (32 TiB) proves and writes each region once, and stays small', async () => {
    const regions: number[] = [];
    const proved: string[] = [];
    const disks = range(65).map((disk) => ({ disk, name: `${'n'.repeat(76)}-${disk}`, sizeBytes: 32 * 1024 ** 4, regions: toBitmap(disk === 0 ? range(512) : [0]) }));
    const started = await startHost({
      [ORCHESTRATIONS.restore]: restore, [ORCHESTRATIONS.restoreDisk]: restoreDisk,
      [ORCHESTRATIONS.restoreRegion]: function* (context) {
        const { disk, region } = context.df.getInput() as RestoreRegionRun;
        if (disk === 0) regions.push(region);
        yield context.df.callActivity('nothing');
        return ok({ windows: 1, writtenBytes: 1, copiedBytes: 0, refusedBytes: 0 });
      },
    }, {
      nothing: () => null,
      [ACTIVITIES.planRestore]: () => ok({ kind: 'vm', deadlineMs: new VirtualClock().now() + 5 * 86_400_000, disks, hasMachine: true, deletesOldDisks: false, warnings: range(5).map((n) => `${n} ${'w'.repeat(300)}`) }),
      [ACTIVITIES.proveRestore]: (input) => { proved.push(`${String(input.disk)}:${String(input.regions)}`); return ok({ windows: 1, dataBytes: 1 }); },
      [ACTIVITIES.startRestoreTarget]: () => ok({ state: 'ready' }), [ACTIVITIES.finishRestoreTarget]: () => ok({ state: 'ready' }),
      [ACTIVITIES.driveRestoredMachine]: () => ok({ state: 'ready' }),
      [ACTIVITIES.commitRestore]: () => ok({ made: range(66).map((n) => `${'i'.repeat(250)}${n}`), oldDisks: [] }), [ACTIVITIES.releaseRestore]: () => ok({ pending: 0, left: [] }),
    });
    host = started.host;
    const done = await host.waitFor(host.client.startNew(ORCHESTRATIONS.restore, { input: { restoreId: 'r', recoveryPoint: 'a.20261123T010000Z', kind: 'vm' }, instanceId: restoreInstanceId('i'.repeat(40)) }));
    assert.equal((done.output as { outcome: string }).outcome, 'restored');
    assert.deepEqual([...new Set(regions)].sort((a, b) => a - b), range(512));
    assert.equal(new Set(proved).size, 64 + 64);
    assertBounded(started.large);
  });

  it('31: a restored region of 1,024 windows stays small, and each window is written once', async () => {
    const slices: string[] = [];
    const started = await startHost({ [ORCHESTRATIONS.restoreRegion]: restoreRegion }, {
      [ACTIVITIES.planRestoreRegion]: () => ok({ windows: toBitmap(range(1024)) }),
      [ACTIVITIES.restoreSlice]: (input) => { slices.push(String(input.windows)); return ok({ windows: 16, writtenBytes: 1, copiedBytes: 2, refusedBytes: 0 }); },
    });
    host = started.host;
    const input: RestoreRegionRun = { restoreId: 'r', disk: 0, region: 511, parallelTransfers: 4, sliceWindows: 16, deadlineMs: Number.MAX_SAFE_INTEGER };
    const done = await host.waitFor(host.client.startNew(ORCHESTRATIONS.restoreRegion, { input }));
    assert.deepEqual(done.output, ok({ windows: 1024, writtenBytes: 64, copiedBytes: 128, refusedBytes: 0 }));
    assert.equal(new Set(slices).size, 64);
    assertBounded(started.large);
  });

  it('a machine of 65 disks with long names, twenty long warnings, and a snapshot that takes half a day', async () => {
    const names = range(65).map((disk) => ({ disk, name: `${'n'.repeat(76)}-${disk}`, lun: disk === 0 ? 'os' : String(disk - 1), sizeBytes: 32 * 1024 ** 4 }));
    let looks = 0;
    const started = await startHost({ [ORCHESTRATIONS.backupVm]: backupVm, [ORCHESTRATIONS.backupDisk]: function* (context) {
      yield context.df.callActivity('nothing');
      return ok({ stats: emptyStats(), mode: 'full', audit: { samples: 0, mismatches: 1 } });
    } }, {
      nothing: () => null,
      [ACTIVITIES.openRun]: () => ok({ sequence: 1, deadlineMs: DEADLINE_MS, ended: null }),
      [ACTIVITIES.planBackup]: () => ok({ vmName: 'v'.repeat(64), driver: 'diskSnapshot', disks: names, warnings: range(20).map((n) => `${n} ${'w'.repeat(400)}`), parallel: PARALLEL, maxRunHours: 24 }),
      [ACTIVITIES.startSnapshot]: () => ok(null),
      [ACTIVITIES.snapshotStatus]: (input) => { looks++; return input.last === true ? ok({ state: 'ready', percent: 100, consistency: 'crash', warnings: [] }) : ok({ state: 'running', percent: 50, consistency: null, warnings: [] }); },
      [ACTIVITIES.commitRun]: () => ok({ recoveryPoint: 'rp', consistency: 'crash', stats: emptyStats(), warnings: [] }),
      [ACTIVITIES.releaseSnapshots]: () => ok({ pending: 1 }),
      [ACTIVITIES.abandonRun]: () => ok({ committed: null, error: null }),
    });
    host = started.host;
    const input: BackupVmInput = { itemId: 'i'.repeat(40), vmId: '/x', stamp: '20261123T010000Z', slot: null, policy: null };
    const done = await host.waitFor(host.client.startNew(ORCHESTRATIONS.backupVm, { input, instanceId: `backup.${input.itemId}.${input.stamp}.01234567` }));
    assert.equal((done.output as { outcome: string }).outcome, 'committed');
    assert.ok(looks > 20 && looks < 100, `${looks} looks at the snapshot`);
    assertBounded(started.large);
  });

  it('an outage of a day while a run is closed keeps the history short', async () => {
    const fails = (code: string) => () => { throw new Error(`HOLDFAST_ERROR:${JSON.stringify({ code, message: 'down', remedy: '', data: {} })}:END`); };
    const started = await startHost({ [ORCHESTRATIONS.backupVm]: backupVm }, {
      [ACTIVITIES.openRun]: () => ok({ sequence: 1, deadlineMs: DEADLINE_MS, ended: null }), [ACTIVITIES.planBackup]: fails('STORE_UNREACHABLE'),
      [ACTIVITIES.abandonRun]: fails('STORE_UNREACHABLE'), [ACTIVITIES.releaseSnapshots]: fails('STORE_UNREACHABLE'),
    });
    host = started.host;
    const input: BackupVmInput = { itemId: 'a', vmId: '/x', stamp: '20261123T010000Z', slot: null, policy: null };
    const beforeMs = host.clock.now();
    const done = await host.waitFor(host.client.startNew(ORCHESTRATIONS.backupVm, { input }));
    const output = done.output as { outcome: string; error: { code: string }; warnings: string[] };
    assert.deepEqual([output.outcome, output.error.code], ['failed', 'STORE_UNREACHABLE']);
    assert.match(output.warnings.join(), /could not be closed.*left behind/);
    assert.ok(host.clock.now() - beforeMs > 24 * 3_600_000);
    assertBounded(started.large);
  });

  it('clean-up runs whatever step throws, fails or loses its disks', async () => {
    for (const broken of [ACTIVITIES.planBackup, ACTIVITIES.startSnapshot, ACTIVITIES.snapshotStatus, ACTIVITIES.commitRun, ORCHESTRATIONS.backupDisk]) {
      const called: string[] = [];
      const step = (name: string, answer: unknown): Record<string, Handler> => ({ [name]: () => {
        called.push(name);
        if (name === broken) throw new TypeError('a bug');
        return ok(answer);
      } });
      const started = await startHost({ [ORCHESTRATIONS.backupVm]: backupVm, [ORCHESTRATIONS.backupDisk]: function* (context) {
        yield context.df.callActivity('nothing');
        if (broken === ORCHESTRATIONS.backupDisk) throw new TypeError('a bug');
        return ok({ stats: emptyStats(), mode: 'full', audit: { samples: 0, mismatches: 0 } });
      } }, {
        nothing: () => null,
        ...step(ACTIVITIES.openRun, { sequence: 1, deadlineMs: DEADLINE_MS, ended: null }),
        ...step(ACTIVITIES.planBackup, { vmName: 'v', driver: 'restorePoint', disks: [{ disk: 0, name: 'd', lun: 'os', sizeBytes: 1 }], warnings: [], parallel: PARALLEL, maxRunHours: 24 }),
        ...step(ACTIVITIES.startSnapshot, null), ...step(ACTIVITIES.snapshotStatus, { state: 'ready', percent: 100, consistency: 'crash', warnings: [] }),
        ...step(ACTIVITIES.commitRun, { recoveryPoint: 'rp', consistency: 'crash', stats: emptyStats(), warnings: [] }),
        ...step(ACTIVITIES.abandonRun, { committed: null, error: { code: 'INTERNAL', message: 'a bug', remedy: '', data: {} } }), ...step(ACTIVITIES.releaseSnapshots, { pending: 0 }),
      });
      const input: BackupVmInput = { itemId: 'a', vmId: '/x', stamp: '20261123T010000Z', slot: null, policy: null };
      const { output } = await started.host.waitFor(started.host.client.startNew(ORCHESTRATIONS.backupVm, { input }));
      assert.deepEqual([(output as { outcome: string }).outcome, (output as { error: { code: string } }).error.code], ['failed', 'INTERNAL'], broken);
      assert.deepEqual(called.slice(-2), [ACTIVITIES.abandonRun, ACTIVITIES.releaseSnapshots], broken);
      host = started.host;
      if (broken !== ORCHESTRATIONS.backupDisk) await host.stop();
    }
  });

  it('a policy of 1,000 machines is taken in pages, each machine once', async () => {
    const items = range(1000).map((n) => ({ itemId: `${'i'.repeat(36)}${String(n).padStart(4, '0')}`, vmId: `/subscriptions/${'s'.repeat(36)}/resourceGroups/${'g'.repeat(90)}/providers/Microsoft.Compute/virtualMachines/${'v'.repeat(60)}${n}` }));
    const backedUp = new Set<string>();
    const started = await startHost({
      [ORCHESTRATIONS.runPolicy]: runPolicy, [ORCHESTRATIONS.policyLane]: policyLane,
      [ORCHESTRATIONS.backupVm]: function* (context) {
        const { itemId } = context.df.getInput() as BackupVmInput;
        backedUp.add(itemId);
        if (itemId.endsWith('0500')) throw new TypeError('a bug');
        yield context.df.callActivity('nothing');
        return { outcome: itemId.endsWith('7') ? 'skipped' : 'committed', recoveryPoint: null, committed: null, error: null, warnings: [] };
      },
    }, {
      nothing: () => null,
      [ACTIVITIES.selectItems]: ({ after }) => {
        const from = after === null ? 0 : items.findIndex(({ itemId }) => itemId === after) + 1;
        const page = items.slice(from, from + 100);
        return ok({ items: page, next: from + 100 < items.length ? page.at(-1)?.itemId : null, maxParallelVms: 50 });
      },
    });
    host = started.host;
    const input: RunPolicyInput = { policy: 'p'.repeat(40), stamp: '20261123T010000Z', slot: '2026-11-23T01:00:00.000Z', only: 'all' };
    const done = await host.waitFor(host.client.startNew(ORCHESTRATIONS.runPolicy, { input, instanceId: `policy.${input.policy}.${input.stamp}` }));
    assert.deepEqual(done.output, { committed: 899, failed: 1, skipped: 100, error: null });
    assert.equal(backedUp.size, 1000);
    assertBounded(started.large);
  });
});
