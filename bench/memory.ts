import { mkdirSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { REGION_BYTES, WINDOW_BYTES } from '../vault/format/format';
import { WORK_FOLDER } from './cases';
import { type Images, warm } from './images';
import { GIB, ROOT } from './options';
import { measure, type Measurement, run } from './process';

/** Peak memory of one transfer activity on a disk of this size. */
export interface ActivityResult {
  readonly diskBytes: number;
  readonly windows: number;
  readonly runs: readonly Measurement[];
}

const LARGE_DISK_BYTES = 1024 * GIB;
const SPREAD_BYTES = 64 * 1024;

/**
 * Case 6: the same transfer activity on the image and on a sparse disk of 1 TiB that starts with the image and has some data in
 * every other window of its first region, so that a region is as full of work as one can be.
 */
export async function activityRuns(images: Images, runs: number, say: (line: string) => void): Promise<readonly ActivityResult[]> {
  const folder = path.join(WORK_FOLDER, 'activity');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const large = path.join(folder, 'large.img');
  await makeLargeDisk(images, large);
  const { sizeBytes } = images.about;
  const cases = [
    { image: images.base, diskBytes: sizeBytes, windows: Math.ceil(sizeBytes / WINDOW_BYTES), runs: [] as Measurement[] },
    { image: large, diskBytes: LARGE_DISK_BYTES, windows: REGION_BYTES / WINDOW_BYTES, runs: [] as Measurement[] },
  ];
  for (let index = 0; index < runs; index++) {
    for (const one of cases) {
      const vault = path.join(folder, 'vault');
      rmSync(vault, { recursive: true, force: true });
      await warm(images.base);
      const measured = await measure({
        program: process.execPath,
        args: [path.join(ROOT, 'dist', 'bench', 'transfer-activity.js'), '--image', one.image, '--vault', vault, '--whole', String(sizeBytes)],
      });
      one.runs.push(measured);
      say(`  activity on ${one.diskBytes / GIB} GiB: ${measured.wallSeconds.toFixed(2)} s, ${Math.round((measured.peakBytes ?? 0) / 2 ** 20)} MiB`);
    }
  }
  rmSync(folder, { recursive: true, force: true });
  return cases.map(({ diskBytes, windows, runs: measured }) => ({ diskBytes, windows, runs: measured }));
}

async function makeLargeDisk(images: Images, large: string): Promise<void> {
  await run({ program: 'cp', args: ['--reflink=auto', '--sparse=always', images.base, large] });
  const file = await open(large, 'r+');
  try {
    await file.truncate(LARGE_DISK_BYTES);
    const piece = Buffer.alloc(SPREAD_BYTES);
    const first = Math.ceil(images.about.sizeBytes / WINDOW_BYTES);
    for (let window = first; window < REGION_BYTES / WINDOW_BYTES; window++) {
      // A piece of the image, made unlike all others by the number of its window.
      await file.read(piece, 0, piece.length, (window * SPREAD_BYTES) % images.about.sizeBytes);
      for (let at = 0; at < piece.length; at += 512) piece.writeUInt32LE(window, at);
      await file.write(piece, 0, piece.length, window * WINDOW_BYTES);
    }
  } finally {
    await file.close();
  }
}
