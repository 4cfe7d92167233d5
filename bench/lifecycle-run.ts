// Retention and collection over a whole vault, as the daily maintenance does them, in a process of its own.
import { parseArgs } from 'node:util';
import { executeRetention, planRetention, policiesInForce } from '../activities/retention';
import { ahead } from '../vault/ahead';
import { collect } from '../vault/points/collect';
import { itemIds } from '../vault/items';
import { openKeyProvider } from '../vault/keys/key-providers';
import { trustedNowMs } from '../vault/server-clock';
import { withSmallHeap } from '../vault/small-heap';
import { openFolderStore } from '../vault/store/folder-store';
import { openVault } from '../vault/vault';

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { vault: { type: 'string' } } });
  if (values.vault === undefined) throw new Error('--vault is needed');
  const store = await openFolderStore(values.vault);
  const vault = await openVault(store, openKeyProvider);
  const startMs = Date.now();
  const serverNowMs = await trustedNowMs(store, Date.now);
  const policies = await policiesInForce(vault, serverNowMs, (name, error) => { throw new Error(`${name}: ${error.message}`); });
  let [binned, refused] = [0, 0];
  const items: string[] = [];
  for await (const itemId of itemIds(vault)) items.push(itemId);
  await withSmallHeap(async () => {
    for await (const [, plan] of ahead(items, (itemId) => planRetention(vault, itemId, policies, serverNowMs))) {
      const done = await executeRetention(vault, plan, { by: 'bench', serverNowMs });
      binned += done.binned.length;
      if (done.refused) refused++;
    }
  });
  const retainedMs = Date.now();
  const report = await collect(vault, { localNowMs: Date.now, by: 'bench' });
  const endMs = Date.now();
  await store.close();
  process.stdout.write(`${JSON.stringify({
    retentionSeconds: (retainedMs - startMs) / 1000, collectionSeconds: (endMs - retainedMs) / 1000, binned, refused, recoveryPoints: report.recoveryPoints.live + report.recoveryPoints.binned,
    purged: report.purged.length, packs: report.plan.all.packs, deleted: report.deleted.packs, missing: report.plan.missing.length,
  })}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack ?? error.message : String(error)}\n`);
  process.exitCode = 1;
});
