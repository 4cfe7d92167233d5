import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { BENCH_FOLDER, MIB } from './options';
import { changeImage } from './changes';
import { run } from './process';
import { copyFiles, listSystemFiles, takeFiles } from './system-files';

/** The images of one size. Made once; both contenders and every run use the same. */
export interface Images {
  readonly base: string;
  /** The base after about 2 % of the blocks in use changed. */
  readonly changed: string;
  /** JSON `[{"offset":…,"length":…}]`: exactly where the two differ, on the grid of 4 KiB. */
  readonly rangesFile: string;
  readonly about: ImagesAbout;
}

export interface ImagesAbout {
  readonly sizeBytes: number;
  readonly files: number;
  readonly fileBytes: number;
  readonly changedBytes: number;
  readonly changedRanges: number;
  readonly seed: number;
}

const SEED = 20_261_123;
/** As many ranges for each GiB as the measurements that the targets come from had: 820 in 4 GiB. */
const RANGES_EACH_GIB = 205;

const folderOf = (sizeBytes: number, fillBytes: number): string => path.join(BENCH_FOLDER, 'images', `${sizeBytes / MIB}-${Math.round(fillBytes / MIB)}`);

/** Makes the images unless they are there. A folder without about.json was left half-made, and is made again. */
export async function ensureImages(sizeBytes: number, fillBytes: number, say: (line: string) => void): Promise<Images> {
  const folder = folderOf(sizeBytes, fillBytes);
  const images = { base: path.join(folder, 'base.img'), changed: path.join(folder, 'changed.img'), rangesFile: path.join(folder, 'changed.json') };
  const aboutFile = path.join(folder, 'about.json');
  if (!existsSync(aboutFile)) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    say(`Making an ext4 image of ${sizeBytes / MIB} MiB with ${Math.round(fillBytes / MIB)} MiB of files from /usr`);
    const files = takeFiles(listSystemFiles(fillBytes / 20), 0, fillBytes);
    const fileBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
    if (fileBytes < fillBytes * 0.8) say(`/usr holds only ${Math.round(fileBytes / MIB)} MiB that can be read: the image holds less than asked for`);
    await makeFileSystem(images.base, sizeBytes, () => copyFiles(files, stageOf(images.base)), []);
    say('Changing 2 % of its blocks');
    await run({ program: 'cp', args: ['--reflink=auto', '--sparse=always', images.base, images.changed] });
    const ranges = await changeImage(images.base, images.changed, { seed: SEED, share: 0.02, ranges: Math.max(8, Math.round(RANGES_EACH_GIB * sizeBytes / (1024 * MIB))) });
    writeFileSync(images.rangesFile, JSON.stringify(ranges));
    const changedBytes = ranges.reduce((sum, range) => sum + range.length, 0);
    writeFileSync(aboutFile, JSON.stringify({ sizeBytes, files: files.length, fileBytes, changedBytes, changedRanges: ranges.length, seed: SEED } satisfies ImagesAbout));
  }
  return { ...images, about: JSON.parse(readFileSync(aboutFile, 'utf8')) as ImagesAbout };
}

/** Another disk with mostly the same files: a twentieth of them are others, and the file system is laid out differently. */
export async function ensureSibling(sizeBytes: number, fillBytes: number, say: (line: string) => void): Promise<string> {
  const sibling = path.join(folderOf(sizeBytes, fillBytes), 'sibling.img');
  const half = `${sibling}.part`;
  if (existsSync(sibling)) return sibling;
  say('Making the sibling image');
  const files = takeFiles(listSystemFiles(fillBytes / 20), fillBytes / 20, fillBytes);
  await makeFileSystem(half, sizeBytes, () => copyFiles([...files].reverse(), stageOf(half)), ['-i', '8192', '-g', '16384']);
  await run({ program: 'mv', args: [half, sibling] });
  return sibling;
}

const stageOf = (image: string): string => `${image}.files`;

/** mkfs.ext4 with the staged files, with fixed ids and times so that a second making gives the same bytes; fsck proves it. */
async function makeFileSystem(image: string, sizeBytes: number, stage: () => void, layout: readonly string[]): Promise<void> {
  const folder = stageOf(image);
  rmSync(folder, { recursive: true, force: true });
  stage();
  const uuid = '5f0d5eed-0000-4000-8000-000000000001';
  try {
    await run({
      program: 'mkfs.ext4',
      args: ['-q', '-F', '-b', '4096', '-m', '0', '-U', uuid, '-E', `hash_seed=${uuid},lazy_itable_init=0`, ...layout, '-d', folder, image, `${sizeBytes / MIB}M`],
      env: { E2FSPROGS_FAKE_TIME: '1764000000', PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` },
    });
    await run({ program: 'e2fsck', args: ['-fn', image], env: { PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` } });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (statSync(image).size !== sizeBytes) throw new Error(`${image} has ${statSync(image).size} bytes, not ${sizeBytes}`);
}

/** Reads a file once, so that every contender finds it in the page cache. */
export async function warm(file: string): Promise<void> {
  const handle = await open(file);
  const buffer = Buffer.allocUnsafe(4 * MIB);
  try {
    while ((await handle.read(buffer, 0, buffer.length, null)).bytesRead > 0);
  } finally {
    await handle.close();
  }
}
