import type { BlobItem, PageBlobClient } from '@azure/storage-blob';
import type { AccessUrl } from '../../activities/cloud';
import type { BlobDisk, BlobSnapshot, BlobTags } from '../../activities/guest-cloud';
import { HoldfastError } from '../../errors/holdfast-error';
import { parseFooter, vhdFooterBytes } from '../../vault/format/vhd-footer';
import type { BlobAddress, BlobAddresses } from './blob-address';
import { blobDiskError, type BlobServices } from './blob-service';

/** Short: it cannot be ended before its time. Whoever reads longer is given a new one. */
const longestReadSeconds = 3600;

/** Page blobs that are disks, and their snapshots. */
export function blobDiskOperations(addresses: BlobAddresses, services: BlobServices) {
  const list = async (blobUrl: string, tags: BlobTags): Promise<BlobSnapshot[]> => {
    const address = addresses.parse(blobUrl);
    const found = await services.askingIfThere(`a list of the snapshots of ${address.url}`, () => itemsOf(services, address));
    return (found ?? []).map((item) => snapshotOf(address, item.snapshot ?? '', item.metadata)).filter((snapshot) => carries(snapshot, tags))
      .sort((left, right) => (left.id < right.id ? -1 : 1));
  };
  return {
    async getBlobDisk(blobUrl: string): Promise<BlobDisk> {
      const address = addresses.parse(blobUrl);
      const blob = await services.pageBlob(address);
      const doing = `a look at ${address.url}`;
      const properties = await services.asking(doing, () => blob.getProperties());
      const sizeBytes = dataBytesOf(address, properties.blobType, properties.contentLength);
      const footer = parseFooter(await services.asking(doing, () => blob.downloadToBuffer(sizeBytes, vhdFooterBytes)));
      const problem = 'problem' in footer ? footer.problem : footer.footer.diskType !== 'fixed' ? `it is a ${footer.footer.diskType} VHD` : footer.footer.currentSizeBytes !== sizeBytes ? `its footer tells ${footer.footer.currentSizeBytes} bytes of data` : null;
      if (problem !== null) throw new HoldfastError('CLOUD_FAILED', `The page blob ${address.url} of ${sizeBytes + vhdFooterBytes} bytes is no fixed VHD: ${problem}`, { data: { serviceCode: '' } });
      return { url: address.url, sizeBytes, createdAt: properties.createdOn?.toISOString() ?? '' };
    },
    listBlobSnapshots: list,
    async takeBlobSnapshot(blobUrl: string, tags: BlobTags): Promise<BlobSnapshot> {
      const address = addresses.parse(blobUrl);
      const [before] = await list(blobUrl, tags);
      if (before) return before;
      const blob = await services.pageBlob(address);
      const outcome = await services.once(() => blob.createSnapshot({ metadata: { ...tags } }));
      if ('value' in outcome && outcome.value.snapshot) return snapshotOf(address, outcome.value.snapshot, tags);
      // Its name is the service's choice, so one whose answer was lost is known by its tags alone (fault 8). It is never asked for a second time from here.
      const [lost] = await list(blobUrl, tags);
      if (lost) return lost;
      if ('failure' in outcome) throw blobDiskError(outcome.failure, `a snapshot of ${address.url}`);
      throw new HoldfastError('CLOUD_FAILED', `The storage account took a snapshot of ${address.url} and did not name it`, { data: { serviceCode: '' } });
    },
    async deleteBlobSnapshot(snapshotId: string): Promise<'deleted' | 'absent'> {
      const address = addresses.parseSnapshot(snapshotId);
      const blob = await services.pageBlob(address);
      assertSnapshotUrl(blob, address.snapshot);
      const deleted = await services.askingIfThere(`the deletion of ${snapshotId}`, () => blob.delete());
      return deleted ? 'deleted' : 'absent';
    },
    async grantBlobRead(snapshotId: string, durationSeconds: number): Promise<AccessUrl> {
      const address = addresses.parseSnapshot(snapshotId);
      const blob = await services.pageBlob(address);
      const { blobType, contentLength } = await services.asking(`a look at ${snapshotId}`, () => blob.getProperties());
      const url = await services.signedUrl(address, 'r', Math.min(durationSeconds, longestReadSeconds));
      return { url, sizeBytes: dataBytesOf(address, blobType, contentLength), blobSnapshot: address.snapshot };
    },
  };
}

async function itemsOf(services: BlobServices, address: BlobAddress): Promise<BlobItem[]> {
  const items: BlobItem[] = [];
  const container = (await services.service(address)).getContainerClient(address.container);
  for await (const item of container.listBlobsFlat({ prefix: address.blob, includeSnapshots: true, includeMetadata: true })) {
    if (item.name === address.blob && item.snapshot) items.push(item);
  }
  return items;
}

function snapshotOf(address: BlobAddress, snapshot: string, metadata: Readonly<Record<string, string>> | undefined): BlobSnapshot {
  const tags = Object.fromEntries(Object.entries(metadata ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
  return { id: `${address.url}?snapshot=${snapshot}`, blobUrl: address.url, createdAt: new Date(snapshot).toISOString(), tags };
}

const carries = (snapshot: BlobSnapshot, tags: BlobTags): boolean => Object.entries(tags).every(([name, value]) => snapshot.tags[name] === value);

/** A deletion without the snapshot's time would be the disk's. */
function assertSnapshotUrl(blob: PageBlobClient, snapshot: string): void {
  if (new URL(blob.url).searchParams.get('snapshot') !== snapshot) throw new HoldfastError('INTERNAL', 'The address of a snapshot that is to be deleted does not name it');
}

function dataBytesOf(address: BlobAddress, blobType: string | undefined, blobBytes: number | undefined): number {
  if (blobType !== 'PageBlob' || blobBytes === undefined || blobBytes <= vhdFooterBytes || blobBytes % 512 !== 0) {
    throw new HoldfastError('CLOUD_FAILED', `${address.url} is a ${blobType ?? 'blob'} of ${String(blobBytes)} bytes, where a page blob with a VHD was expected`, { data: { serviceCode: '' } });
  }
  return blobBytes - vhdFooterBytes;
}
