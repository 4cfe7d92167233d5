import { setTimeout as delay } from 'node:timers/promises';
import { isErrorCode } from '../errors/catalogue';
import { type ErrorData, HoldfastError } from '../errors/holdfast-error';
import type { MaintenanceRecord } from '../vault/points/maintenance-log';
import type { AppClient } from './app-client';
import { interruptible, signalExitCode } from './interrupt';
import type { Output } from './output';
import { startProgress } from './progress';
import { showBytes } from './sizes';

const POLL_MS = 500;

interface Maintenance { readonly running: { readonly stamp: string; readonly phase?: string } | null; readonly last: readonly MaintenanceRecord[] }

/**
 * Has the app maintain the vault, which is more than a collection: locks, retention by the policies, then the collection. A collection alone is for the vault itself. 4 when damage was met.
 */
export async function runAppCollect(app: AppClient, dryRun: boolean, approve: string | undefined, out: Output): Promise<number> {
  const { stamp } = await app.send('POST', '/api/vault/maintenance', { dryRun, ...(approve === undefined ? {} : { approve }) }) as { stamp: string };
  const record = await interruptible(async (signal) => {
    const progress = startProgress('maintenance', 0, out.quiet);
    try {
      while (!signal.aborted) {
        const { running, last } = await app.send('GET', '/api/vault/maintenance') as Maintenance;
        const ended = last.find((one) => one.stamp === stamp);
        if (ended) return ended;
        if (running?.stamp !== stamp) throw new HoldfastError('JOB_NOT_FOUND', `The maintenance ${stamp} runs no more, and its outcome is not in the vault`);
        progress.describe(`maintenance: ${running.phase ?? 'queued'}`, 0);
        await delay(POLL_MS, undefined, { signal }).catch(() => undefined);
      }
      return null;
    } finally {
      progress.end();
    }
  });
  if (record === null) {
    out.result({ stamp, detached: true }, () => []);
    process.stderr.write('holdfast: the maintenance goes on in the app; GET /api/vault/maintenance shows it\n');
    return signalExitCode() ?? 0;
  }
  if (record.error) throw new HoldfastError(isErrorCode(record.error.code) ? record.error.code : 'INTERNAL', record.error.message, { data: record.error.data as ErrorData });
  out.result(record, () => lines(record));
  for (const { message, remedy } of record.collection?.problems ?? []) out.warn(message, remedy);
  return (record.collection?.problems.length ?? 0) + (record.collection?.missingPacks.length ?? 0) > 0 ? 4 : 0;
}

function lines({ dryRun, retention, collection }: MaintenanceRecord): string[] {
  const told = [dryRun ? 'A maintenance would do this; nothing was changed.' : 'Maintained.'];
  if (retention) told.push(`  retention: ${retention.items} items, ${retention.binned} recovery points ${dryRun ? 'would go' : 'went'} into the bin, ${retention.kept} stay`);
  for (const { itemId, error } of retention?.refused ?? []) told.push(`  ${itemId}: ${error.message}`);
  if (collection) {
    told.push(`  ${collection.recoveryPoints} recovery points, ${collection.inBin} in the bin; ${collection.allPacks} packs, ${showBytes(collection.allBytes)} in all`);
    told.push(dryRun ? `  not needed: ${collection.unneededPacks} packs, ${showBytes(collection.unneededBytes)}` : `  deleted: ${collection.deletedPacks} packs, ${showBytes(collection.deletedBytes)}`);
    if (collection.abnormal !== null) told.push(`This is not a normal plan: ${collection.abnormal}.`, ...(dryRun ? [`If it is right: holdfast collect --approve ${collection.token}`] : []));
  }
  return told;
}
