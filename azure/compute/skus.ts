import type { ResourceSku } from '@azure/arm-compute';
import type { SkuOffer } from '../../activities/restore-cloud';
import { HoldfastError } from '../../errors/holdfast-error';
import { type ArmContext, asking } from './context';

const locationPattern = /^[a-z0-9]{1,60}$/;

/** What a region offers to a subscription (Resource Skus - List), so that a restore that cannot work is refused before it makes anything. */
export function skuOperations(context: ArmContext) {
  const find = async (subscriptionId: string, location: string, type: 'virtualMachines' | 'disks', name: string): Promise<SkuOffer | undefined> => {
    const region = location.toLowerCase().replaceAll(' ', '');
    if (!locationPattern.test(region)) throw new HoldfastError('CLOUD_ID_INVALID', `${JSON.stringify(location.slice(0, 100))} is not the name of a region`);
    context.ids.check({ subscriptionId, resourceGroup: 'any' }, []);
    const found: SkuOffer[] = [];
    await asking(`to list what ${region} offers`, async () => {
      for await (const sku of context.clientFor(subscriptionId).resourceSkus.list({ filter: `location eq '${region}'` })) {
        const isWanted = sku.resourceType?.toLowerCase() === type.toLowerCase() && sku.name?.toLowerCase() === name.toLowerCase();
        // The filter is a hint: older versions of the service list all regions whatever it says.
        if (isWanted && sku.locations?.some((one) => one.toLowerCase() === region) !== false) found.push(offerOf(sku));
      }
    });
    // A kind of disk is listed once for each of its sizes: one that is to be had is enough.
    return found.find((offer) => offer.restriction === null) ?? found[0];
  };
  return {
    findVmSize: (subscriptionId: string, location: string, size: string) => find(subscriptionId, location, 'virtualMachines', size),
    findDiskSku: (subscriptionId: string, location: string, sku: string) => find(subscriptionId, location, 'disks', sku),
  };
}

function offerOf(sku: ResourceSku): SkuOffer {
  const restrictions = sku.restrictions ?? [];
  const closed = new Set(restrictions.filter((one) => one.type === 'Zone').flatMap((one) => one.restrictionInfo?.zones ?? []));
  const whole = restrictions.find((one) => one.type === 'Location');
  return {
    name: sku.name ?? '',
    zones: (sku.locationInfo ?? []).flatMap((one) => one.zones ?? []).filter((zone) => !closed.has(zone)).sort(),
    restriction: whole === undefined ? null : (whole.reasonCode ?? 'restricted'),
    capabilities: Object.fromEntries((sku.capabilities ?? []).map((one) => [one.name ?? '', one.value ?? ''])),
  };
}
