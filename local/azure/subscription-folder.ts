import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import type { BigIntStats } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { HoldfastError, isHoldfastError, messageOf } from '../../errors/holdfast-error';
import { openImage, type ImageFormat } from '../images/open-image';
import type { Lun } from './state';
import type { VmRecord } from './vm-state';

export const localResourceGroup = 'local';
export const localLocation = 'local';

const diskOverrides = z.strictObject({
  sku: z.string().optional(),
  caching: z.enum(['None', 'ReadOnly', 'ReadWrite']).optional(),
  maxShares: z.int().min(1).optional(),
  ephemeral: z.boolean().optional(),
  writeAccelerated: z.boolean().optional(),
  logicalSectorSize: z.literal([512, 4096]).optional(),
  networkAccessPolicy: z.enum(['AllowAll', 'AllowPrivate', 'DenyAll']).optional(),
});

const vmSettings = z.strictObject({
  tags: z.record(z.string(), z.string()).optional(),
  osType: z.enum(['Linux', 'Windows']).optional(),
  vmSize: z.string().optional(),
  hyperVGeneration: z.enum(['V1', 'V2']).optional(),
  /** What a guest agent would reach. Files in a folder have no guest that could be frozen, so crash unless said otherwise. */
  consistency: z.enum(['application', 'file-system', 'crash']).optional(),
  /** Its disks are page blobs in a storage account instead of managed disks. */
  unmanaged: z.boolean().optional(),
  /** The file name of the OS disk. */
  osDisk: z.string().optional(),
  disks: z.record(z.string(), diskOverrides).optional(),
});
type VmSettings = z.infer<typeof vmSettings>;

export interface LocalDisk {
  /** Of a disk that was made through the API; null for an image, whose id follows from its name. */
  readonly resourceId: string | null;
  readonly lun: Lun;
  readonly name: string;
  readonly uniqueId: string;
  readonly fileName: string;
  readonly path: string;
  readonly sizeBytes: number;
  readonly format: ImageFormat;
  readonly createdAtMs: number;
  readonly sku: string;
  readonly caching: string;
  readonly maxShares: number;
  readonly ephemeral: boolean;
  readonly writeAccelerated: boolean;
  readonly logicalSectorSize: number;
  readonly networkAccessPolicy: string;
}

export interface LocalVm {
  /** What was changed of a machine of the folder, or the whole of one that was made through the API. */
  readonly record: VmRecord | null;
  readonly name: string;
  readonly folderName: string;
  readonly vmId: string;
  readonly createdAtMs: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly osType: 'Linux' | 'Windows';
  readonly vmSize: string;
  readonly hyperVGeneration: 'V1' | 'V2';
  readonly consistency: 'application' | 'file-system' | 'crash';
  readonly unmanaged: boolean;
  /** The OS disk first, then data disks by LUN. */
  readonly disks: readonly LocalDisk[];
}

interface FoundImage {
  readonly fileName: string;
  readonly path: string;
  readonly sizeBytes: number;
  readonly format: ImageFormat;
  readonly stats: BigIntStats;
}

export interface FolderOptions {
  readonly folder: string;
  /** Makes ids differ between state folders. */
  readonly seed: string;
  readonly replacedDisks: Readonly<Record<string, number>>;
  readonly deletedVms: readonly string[];
  readonly warn: (message: string) => void;
}

/** A folder of disk images, seen as the VMs of a subscription. Looks at the folder anew each time it is asked. */
export class SubscriptionFolder {
  private readonly known = new Map<string, { readonly stamp: string; readonly image: FoundImage | undefined }>();
  private readonly warned = new Set<string>();

  constructor(private readonly options: FolderOptions) {}

