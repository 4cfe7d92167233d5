// What transfer threads open in the app: snapshots as sources. See vault/transfer-factory.ts.
import { HoldfastError } from '../errors/holdfast-error';
import type { AccessUrl } from '../activities/cloud';
import type { Spec, TransferFactory } from '../vault/transfer-factory';
import type { StoreSpec } from '../vault/store/store-spec';
import { openSnapshotSource } from './disk/snapshot-source';
import { openStore } from './open-store';

const toAccess = (spec: Spec): AccessUrl => ({ url: String(spec.url), sizeBytes: Number(spec.sizeBytes) });

export const transferFactory: TransferFactory = {
  openStore: (spec) => openStore(spec as unknown as StoreSpec, process.env),
  openSource: (spec, renew) => Promise.resolve(openSnapshotSource(toAccess(spec), async () => toAccess(await renew()))),
  openSink: () => Promise.reject(new HoldfastError('INTERNAL', 'Restores to disks are not part of this thread')),
};
