import { z } from 'zod';
import { createDocument, findDocument } from './format/documents';
import type { VaultAccess } from './format/tree';
import { listNames } from './store/list-names';

/** Who a protected item is (format §2). */
export const itemSchema = z.object({
  version: z.literal(1), itemId: z.string(), kind: z.enum(['azure-vm', 'image']), name: z.string(), resourceId: z.string().nullable(), firstSeenAt: z.string(),
});
export type ItemDocument = z.infer<typeof itemSchema>;

const PREFIX = 'items/';

/** Records an item when it is seen for the first time. Its first record stays: an item id means one item for ever. */
export async function recordItem(vault: VaultAccess, item: Omit<ItemDocument, 'version' | 'firstSeenAt'>, nowMs: number): Promise<void> {
  await createDocument(vault, `${PREFIX}${item.itemId}`, { version: 1, ...item, firstSeenAt: new Date(nowMs).toISOString() } satisfies ItemDocument);
}

/** The ids of every item that a run was ever opened for. */
export async function* itemIds(vault: VaultAccess): AsyncGenerator<string> {
  for await (const name of listNames(vault.store, PREFIX)) yield name.slice(PREFIX.length);
}

export const findItem = (vault: VaultAccess, itemId: string): Promise<ItemDocument | undefined> => findDocument(vault, `${PREFIX}${itemId}`, itemSchema);