  /** Throws STANDIN_FOLDER when the folder itself cannot be listed. */
  async list(): Promise<readonly LocalVm[]> {
    const entries = await readdir(this.options.folder).catch((cause: unknown) => {
      throw new HoldfastError('STANDIN_FOLDER', `${this.options.folder} cannot be listed: ${messageOf(cause)}`, { data: { path: this.options.folder }, cause });
    });
    const folders: string[] = [];
    for (const name of entries.filter((entry) => !entry.startsWith('.')).sort()) {
      const found = await stat(join(this.options.folder, name)).catch(() => undefined);
      if (found?.isDirectory() === true) folders.push(name);
      else if (/\.(img|raw|vhd|dd)$/i.test(name)) this.warnOnce(name, `${name} lies outside any VM's folder and is left out: move it into a folder of its own`);
    }
    const names = uniqueNames(folders.map((name) => ({ wanted: resourceName(name, 60), key: name })));
    const vms: LocalVm[] = [];
    for (const folderName of folders) {
      if (this.options.deletedVms.includes(folderName)) continue;
      const vm = await this.readVm(folderName, names.get(folderName) ?? folderName);
      if (vm !== undefined) vms.push(vm);
    }
    return withUniqueDiskNames(vms);
  }

  private async readVm(folderName: string, name: string): Promise<LocalVm | undefined> {
    const path = join(this.options.folder, folderName);
    const stats = await stat(path, { bigint: true }).catch(() => undefined);
    const entries = await readdir(path).catch(() => undefined);
    if (stats === undefined || entries === undefined) {
      this.warnOnce(folderName, `${folderName} cannot be listed and is left out`);
      return undefined;
    }
    const settings = await this.readSettings(join(path, 'vm.json'), folderName);
    const images: FoundImage[] = [];
    for (const fileName of entries.filter((entry) => !entry.startsWith('.') && entry !== 'vm.json').sort()) {
      const image = await this.readImage(folderName, fileName);
      if (image !== undefined) images.push(image);
    }
    if (images.length === 0) {
      this.warnOnce(`${folderName}/`, `${folderName} holds no disk image and is left out`);
      return undefined;
    }
    return {
      record: null, name, folderName,
      vmId: this.identity('vm', folderName, stats),
      createdAtMs: createdAtMs(stats),
      tags: settings.tags ?? {},
      osType: settings.osType ?? 'Linux',
      vmSize: settings.vmSize ?? 'Standard_D2s_v5',
      hyperVGeneration: settings.hyperVGeneration ?? 'V2',
      consistency: settings.consistency ?? 'crash',
      unmanaged: settings.unmanaged ?? false,
      disks: this.describeDisks(name, folderName, settings, images),
    };
  }

  private describeDisks(vmName: string, folderName: string, settings: VmSettings, images: readonly FoundImage[]): LocalDisk[] {
    const osImage = images.find((image) => image.fileName === settings.osDisk) ?? images.find((image) => /^os\./i.test(image.fileName)) ?? images[0];
    const ordered = [...images.filter((image) => image === osImage), ...images.filter((image) => image !== osImage)];
    const names = uniqueNames(ordered.map((image) => ({ wanted: resourceName(`${vmName}_${image.fileName.replace(/\.[^.]*$/, '')}`, 74), key: image.fileName })));
    return ordered.map((image, index): LocalDisk => {
      const overrides = settings.disks?.[image.fileName] ?? {};
      const replaced = this.options.replacedDisks[`${folderName}/${image.fileName}`] ?? 0;
      return {
        resourceId: null,
        lun: index === 0 ? 'os' : index - 1,
        name: names.get(image.fileName) ?? image.fileName,
        uniqueId: this.identity('disk', `${folderName}/${image.fileName}#${replaced}`, image.stats),
        fileName: image.fileName,
        path: image.path,
        sizeBytes: image.sizeBytes,
        format: image.format,
        createdAtMs: createdAtMs(image.stats),
        sku: overrides.sku ?? 'Premium_LRS',
        caching: overrides.caching ?? 'None',
        maxShares: overrides.maxShares ?? 1,
        ephemeral: overrides.ephemeral ?? false,
        writeAccelerated: overrides.writeAccelerated ?? false,
        logicalSectorSize: overrides.logicalSectorSize ?? 512,
        networkAccessPolicy: overrides.networkAccessPolicy ?? 'AllowAll',
      };
    });
  }

