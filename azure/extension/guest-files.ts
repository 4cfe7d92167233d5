import type { ContainerClient } from '@azure/storage-blob';
import type { GuestFiles } from '../../activities/guest-cloud';
import type { BlobAddress, BlobAddresses } from './blob-address';
import { blobDiskError, type BlobServices } from './blob-service';
import { maxStatusBytes } from './status-blob';

/** In the account of the machine's own disks; stays when it is empty. */
const containerName = 'holdfast-status';

export interface GuestFileAccess { readonly statusUrl: string; readonly logUrl: string }

/** The blobs that the extension writes its status and log into: block blobs, made empty by the app, one pair for each run. */
export class GuestFileStore {
  constructor(private readonly addresses: BlobAddresses, private readonly services: BlobServices) {}

  /** Makes the blobs where they are not there, and signs them. What the guest wrote already stays. */
  async prepare(files: GuestFiles, seconds: number): Promise<GuestFileAccess> {
    const container = await this.container(files);
    await this.services.asking('a container for the status of snapshots', () => container.createIfNotExists());
    const [statusUrl = '', logUrl = ''] = await Promise.all(namesOf(files).map(async (name) => {
      await this.createEmpty(container, name);
      return this.services.signedUrl(this.address(files, name), 'rcw', seconds);
    }));
    return { statusUrl, logUrl };
  }

  /** What the guest wrote; empty when that is nothing, or the blob is not there. */
  async readStatus(files: GuestFiles): Promise<string> {
    const blob = (await this.container(files)).getBlockBlobClient(namesOf(files)[0]);
    const text = await this.services.askingIfThere('a look at the status of the snapshot', async () => {
      const { contentLength = 0 } = await blob.getProperties();
      return contentLength === 0 ? '' : (await blob.downloadToBuffer(0, Math.min(contentLength, maxStatusBytes))).toString('utf8');
    });
    return text ?? '';
  }

  async remove(files: GuestFiles): Promise<void> {
    const container = await this.container(files);
    const found = await this.services.askingIfThere('a list of old status blobs', async () => {
      const names: string[] = [];
      for await (const { name } of container.listBlobsFlat({ prefix: `${files.folder}/` })) names.push(name);
      return names;
    });
    for (const name of found ?? []) {
      const sequence = Number(/\/(\d{10})\.(status|log)$/.exec(name)?.[1] ?? Number.NaN);
      if (sequence <= files.sequence) await this.services.askingIfThere('the deletion of a status blob', () => container.deleteBlob(name));
    }
  }

  private async createEmpty(container: ContainerClient, name: string): Promise<void> {
    const outcome = await this.services.once(() => container.getBlockBlobClient(name).upload('', 0, { conditions: { ifNoneMatch: '*' } }));
    if ('value' in outcome || outcome.failure.status === 409 || outcome.failure.status === 412) return;
    if (!outcome.failure.isTransient) throw blobDiskError(outcome.failure, 'the status blob of the snapshot');
    // Whether the lost request had its effect or not, a create-only one may follow it.
    await this.services.asking('the status blob of the snapshot', async () => {
      if (!await container.getBlockBlobClient(name).exists()) await container.getBlockBlobClient(name).upload('', 0, { conditions: { ifNoneMatch: '*' } });
    });
  }

  private async container(files: GuestFiles): Promise<ContainerClient> {
    return (await this.services.service(this.addresses.parse(files.blobUrl))).getContainerClient(containerName);
  }

  private address(files: GuestFiles, name: string): BlobAddress {
    const { serviceUrl, account } = this.addresses.parse(files.blobUrl);
    return { serviceUrl, account, container: containerName, blob: name, url: `${serviceUrl}/${containerName}/${name}`, snapshot: null };
  }
}

const namesOf = ({ folder, sequence }: GuestFiles): [string, string] => {
  const name = `${folder}/${String(sequence).padStart(10, '0')}`;
  return [`${name}.status`, `${name}.log`];
};
