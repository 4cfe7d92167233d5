import { HoldfastError } from '../errors/holdfast-error';
import { testKeys } from '../vault/keys/key-ring';
import { activity, type Outcome } from './outcome';
import type { ActivityDeps } from './deps';

export interface TestKeysResult {
  /** Of the keys of the vault that this app could try, those that opened it. */
  readonly opened: readonly string[];
  readonly notTried: number;
}

/**
 * Proves that the app's own key still opens the vault, by unwrapping it anew with each of its identities: the app that runs keeps its master key in memory, so a key that was
 * disabled or deleted, or a right to it that was taken away, would else be noticed at the next restart, or at the restore. Fails with KEY_TEST_FAILED, or with why a key could not be asked.
 */
export const createTestKeys = (deps: Pick<ActivityDeps, 'vault' | 'keys'>): ((input: object) => Promise<Outcome<TestKeysResult>>) =>
  activity(async (): Promise<TestKeysResult> => {
    const opened = new Set<string>();
    const triedOnce = new Set<string>();
    const all = new Set<string>();
    for (const { provider, identityOf } of await deps.keys()) {
      const report = await testKeys(await deps.vault(), [provider]);
      const tried = report.keys.filter(({ outcome }) => outcome !== 'not-tried');
      if (!report.ok) {
        const why = tried.map(({ keyId, type, outcome, message }) => `${keyId} (${type}): ${outcome}${message === null ? '' : `, ${message}`}`).slice(0, 8);
        throw new HoldfastError('KEY_TEST_FAILED', `The key of this app, used for ${identityOf.join(' and ')}, opens none of the vault's key documents: ${why.join('; ') || 'there is none of its type'}`, {
          data: { keys: tried.map(({ keyId }) => keyId).slice(0, 32) },
        });
      }
      for (const { keyId } of report.keys) all.add(keyId);
      for (const { keyId, outcome } of tried) {
        triedOnce.add(keyId);
        if (outcome === 'opens') opened.add(keyId);
      }
    }
    return { opened: [...opened], notTried: all.size - triedOnce.size };
  });