  /** Opening an image reads it, so what was found is kept until the file's stamp changes. */
  private async readImage(folderName: string, fileName: string): Promise<FoundImage | undefined> {
    const path = join(this.options.folder, folderName, fileName);
    const stats = await stat(path, { bigint: true }).catch(() => undefined);
    if (stats === undefined) return undefined;
    const stamp = `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}`;
    const known = this.known.get(path);
    if (known?.stamp === stamp) return known.image;
    try {
      const source = await openImage(path);
      await source.close();
      const image: FoundImage = { fileName, path, sizeBytes: source.sizeBytes, format: source.format, stats };
      this.known.set(path, { stamp, image });
      return image;
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      this.warnOnce(path, `${folderName}/${fileName} is left out: ${error.message}. ${error.remedy}`);
      this.known.set(path, { stamp, image: undefined });
      return undefined;
    }
  }

  private async readSettings(path: string, folderName: string): Promise<VmSettings> {
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.warnOnce(path, `${folderName}/vm.json cannot be read: ${messageOf(error)}`);
      return {};
    }
    try {
      return vmSettings.parse(JSON.parse(text));
    } catch (error) {
      const reason = error instanceof z.ZodError ? z.prettifyError(error).replaceAll('\n', ' ') : messageOf(error);
      this.warnOnce(`${path}:${text}`, `${folderName}/vm.json is ignored: ${reason}`);
      return {};
    }
  }

  /**
   * A unique id that stays while a file is written in place and changes when another file takes its name: device,
   * inode and birth time (inodes are used again) say which file it is.
   */
  private identity(kind: string, path: string, stats: BigIntStats): string {
    const digest = createHash('sha256').update([this.options.seed, kind, path, stats.dev, stats.ino, stats.birthtimeNs].join('\0')).digest('hex');
    return [digest.slice(0, 8), digest.slice(8, 12), `4${digest.slice(13, 16)}`, `8${digest.slice(17, 20)}`, digest.slice(20, 32)].join('-');
  }

  private warnOnce(key: string, message: string): void {
    if (this.warned.has(key)) return;
    this.warned.add(key);
    this.options.warn(message);
  }
}

/** What Azure takes as a name: letters, digits, dot, dash and underscore, not too long, no dot at the end. */
function resourceName(wanted: string, maxLength: number): string {
  const clean = wanted.replace(/[^A-Za-z0-9_.-]/g, '-').replace(/[.-]+$/, '').slice(0, maxLength);
  const name = clean === '' ? 'disk' : clean;
  return name === wanted ? name : `${name.slice(0, maxLength - 5)}-${shortHash(wanted)}`;
}

/** Names are compared without regard to case. Where two collide both get a hash of what they came from, whichever was there first. */
function uniqueNames(items: readonly { readonly wanted: string; readonly key: string }[]): Map<string, string> {
  const count = new Map<string, number>();
  for (const { wanted } of items) count.set(wanted.toLowerCase(), (count.get(wanted.toLowerCase()) ?? 0) + 1);
  return new Map(items.map(({ wanted, key }) => [key, (count.get(wanted.toLowerCase()) ?? 0) > 1 ? `${wanted}-${shortHash(key)}` : wanted]));
}

/** All disks share one resource group, so a name must be unique over all VMs (VM a_b with disk c, VM a with disk b_c). */
function withUniqueDiskNames(vms: readonly LocalVm[]): LocalVm[] {
  const keyOf = (vm: LocalVm, disk: LocalDisk): string => `${vm.folderName}/${disk.fileName}`;
  const names = uniqueNames(vms.flatMap((vm) => vm.disks.map((disk) => ({ wanted: disk.name, key: keyOf(vm, disk) }))));
  return vms.map((vm) => ({ ...vm, disks: vm.disks.map((disk) => ({ ...disk, name: names.get(keyOf(vm, disk)) ?? disk.name })) }));
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 4);
}

function createdAtMs(stats: BigIntStats): number {
  return Number((stats.birthtimeNs > 0n ? stats.birthtimeNs : stats.mtimeNs) / 1_000_000n);
}
