import type { ObjectInfo } from '../../vault/store/store';
import { BrokenAnswer } from './blob-errors';

/** What an answer says of a blob. Throws BrokenAnswer when a part of it is missing. */
export function infoOf(name: string, sizeBytes: number | undefined, modifiedAt: Date | undefined, tier?: string): ObjectInfo {
  if (sizeBytes === undefined || modifiedAt === undefined) throw new BrokenAnswer(`the size or the time of ${name} is missing from the answer`);
  return { name, sizeBytes, modifiedAtMs: modifiedAt.getTime(), ...(tier ? { tier: tier.toLowerCase() } : {}) };
}
