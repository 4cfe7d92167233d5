import { HoldfastError } from '../errors/holdfast-error';
import type { BlockSink } from './block-sink';
import type { BlockSource } from './block-source';
import { openChampions } from './champion-index';
import { PackKind } from './format';
import { deriveVaultKeys } from './keys';
import { PackWriter } from './pack-writer';
import { refFromJson, refToJson } from './ref-json';
import { ReuseIndex } from './reuse';
import type { Store } from './store/store';
import { throttledSource } from './throttled-source';
import type { TransferFactory } from './transfer-factory';
import type { Lane, LaneCompareJob, LaneCompareResult, LaneFlush, LaneJob, LaneOptions, LaneReadJob, LaneReadResult, LaneResult, RenewAccess } from './transfer-lane';
import { loadLeaf, type VaultAccess } from './tree';
import { compareWindow } from './window-compare';
import { readWindow } from './window-restore';
import { WindowWriter } from './window-writer';

/** The work of a lane, whichever thread it runs in. */
export class LaneWork implements Lane {
  private closed = false;

  private constructor(
    private readonly vault: VaultAccess, private readonly source: BlockSource | null, private readonly sink: BlockSink | null,
    private readonly writer: WindowWriter | null, private readonly packs: readonly PackWriter[], private readonly collectDamage: boolean,
  ) {}

  static async open(options: LaneOptions, factory: TransferFactory, renew: RenewAccess): Promise<LaneWork> {
    const keys = deriveVaultKeys(Buffer.from(options.keys.vaultId, 'hex'), Buffer.from(options.keys.masterKey, 'hex'));
    const store: Store = await factory.openStore(options.store);
    const vault: VaultAccess = { store, keys };
    const opened: Closable[] = [store];
    try {
      const sink = options.sink && await factory.openSink(options.sink, () => renew('sink'));
      if (sink) opened.unshift(sink);
      if (!options.source) return new LaneWork(vault, null, sink, null, [], options.collectDamage);
      const source = await factory.openSource(options.source, () => renew('source'));
      opened.unshift(source);
      const packs = (kind: PackKind): PackWriter => new PackWriter(store, keys, { kind, compressionLevel: options.compressionLevel });
      const [dataPacks, metaPacks] = [packs(PackKind.data), packs(PackKind.meta)];
      const reuse = new ReuseIndex(options.champions.length > 0 ? await openChampions(vault, options.champions) : null);
      const paced = options.readBytesPerSecond === null ? source : throttledSource(source, options.readBytesPerSecond);
      const writer = new WindowWriter({ source: paced, keys, dataPacks, metaPacks, reuse });
      return new LaneWork(vault, source, sink, writer, [dataPacks, metaPacks], options.collectDamage);
    } catch (error) {
      await closeAll(opened).catch(() => undefined);
      throw error;
    }
  }

  async write(job: LaneJob): Promise<LaneResult> {
    if (!this.writer || !this.source) throw new Error('This lane has no source to read');
    if (this.source.sizeBytes !== job.diskBytes) {
      throw new HoldfastError('SOURCE_CHANGED', `The source has ${this.source.sizeBytes} bytes, but a disk of ${job.diskBytes} is backed up`, { data: { sizeBytes: this.source.sizeBytes, wantedBytes: job.diskBytes } });
    }
    const ref = job.parent && refFromJson(job.parent);
    const parent = ref && { ref, leaf: await loadLeaf(this.vault, ref, job.window, job.parentDiskBytes) };
    const result = await this.writer.write({ window: job.window, ranges: job.ranges, parent, fresh: job.fresh });
    const { leaf } = result;
    return { ...result, leaf: leaf === null || leaf === 'same' ? leaf : refToJson(leaf) };
  }

  read(job: LaneReadJob): Promise<LaneReadResult> {
    return readWindow(this.vault, job, this.sink, this.collectDamage);
  }

  compare(job: LaneCompareJob): Promise<LaneCompareResult> {
    // What a restore writes to can often be read as well: then it is compared with itself.
    const source = this.source ?? (this.sink && isSource(this.sink) ? this.sink : null);
    if (!source) throw new Error('This lane has nothing to compare');
    if (job.patch && !this.sink) throw new Error('This lane has no sink to write what differs to');
    return compareWindow(this.vault, source, job.patch ? this.sink : null, job);
  }

  async flush(): Promise<LaneFlush> {
    // Data before nodes: a node never refers to a pack that is not durable.
    for (const writer of this.packs) await writer.flush();
    return {
      storedBytes: this.packs.reduce((sum, writer) => sum + writer.storedBytes, 0),
      packs: this.packs.reduce((sum, writer) => sum + writer.storedPacks.length, 0),
    };
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await closeAll([this.source, this.sink, this.vault.store].filter((one) => one !== null));
  }
}

const isSource = (sink: BlockSink): sink is BlockSink & BlockSource => 'readInto' in sink;

interface Closable { close(): Promise<void> }

/** Closes everything, one after another, although something fails to close; the first failure is thrown at the end. */
async function closeAll(all: readonly Closable[]): Promise<void> {
  const failures: unknown[] = [];
  for (const one of all) await one.close().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}
