import { resolveRecoveryPoint } from '../vault/catalog';
import type { CommonOptions } from './command-options';
import { withVault } from './open-vault';
import type { Output } from './output';
import { showBytes } from './sizes';

export interface ShowOptions extends CommonOptions {
  readonly item?: string;
}

/** Shows one recovery point: with --json its whole manifest (docs/vault-format.md, section 8). */
export async function runShow(recoveryPoint: string, options: ShowOptions, out: Output): Promise<number> {
  const { manifest } = await withVault(options, 'read', ({ vault }) => resolveRecoveryPoint(vault, recoveryPoint, options.item));
  const { stats } = manifest;
  out.answer(manifest, () => [
    `Recovery point ${manifest.id}`,
    `  item          ${manifest.itemId} (${manifest.source.kind}, ${manifest.source.name})`,
    `  created       ${manifest.createdAt}`,
    `  consistency   ${manifest.consistency}`,
    `  policy        ${manifest.policy ?? 'none, on demand'}`,
    `  run           ${manifest.sequence}${manifest.slot === null ? '' : `, slot ${manifest.slot}`}`,
    `  before it     ${manifest.parent?.id ?? 'none'}`,
    `  figures       read ${showBytes(stats.readBytes)}, changed ${showBytes(stats.changedBytes)}, stored ${showBytes(stats.storedBytes)}, reused ${showBytes(stats.reusedBytes)}`,
    ...manifest.disks.map((disk) => `  disk          ${disk.name}, lun ${disk.lun}, ${showBytes(disk.sizeBytes)} (${disk.sizeBytes} bytes), ${disk.mode}`),
    ...manifest.warnings.map((warning) => `  warning       ${warning}`),
  ]);
  return 0;
}
