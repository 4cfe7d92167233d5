import { app, type InvocationContext, type Timer } from '@azure/functions';
import * as df from 'durable-functions';
import { createAuditDisk } from '../activities/audit-disk';
import { createAbandonRun, createCommitRun } from '../activities/commit-run';
import { createFinishDisk, createFinishRegion } from '../activities/finish';
import { createOpenRun } from '../activities/open-run';
import { createPlanBackup } from '../activities/plan-backup';
import { createPlanDisk } from '../activities/plan-disk';
import { createPlanRegion } from '../activities/plan-region';
import { createReportJob, type JobReport } from '../activities/report-job';
import { createReleaseSnapshots } from '../activities/release-snapshots';
import { createAbandonRestore, createCommitRestore, createReleaseRestore, createUndoRestore } from '../activities/restore-close';
import { createDriveRestoredMachine } from '../activities/restore-machine';
import { createPlanRestore, createProveRestore } from '../activities/restore-plan';
import { createPlanRestoreRegion, createRestoreSlice } from '../activities/restore-slice';
import { createFinishRestoreTarget, createStartRestoreTarget } from '../activities/restore-target';
import { createPostScript, createPreScript } from '../activities/scripts';
import { createSelectItems } from '../activities/select-items';
import { createSnapshotStatus, createStartSnapshot } from '../activities/snapshot';
import { createTransferSlice } from '../activities/transfer-slice';
import type { Outcome } from '../activities/outcome';
import { stepOf } from '../activities/observed';
import type { OpenRunInput } from '../activities/types';
import { backupDisk } from '../orchestrations/backup-disk';
import { backupRegion } from '../orchestrations/backup-region';
import { backupVm } from '../orchestrations/backup-vm';
import { ACTIVITIES, ORCHESTRATIONS, REPORTS } from '../orchestrations/names';
import { restore } from '../orchestrations/restore';
import { restoreDisk } from '../orchestrations/restore-disk';
import { restoreRegion } from '../orchestrations/restore-region';
import { policyLane, runPolicy } from '../orchestrations/run-policy';
import { hasEnded } from './durable-status';
import { registerHousekeeping } from './housekeeping';
import { registerMaintenance } from './http-maintenance';
import { registerPortal } from './portal';
import { registerApprovals } from './approvals';
import { registerRoutes } from './route';
import { routes } from './routes';
import { announcer, registerNotifications } from './notifications';
import { schedulerTick } from './scheduler';
import { registerScrubs } from './scrubs';
import type { Services } from './services';
import { registerTracing } from './tracing';
import { registerWatch } from './watch';

/** Binds names to code: everything that this app is made of. */
export function registerApp(services: Services): void {
  registerTracing();
  registerSteps(services);
  registerRoutes(services, routes);
  registerPortal();
  registerHousekeeping(services);
  registerMaintenance(services);
  registerScrubs(services);
  registerApprovals(services, routes);
  registerNotifications(services);
  registerWatch(services);
  app.timer('scheduler', {
    schedule: services.schedulerCron,
    extraInputs: [df.input.durableClient()],
    handler: (_timer: Timer, context: InvocationContext) => schedulerTick(services, df.getClient(context), context),
  });
}

function registerSteps(services: Services): void {
  const { deps, others: { restore: restoreDeps } } = services;
  df.app.orchestration(ORCHESTRATIONS.backupVm, backupVm);
  df.app.orchestration(ORCHESTRATIONS.backupDisk, backupDisk);
  df.app.orchestration(ORCHESTRATIONS.backupRegion, backupRegion);
  df.app.orchestration(ORCHESTRATIONS.runPolicy, runPolicy);
  df.app.orchestration(ORCHESTRATIONS.policyLane, policyLane);
  df.app.orchestration(ORCHESTRATIONS.restore, restore);
  df.app.orchestration(ORCHESTRATIONS.restoreDisk, restoreDisk);
  df.app.orchestration(ORCHESTRATIONS.restoreRegion, restoreRegion);
  const steps: Readonly<Record<Exclude<keyof typeof ACTIVITIES, 'openRun'>, (input: never) => Promise<Outcome<unknown>>>> = {
    planBackup: createPlanBackup(deps), preScript: createPreScript(deps), postScript: createPostScript(deps), startSnapshot: createStartSnapshot(deps), snapshotStatus: createSnapshotStatus(deps),
    planDisk: createPlanDisk(deps), planRegion: createPlanRegion(deps), transferSlice: createTransferSlice(deps), finishRegion: createFinishRegion(deps),
    finishDisk: createFinishDisk(deps), auditDisk: createAuditDisk(deps), commitRun: createCommitRun(deps), releaseSnapshots: createReleaseSnapshots(deps),
    abandonRun: createAbandonRun(deps), selectItems: createSelectItems(deps),
    planRestore: createPlanRestore(restoreDeps), proveRestore: createProveRestore(restoreDeps), startRestoreTarget: createStartRestoreTarget(restoreDeps),
    planRestoreRegion: createPlanRestoreRegion(restoreDeps), restoreSlice: createRestoreSlice(restoreDeps), finishRestoreTarget: createFinishRestoreTarget(restoreDeps),
    driveRestoredMachine: createDriveRestoredMachine(restoreDeps), commitRestore: createCommitRestore(restoreDeps), abandonRestore: createAbandonRestore(restoreDeps),
    undoRestore: createUndoRestore(restoreDeps), releaseRestore: createReleaseRestore(restoreDeps),
  };
  df.app.activity(REPORTS.reportJob, {
    extraInputs: [df.input.durableClient()],
    handler: (report: JobReport, context: InvocationContext) => stepOf(deps.telemetry, REPORTS.reportJob, createReportJob(deps, announcer(services, df.getClient(context))))(report),
  });
  for (const [name, step] of Object.entries(steps)) df.app.activity(name, { handler: (input: unknown) => stepOf(deps.telemetry, name, step)(input as never) });
  // The one step that asks after another instance: is the backup that holds the item still at work?
  df.app.activity(ACTIVITIES.openRun, {
    extraInputs: [df.input.durableClient()],
    handler: (input: OpenRunInput, context: InvocationContext) => stepOf(deps.telemetry, ACTIVITIES.openRun, createOpenRun(deps, (owner) => hasEnded(df.getClient(context), owner)))(input),
  });
}
