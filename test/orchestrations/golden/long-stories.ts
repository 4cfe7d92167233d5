/** Stories that take a large estate: the real orchestrators in the embedded host, over steps that only answer. */
import assert from 'node:assert/strict';
import * as df from 'durable-functions';
import { VirtualClock } from '../../../local/host/clock';
import { createHost } from '../../../local/host/host';
import { approval, type ApprovalRun } from '../../../orchestrations/approval';
import { backupDisk, type BackupDiskInput } from '../../../orchestrations/backup-disk';
import { toBitmap } from '../../../orchestrations/bitmap';
import { parallelism } from '../../../orchestrations/limits';
import { ACTIVITIES, approvalInstanceId, APPROVALS, ORCHESTRATIONS, REPORTS, SCRUBS } from '../../../orchestrations/names';
import { restoreDisk, type RestoreDiskRun } from '../../../orchestrations/restore-disk';
import { runPolicy, type RunPolicyInput } from '../../../orchestrations/run-policy';
import { scrub, type ScrubJobInput } from '../../../orchestrations/scrub';
import { emptyStats } from '../../../vault/transfer/transfer-types';
import type { GoldenRecorder } from './fixture';
import type { Story } from './stories';

type Steps = Readonly<Record<string, (input: Record<string, unknown>) => unknown>>;

const ok = <T>(value: T): { ok: true; value: T } => ({ ok: true, value });
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const START_MS = Date.UTC(2026, 10, 23, 10, 30);
const STAMP = '20261123T103000Z';

/** Runs one orchestration to its end; its children and steps answer as `steps` say. */
async function runLong(recorder: GoldenRecorder, name: string, orchestrator: df.OrchestrationHandler, input: object, instanceId: string, steps: Steps, children: Steps = {}): Promise<void> {
  const host = await createHost({
    stateFolder: ':memory:', clock: new VirtualClock(START_MS), maxConcurrentActivities: 1, onInvocation: recorder.onInvocation,
    load: () => {
      df.app.orchestration(name, orchestrator);
      for (const [step, answer] of Object.entries(steps)) df.app.activity(step, { handler: (argument: unknown) => answer(argument as Record<string, unknown>) });
      for (const name of ['nothing', REPORTS.reportJob]) df.app.activity(name, { handler: () => null });
      for (const [child, answer] of Object.entries(children)) {
        df.app.orchestration(child, function* (context) {
          yield context.df.callActivity('nothing');
          return answer(context.df.getInput() as Record<string, unknown>);
        });
      }
    },
  });
  await host.start();
  try {
    assert.equal((await host.waitFor(host.client.startNew(name, { input, instanceId }))).runtimeStatus, 'Completed');
  } finally {
    await host.stop();
  }
}

