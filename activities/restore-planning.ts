import { createHash } from 'node:crypto';
import { HoldfastError } from '../errors/holdfast-error';
import { parseVmResourceId, resourceIdKey } from '../policy/resource-id';
import { findDisk } from '../vault/catalog';
import type { Manifest, ManifestDisk } from '../vault/format/manifest';
import type { VaultAccess } from '../vault/format/tree';
import type { ActivityDeps } from './deps';
import { MAX_UPLOAD_BYTES, uploadDiskBytes } from './restore-cloud';
import type { RecordedMachine } from './restore-model';
import type { PlannedRestoreDisk, PresentDisk, RestoreRequest } from './restore-records';

const MAX_NAME_CHARS = 80;

export interface RestorePlanning {
  readonly deps: ActivityDeps;
  readonly vault: VaultAccess;
  readonly request: RestoreRequest;
  readonly manifest: Manifest;
  readonly machine: RecordedMachine;
  readonly tags: Readonly<Record<string, string>>;
  readonly warnings: string[];
}

/** Where new resources of a restore go. */
export interface RestorePlace { readonly subscriptionId: string; readonly resourceGroup: string; readonly location: string; readonly zone: string | null }

export interface UploadChoice {
  readonly name: string;
  readonly sku?: string | undefined;
  readonly generation?: 'V1' | 'V2' | undefined;
  readonly trusted: boolean;
  readonly present?: PresentDisk | undefined;
}

/** A new disk for a disk of the recovery point. Throws where it cannot be made there, or where something of its name exists. */
export async function uploadDisk(planning: RestorePlanning, disk: ManifestDisk, place: RestorePlace, choice: UploadChoice): Promise<PlannedRestoreDisk> {
  const { manifest, machine, deps } = planning;
  const isOs = disk.lun === 'os';
  if (uploadDiskBytes(disk.sizeBytes) > MAX_UPLOAD_BYTES) throw new HoldfastError('RESTORE_UNSUPPORTED', `${disk.name} has ${disk.sizeBytes} bytes, and Azure takes uploads of ${MAX_UPLOAD_BYTES} at most: restore it to a file`);
  const generation = choice.generation ?? machine.generationOf(disk);
  if (isOs && machine.osType === null) throw new HoldfastError('REQUEST_INVALID', `${manifest.id} does not say which operating system ${disk.name} is of`);
  if (isOs && generation === null) throw new HoldfastError('REQUEST_INVALID', `${manifest.id} does not say the generation of ${disk.name}: add "hyperVGeneration": "V1" (BIOS) or "V2" (UEFI), whichever the machine had`);
  const sku = choice.sku ?? (typeof disk.source['sku'] === 'string' && disk.source['sku'] !== '' ? disk.source['sku'] : 'Premium_LRS');
  await requireSku(deps, place, sku);
  const id = `/subscriptions/${place.subscriptionId}/resourceGroups/${place.resourceGroup}/providers/Microsoft.Compute/disks/${choice.name}`;
  const existing = await deps.restoreCloud.getDisk(id);
  if (existing && !Object.entries(planning.tags).every(([key, value]) => existing.tags[key] === value)) throw new HoldfastError('TARGET_EXISTS', `There is a disk ${id} already`, { data: { target: id } });
  const adjustable = /^(UltraSSD|PremiumV2)/.test(sku);
  return {
    disk: manifest.disks.indexOf(disk), name: disk.name, lun: disk.lun, sizeBytes: disk.sizeBytes,
    target: {
      kind: 'disk', id, location: place.location, zone: place.zone, sku, sizeBytes: uploadDiskBytes(disk.sizeBytes), osType: isOs ? machine.osType : null, hyperVGeneration: isOs ? generation : null,
      logicalSectorBytes: adjustable ? 512 : null, securityType: isOs && choice.trusted ? 'TrustedLaunch' : null, tags: { ...planning.tags }, present: choice.present ?? null,
    },
  };
}

