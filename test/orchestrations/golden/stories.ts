/**
 * What the golden histories are recorded from: real runs of the app in the embedded host, beside the stand-in for Azure, in virtual time and one step
 * after another, so that two recordings are the same. Paths that differ in shape have a story each; what takes a large estate is in long-stories.ts.
 */
import assert from 'node:assert/strict';
import type { Fault } from '../../../local/azure/faults';
import { VirtualClock } from '../../../local/host/clock';
import { MAINTAIN_INSTANCE_ID, RECONCILE_INSTANCE_ID } from '../../../orchestrations/names';
import { createFaultStore, type FaultStore } from '../../support/fault-store';
import { Receiver, SECRET } from '../../support/receiver';
import { createCourier } from '../../../webhooks/courier';
import { parseWebhookSecrets } from '../../../webhooks/secrets';
import { addVm, halfDisk, type Home, HOME_START_MS, type HomeOptions, noise, startHome, writeDisk } from '../../support/home';
import { startRestore } from '../../support/restores';
import { createWormStore } from '../../support/worm-store';
import type { GoldenRecorder } from './fixture';
import { longStories } from './long-stories';

export interface Story {
  readonly story: string;
  readonly about: string;
  /** The orchestrations that are kept of it; all when it is left out. */
  readonly only?: readonly string[];
  /** True where steps only answer, and no vault is behind it. */
  readonly isStaged?: true;
  readonly run: (recorder: GoldenRecorder) => Promise<void>;
}

/** Where chunks are cut, and so how many there are, depends on the key. */
const SAME_VAULT = { vaultId: Buffer.alloc(16, 1), masterKey: Buffer.alloc(32, 2) };
const DAY_MS = 86_400_000;
const MiB = 1024 * 1024;

const twoDisks = (folder: string): Promise<void> => addVm(folder, 'web01', { os: halfDisk(2, 1), data: halfDisk(2, 2) });
const withScripts = (folder: string): Promise<void> => addVm(folder, 'web01', { os: halfDisk(2, 1) }, { consistency: 'file-system' });
const SCRIPTS = { pre: 'quiet-database', post: 'wake-database', timeoutSeconds: 30 };
const RETRY = { kind: 'respond', status: 503, times: 8 } as const;

/** A story in a home of its own. Nothing starts by a timer unless it says so. */
function inHome(fill: (folder: string) => Promise<void>, tell: (home: Home) => Promise<void>, options: HomeOptions = {}): Story['run'] {
  return async (recorder) => {
    const home = await startHome(fill, { schedulerCron: '0 0 0 1 1 *', newVault: SAME_VAULT, standIn: { limits: { answerWaitMs: 30_000 } }, ...options, host: { maxConcurrentActivities: 1, onInvocation: recorder.onInvocation, ...options.host } });
    try {
      await tell(home);
      await home.host.settle();
    } finally {
      await home.dispose();
    }
  };
}

/** The same on a vault whose faults the story plans. */
function onFaults(fill: (folder: string) => Promise<void>, tell: (home: Home, store: FaultStore) => Promise<void>): Story['run'] {
  return async (recorder) => {
    let store: FaultStore | undefined;
    await inHome(fill, async (home) => {
      assert.ok(store);
      await tell(home, store);
      store.assertAllFired();
    }, { wrapStore: (plain) => (store = createFaultStore(plain)) })(recorder);
  };
}

const plan = (home: Home, ...faults: Fault[]): void => faults.forEach((fault) => home.standIn.faults.add(fault));
const putPolicy = async (home: Home, changes: object, name = 'p'): Promise<void> => {
  const answer = await home.json(`/api/policies/${name}`, { method: 'PUT', body: JSON.stringify({ schedule: { daily: { at: ['02:00'] } }, items: { all: true }, ...changes }) });
  assert.ok(answer.status < 300, answer.text);
};
const later = (home: Home, ms: number): Promise<void> => home.host.advanceTo(home.clock.now() + ms);

async function backUp(home: Home, expected: 'succeeded' | 'failed', body?: object): Promise<string> {
  const job = await home.backUp('web01', body);
  assert.equal(job.state, expected, JSON.stringify(job));
  return job.recoveryPoint ?? '';
}

