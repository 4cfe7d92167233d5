// What transfer threads open in the app: snapshots as sources, disks in upload and page blobs as sinks. See vault/transfer-factory.ts.
import type { AccessUrl } from '../activities/cloud';
import type { Spec, TransferFactory } from '../vault/transfer/transfer-factory';
import type { StoreSpec } from '../vault/store/store-spec';
import { openSnapshotSource } from './disk/snapshot-source';
import { openStore } from './open-store';
import { openPageTarget, pageTargetSpec } from './page-target';

const toAccess = (spec: Spec): AccessUrl => ({ url: String(spec.url), sizeBytes: Number(spec.sizeBytes) });

export const transferFactory: TransferFactory = {
  openStore: (spec) => openStore(spec as unknown as StoreSpec, process.env),
  openSource: (spec, renew) => Promise.resolve(openSnapshotSource(toAccess(spec), async () => toAccess(await renew()))),
  openSink: (spec, renew) => openPageTarget(pageTargetSpec(spec), async () => pageTargetSpec(await renew())),
};
