import { resolveRecoveryPoint } from '../vault/catalog';
import { appNamed } from './app-client';
import { pointOfApp } from './app-vault';
import type { CommonOptions } from './command-options';
import { marksView, stateText } from './marks-view';
import { withVault } from './open-vault';
import type { Output } from './output';
import { showBytes } from './sizes';

export interface ShowOptions extends CommonOptions {
  readonly item?: string;
}

/** Shows one recovery point, also one in the bin: with --json its whole manifest (docs/vault-format.md, section 8) and, as `marks`, what became of it. */
export async function runShow(recoveryPoint: string, options: ShowOptions, out: Output): Promise<number> {
  const app = appNamed(options);
  const { manifest, marks } = app ? await pointOfApp(app, recoveryPoint, options.item) : await withVault(options, 'read', ({ vault }) => resolveRecoveryPoint(vault, recoveryPoint, options.item, { deleted: true }));
  const { stats } = manifest;
  out.answer({ ...manifest, marks: marksView(marks) }, () => [
    `Recovery point ${manifest.id}`,
    `  item          ${manifest.itemId} (${manifest.source.kind}, ${manifest.source.name})`,
    `  created       ${manifest.createdAt}`,
    `  state         ${stateText(marks)}`,
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
