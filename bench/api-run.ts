// What the index of a vault takes in memory, in a process of its own: heap in use before and after, with nothing else in it.
import { parseArgs } from 'node:util';
import { VaultIndex } from '../vault/fleet/vault-index';
import { openKeyProvider } from '../vault/keys/key-providers';
import { openFolderStore } from '../vault/store/folder-store';
import { openVault } from '../vault/vault';

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { vault: { type: 'string' } } });
  if (values.vault === undefined || !globalThis.gc) throw new Error('--vault and --expose-gc are needed');
  const store = await openFolderStore(values.vault);
  const vault = await openVault(store, openKeyProvider);
  const heap = (): number => {
    globalThis.gc?.();
    return process.memoryUsage().heapUsed;
  };
  const [before, startMs] = [heap(), Date.now()];
  const index = new VaultIndex({ open: () => Promise.resolve(vault), nowMs: Date.now, freshness: { softMs: 1e9, hardMs: 1e9 }, log: () => undefined });
  const { items } = await index.snapshot();
  const loadSeconds = (Date.now() - startMs) / 1000;
  const points = [...items.values()].reduce((sum, item) => sum + item.points.length, 0);
  process.stdout.write(`${JSON.stringify({ points, loadSeconds, heapBytes: heap() - before })}\n`);
  // Kept until here: what nobody holds would not be counted.
  if ((await index.snapshot()).items.size !== items.size) throw new Error('The vault changed while it was measured');
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack ?? error.message : String(error)}\n`);
  process.exitCode = 1;
});
