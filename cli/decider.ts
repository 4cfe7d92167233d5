import { hostname, userInfo } from 'node:os';
import type { Decider } from '../vault/points/marks';
import { trustedNowMs } from '../vault/server-clock';
import type { VaultAccess } from '../vault/format/tree';

/** Who decides at this terminal, and when by the vault's clock. Throws CLOCK_WRONG. */
export async function deciderHere(vault: VaultAccess): Promise<Decider> {
  return { by: `${userName()}@${hostname()}`, serverNowMs: await trustedNowMs(vault.store, Date.now) };
}

/** What the operating system calls whoever runs this. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user id without an entry has no name.
    return `uid ${process.getuid?.() ?? '?'}`;
  }
}
