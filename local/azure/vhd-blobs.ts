import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { buildFixedFooter, vhdFooterBytes } from '../../vault/format/vhd-footer';
import { openImage } from '../images/open-image';
import { copyDisks, removeCopy } from './copies';
import { type BlobSnapshotRecord, guestState } from './guest-state';
import type { KeyedDisk } from './range-index';
import { diskContainer, localAccount } from './storage-access';
import type { LocalDisk, LocalVm } from './subscription-folder';
import { BlobError } from './wire';
import type { World } from './world';

const maxSnapshots = 200;
/** A footer depends on the disk alone, so that snapshots never differ in it. */
const footerTime = Date.UTC(2024, 0, 1);

export const vhdBlobName = (disk: LocalDisk): string => `${disk.name}.vhd`;
export const vhdBlobUrl = (world: World, disk: LocalDisk): string => `${world.baseUrl}/${localAccount}/${diskContainer}/${vhdBlobName(disk)}`;
export const snapshotKey = (blob: string, snapshot: string): string => `${blob}?${snapshot}`;

export interface VhdBlob { readonly vm: LocalVm; readonly disk: LocalDisk }

export async function findVhdBlob(world: World, name: string): Promise<VhdBlob | undefined> {
  for (const vm of await world.folder.list()) {
    const disk = vm.unmanaged ? vm.disks.find((candidate) => vhdBlobName(candidate) === name) : undefined;
    if (disk !== undefined) return { vm, disk };
  }
  return undefined;
}

export async function listVhdBlobs(world: World): Promise<VhdBlob[]> {
  return (await world.folder.list()).flatMap((vm) => (vm.unmanaged ? vm.disks.map((disk) => ({ vm, disk })) : []));
}

/** Headers tell whole seconds, in which two files may have been made; so the time comes from the disk's unique id, which another file does not share. */
export function blobCreatedAt(disk: LocalDisk): Date {
  const seconds = createHash('sha256').update(disk.uniqueId).digest().readUInt32BE(0) % (5 * 365 * 86_400);
  return new Date(Date.UTC(2020, 0, 1) + seconds * 1000);
}

export const snapshotsOf = (world: World, blob: string): BlobSnapshotRecord[] => Object.values(guestState(world.state).snapshots).filter((snapshot) => snapshot.blob === blob);

/** PUT ?comp=snapshot. Throws the BlobError that the service would answer. */
export async function takeSnapshot(world: World, name: string, metadata: Readonly<Record<string, string>>): Promise<BlobSnapshotRecord> {
  const found = await findVhdBlob(world, name);
  if (found === undefined) throw new BlobError(404, 'BlobNotFound', 'The specified blob does not exist.');
  if (snapshotsOf(world, name).length >= maxSnapshots) throw new BlobError(409, 'SnapshotCountExceeded', 'The snapshot count against this blob has been exceeded.');
  const [copy] = await copyDisks(world, [{ source: { diskId: `vhd/${name}`, uniqueId: found.disk.uniqueId, path: found.disk.path }, owner: 'snapshot', incremental: true }]);
  if (copy === undefined) throw new BlobError(500, 'InternalError', 'The disk image could not be copied.');
  const state = guestState(world.state);
  const now = BigInt(world.now()) * 10_000n;
  const ticks = now > BigInt(state.lastTicks) ? now : BigInt(state.lastTicks) + 1n;
  state.lastTicks = ticks.toString();
  const iso = new Date(Number(ticks / 10_000n)).toISOString();
  const record: BlobSnapshotRecord = { blob: name, snapshot: `${iso.slice(0, -1)}${String(ticks % 10_000n).padStart(4, '0')}Z`, metadata, copy };
  state.snapshots[snapshotKey(name, record.snapshot)] = record;
  world.store.save();
  return record;
}

export async function deleteSnapshot(world: World, name: string, snapshot: string): Promise<void> {
  const { snapshots } = guestState(world.state);
  const record = snapshots[snapshotKey(name, snapshot)];
  if (record === undefined) throw new BlobError(404, 'BlobNotFound', 'The specified blob does not exist.');
  delete snapshots[snapshotKey(name, snapshot)];
  world.store.save();
  await removeCopy(world, record.copy);
}

/** The bytes of a blob or of a snapshot, its footer included in the size. */
export interface OpenBlob extends KeyedDisk {
  readonly createdAt: Date;
  readonly etag: string;
  close(): Promise<void>;
}

export async function openVhdBlob(world: World, name: string, snapshot: string | null): Promise<OpenBlob> {
  const record = snapshot === null ? undefined : guestState(world.state).snapshots[snapshotKey(name, snapshot)];
  const found = await findVhdBlob(world, name);
  const createdAt = found === undefined ? new Date(0) : blobCreatedAt(found.disk);
  if (snapshot !== null && record !== undefined) {
    const file = await open(world.store.contentPath(`${record.copy.id}.vhd`), 'r');
    return opened(record.copy.id, record.copy.dataBytes, createdAt, async (buffer, offset) => {
      let done = 0;
      while (done < buffer.length) {
        const { bytesRead } = await file.read(buffer, done, buffer.length - done, offset + done);
        if (bytesRead === 0) throw new BlobError(500, 'InternalError', 'The stored copy is shorter than it should be.');
        done += bytesRead;
      }
    }, () => file.close());
  }
  if (snapshot !== null || found === undefined) throw new BlobError(404, 'BlobNotFound', 'The specified blob does not exist.');
  const image = await openImage(found.disk.path);
  const footer = buildFixedFooter(image.sizeBytes, { uniqueId: found.disk.uniqueId, createdAt: footerTime });
  return opened(`${found.disk.uniqueId}@${world.now()}`, image.sizeBytes, createdAt, async (buffer, offset) => {
    const dataBytes = Math.max(0, Math.min(buffer.length, image.sizeBytes - offset));
    if (dataBytes > 0) await image.readInto(buffer.subarray(0, dataBytes), offset);
    if (dataBytes < buffer.length) footer.copy(buffer, dataBytes, Math.max(0, offset - image.sizeBytes));
  }, () => image.close());
}

function opened(key: string, dataBytes: number, createdAt: Date, readInto: OpenBlob['readInto'], close: () => Promise<void>): OpenBlob {
  const etag = `"0x${createHash('sha256').update(key).digest('hex').slice(0, 16).toUpperCase()}"`;
  return { key, sizeBytes: dataBytes + vhdFooterBytes, createdAt, etag, readInto, close };
}
