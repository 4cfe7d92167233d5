// What transfer threads open in the app: snapshots as sources, disks in upload and page blobs as sinks. See vault/transfer-factory.ts.
import type { AccessUrl } from '../activities/cloud';
import { DUTIES, type Duty } from '../activities/deps';
import type { Spec, TransferFactory } from '../vault/transfer/transfer-factory';
import type { StoreSpec } from '../vault/store/store-spec';
import { createCredential } from './credential';
import { openSnapshotSource } from './disk/snapshot-source';
import { openStore } from './open-store';
import { openPageTarget, pageTargetSpec } from './page-target';

const toAccess = (spec: Spec): AccessUrl => ({ url: String(spec.url), sizeBytes: Number(spec.sizeBytes) });

export const transferFactory: TransferFactory = {
  // Threads show the identity of the duty that they work for, which the composition root put beside the address.
  openStore: async (spec) => {
    // Set where somebody listens: what the thread asks for then counts for the step that it works for.
    if (typeof spec.traceparent === 'string') (await import('../telemetry/thread-side.js')).tellCallsOf(spec.traceparent);
    return openStore(spec as unknown as StoreSpec, process.env, {
      ...(typeof spec.credential === 'string' ? { credential: createCredential(spec.credential) } : {}),
      ...(DUTIES.some((duty) => duty === spec.duty) ? { duty: spec.duty as Duty } : {}),
    });
  },
  openSource: (spec, renew) => Promise.resolve(openSnapshotSource(toAccess(spec), async () => toAccess(await renew()))),
  openSink: (spec, renew) => openPageTarget(pageTargetSpec(spec), async () => pageTargetSpec(await renew())),
};
