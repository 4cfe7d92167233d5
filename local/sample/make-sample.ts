import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, open, readFile, readdir, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { buildFixedFooter } from '../../vault/format/vhd-footer';
import { collectContent, findNodeModules, placeContent, type ContentFile } from './content';

const mib = 1024 * 1024;
const gridBytes = 4096;
/** Fixed, so that two samples made of the same files are alike. */
const sampleTimeSeconds = Date.UTC(2026, 0, 1) / 1000;
const staleMs = 60 * 60 * 1000;
const mkfsPaths = ['mkfs.ext4', '/usr/sbin/mkfs.ext4', '/sbin/mkfs.ext4'];

interface SampleDisk {
  readonly path: string;
  readonly sizeBytes: number;
  readonly contentBytes: number;
  readonly skipPackages: number;
  readonly uuid: string;
}

/** The operating-system disks share most of their files, as those of sibling machines do. */
const disks: readonly SampleDisk[] = [
  { path: 'web/os.img', sizeBytes: 192 * mib, contentBytes: 110 * mib, skipPackages: 0, uuid: '7e57ab1e-0000-4000-8000-000000000001' },
  { path: 'web/data.img', sizeBytes: 96 * mib, contentBytes: 48 * mib, skipPackages: 40, uuid: '7e57ab1e-0000-4000-8000-000000000002' },
  { path: 'db/os.vhd', sizeBytes: 160 * mib, contentBytes: 100 * mib, skipPackages: 0, uuid: '7e57ab1e-0000-4000-8000-000000000003' },
];

export interface SampleOptions {
  /** Programs to try as mkfs.ext4; an empty list lays the files out without a file system. */
  readonly mkfsPaths?: readonly string[];
  /** Divides every size, for tests. */
  readonly scale?: number;
}

export interface SampleResult {
  /** False when the folder was there already and was left as it is. */
  readonly made: boolean;
  readonly fileSystem: 'ext4' | 'none' | 'unknown';
}

/**
 * A folder of two VMs with three disks of ordinary files, for people who want to try the app and have no image at
 * hand. Made once and offline, in a folder beside it that is renamed at the end, so it is there whole or not at all.
 */
