import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { DEFAULT_RECORD_BYTES, writeTar } from './export-tar';
import { RecordStream, stdoutPut } from './record-stream';
import { HoldfastError } from '../errors/holdfast-error';
import { findDisk, resolveRecoveryPoint } from '../vault/catalog';
import { diskTree, type LoadedManifest, type ManifestDisk } from '../vault/format/manifest';
import { proveRestorable } from '../vault/transfer/restore-plan';
import { buildFixedFooter } from '../vault/format/vhd-footer';
import type { CommonOptions } from './command-options';
import { interruptible } from './interrupt';
import { type OpenedVault, withVault } from './open-vault';
import type { Output } from './output';
import { startProgress } from './progress';
import { showBytes, showRate, showSeconds } from './sizes';
import { streamImage, streamWindows } from './stream-image';
import { type CommandAction, recordedReading } from './trail-entry';
import { paddedBytes, writeImage } from './write-image';

export interface ExportOptions extends CommonOptions {
  readonly format: string;
  readonly to: string;
  readonly item?: string;
  readonly disk?: string;
  readonly force?: boolean;
  readonly threads?: number;
  /** Of an archive: what its disks are, and the size of its records in bytes. */
  readonly diskFormat?: string;
  readonly blockSize?: number;
}

/** Writes a disk of a recovery point as a raw image or a fixed VHD, into a file or to stdout; or all of it as a tar archive to stdout. */
export async function runExport(recoveryPoint: string, options: ExportOptions, out: Output): Promise<number> {
  const toStdout = options.to === '-';
  if (options.format !== 'raw' && options.format !== 'vhd' && options.format !== 'tar') throw new HoldfastError('USAGE', `--format is raw, vhd or tar, not ${JSON.stringify(options.format)}`);
  if (options.format !== 'tar' && (options.diskFormat !== undefined || options.blockSize !== undefined)) throw new HoldfastError('USAGE', '--disk-format and --block-size belong to --format tar');
  if (options.format === 'tar' && !toStdout) throw new HoldfastError('USAGE', `A tar archive goes to stdout: \`holdfast export … --format tar > ${options.to}\``);
  if (toStdout && out.json) throw new HoldfastError('USAGE', '--json and an image cannot both go to stdout: name a file with --to');
  if (toStdout && process.stdout.isTTY) throw new HoldfastError('USAGE', 'An image is not written to a terminal: name a file with --to, or send stdout to a file or a program');
  if (options.format === 'tar') return exportTar(recoveryPoint, options, out);
  const startedMs = Date.now();
  const { point, disk } = await interruptible((signal) => withVault(options, 'read', async (opened) => {
    const found = await resolveRecoveryPoint(opened.vault, recoveryPoint, options.item);
    const wanted = findDisk(found.manifest, options.disk);
    await proveRestorable(opened.vault, found.manifest, [wanted], signal);
    await recordedReading(opened.vault, options, actionOf(found, [wanted], options), out, () =>
      (toStdout ? toStream(opened, found, wanted, options, out, signal) : toFile(opened, found, wanted, options, out, signal)));
    return { point: found, disk: wanted };
  }));
  const seconds = (Date.now() - startedMs) / 1000;
  if (toStdout) return 0;
  const { id, createdAt } = point.manifest;
  out.result({ recoveryPoint: id, createdAt, disk: disk.name, lun: disk.lun, format: options.format, file: options.to, sizeBytes: disk.sizeBytes, seconds }, () => [
    `Exported ${disk.name} of ${id} to ${options.to} as ${options.format}: ${showBytes(disk.sizeBytes)}, ${showSeconds(seconds)}, ${showRate(disk.sizeBytes, seconds)}`,
  ]);
  return 0;
}

const actionOf = ({ manifest }: LoadedManifest, disks: readonly ManifestDisk[], { to, format }: ExportOptions): CommandAction =>
  ({ action: 'recovery-point.export', target: manifest.id, details: { disks: disks.map(({ name }) => name), format, to: to === '-' ? 'stdout' : resolve(to) } });

async function toFile(opened: OpenedVault, point: LoadedManifest, disk: ManifestDisk, options: ExportOptions, out: Output, signal: AbortSignal): Promise<void> {
  await writeImage(opened, {
    tree: diskTree(disk), target: options.to, force: options.force ?? false, footer: footerOf(point, disk, options.format), threads: options.threads,
    label: `export of ${disk.name}`, quiet: out.quiet, signal,
  });
}

async function toStream({ vault }: OpenedVault, point: LoadedManifest, disk: ManifestDisk, options: ExportOptions, out: Output, signal: AbortSignal): Promise<void> {
  const tree = diskTree(disk);
  const footer = footerOf(point, disk, options.format);
  const tail = footer ? Buffer.concat([Buffer.alloc(paddedBytes(disk.sizeBytes) - disk.sizeBytes), footer]) : Buffer.alloc(0);
  const progress = startProgress(`export of ${disk.name}`, streamWindows(tree), out.quiet);
  try {
    await streamImage(vault, tree, process.stdout, { tail, signal, onWindow: (bytes) => progress.advance(1, bytes) });
  } finally {
    progress.end();
  }
}

async function exportTar(recoveryPoint: string, options: ExportOptions, out: Output): Promise<number> {
  const diskFormat = options.diskFormat ?? 'raw';
  if (diskFormat !== 'raw' && diskFormat !== 'vhd') throw new HoldfastError('USAGE', `--disk-format is raw or vhd, not ${JSON.stringify(diskFormat)}`);
  await interruptible((signal) => withVault(options, 'read', async ({ vault }) => {
    const point = await resolveRecoveryPoint(vault, recoveryPoint, options.item);
    const disks = options.disk === undefined ? point.manifest.disks : [findDisk(point.manifest, options.disk)];
    await proveRestorable(vault, point.manifest, disks, signal);
    await recordedReading(vault, options, actionOf(point, disks, options), out, () => writeArchive(vault, point, disks, { diskFormat, options, out, signal }));
  }));
  return 0;
}

interface Archive { readonly diskFormat: string; readonly options: ExportOptions; readonly out: Output; readonly signal: AbortSignal }

async function writeArchive(vault: OpenedVault['vault'], point: LoadedManifest, disks: readonly ManifestDisk[], { diskFormat, options, out, signal }: Archive): Promise<void> {
  const progress = startProgress(`export of ${point.manifest.id}`, disks.reduce((sum, disk) => sum + streamWindows(diskTree(disk)), 0), out.quiet);
  try {
    const records = new RecordStream(options.blockSize ?? DEFAULT_RECORD_BYTES, stdoutPut());
    await writeTar(vault, records, { point, disks, footerOf: (disk) => footerOf(point, disk, diskFormat), signal, onWindow: (bytes) => progress.advance(1, bytes) });
  } finally {
    progress.end();
  }
}

/** The same disk of the same recovery point is always the same VHD, also in its id: exports can be compared. */
function footerOf({ manifest }: LoadedManifest, disk: ManifestDisk, format: string): Buffer | null {
  if (format !== 'vhd') return null;
  const hash = createHash('sha256').update(`${manifest.id}/${disk.lun}/${disk.name}`).digest('hex');
  const uniqueId = [hash.slice(0, 8), hash.slice(8, 12), hash.slice(12, 16), hash.slice(16, 20), hash.slice(20, 32)].join('-');
  return buildFixedFooter(paddedBytes(disk.sizeBytes), { uniqueId, createdAt: Date.parse(manifest.createdAt) });
}