async function requireSku(deps: ActivityDeps, place: RestorePlace, sku: string): Promise<void> {
  const offer = await deps.restoreCloud.findDiskSku(place.subscriptionId, place.location, sku);
  requireOffer(offer, `disks of the kind ${sku}`, place);
}

/** Throws CLOUD_SKU_UNAVAILABLE unless region and zone offer it to the subscription. */
export function requireOffer(offer: { readonly zones: readonly string[]; readonly restriction: string | null } | undefined, what: string, { location, zone }: RestorePlace): void {
  const why = !offer ? 'does not offer' : offer.restriction !== null ? `refuses (${offer.restriction})` : zone !== null && !offer.zones.includes(zone) ? `does not offer in zone ${zone}` : null;
  if (why !== null) throw new HoldfastError('CLOUD_SKU_UNAVAILABLE', `The region ${location} ${why} ${what}`, { data: { location, zone } });
}

/** Where the request wants it, or else where the source is. */
export function placeOf({ manifest, machine }: RestorePlanning, asked: { readonly subscriptionId?: string | undefined; readonly resourceGroup?: string | undefined; readonly location?: string | undefined; readonly zone?: string | null | undefined }): RestorePlace {
  const source = manifest.source.resourceId === null ? null : parseVmResourceId(manifest.source.resourceId);
  const subscriptionId = asked.subscriptionId ?? source?.subscriptionId;
  const resourceGroup = asked.resourceGroup ?? source?.resourceGroup;
  const location = asked.location ?? machine.location;
  const missing = [...(subscriptionId ? [] : ['subscriptionId']), ...(resourceGroup ? [] : ['resourceGroup']), ...(location ? [] : ['location'])];
  if (!subscriptionId || !resourceGroup || !location) throw new HoldfastError('REQUEST_INVALID', `${manifest.id} is not of a machine in Azure, so the target needs: ${missing.join(', ')}`, { data: { fields: missing } });
  return { subscriptionId, resourceGroup, location, zone: asked.zone === undefined ? machine.zone : asked.zone };
}

const DIGEST_CHARS = 8;

/**
 * The name of a new disk or snapshot: what it is of and by which restore, within the length and the characters that Azure takes. Where that changes the name, a digest of all of it
 * stands at its end: what is cut off may be all that tells one disk of a machine from another, and two disks must never be restored into one.
 */
export function newDiskName(diskName: string, restoreId: string): string {
  const room = MAX_NAME_CHARS - restoreId.length - 1;
  const plain = diskName.replace(/[^A-Za-z0-9_.-]/g, '-');
  if (plain === diskName && plain.length <= room) return `${plain}-${restoreId}`;
  const digest = createHash('sha256').update(diskName).digest('hex').slice(0, DIGEST_CHARS);
  return `${plain.slice(0, room - DIGEST_CHARS - 1)}-${digest}-${restoreId}`;
}

/** Throws REQUEST_INVALID when two disks have the same target: disks of one name, which lie in different resource groups. */
export function refuseSharedTargets(disks: readonly PlannedRestoreDisk[]): void {
  const seen = new Map<string, PlannedRestoreDisk>();
  for (const disk of disks) {
    if (disk.target.kind !== 'disk') continue;
    const key = resourceIdKey(disk.target.id);
    const other = seen.get(key);
    if (other) throw new HoldfastError('REQUEST_INVALID', `The disks at lun ${other.lun} and ${disk.lun} would both become ${disk.target.id}: restore them one after the other, each named by its lun`);
    seen.set(key, disk);
  }
}

/** The recovery point's disks that are asked for, by name or lun; all of them where none is. */
export function chosenDisks({ manifest }: RestorePlanning, asked: readonly string[] | undefined): readonly ManifestDisk[] {
  if (!asked) return manifest.disks;
  const disks = asked.map((name) => findDisk(manifest, name));
  if (new Set(disks).size < disks.length) throw new HoldfastError('REQUEST_INVALID', `A disk is named twice: ${asked.join(', ')}`);
  return disks;
}

export const isSameResource = (a: string, b: string): boolean => resourceIdKey(a) === resourceIdKey(b);
