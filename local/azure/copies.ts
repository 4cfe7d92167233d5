import { createHash, randomUUID } from 'node:crypto';
import { open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isHoldfastError, messageOf } from '../../errors/holdfast-error';
import { buildFixedFooter, vhdFooterBytes } from '../../vault/format/vhd-footer';
import { copyImage } from '../images/copy-image';
import { openImage, type ImageSource } from '../images/open-image';
import { guestState } from './guest-state';
import type { DiskCopy } from './state';
import { ArmError } from './wire';
import type { World } from './world';

const attempts = 3;

/** A disk that is to be copied: an image in the folder or a disk made through the API. */
export interface CopySource {
  readonly diskId: string;
  readonly uniqueId: string;
  readonly path: string;
}

export interface CopyOrder {
  readonly source: CopySource;
  readonly owner: DiskCopy['owner'];
  readonly incremental: boolean;
}

/**
 * Copies all disks of one order as of one moment: every image is opened first, all are copied, and then none
 * may have changed since it was opened. Where one did (something writes to the images), all is copied again,
 * a few times; then it fails, because a torn copy must not pass for a snapshot.
 */
export async function copyDisks(world: World, orders: readonly CopyOrder[]): Promise<DiskCopy[]> {
  let lastChange = '';
  for (let attempt = 0; attempt < attempts; attempt++) {
    const made: DiskCopy[] = [];
    const images: ImageSource[] = [];
    try {
      for (const order of orders) images.push(await openImage(order.source.path));
      for (const [index, order] of orders.entries()) {
        const image = images[index];
        if (image !== undefined) made.push(await copyOne(world, order, image));
      }
      for (const image of images) await image.verifyUnchanged();
      return made;
    } catch (error) {
      for (const copy of made) await removeCopy(world, copy);
      if (isHoldfastError(error, 'IMAGE_NOT_FOUND')) throw new ArmError(404, 'ResourceNotFound', error.message);
      if (!isHoldfastError(error, 'SOURCE_CHANGED') && !isHoldfastError(error, 'SOURCE_SHRANK')) {
        throw new ArmError(409, 'InternalExecutionError', `The disk image could not be copied: ${messageOf(error)}`);
      }
      lastChange = error.message;
    } finally {
      for (const image of images) await image.close();
    }
  }
  throw new ArmError(409, 'DiskImageInUse', `A disk image kept changing while it was copied (${attempts} attempts): ${lastChange}. Shut the machine down, or give a snapshot of the image instead.`);
}

async function copyOne(world: World, order: CopyOrder, image: ImageSource): Promise<DiskCopy> {
  const id = randomUUID();
  const path = world.store.contentPath(`${id}.vhd`);
  try {
    await copyImage(image, path);
    await appendFooter(path, image.sizeBytes, order.source.uniqueId);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
  world.state.sequence += 1;
  return {
    id,
    sourceDiskId: order.source.diskId,
    sourceUniqueId: order.source.uniqueId,
    familyId: order.incremental ? familyIdOf(order.source.uniqueId, image.sizeBytes, world.limits.familyBoundaryBytes) : null,
    dataBytes: image.sizeBytes,
    sequence: world.state.sequence,
    owner: order.owner,
  };
}

/** The footer depends on the disk alone, so two snapshots of a disk that was not resized never differ in it. */
export async function appendFooter(path: string, dataBytes: number, uniqueId: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.write(buildFixedFooter(dataBytes, { uniqueId, createdAt: Date.UTC(2024, 0, 1) }), 0, vhdFooterBytes, dataBytes);
  } finally {
    await file.close();
  }
}

/** One family for each disk, and a new one when the disk's size crosses the boundary over which no diff works. */
export function familyIdOf(uniqueId: string, sizeBytes: number, boundaryBytes: number): string {
  const digest = createHash('sha256').update(`family\0${uniqueId}\0${sizeBytes > boundaryBytes}`).digest('hex');
  return [digest.slice(0, 8), digest.slice(8, 12), `4${digest.slice(13, 16)}`, `8${digest.slice(17, 20)}`, digest.slice(20, 32)].join('-');
}

export async function removeCopy(world: World, copy: DiskCopy): Promise<void> {
  await rm(world.store.contentPath(`${copy.id}.vhd`), { force: true });
}

/** Deletes what a killed stand-in left half copied: files that no record names. */
export async function removeOrphans(world: World): Promise<void> {
  const named = new Set<string>();
  for (const snapshot of Object.values(world.state.snapshots)) if (snapshot.copy !== null) named.add(`${snapshot.copy.id}.vhd`);
  for (const point of Object.values(world.state.restorePoints)) for (const disk of point.disks) if (disk.copy !== null) named.add(`${disk.copy.id}.vhd`);
  for (const disk of Object.values(world.state.disks)) named.add(disk.file);
  for (const { copy } of Object.values(guestState(world.state).snapshots)) named.add(`${copy.id}.vhd`);
  const folder = join(world.store.folder, 'content');
  for (const name of await readdir(folder)) if (!named.has(name)) await rm(join(folder, name), { force: true });
}
