// `npm run bench -- --chunking`: what chunk size, zstd level and pack size cost, on the images of the comparison.
import { closeSync, fsyncSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { WORK_FOLDER } from './cases';
import { CHUNK_RULES, type ChunkRule } from './chunk-rules';
import { CountingStore, type StoredImage } from './chunk-store';
import { ensureImages, ensureSibling, warm } from './images';
import { type BenchOptions, MIB, ROOT } from './options';
import { type Machine, machineText, table, writeBetweenMarkers } from './report';
import { SeededRandom } from './random';
import { median } from './targets';

const RECORD = path.join(ROOT, 'docs', 'decisions', 'chunk-size-pack-size-zstd-level.md');
const LEVELS = [1, 3] as const;
const PACK_MIB = [4, 8, 16, 32, 64] as const;
/** A lane fills one pack while another is on its way, and there are four lanes at most (vault/lanes.ts). */
const [BUFFERS_EACH_LANE, LANES] = [2, 4];

interface RuleResult {
  readonly rule: ChunkRule;
  readonly level: number;
  readonly first: StoredImage;
  readonly changed: StoredImage;
  readonly sibling: StoredImage;
}

export async function measureChunking(options: BenchOptions, machine: Machine, say: (line: string) => void): Promise<void> {
  const images = await ensureImages(options.sizeBytes, options.fillBytes, say);
  const sibling = await ensureSibling(options.sizeBytes, options.fillBytes, say);
  for (const image of [images.base, images.changed, sibling]) await warm(image);
  const results: RuleResult[] = [];
  for (const level of LEVELS) for (const rule of CHUNK_RULES) {
    say(`${rule.name}, zstd ${level}`);
    const store = new CountingStore(rule, level);
    results.push({ rule, level, first: store.add(images.base), changed: store.add(images.changed), sibling: store.add(sibling) });
  }
  const packs = packRows(results, options.runs, say);
  const text = [
    machineText(machine),
    `Image: ${images.about.sizeBytes / MIB} MiB with ${Math.round(images.about.fileBytes / MIB)} MiB of files; changed: ${(images.about.changedBytes / MIB).toFixed(1)} MiB in ${images.about.changedRanges} ranges; sibling: 95 % of the same files in another layout.`,
    'Stored MiB (chunks, footers and leaves), one after another in one store that knows every chunk; CPU seconds in one thread:',
    table(
      ['chunks', 'zstd', 'first', 'of it leaves', '+2 %', '+sibling', 'mean KiB', 'CPU s first', '+2 % compared', '+sibling'],
      results.map(({ rule, level, first, changed, sibling: other }) => [
        rule.name, String(level), mebibytes(stored(first)), mebibytes(first.nodeBytes), mebibytes(stored(changed)), mebibytes(stored(other)),
        (first.newBytes / first.newChunks / 1024).toFixed(0), first.cpuSeconds.toFixed(1), changed.cpuSeconds.toFixed(1), other.cpuSeconds.toFixed(1),
      ]),
    ),
    `Pack sizes, for the data of the first backup in 64 KiB chunks at level 1 (writes: each pack written and synced on this disk, median of ${options.runs}):`,
    table(['pack MiB', 'packs', 'packs for 1 TiB of disk', 'pack buffers MiB, 4 lanes', 'write MB/s'], packs),
  ].join('\n\n');
  process.stdout.write(`\n${text}\n`);
  if (options.jsonFile !== null) writeFileSync(options.jsonFile, `${JSON.stringify({ machine, image: images.about, results }, null, 2)}\n`);
  if (options.markdown) writeBetweenMarkers(RECORD, 'chunking', text);
}

const stored = ({ dataBytes, nodeBytes }: StoredImage): number => dataBytes + nodeBytes;
const mebibytes = (bytes: number): string => (bytes / MIB).toFixed(1);

function packRows(results: readonly RuleResult[], runs: number, say: (line: string) => void): string[][] {
  const chosen = results.find(({ rule, level }) => level === 1 && rule.maxBlocks === 64)?.first;
  if (!chosen) throw new Error('The chosen chunk size is not among those measured');
  const storedPerPlain = chosen.dataBytes / chosen.newBytes;
  return PACK_MIB.map((packMiB) => {
    say(`Packs of ${packMiB} MiB`);
    const speeds = Array.from({ length: runs }, () => writePacks(packMiB * MIB, chosen.dataBytes));
    return [
      String(packMiB), String(Math.ceil(chosen.dataBytes / (packMiB * MIB))), String(Math.ceil(2 ** 40 * storedPerPlain / (packMiB * MIB))),
      String(packMiB * BUFFERS_EACH_LANE * LANES), (median(speeds) / 1e6).toFixed(0),
    ];
  });
}

/** Bytes a second for writing this much in packs, each made durable before the next. */
function writePacks(packBytes: number, bytes: number): number {
  const folder = path.join(WORK_FOLDER, 'packs');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const content = new SeededRandom(packBytes).fill(Buffer.allocUnsafe(packBytes));
  const startNs = process.hrtime.bigint();
  let written = 0;
  for (let index = 0; written < bytes; index++) {
    const file = openSync(path.join(folder, String(index)), 'wx');
    written += writeSync(file, content);
    fsyncSync(file);
    closeSync(file);
  }
  const seconds = Number(process.hrtime.bigint() - startNs) / 1e9;
  rmSync(folder, { recursive: true, force: true });
  return written / seconds;
}
