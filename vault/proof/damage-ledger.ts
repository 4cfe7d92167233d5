import { z } from 'zod';
import { isHoldfastError } from '../../errors/holdfast-error';
import { type FoundDamage, foundDamage } from './damage';
import { createDocument, findDocument } from '../format/documents';
import type { VaultAccess } from '../format/tree';

/**
 * Packs that did not prove (format §12). A backup takes nothing over from them and stores anew, from the source, what lay in them; so damage is healed by
 * the item's next backup. An entry is never changed: it says how the damage was found the first time.
 */
const damageSchema = z.object({
  version: z.literal(1), pack: z.string().regex(/^[0-9a-f]{32}$/), code: z.string(), message: z.string(), foundAt: z.string(), foundBy: z.enum(['check', 'scrub', 'backup']),
  /** The recovery points that were seen to need the pack when its damage was found. */
  recoveryPoints: z.array(z.string()),
});
export type DamageEntry = z.infer<typeof damageSchema>;

export interface DamageFinder {
  readonly by: DamageEntry['foundBy'];
  readonly nowMs: number;
}

const PREFIX = 'damage/';
const NAME = /^damage\/([0-9a-f]{32})$/;
/** A shared pack may be needed by every recovery point of many items: enough to know where to look. */
const MAX_NAMED = 1_000;

/** The ids of all damaged packs, from the names of the entries alone. */
export async function damagedPacks(vault: VaultAccess): Promise<Set<string>> {
  const packs = new Set<string>();
  for await (const { name } of vault.store.list(PREFIX)) {
    const [, pack] = NAME.exec(name) ?? [];
    if (pack !== undefined) packs.add(pack);
  }
  return packs;
}

/** The entries, by pack. One that does not open still says by its name which pack is damaged. */
export async function listDamage(vault: VaultAccess): Promise<DamageEntry[]> {
  const entries: DamageEntry[] = [];
  for (const pack of await damagedPacks(vault)) {
    try {
      const entry = await findDocument(vault, PREFIX + pack, damageSchema);
      if (entry) entries.push(entry);
    } catch (error) {
      if (!isHoldfastError(error, 'DOCUMENT_DAMAGED')) throw error;
      entries.push({ version: 1, pack, code: error.code, message: error.message, foundAt: '', foundBy: 'check', recoveryPoints: [] });
    }
  }
  return entries;
}

/** Enters packs that are not in the ledger yet. `touches` names the recovery points that need a pack; it is asked for new entries only. */
export async function recordDamage(vault: VaultAccess, found: readonly FoundDamage[], { by, nowMs }: DamageFinder, touches: (pack: string) => readonly string[] = () => []): Promise<void> {
  const byPack = new Map(found.map((one) => [one.pack, one]));
  for (const { pack, code, message } of byPack.values()) {
    if (await vault.store.stat(PREFIX + pack)) continue;
    const entry: DamageEntry = { version: 1, pack, code, message, foundAt: new Date(nowMs).toISOString(), foundBy: by, recoveryPoints: touches(pack).slice(0, MAX_NAMED) };
    await createDocument(vault, PREFIX + pack, entry);
  }
}

/** Runs a step of a backup; damage that it runs into is entered before the step fails with it, so that whoever tries again knows. */
export async function notingDamage<T>(vault: VaultAccess, nowMs: () => number, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    const found = foundDamage(error);
    if (found) await recordDamage(vault, [found], { by: 'backup', nowMs: nowMs() });
    throw error;
  }
}