/** Starts a backup or a restore and stops time in a phase of it, at the first moment at which nothing but a timer is awaited. */
async function stopIn(home: Home, phase: string, start: () => Promise<string>): Promise<string> {
  const id = await start();
  await home.host.waitFor(id, { until: ({ customStatus }) => (customStatus as { phase?: string } | null)?.phase === phase });
  await home.host.settle();
  return id;
}

const start = (home: Home, body: object = {}) => async (): Promise<string> =>
  ((await home.json('/api/items/web01/backups', { method: 'POST', body: JSON.stringify(body) })).body as { id: string }).id;

async function cancel(home: Home, id: string): Promise<void> {
  const answer = await home.json(`/api/jobs/${id}/cancel`, { method: 'POST' });
  assert.equal(answer.status, 202, answer.text);
  await home.host.waitFor(id, { until: 'finished' });
}

/** An orchestration that vanishes, as with a task hub that is lost. */
async function lose(home: Home, id: string): Promise<void> {
  home.host.client.terminate(id, 'lost');
  await home.host.waitFor(id, { until: 'finished' });
  await home.host.runUntilIdle();
}

/** A restore to its end. */
async function restore(home: Home, point: string, state: string, body: object): Promise<void> {
  const id = await startRestore(home, point, body);
  await home.host.waitFor(id, { until: 'finished' });
  assert.equal((await home.job(id)).state, state, JSON.stringify(await home.job(id)));
}

/** Starts something of the vault's own and waits for its end; `address` is also that of its outcome where its instance has none of its own. */
async function vaultJob(home: Home, address: string, body: object, instance?: string): Promise<void> {
  await later(home, 1_000);
  const started = await home.json(`/api/vault/${address}`, { method: 'POST', body: JSON.stringify(body) });
  assert.equal(started.status, 202, started.text);
  await home.host.waitFor(instance ?? (started.body as { id: string }).id, { until: 'finished' });
}

async function reconcile(home: Home): Promise<void> {
  await home.host.runTimer('reconciler');
  await home.host.waitFor(RECONCILE_INSTANCE_ID, { until: 'finished' });
}

