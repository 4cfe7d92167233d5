import { localLocation } from './subscription-folder';
import { ArmError, type ArmReply, type JsonObject } from './wire';
import type { World } from './world';

/** A region that has less: what a restore elsewhere is refused for. */
export const poorLocation = 'elsewhere';

const zonesOf: Readonly<Record<string, readonly string[]>> = { [localLocation]: ['1', '2', '3'], [poorLocation]: [] };
const diskSkus: Readonly<Record<string, readonly string[]>> = {
  [localLocation]: ['Standard_LRS', 'StandardSSD_LRS', 'StandardSSD_ZRS', 'Premium_LRS', 'Premium_ZRS', 'PremiumV2_LRS', 'UltraSSD_LRS'],
  [poorLocation]: ['Standard_LRS', 'StandardSSD_LRS', 'Premium_LRS'],
};

interface VmSize {
  readonly name: string;
  readonly cores: number;
  readonly dataDisks: number;
  readonly generations: string;
  readonly locations: readonly string[];
  /** Zones of `local` in which it is closed to this subscription. */
  readonly closedZones?: readonly string[];
  readonly restricted?: boolean;
}

const sizes: readonly VmSize[] = [
  { name: 'Standard_B2s', cores: 2, dataDisks: 4, generations: 'V1,V2', locations: [localLocation, poorLocation] },
  { name: 'Standard_D2s_v5', cores: 2, dataDisks: 4, generations: 'V1,V2', locations: [localLocation] },
  { name: 'Standard_D4s_v5', cores: 4, dataDisks: 8, generations: 'V1,V2', locations: [localLocation] },
  { name: 'Standard_D2_v2', cores: 2, dataDisks: 8, generations: 'V1', locations: [localLocation] },
  { name: 'Standard_E2s_v5', cores: 2, dataDisks: 4, generations: 'V1,V2', locations: [localLocation], closedZones: ['2', '3'] },
  { name: 'Standard_NC24', cores: 24, dataDisks: 64, generations: 'V1', locations: [localLocation], restricted: true },
];

/** A size that the folder's vm.json names is offered, whatever it is: the machine runs on it. */
async function sizesHere(world: World): Promise<readonly VmSize[]> {
  const used = [...new Set((await world.folder.list()).map(({ vmSize }) => vmSize))];
  return [...sizes, ...used.filter((name) => !sizes.some((size) => size.name === name)).map((name) => ({ name, cores: 2, dataDisks: 16, generations: 'V1,V2', locations: [localLocation] }))];
}

/** GET …/Microsoft.Compute/skus: what the two regions of the stand-in offer. */
export async function listSkus(world: World, filter: string | null): Promise<ArmReply> {
  const wanted = /^location eq '([^']*)'$/i.exec(filter ?? '')?.[1]?.toLowerCase();
  if (filter !== null && wanted === undefined) throw new ArmError(400, 'InvalidParameter', `The filter '${filter}' is not supported: only location is.`);
  const locations = Object.keys(zonesOf).filter((location) => wanted === undefined || location === wanted);
  const value = locations.flatMap((location) => [
    ...(diskSkus[location] ?? []).map((name) => skuJson('disks', name, location, { size: 'P10', tier: name.split('_')[0] ?? name })),
  ]);
  const machines = await sizesHere(world);
  const offers = locations.flatMap((location) => machines.filter((size) => size.locations.includes(location)).map((size) => sizeJson(size, location)));
  return { status: 200, body: { value: [...value, ...offers] } };
}

function skuJson(resourceType: string, name: string, location: string, more: JsonObject): JsonObject {
  return { resourceType, name, locations: [location], locationInfo: [{ location, zones: [...(zonesOf[location] ?? [])], zoneDetails: [] }], restrictions: [], capabilities: [], ...more };
}

function sizeJson(size: VmSize, location: string): JsonObject {
  const restriction = (type: string, info: JsonObject): JsonObject => ({ type, values: [location], restrictionInfo: { locations: [location], ...info }, reasonCode: 'NotAvailableForSubscription' });
  return skuJson('virtualMachines', size.name, location, {
    restrictions: [
      ...(size.restricted === true ? [restriction('Location', {})] : []),
      ...(size.closedZones === undefined ? [] : [restriction('Zone', { zones: [...size.closedZones] })]),
    ],
    capabilities: [
      { name: 'vCPUs', value: String(size.cores) }, { name: 'MaxDataDiskCount', value: String(size.dataDisks) },
      { name: 'HyperVGenerations', value: size.generations }, { name: 'PremiumIO', value: 'True' },
    ],
  });
}

/** Throws what Azure answers for a disk that a region does not have. Regions that the stand-in does not know have everything, without zones. */
export function checkDiskOffer(location: string, sku: string, zone: string | null): void {
  const offered = diskSkus[location];
  if (offered !== undefined && !offered.includes(sku)) throw new ArmError(409, 'SkuNotAvailable', `The requested disk type ${sku} is currently not available in location '${location}'.`);
  if (zone !== null) checkZone(location, zone);
}

/** The size, if the region has it for this subscription, in the zone that is asked for. */
export async function offeredSize(world: World, location: string, name: string, zone: string | null): Promise<VmSize> {
  if (zonesOf[location] === undefined) throw new ArmError(400, 'LocationNotAvailableForResourceType', `The provided location '${location}' is not available for resource type 'Microsoft.Compute/virtualMachines'. List of available regions for the resource type is '${Object.keys(zonesOf).join(',')}'.`);
  const size = (await sizesHere(world)).find((one) => one.name === name && one.locations.includes(location) && one.restricted !== true);
  if (zone !== null) checkZone(location, zone);
  if (size === undefined || (zone !== null && size.closedZones?.includes(zone) === true)) {
    throw new ArmError(409, 'SkuNotAvailable', `The requested size for resource is currently not available in location '${location}' zones '${zone ?? ''}' for subscription. Please try another size or deploy to a different location or zones.`);
  }
  return size;
}

function checkZone(location: string, zone: string): void {
  if (zonesOf[location]?.includes(zone) !== true) throw new ArmError(400, 'AvailabilityZoneNotSupported', `The zone(s) '${zone}' for resource in location '${location}' is not supported.`);
}
