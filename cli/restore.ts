import { resolve } from 'node:path';
import { HoldfastError } from '../errors/holdfast-error';
import { findDisk, resolveRecoveryPoint } from '../vault/catalog';
import { diskTree } from '../vault/format/manifest';
import { proveRestorable } from '../vault/transfer/restore-plan';
import { interruptible } from './interrupt';
import { withVault } from './open-vault';
import type { Output } from './output';
import { patchImage } from './patch-image';
import { isRemote, type RemoteRestoreOptions, runRemoteRestore } from './restore-remote';
import { showBytes, showRate, showSeconds } from './sizes';
import { recordedReading } from './trail-entry';
import { writeImage } from './write-image';

export interface RestoreOptions extends RemoteRestoreOptions {
  readonly to?: string;
  readonly item?: string;
  readonly disk?: string;
  readonly force?: boolean;
  readonly threads?: number;
  readonly differential?: boolean;
}

/** Writes a disk of a recovery point back as a raw image, byte for byte, with every chunk of it proved. */
export async function runRestore(recoveryPoint: string, options: RestoreOptions, out: Output): Promise<number> {
  const { to } = options;
  if (isRemote(options)) {
    if (to !== undefined) throw new HoldfastError('USAGE', 'A restore goes to a file (--to) or into Azure, not to both');
    return runRemoteRestore(recoveryPoint, options, out);
  }
  if (to === undefined) throw new HoldfastError('USAGE', 'Say where it goes: --to FILE, or into Azure with --to-disk, --to-vm, --in-place or --to-blob');
  if (options.dryRun) throw new HoldfastError('USAGE', '--dry-run belongs to a restore into Azure');
  if (options.differential && options.force) throw new HoldfastError('USAGE', '--force replaces the file and --differential keeps what is right of it: give one of them');
  const startedMs = Date.now();
  const { manifest, disk, written } = await interruptible((signal) => withVault(options, 'read', async (opened) => {
    const found = await resolveRecoveryPoint(opened.vault, recoveryPoint, options.item);
    const wanted = findDisk(found.manifest, options.disk);
    const tree = diskTree(wanted);
    await proveRestorable(opened.vault, found.manifest, [wanted], signal);
    const request = { tree, target: to, threads: options.threads, label: `restore of ${wanted.name}`, quiet: out.quiet, signal };
    const action = { action: 'restore.to-file', target: found.manifest.id, details: { disk: wanted.name, file: resolve(to) } };
    const done = await recordedReading(opened.vault, options, action, out, async () => (
      options.differential ? patchImage(opened, request) : writeImage(opened, { ...request, force: options.force ?? false, footer: null })));
    return { manifest: found.manifest, disk: wanted, written: done };
  }));
  const seconds = (Date.now() - startedMs) / 1000;
  const report = { recoveryPoint: manifest.id, createdAt: manifest.createdAt, disk: disk.name, lun: disk.lun, file: to, sizeBytes: disk.sizeBytes };
  if ('writtenBytes' in written) {
    out.result({ ...report, differential: true, ...written, seconds }, () => [
      `Restored ${disk.name} of ${manifest.id} to ${to}${written.resumed ? ', going on with what an earlier restore left' : ''}`,
      `  ${showBytes(written.comparedBytes)} compared, of it ${showBytes(written.writtenBytes)} were different and written; ${showSeconds(seconds)}, ${showRate(written.comparedBytes, seconds)}`,
    ]);
    return 0;
  }
  const { plainBytes: dataBytes, chunks } = written;
  out.result({ ...report, dataBytes, chunks, seconds }, () => [
    `Restored ${disk.name} of ${manifest.id} to ${to}`,
    `  ${showBytes(disk.sizeBytes)}, of it ${showBytes(dataBytes)} data in ${chunks} chunks, every one proved; ${showSeconds(seconds)}, ${showRate(dataBytes, seconds)}`,
  ]);
  return 0;
}