export const longStories: readonly Story[] = [
  {
    story: 'approval', about: 'An approval that is due while the vault is away for a moment, is looked at too early once, and is carried out.', only: [APPROVALS.approval], isStaged: true,
    run: (recorder) => {
      let looks = 0;
      return runLong(recorder, APPROVALS.approval, approval, { id: '20261123t103000000z-0a1b2c', wakeAtMs: START_MS + 3_600_000 } satisfies ApprovalRun, approvalInstanceId('20261123t103000000z-0a1b2c', 'expiry'), {
        [APPROVALS.settleApproval]: () => {
          looks++;
          if (looks === 1) throw new Error('HOLDFAST_ERROR:{"code":"STORE_UNREACHABLE","message":"away","remedy":"","data":{}}:END');
          return ok(looks === 2 ? { state: 'approved', wakeAtMs: START_MS + 7_200_000 } : { state: 'done', wakeAtMs: null });
        },
      });
    },
  },
  {
    story: 'large-disk', about: 'A disk with 40 regions of data (2.5 TiB) continues as new.', only: [ORCHESTRATIONS.backupDisk], isStaged: true,
    run: (recorder) => runLong(recorder, ORCHESTRATIONS.backupDisk, backupDisk,
      { itemId: 'db-1', sequence: 1, stamp: STAMP, disk: 0, pass: 0, parallel: parallelism(1, 4, null), deadlineMs: START_MS + 86_400_000 } satisfies BackupDiskInput, `backup.db-1.${STAMP}.d0`, {
        [ACTIVITIES.planDisk]: () => ok({ mode: 'full', sizeBytes: 40 * 64 * 1024 ** 3, regions: toBitmap(range(40)), why: 'the first backup' }),
        [ACTIVITIES.finishDisk]: () => ok(emptyStats()), [ACTIVITIES.auditDisk]: () => ok({ samples: 0, mismatches: 0 }),
      }, { [ORCHESTRATIONS.backupRegion]: () => ok(emptyStats()) }),
  },
  {
    story: 'large-restore', about: 'A disk of 40 regions is restored and continues as new; making and finishing it take a while.', only: [ORCHESTRATIONS.restoreDisk], isStaged: true,
    run: (recorder) => {
      const looks = new Map<string, number>();
      const afterTwo = (name: string) => (): unknown => {
        looks.set(name, (looks.get(name) ?? 0) + 1);
        return ok({ state: (looks.get(name) ?? 0) > 2 ? 'ready' : 'working' });
      };
      return runLong(recorder, ORCHESTRATIONS.restoreDisk, restoreDisk,
        { restoreId: 'r', disk: 0, sizeBytes: 40 * 64 * 1024 ** 3, regions: toBitmap(range(40)), parallel: parallelism(1, 4, null), deadlineMs: START_MS + 86_400_000 } satisfies RestoreDiskRun, 'restore.r.d0',
        { [ACTIVITIES.startRestoreTarget]: afterTwo('start'), [ACTIVITIES.finishRestoreTarget]: afterTwo('finish') }, { [ORCHESTRATIONS.restoreRegion]: () => ok({ windows: 1024, writtenBytes: 1 }) });
    },
  },
  {
    story: 'large-policy', about: 'A policy over three pages of machines, one lane of which breaks off, after an outage of the vault.', only: [ORCHESTRATIONS.runPolicy], isStaged: true,
    run: (recorder) => {
      const items = range(12).map((n) => ({ itemId: `vm${n}-1`, vmId: `/subscriptions/s/vm${n}` }));
      let outage = 2;
      return runLong(recorder, ORCHESTRATIONS.runPolicy, runPolicy, { policy: 'nightly', stamp: STAMP, slot: '2026-11-23T10:30:00.000Z', only: 'all' } satisfies RunPolicyInput, `policy.nightly.${STAMP}`, {
        [ACTIVITIES.selectItems]: ({ after }) => {
          if (outage-- > 0) throw new Error('HOLDFAST_ERROR:{"code":"STORE_UNREACHABLE","message":"away","remedy":"","data":{}}:END');
          const from = after === null ? 0 : items.findIndex(({ itemId }) => itemId === after) + 1;
          return ok({ items: items.slice(from, from + 4), next: from + 4 < items.length ? items[from + 3]?.itemId : null, maxParallelVms: 3 });
        },
      }, { [ORCHESTRATIONS.policyLane]: ({ items: share }) => {
        if ((share as { itemId: string }[]).some(({ itemId }) => itemId === 'vm5-1')) throw new Error('a lane breaks off');
        return ok({ committed: (share as unknown[]).length, failed: 0, skipped: 0 });
      } });
    },
  },
  {
    story: 'large-scrub', about: 'A scrub that continues as new after 50 steps and ends when its share is read; damage that it finds is named.', only: [SCRUBS.scrub], isStaged: true,
    run: (recorder) => {
      let steps = 0;
      return runLong(recorder, SCRUBS.scrub, scrub, { scope: { kind: 'share', days: 30 }, sinceMs: START_MS } satisfies ScrubJobInput, `scrub.${STAMP}`, {
        [SCRUBS.planScrub]: () => ok({ items: ['a-1', 'b-1', 'c-1'], budgetBytes: 58 * 2048 }),
        [SCRUBS.concludeScrub]: () => ok({ damaged: [{ recoveryPoint: `a-1.${STAMP}`, damage: [{ code: 'PACK_DAMAGED', message: 'damaged', pack: null }] }] }),
        [SCRUBS.scrubItem]: ({ itemId }) => {
          steps++;
          const damage = steps === 30 ? [{ disk: 'd', code: 'PACK_DAMAGED', message: 'damaged' }] : [];
          return ok({ recoveryPoint: `${String(itemId)}.${STAMP}`, state: steps % 30 === 0 ? (damage.length > 0 ? 'damaged' : 'whole') : 'partial', done: steps % 30 === 0, windows: 64, plainBytes: 4096, storedBytes: 2048, damage });
        },
      });
    },
  },
];
