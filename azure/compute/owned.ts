import type { Disk, RestorePointCollection, Snapshot } from '@azure/arm-compute';
import type { OwnedKind, OwnedResource } from '../../activities/restore-cloud';
import { type ArmContext, asking } from './context';

type Listed = Disk | Snapshot | RestorePointCollection;

/** What carries a tag of Holdfast's. The lists of Compute take no filter by tag, so each is read to its end and filtered here. */
export function ownedOperations(context: ArmContext) {
  const listed = (subscriptionId: string, kind: OwnedKind): AsyncIterable<Listed> => {
    const client = context.clientFor(subscriptionId);
    if (kind === 'disk') return client.disks.list();
    return kind === 'snapshot' ? client.snapshots.list() : client.restorePointCollections.listAll();
  };
  return {
    async listOwned(kind: OwnedKind, tagName: string): Promise<readonly OwnedResource[]> {
      const found: OwnedResource[] = [];
      for (const subscriptionId of context.subscriptionIds) {
        await asking(`to list everything of the kind ${kind} in the subscription ${subscriptionId}`, async () => {
          for await (const resource of listed(subscriptionId, kind)) if (hasTag(resource, tagName)) found.push(ownedOf(kind, resource));
        });
      }
      return found;
    },
  };
}

/** Names of tags are compared without regard to case, as Azure does. */
const hasTag = (resource: Listed, tagName: string): boolean => Object.keys(resource.tags ?? {}).some((name) => name.toLowerCase() === tagName.toLowerCase());

function ownedOf(kind: OwnedKind, resource: Listed): OwnedResource {
  return {
    kind,
    id: resource.id ?? '',
    name: resource.name ?? '',
    location: resource.location,
    createdAt: 'timeCreated' in resource ? (resource.timeCreated?.toISOString() ?? null) : null,
    tags: { ...resource.tags },
    diskState: 'diskState' in resource ? (resource.diskState ?? null) : null,
    managedBy: 'managedBy' in resource ? (resource.managedBy ?? null) : null,
  };
}