export const stories: readonly Story[] = [
  {
    story: 'backup', about: 'Two disks: a first backup whose snapshot takes a while, then what changed.',
    run: inHome(twoDisks, async (home) => {
      plan(home, { kind: 'stallCopy', percent: 40, looks: 12, path: 'diskRestorePoints' });
      await backUp(home, 'succeeded');
      await writeDisk(home, 'web01', 'os', noise(8192, 5), 65536);
      await backUp(home, 'succeeded');
    }),
  },
  {
    story: 'backup-overtaken', about: 'Answers arrive late and in another order than they were asked for.',
    run: inHome(twoDisks, async (home) => { await backUp(home, 'succeeded'); }, { host: { chaos: { seed: 7, delay: 0.5 } } }),
  },
  {
    story: 'backup-second-pass', about: 'A diff that leaves something out: the audit finds it, and the disk is gone over again.',
    run: inHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1), data: noise(4 * MiB, 1) }), async (home) => {
      await backUp(home, 'succeeded');
      await writeDisk(home, 'web01', 'data', Buffer.alloc(4 * MiB, 'changed '), 0);
      plan(home, { kind: 'omitRanges', count: 1, path: 'web01_data', times: 1 });
      await backUp(home, 'succeeded');
      assert.deepEqual(home.standIn.faults.unfired(), []);
    }),
  },
  {
    story: 'backup-retried', about: 'The vault is away for a moment at several steps, and for a longer one where the run is closed.',
    run: onFaults(twoDisks, async (home, store) => {
      for (const matching of [/\/plan$/, /packs\/data/, /^recovery-points\//]) store.plan({ operation: 'create', matching, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' }, times: 2 });
      await backUp(home, 'succeeded');
    }),
  },
  {
    story: 'backup-failed', about: 'A snapshot that Azure cannot make; a vault that is full while a disk is stored.',
    run: onFaults(twoDisks, async (home, store) => {
      plan(home, { kind: 'failOperation', code: 'VMAgentNotReady', message: 'The VM agent does not answer.', path: '/restorePoints/' });
      await backUp(home, 'failed');
      store.plan({ operation: 'create', matching: /packs\/data/, fault: { kind: 'fail', code: 'STORE_FULL', when: 'before' } });
      await backUp(home, 'failed');
    }),
  },
  {
    story: 'backup-queued', about: 'Access to a snapshot that Azure does not give for a while: the transfer queues.',
    run: inHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), async (home) => {
      plan(home, { kind: 'respond', status: 409, code: 'OperationNotAllowed', message: 'The number of active SAS on snapshots of this disk exceeds the limit.', path: 'beginGetAccess', times: 60 });
      await stopIn(home, 'transfer', start(home));
      await home.host.runUntilIdle();
    }),
  },
  {
    story: 'backup-lost-step', about: 'A transfer that never comes back: raced with a timer, tried again, and given up.',
    run: async (recorder) => {
      const clock = new VirtualClock(HOME_START_MS);
      let stuck = 0;
      await inHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), async (home) => {
        const id = await start(home)();
        await home.host.waitFor(id, { until: ({ customStatus }) => (customStatus as { phase?: string } | null)?.phase === 'done' });
        await later(home, 4 * DAY_MS);
      }, {
        host: { clock, maxConcurrentActivities: 4 },
        wrapStore: (store) => ({
          description: store.description, read: (name, range) => store.read(name, range), stat: (name) => store.stat(name), list: (prefix) => store.list(prefix), delete: (name) => store.delete(name),
          serverTimeMs: () => store.serverTimeMs(), close: () => store.close(),
          async create(name, data) {
            if (name.startsWith('packs/data/') && stuck++ === 0) await clock.sleep(3 * DAY_MS);
            return store.create(name, data);
          },
        }),
      })(recorder);
    },
  },
  {
    story: 'backup-cancelled', about: 'Cancelled by a person while the snapshot is made, and while a transfer waits for its next try.',
    run: inHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), async (home) => {
      plan(home, { kind: 'stallCopy', percent: 30, looks: 50, path: 'diskRestorePoints' });
      await cancel(home, await stopIn(home, 'snapshot', start(home)));
      home.standIn.faults.clear();
      plan(home, { ...RETRY, path: 'abcd\\?comp=pagelist' });
      await cancel(home, await stopIn(home, 'transfer', start(home)));
    }),
  },
  {
    story: 'backup-scripts', about: 'Scripts around the snapshot: both run; the first one fails and the policy lets it pass; it fails and the policy does not.',
    run: inHome(withScripts, async (home) => {
      await putPolicy(home, { scripts: SCRIPTS });
      await backUp(home, 'succeeded', { policy: 'p' });
      plan(home, { kind: 'guest', outcome: 'scriptFailed', path: '-pre$' });
      await backUp(home, 'succeeded', { policy: 'p' });
      await putPolicy(home, { scripts: { ...SCRIPTS, onFailure: 'fail' } });
      plan(home, { kind: 'guest', outcome: 'scriptFailed', path: '-pre$' });
      await backUp(home, 'failed', { policy: 'p' });
    }),
  },
  {
    story: 'policy', about: 'Two policies with a slot at one moment over three machines, one of which cannot be protected; lanes of one and of two.', only: ['runPolicy', 'policyLane', 'backupVm'],
    run: inHome(async (folder) => {
      await addVm(folder, 'a-bad', { os: halfDisk(2, 1) }, { disks: { 'os.img': { ephemeral: true } } });
      await addVm(folder, 'b-good', { os: noise(65536, 2) });
      await addVm(folder, 'c-good', { os: noise(65536, 3) });
    }, async (home) => {
      await putPolicy(home, { firstBackup: 'next-slot', limits: { maxParallelVms: 1 } }, 'one');
      await putPolicy(home, { firstBackup: 'next-slot', limits: { maxParallelVms: 2 } }, 'two');
      await home.host.advanceTo(Date.UTC(2026, 10, 24, 4));
    }, { schedulerCron: '0 0 * * * *' }),
  },
  {
    story: 'restore', about: 'To a new disk, to a new machine, and in place of the disks of one that is there, once keeping the old ones and once not.',
    run: inHome(twoDisks, async (home) => {
      const point = await backUp(home, 'succeeded');
      await restore(home, point, 'succeeded', { id: 'disk', target: { kind: 'disk', disk: 'web01_data', name: 'back' } });
      const subnetId = `/subscriptions/${home.standIn.subscriptionId}/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/s`;
      await restore(home, point, 'succeeded', { id: 'vm', target: { kind: 'vm', name: 'web02', network: { subnetId } } });
      await restore(home, point, 'succeeded', { id: 'swap', target: { kind: 'in-place' } });
      await restore(home, point, 'succeeded', { id: 'again', target: { kind: 'in-place', disks: ['0'], keepOldDisks: false } });
    }),
  },
  {
    story: 'restore-failed', about: 'An exchange of disks that fails half-way, and a disk that Azure does not let be made.',
    run: inHome(twoDisks, async (home) => {
      const point = await backUp(home, 'succeeded');
      plan(home, { kind: 'respond', status: 409, code: 'OperationNotAllowed', message: 'no', times: 1000, path: 'attachDetachDataDisks' });
      await restore(home, point, 'failed', { id: 'half', target: { kind: 'in-place' } });
      home.standIn.faults.clear();
      plan(home, { kind: 'respond', status: 403, code: 'AuthorizationFailed', message: 'no', times: 100, method: 'PUT', path: '/disks/' });
      await restore(home, point, 'failed', { id: 'denied', target: { kind: 'disk', disk: 'web01_data', name: 'back' } });
    }),
  },
  {
    story: 'restore-cancelled', about: 'Cancelled by a person while a slice waits for its next try.',
    run: onFaults(twoDisks, async (home, store) => {
      const point = await backUp(home, 'succeeded');
      store.plan({ operation: 'create', matching: /^restores\/c\/.*\/s0000$/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
      await cancel(home, await stopIn(home, 'transfer', () => startRestore(home, point, { id: 'c', target: { kind: 'disk', disk: 'web01_data', name: 'back' } })));
    }),
  },
  {
    story: 'maintain', about: 'A dry run, one that puts recovery points into the bin, one that frees them after it, and one whose approval is wrong.', only: ['maintain'],
    run: inHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), async (home) => {
      await putPolicy(home, { retention: { keepLast: 1 } });
      for (const day of [0, 1, 2]) {
        await writeDisk(home, 'web01', 'os', noise(300_000, 10 + day), 262_144 * day);
        await backUp(home, 'succeeded', { policy: 'p' });
        await later(home, 60_000);
      }
      await vaultJob(home, 'maintenance', {}, MAINTAIN_INSTANCE_ID);
      await vaultJob(home, 'maintenance', { dryRun: false }, MAINTAIN_INSTANCE_ID);
      await later(home, 16 * DAY_MS);
      await vaultJob(home, 'maintenance', { dryRun: false }, MAINTAIN_INSTANCE_ID);
      await vaultJob(home, 'maintenance', { dryRun: false, approve: 'wrong' }, MAINTAIN_INSTANCE_ID);
    }),
  },
  {
    story: 'maintain-locks', about: 'A vault under a WORM policy, whose locks are made longer.', only: ['maintain'],
    run: async (recorder) => {
      const clock = new VirtualClock(HOME_START_MS);
      await inHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), async (home) => {
        await backUp(home, 'succeeded');
        await later(home, 20 * DAY_MS);
        await vaultJob(home, 'maintenance', { dryRun: false }, MAINTAIN_INSTANCE_ID);
      }, { host: { clock }, lockKeepMs: 30 * DAY_MS, wrapStore: (plain) => createWormStore(plain, { clock: () => clock.now(), holdMs: 44 * DAY_MS }) })(recorder);
    },
  },
  {
    story: 'scrub', about: 'A day\'s share by the timer, everything, one recovery point, a vault that refuses, and one that is stopped while it waits.', only: ['scrub'],
    run: async (recorder) => {
      let store: FaultStore | undefined;
      await inHome(twoDisks, async (home) => {
        const recoveryPoint = await backUp(home, 'succeeded');
        await later(home, DAY_MS);
        await vaultJob(home, 'scrubs', {});
        await vaultJob(home, 'scrubs', { recoveryPoint });
        store?.plan({ operation: 'read', matching: /packs\/data/, fault: { kind: 'fail', code: 'STORE_ACCESS_DENIED', when: 'before' } });
        await vaultJob(home, 'scrubs', { recoveryPoint });
        store?.plan({ operation: 'read', matching: /packs\/data/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' }, times: 9 });
        await later(home, 1_000);
        const { id } = (await home.json('/api/vault/scrubs', { method: 'POST' })).body as { id: string };
        await home.host.settle();
        assert.equal((await home.json(`/api/vault/scrubs/${id}/cancel`, { method: 'POST' })).status, 202);
        await home.host.waitFor(id, { until: 'finished' });
      }, { scrubs: { cron: '0 0 3 * * *', days: 1 }, wrapStore: (plain) => (store = createFaultStore(plain)) })(recorder);
    },
  },
  {
    story: 'notifications', about: 'A failed backup that is told at once, one whose receiver is away for hours, and one that a receiver does not want any more; the vault is away while it is written down.', only: ['raiseNotices', 'tell'],
    run: async (recorder) => {
      const receiver = await Receiver.start();
      let store: FaultStore | undefined;
      const secrets = parseWebhookSecrets(JSON.stringify({ ops: { sign: [SECRET] } }));
      const refuse = (home: Home): void => plan(home, { kind: 'failOperation', code: 'VMAgentNotReady', message: 'The VM agent does not answer.', path: '/restorePoints/' });
      try {
        await inHome(twoDisks, async (home) => {
          const put = await home.json('/api/notifications', { method: 'PUT', body: JSON.stringify({ targets: [{ name: 'ops', url: receiver.url }] }) });
          assert.equal(put.status, 201, put.text);
          for (const reply of [[200], [503, 503, 503, 200], [410]]) {
            let tries = 0;
            receiver.reply = () => ({ status: reply[tries++] ?? 500 });
            refuse(home);
            if (reply.length > 1) store?.plan({ operation: 'create', matching: /^notices\/events\//, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' }, times: 2 });
            await backUp(home, 'failed');
            await later(home, DAY_MS);
            assert.equal(tries, reply.length);
          }
          store?.assertAllFired();
        }, { wrapStore: (inner) => (store ??= createFaultStore(inner)), notifications: { courier: createCourier({ secrets, allowLoopback: true, origin: 'home.test' }) } })(recorder);
      } finally {
        await receiver.stop();
      }
    },
  },
  {
    story: 'housekeeping', about: 'A backup and a restore whose orchestrations are lost: the reconciler closes them, and a sweep finds and deletes what a third left.', only: ['reconcileRuns', 'sweepCloud'],
    run: inHome(twoDisks, async (home) => {
      await putPolicy(home, { driver: 'diskSnapshot' });
      const point = await backUp(home, 'succeeded', { policy: 'p' });
      const stalled = (): void => plan(home, { ...RETRY, path: 'abcd\\?comp=pagelist' });
      stalled();
      await lose(home, await stopIn(home, 'transfer', start(home, { policy: 'p' })));
      await lose(home, await stopIn(home, 'commit', () => startRestore(home, point, { id: 'lost', target: { kind: 'disk', disk: 'web01_data', name: 'back' } })));
      await lose(home, await stopIn(home, 'proving', () => startRestore(home, point, { id: 'begun', target: { kind: 'disk', disk: 'web01_data', name: 'again' } })));
      home.standIn.faults.clear();
      await reconcile(home);
      stalled();
      await lose(home, await stopIn(home, 'transfer', start(home, { policy: 'p' })));
      home.standIn.faults.clear();
      await putPolicy(home, { driver: 'diskSnapshot', keepBase: 'none' }, 'p2');
      await home.json('/api/policies/p', { method: 'DELETE' });
      await reconcile(home);
      await later(home, 5 * 3_600_000);
      await vaultJob(home, 'sweeps', { dryRun: true });
      await vaultJob(home, 'sweeps', { dryRun: false });
      plan(home, { kind: 'respond', status: 403, code: 'AuthorizationFailed', message: 'no', method: 'GET', path: 'Microsoft.Compute/virtualMachines$', times: 5 });
      await vaultJob(home, 'sweeps', { dryRun: false });
    }),
  },
  ...longStories,
];
