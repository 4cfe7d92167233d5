import { basename, extname, resolve } from 'node:path';
import { HoldfastError } from '../errors/holdfast-error';
import { type ImageSource, openImage } from '../local/images/open-image';
import { parseItemName } from '../policy/item-id';
import type { Manifest, ManifestDisk } from '../vault/format/manifest';
import type { CommonOptions } from './command-options';

export interface BackupOptions extends CommonOptions {
  readonly item?: string;
  readonly changed?: string;
  readonly threads?: number;
  readonly dryRun?: boolean;
  readonly full?: boolean;
  readonly takeOver?: boolean;
}

/** An image as a disk of the recovery point. */
export interface PlannedDisk {
  readonly name: string;
  readonly lun: string;
  readonly source: ImageSource;
}

const MAX_NAME_CHARS = 40;

/** The item's name: the one given, or what the first image's file name makes. Throws ITEM_NAME_INVALID. */
export function itemName(options: BackupOptions, firstImage: string): string {
  if (options.item !== undefined) return parseItemName(options.item);
  const slug = diskName(firstImage).toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+/, '').slice(0, MAX_NAME_CHARS).replace(/-+$/, '');
  if (slug === '') throw new HoldfastError('ITEM_NAME_INVALID', `No item name can be made of ${JSON.stringify(basename(firstImage))}: name the item with --item`);
  return slug;
}

const diskName = (image: string): string => basename(image, extname(image));

/** Opens every image before anything is written. The caller closes them. */
export async function openDisks(images: readonly string[]): Promise<PlannedDisk[]> {
  const disks: PlannedDisk[] = [];
  try {
    for (const [index, image] of images.entries()) {
      const name = diskName(image);
      const twin = disks.find((disk) => disk.name === name);
      if (twin) throw new HoldfastError('USAGE', `${image} and ${twin.source.path} would both be the disk ${name}: disks are named after their files`);
      disks.push({ name, lun: String(index), source: await openImage(resolve(image)) });
    }
    return disks;
  } catch (error) {
    await closeDisks(disks);
    throw error;
  }
}

export const closeDisks = async (disks: readonly PlannedDisk[]): Promise<void> => void await Promise.all(disks.map(({ source }) => source.close()));

/** The same disk in the recovery point before: the same name in the same place. */
export const parentDiskOf = (parent: Manifest | undefined, { name, lun }: PlannedDisk): ManifestDisk | undefined =>
  parent?.disks.find((disk) => disk.name === name && disk.lun === lun);
