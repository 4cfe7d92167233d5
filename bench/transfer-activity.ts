// One transfer as an activity does it: the windows of one region that hold data, over one lane, in a process of its own.
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { openStore } from '../azure/open-store';
import { openImage } from '../local/images/open-image';
import { REGION_WINDOWS, WINDOW_BYTES } from '../vault/format/format';
import { keyFileProvider } from '../vault/keys/key-providers';
import { withLanes } from '../vault/transfer/lanes';
import { finishRegion, transferSlice, windowJobs } from '../vault/transfer/transfer';
import { drawVault, initVault } from '../vault/vault';
import { windowCount } from '../vault/transfer/window-blocks';

/** Beyond the bytes that are read whole, this much at the start of every window counts as changed: work in each of them. */
const SPREAD_BYTES = 64 * 1024;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { image: { type: 'string' }, vault: { type: 'string' }, whole: { type: 'string' } } });
  if (values.image === undefined || values.vault === undefined) throw new Error('--image and --vault are needed');
  const spec = { kind: 'folder', path: path.resolve(values.vault) } as const;
  const store = await openStore(spec, process.env, { create: true });
  // The vault is thrown away, so its key is kept nowhere.
  const vault = await initVault(store, drawVault(), keyFileProvider(randomBytes(32)), 'bench', Date.now());
  const source = await openImage(values.image);
  const { sizeBytes } = source;
  await source.close();
  const wholeBytes = Number(values.whole);
  const windows = Array.from({ length: Math.min(REGION_WINDOWS, windowCount(sizeBytes)) }, (_, window) => window);
  const jobs = windowJobs(null, sizeBytes, false, windows, (window) =>
    (window * WINDOW_BYTES < wholeBytes ? null : [{ offset: window * WINDOW_BYTES, length: SPREAD_BYTES }]));
  const plan = { factory: path.join(__dirname, '..', 'cli', 'transfer-factory.js'), store: { store: spec, readOnly: false, discard: false }, source: { path: values.image }, keys: vault.keys, threads: 1 };
  const slice = await withLanes(plan, (lanes) => transferSlice(lanes, jobs));
  const region = await finishRegion(vault, 0, sizeBytes, null, false, slice.windows);
  await store.close();
  process.stdout.write(`${JSON.stringify({ windows: jobs.length, leaves: slice.windows.filter(({ leaf }) => leaf !== null).length, root: region.ref !== null, stats: slice.stats })}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack ?? error.message : String(error)}\n`);
  process.exitCode = 1;
});
