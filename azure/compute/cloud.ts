import type { ComputeManagementClient } from '@azure/arm-compute';
import type { Cloud } from '../../activities/cloud';
import type { Duty } from '../../activities/deps';
import type { RestoreCloud } from '../../activities/restore-cloud';
import { HoldfastError } from '../../errors/holdfast-error';
import { realWaiting, type Waiting } from '../disk/backoff';
import { createDataClient } from '../disk/data-client';
import { createRangeLister } from '../disk/ranges';
import { createBlobAddresses } from '../extension/blob-address';
import { blobDiskOperations } from '../extension/blob-disks';
import { BlobServices } from '../extension/blob-service';
import { guestSnapshotOperations } from '../extension/guest-snapshots';
import { scriptOperations } from '../extension/scripts';
import { userAgentOf } from '../user-agent';
import { accessOperations, type AccessSettings } from './access';
import { armPatience, createArmClient, type Credential, parseArmEndpoint } from './arm-client';
import type { ArmContext } from './context';
import { ownedOperations } from './owned';
import { pageBlobOperations, type PageBlobSettings } from './page-blobs';
import { createResourceIds } from './resource-id';
import { restorePointOperations } from './restore-points';
import { restoreVmOperations } from './restore-vms';
import { skuOperations } from './skus';
import { snapshotOperations } from './snapshots';
import { uploadDiskOperations } from './upload-disks';
import { vmOperations } from './vms';

export interface CloudSettings {
  /** The subscriptions that the app may look at. Resource ids of any other are refused before a request is sent. */
  readonly subscriptionIds: readonly string[];
  /** Azure Resource Manager; https, or http to this machine only. The default is the public cloud's. */
  readonly armEndpoint?: string;
  readonly credential: Credential;
  /** What these requests are made for; named in their user agent. */
  readonly duty?: Duty;
  /** Hosts of access URLs beside the public cloud's, with their subdomains. */
  readonly dataPlaneHosts?: readonly string[];
  /** Gets one line for a person; never an access URL. */
  readonly log?: (line: string) => void;
  readonly waiting?: Waiting;
  readonly requestTimeoutMs?: number;
}

/** Azure Compute as a Cloud, over the genuine SDK for Resource Manager and over plain HTTP for the bytes of disks. */
export function createCloud(settings: CloudSettings): Cloud {
  const context = armContextOf(settings);
  const lister = createRangeLister({ waiting: context.waiting });
  const addresses = createBlobAddresses(armEndpointOf(settings), settings.dataPlaneHosts ?? []);
  const services = new BlobServices(settings.credential, context.waiting, userAgentOf(settings.duty));
  const blobs = blobDiskOperations(addresses, services);
  const managed = accessOperations(context, accessSettingsOf(settings));
  return {
    ...vmOperations(context),
    ...restorePointOperations(context),
    ...snapshotOperations(context),
    ...blobs,
    ...guestSnapshotOperations(context, addresses, services, blobs),
    ...scriptOperations(context),
    grantRead: (handle, seconds) => (handle.kind === 'blobSnapshot' ? blobs.grantBlobRead(handle.id, seconds) : managed.grantRead(handle, seconds)),
    // A signature on a blob snapshot is a short one and ends by itself: there is nothing that could be taken back.
    endAccess: (handle) => (handle.kind === 'blobSnapshot' ? Promise.resolve() : managed.endAccess(handle)),
    listRanges: lister.listRanges,
    listChangedRanges: lister.listChangedRanges,
  };
}

/** What a restore needs beside it. `restoreContainers` are the storage containers that restores may write page blobs to. */
export function createRestoreCloud(settings: CloudSettings & PageBlobSettings): RestoreCloud {
  const context = armContextOf(settings);
  return {
    ...uploadDiskOperations(context, accessSettingsOf(settings)),
    ...restoreVmOperations(context),
    ...skuOperations(context),
    ...ownedOperations(context),
    ...pageBlobOperations(settings),
  };
}

const armEndpointOf = (settings: CloudSettings): URL => parseArmEndpoint(settings.armEndpoint ?? 'https://management.azure.com');

const accessSettingsOf = (settings: CloudSettings): AccessSettings => ({
  armEndpoint: armEndpointOf(settings), dataPlaneHosts: settings.dataPlaneHosts ?? [], dataClient: createDataClient({ maxSockets: 8, idleTimeoutMs: 60_000 }),
});

function armContextOf(settings: CloudSettings): ArmContext {
  const armEndpoint = armEndpointOf(settings);
  const waiting = loggedWaiting(settings.waiting ?? realWaiting, settings.log);
  const clients = new Map<string, ComputeManagementClient>();
  return {
    subscriptionIds: settings.subscriptionIds,
    ids: createResourceIds(settings.subscriptionIds),
    waiting,
    clientFor: (subscriptionId) => {
      // A programming error, not a person's: every id was checked before.
      if (!settings.subscriptionIds.some((id) => id.toLowerCase() === subscriptionId.toLowerCase())) throw new HoldfastError('INTERNAL', `No client for the subscription ${subscriptionId}`);
      const known = clients.get(subscriptionId.toLowerCase());
      if (known !== undefined) return known;
      const made = createArmClient(subscriptionId, {
        endpoint: armEndpoint,
        credential: settings.credential,
        userAgent: userAgentOf(settings.duty),
        waiting,
        patience: armPatience,
        requestTimeoutMs: settings.requestTimeoutMs ?? 60_000,
      });
      clients.set(subscriptionId.toLowerCase(), made);
      return made;
    },
  };
}

/** Says when Azure makes the app wait: a backup that is slow for this reason looks stuck otherwise. */
function loggedWaiting(waiting: Waiting, log: ((line: string) => void) | undefined): Waiting {
  if (log === undefined) return waiting;
  return {
    ...waiting,
    wait: (delayMs) => {
      if (delayMs >= 5000) log(`Azure asked for patience: trying again in ${String(Math.round(delayMs / 1000))} s`);
      return waiting.wait(delayMs);
    },
  };
}
