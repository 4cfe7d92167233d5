import { MARGINS } from './margins';
import { proofNames } from '../proof/proofs';
import type { VaultAccess } from '../format/tree';

const RESTORE_NAME = /^restores\/([a-z0-9-]+)\/(.+)$/;

/**
 * What restores that ended long ago kept between their steps (format §13). Request, plan, machine, verdict and end stay, a few hundred bytes each: the verdict is what keeps a step that wakes after
 * months from doing anything, the request what an id means for ever, and the plan what the sweep knows a restore's disks by.
 */
export async function restoresToRemove(vault: VaultAccess, serverNowMs: number): Promise<string[]> {
  const removed: string[] = [];
  let restoreId = '';
  let steps: string[] = [];
  let endedAtMs = Number.POSITIVE_INFINITY;
  const close = (): void => { if (endedAtMs <= serverNowMs - MARGINS.restoreKeptMs) removed.push(...steps); };
  for await (const { name, modifiedAtMs } of vault.store.list('restores/')) {
    const [, id, record] = RESTORE_NAME.exec(name) ?? [];
    if (id === undefined || record === undefined) continue;
    if (id !== restoreId) {
      close();
      [restoreId, steps, endedAtMs] = [id, [], Number.POSITIVE_INFINITY];
    }
    if (record === 'end') endedAtMs = modifiedAtMs;
    // Below a disk's folder lies what its slices and its last steps left.
    if (/^d\d+\//.test(record)) steps.push(name);
  }
  close();
  return removed;
}

/**
 * Proofs that newer ones stand above (format §11). Of a recovery point the last two finished proofs stay (the newest may turn out not to open) and the last part; all of one that is gone for good go.
 * What is younger than the margin stays in any case: a scrub may be at work with it.
 */
export async function proofsToRemove(vault: VaultAccess, tombs: ReadonlySet<string>, serverNowMs: number): Promise<string[]> {
  const removed: string[] = [];
  let point: { id: string; finished: string[]; parts: string[] } = { id: '', finished: [], parts: [] };
  const close = (): void => {
    const { id, finished, parts } = point;
    if (tombs.has(id)) removed.push(...finished, ...parts);
    else removed.push(...finished.slice(0, -2), ...parts.slice(0, -1));
  };
  const young = serverNowMs - MARGINS.proofKeptMs;
  for await (const { name, id, part, modifiedAtMs } of proofNames(vault)) {
    if (id !== point.id) {
      close();
      point = { id, finished: [], parts: [] };
    }
    // The young ones count as what is newer, and are not removed.
    (part ? point.parts : point.finished).push(modifiedAtMs > young ? '' : name);
  }
  close();
  return removed.filter((name) => name !== '');
}
