import { join } from 'node:path';
import { messageOf } from '../errors/holdfast-error';
import { ITEM_ID } from '../vault/format/manifest';
import { itemIdOf, resolveRecoveryPoint } from '../vault/catalog';
import { type CheckReport, type CheckScope, checkVault } from '../vault/proof/check';
import { recordCheck } from '../vault/proof/check-proofs';
import { withLanes } from '../vault/transfer/lanes';
import type { VaultAccess } from '../vault/format/tree';
import type { CommonOptions } from './command-options';
import { interruptible, untilAborted } from './interrupt';
import { withVault } from './open-vault';
import type { Output } from './output';
import { startProgress } from './progress';
import { showBytes, showRate, showSeconds } from './sizes';

export interface CheckOptions extends CommonOptions {
  readonly item?: string;
  readonly threads?: number;
}

/** Reads back and proves what recovery points need. 0 when all is whole, 4 when anything is damaged or lost. */
export async function runCheck(what: string, options: CheckOptions, out: Output): Promise<number> {
  const startedMs = Date.now();
  const report = await interruptible((signal) => withVault(options, 'read', async ({ vault, spec }) => {
    const scope = await scopeOf(vault, what, options.item);
    const progress = startProgress('check', 0, out.quiet);
    const plan = { factory: join(__dirname, 'transfer-factory.js'), store: { ...spec }, keys: vault.keys, collectDamage: true, threads: options.threads };
    try {
      return await untilAborted(signal, withLanes(plan, (lanes) => checkVault(vault, lanes, scope, {
        signal,
        onRecoveryPoint: (index, count, id) => progress.describe(`check ${index + 1} of ${count}, ${id}`),
        onWindow: ({ plainBytes }) => progress.advance(1, plainBytes),
      })));
    } finally {
      progress.end();
    }
  }));
  const seconds = (Date.now() - startedMs) / 1000;
  await writeDown(report, options, out);
  // --quiet silences good news only.
  (report.ok ? out.result : out.answer).call(out, { ...report, seconds }, () => lines(report, seconds));
  if (!report.ok) out.warn('the check found damage', 'keep what is left. Recovery points that are not named can be restored; the next backup stores anew what is damaged, where the source still has it.');
  return report.ok ? 0 : 4;
}

/**
 * The vault is opened for reading while it is checked, so that one that is read-only can be. What was proved is written down afterwards where that is possible: else it is told,
 * and the answer stands all the same.
 */
async function writeDown(report: CheckReport, options: CheckOptions, out: Output): Promise<void> {
  if (report.recoveryPoints.length === 0) return;
  try {
    await withVault(options, 'write', ({ vault }) => recordCheck(vault, report, Date.now()));
  } catch (error) {
    out.warn(`what was proved could not be written down (${messageOf(error)}); the vault shows when it was proved before`);
  }
}

/** `all`, `latest`, an item or a recovery point; an item's id holds no dot and a recovery point's does. */
async function scopeOf(vault: VaultAccess, what: string, item: string | undefined): Promise<CheckScope> {
  if (what === 'all') return item === undefined ? { kind: 'all' } : { kind: 'item', itemId: await itemIdOf(vault, item) };
  if (what === 'latest') return { kind: 'recovery-point', id: (await resolveRecoveryPoint(vault, what, item)).manifest.id };
  if (ITEM_ID.test(what)) return { kind: 'item', itemId: await itemIdOf(vault, what) };
  return { kind: 'recovery-point', id: what };
}

function lines(report: CheckReport, seconds: number): string[] {
  const { recoveryPoints, lost, trail, plainBytes, chunks } = report;
  const bad = recoveryPoints.filter(({ ok }) => !ok).length;
  return [
    ...recoveryPoints.flatMap(({ id, ok, problems, disks }) => [
      `${ok ? 'ok      ' : 'DAMAGED '} ${id}`,
      ...problems.map(({ message }) => `           ${message}`),
      ...disks.flatMap(({ name, damage }) => damage.map(({ message, pack, windows }) => `           disk ${name}: ${message}${pack ? ` [pack ${pack}]` : ''}, ${reach(windows)}`)),
    ]),
    ...lost.map(({ message }) => `LOST      ${message}`),
    ...trail.map(({ message }) => `AUDIT     ${message}`),
    `${recoveryPoints.length} recovery points, ${bad} damaged, ${lost.length} lost; read and proved ${showBytes(plainBytes)} in ${chunks} chunks; ${showSeconds(seconds)}, ${showRate(plainBytes, seconds)}`,
  ];
}

const reach = (windows: number): string => (windows === 0 ? 'a part of the disk cannot be found' : `in ${windows} ${windows === 1 ? 'part' : 'parts'} of 64 MiB of the disk`);
