import { formatStamp } from '../../policy/slot';
import { createDocument } from '../../vault/format/documents';
import { type Manifest, manifestName } from '../../vault/format/manifest';
import { recordItem } from '../../vault/items';
import type { VaultAccess } from '../../vault/format/tree';
import { makeManifest } from './vault-manifests';

export const DAY_MS = 86_400_000;

/** Stores the manifests of an item's recovery points at these times, without data and runs: all that retention looks at. Answers their ids. */
export async function storePoints(vault: VaultAccess, itemId: string, timesMs: readonly number[], more: (atMs: number) => Partial<Manifest> = () => ({ policy: 'nightly' })): Promise<string[]> {
  await recordItem(vault, { itemId, kind: 'azure-vm', name: itemId.replace(/-[0-9a-f]{8}$/, ''), resourceId: null }, 0);
  const ids: string[] = [];
  for (const [index, ms] of timesMs.entries()) {
    const stamp = formatStamp(ms);
    const at = new Date(ms).toISOString();
    const manifest = { ...makeManifest({ itemId, sequence: index + 1, stamp }, itemId), slot: at, startedAt: at, createdAt: at, ...more(ms) };
    await createDocument(vault, manifestName(itemId, stamp), manifest);
    ids.push(manifest.id);
  }
  return ids;
}

/** One a day, `days` of them, the last at `lastMs`. */
export const everyDay = (lastMs: number, days: number): number[] => Array.from({ length: days }, (_, index) => lastMs - (days - 1 - index) * DAY_MS);