export async function makeSampleSubscription(folder: string, options: SampleOptions = {}): Promise<SampleResult> {
  const target = resolve(folder);
  if ((await readdir(target).catch(() => [])).length > 0) return { made: false, fileSystem: 'unknown' };
  const parent = dirname(target);
  await mkdir(parent, { recursive: true });
  await removeStale(parent, basename(target));
  const temporary = await mkdtemp(join(parent, `.${basename(target)}.making-`));
  try {
    const subscription = join(temporary, 'subscription');
    const fileSystem = await fill(subscription, temporary, options);
    await rename(subscription, target);
    return { made: true, fileSystem };
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function fill(subscription: string, temporary: string, options: SampleOptions): Promise<'ext4' | 'none'> {
  const nodeModules = await findNodeModules(__dirname);
  const scale = options.scale ?? 1;
  const mkfs = await firstThatRuns(options.mkfsPaths ?? mkfsPaths);
  for (const [index, disk] of disks.entries()) {
    const path = join(subscription, disk.path);
    const sizeBytes = Math.ceil(disk.sizeBytes / scale / mib) * mib;
    const files = await collectContent(nodeModules, disk.skipPackages, Math.floor(disk.contentBytes / scale));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, '');
    await truncate(path, sizeBytes);
    if (mkfs !== undefined) await makeFileSystem(mkfs, path, disk, join(temporary, `files-${index}`), files);
    else await layOut(path, sizeBytes, files);
    if (disk.path.endsWith('.vhd')) await append(path, buildFixedFooter(sizeBytes, { uniqueId: disk.uuid, createdAt: sampleTimeSeconds * 1000 }), sizeBytes);
  }
  await writeFile(join(subscription, 'web/vm.json'), `${JSON.stringify({ osType: 'Linux', tags: { sample: 'yes', role: 'web' } }, undefined, 2)}\n`);
  await writeFile(join(subscription, 'db/vm.json'), `${JSON.stringify({ osType: 'Linux', tags: { sample: 'yes', role: 'db' } }, undefined, 2)}\n`);
  await writeFile(join(subscription, 'README.txt'), readme(mkfs !== undefined));
  return mkfs === undefined ? 'none' : 'ext4';
}

async function makeFileSystem(mkfs: string, path: string, disk: SampleDisk, root: string, files: readonly ContentFile[]): Promise<void> {
  await mkdir(root, { recursive: true });
  await placeContent(root, files);
  await writeFile(join(root, 'README.txt'), `This is the disk ${disk.path} of Holdfast's sample.\n`);
  const args = ['-q', '-F', '-m', '0', '-O', '^has_journal', '-U', disk.uuid, '-E', `hash_seed=${disk.uuid},root_owner=0:0`, '-d', root, path];
  const { code, said } = await run(mkfs, args);
  await rm(root, { recursive: true, force: true });
  if (code !== 0) throw new Error(`${mkfs} could not make ${disk.path} (exit code ${code}): ${said.trim()}`);
}

/** Without mkfs: the files one after the other, each from a multiple of 4 KiB on, where a file system would put them too. */
async function layOut(path: string, sizeBytes: number, files: readonly ContentFile[]): Promise<void> {
  const target = await open(path, 'r+');
  try {
    // The first 1 MiB stays empty, as a partition table would leave it.
    let offset = mib;
    for (const file of files) {
      if (offset + file.sizeBytes > sizeBytes) break;
      const bytes = await readFile(file.source);
      await target.write(bytes, 0, bytes.length, offset);
      offset += Math.ceil(bytes.length / gridBytes) * gridBytes;
    }
  } finally {
    await target.close();
  }
}

async function append(path: string, bytes: Buffer, offset: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.write(bytes, 0, bytes.length, offset);
  } finally {
    await file.close();
  }
}

async function firstThatRuns(candidates: readonly string[]): Promise<string | undefined> {
  for (const candidate of candidates) if ((await run(candidate, ['-V'])).code === 0) return candidate;
  return undefined;
}

function run(program: string, args: readonly string[]): Promise<{ readonly code: number; readonly said: string }> {
  return new Promise((done) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, E2FSPROGS_FAKE_TIME: String(sampleTimeSeconds) } });
    let said = '';
    child.stderr.on('data', (part) => { said += String(part); });
    child.once('error', (error) => done({ code: -1, said: error.message }));
    child.once('close', (code) => done({ code: code ?? -1, said }));
  });
}

/** What a killed run left half made. */
async function removeStale(parent: string, name: string): Promise<void> {
  for (const entry of await readdir(parent)) {
    if (!entry.startsWith(`.${name}.making-`)) continue;
    const found = await stat(join(parent, entry)).catch(() => undefined);
    if (found !== undefined && Date.now() - found.mtimeMs > staleMs) await rm(join(parent, entry), { recursive: true, force: true });
  }
}

function readme(hasFileSystem: boolean): string {
  return [
    'A sample subscription for Holdfast: each folder is a virtual machine, each image in it a disk.',
    '',
    'web/os.img    raw image',
    'web/data.img  raw image',
    'db/os.vhd     fixed VHD',
    '',
    hasFileSystem
      ? 'Each disk is an ext4 file system that fills the whole disk (no partition table). Its files are those of the installed packages.'
      : 'mkfs.ext4 was not found, so the disks hold no file system: the files of the installed packages lie one after the other, each from a multiple of 4096 bytes on, after 1 MiB of zeros. They back up and restore like any disk but cannot be mounted.',
    'Nothing here boots. vm.json beside the images sets tags and the like; delete this folder to have the sample made anew.',
    '',
  ].join('\n');
}
