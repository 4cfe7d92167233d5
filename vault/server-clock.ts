import { HoldfastError } from '../errors/holdfast-error';
import { MARGINS } from './points/margins';
import type { Store } from './store/store';

/**
 * The time by the clock of the store's server, in milliseconds since 1970, for decisions that delete. Throws CLOCK_WRONG when this machine's
 * clock, `localNowMs`, is off by more than five minutes (fault 29): one of the two is wrong then, and nobody here knows which. Backups do not ask.
 */
export async function trustedNowMs(store: Store, localNowMs: () => number): Promise<number> {
  const beforeMs = localNowMs();
  const serverMs = await store.serverTimeMs();
  const afterMs = localNowMs();
  // The answer is from some moment between the two; only what no moment explains counts.
  const offMs = serverMs < beforeMs ? serverMs - beforeMs : Math.max(0, serverMs - afterMs);
  if (Math.abs(offMs) <= MARGINS.clockToleranceMs) return serverMs;
  const minutes = Math.round(Math.abs(offMs) / 60_000);
  throw new HoldfastError('CLOCK_WRONG', `This machine's clock says ${iso(afterMs)} and that of ${store.description} ${iso(serverMs)}: ${minutes} minutes apart`,
    { data: { localAt: iso(afterMs), serverAt: iso(serverMs), minutes } });
}

const iso = (ms: number): string => new Date(ms).toISOString();
