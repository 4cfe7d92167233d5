import type { BlobItem, ContainerClient } from '@azure/storage-blob';
import { assertNamePrefix, assertObjectName } from '../../vault/store/object-names';
import type { HeldObject, ObjectRetention } from '../../vault/store/store';
import { objectNotFound } from '../../vault/store/store-errors';
import { failureOf, saysAbsent } from './blob-errors';
import { infoOf } from './blob-info';

/** What the blob store lends to its retention. */
export interface RetentionParts {
  readonly client: ContainerClient;
  readonly description: string;
  readonly clock: () => number;
  retrying<T>(action: string, attempt: () => Promise<T>): Promise<T>;
  deadline(): AbortSignal;
  /** A listing that asks for immutability policies. */
  list(prefix: string): AsyncIterable<BlobItem>;
}

/**
 * Version-level immutability of Azure Blob Storage ("Version-level WORM policies for immutable blob data"): each blob has a policy of its own, which it takes from the container's default
 * when it is written. A locked policy can only be made longer. The mode stays as it is, because locking cannot be undone and is the owner's decision; a blob without a policy gets an unlocked
 * one, as any policy that is set on a blob has it. Where the container has no version-level immutability the service refuses.
 */
export function createBlobRetention(parts: RetentionParts): ObjectRetention {
  const blob = (name: string) => parts.client.getBlobClient(name);
  const refuseAbsent = (error: unknown, name: string): never => {
    const failure = failureOf(error, parts.clock());
    if (saysAbsent(failure)) throw objectNotFound(parts.description, name, failure.cause);
    throw error;
  };
  const policyOf = async (name: string) => {
    const found = await blob(name).getProperties({ abortSignal: parts.deadline() }).catch((error: unknown) => refuseAbsent(error, name));
    return { untilMs: found.immutabilityPolicyExpiresOn?.getTime() ?? null, isLocked: found.immutabilityPolicyMode?.toLowerCase() === 'locked' };
  };
  return {
    until: async (name) => {
      assertObjectName(name);
      return parts.retrying(`look at ${name}`, async () => (await policyOf(name)).untilMs);
    },
    list: (prefix) => heldObjects(parts, prefix),
    extend: async (name, untilMs) => {
      assertObjectName(name);
      // The service keeps whole seconds; rounding down would hold for less than what was asked.
      const wantedMs = Math.ceil(untilMs / 1000) * 1000;
      return parts.retrying(`hold ${name}`, async () => {
        const before = await policyOf(name);
        if (before.untilMs !== null && before.untilMs >= wantedMs) return before.untilMs;
        const answer = await blob(name)
          .setImmutabilityPolicy({ expiriesOn: new Date(wantedMs), policyMode: before.isLocked ? 'Locked' : 'Unlocked' }, { abortSignal: parts.deadline() })
          .catch((error: unknown) => refuseAbsent(error, name));
        return answer.immutabilityPolicyExpiry?.getTime() ?? wantedMs;
      });
    },
  };
}

async function* heldObjects(parts: RetentionParts, prefix: string): AsyncGenerator<HeldObject> {
  assertNamePrefix(prefix);
  for await (const { name, properties } of parts.list(prefix)) {
    yield { ...infoOf(name, properties.contentLength, properties.lastModified, properties.accessTier), untilMs: properties.immutabilityPolicyExpiresOn?.getTime() ?? null };
  }
}
