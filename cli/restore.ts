import { findDisk, resolveRecoveryPoint } from '../vault/catalog';
import { prepareLanes } from '../vault/lanes';
import { diskTree } from '../vault/manifest';
import type { CommonOptions } from './command-options';
import { interruptible } from './interrupt';
import { withVault } from './open-vault';
import type { Output } from './output';
import { showBytes, showRate, showSeconds } from './sizes';
import { writeImage } from './write-image';

export interface RestoreOptions extends CommonOptions {
  readonly to: string;
  readonly item?: string;
  readonly disk?: string;
  readonly force?: boolean;
  readonly threads?: number;
}

/** Writes a disk of a recovery point back as a raw image, byte for byte, with every chunk of it proved. */
export async function runRestore(recoveryPoint: string, options: RestoreOptions, out: Output): Promise<number> {
  const startedMs = Date.now();
  prepareLanes(options.threads);
  const { manifest, disk, totals } = await interruptible((signal) => withVault(options, 'read', async (opened) => {
    const found = await resolveRecoveryPoint(opened.vault, recoveryPoint, options.item);
    const wanted = findDisk(found.manifest, options.disk);
    const done = await writeImage(opened, {
      tree: diskTree(wanted), target: options.to, force: options.force ?? false, footer: null, threads: options.threads,
      label: `restore of ${wanted.name}`, quiet: out.quiet, signal,
    });
    return { manifest: found.manifest, disk: wanted, totals: done };
  }));
  const seconds = (Date.now() - startedMs) / 1000;
  const { plainBytes: dataBytes, chunks } = totals;
  out.result({ recoveryPoint: manifest.id, createdAt: manifest.createdAt, disk: disk.name, lun: disk.lun, file: options.to, sizeBytes: disk.sizeBytes, dataBytes, chunks, seconds }, () => [
    `Restored ${disk.name} of ${manifest.id} to ${options.to}`,
    `  ${showBytes(disk.sizeBytes)}, of it ${showBytes(dataBytes)} data in ${chunks} chunks, every one proved; ${showSeconds(seconds)}, ${showRate(dataBytes, seconds)}`,
  ]);
  return 0;
}
