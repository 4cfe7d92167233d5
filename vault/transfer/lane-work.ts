import { type ErrorReport, HoldfastError } from '../../errors/holdfast-error';
import type { BlockSink } from './block-sink';
import type { BlockSource } from './block-source';
import { openChampions } from './champion-index';
import { ChunkMover } from './chunk-mover';
import { type FoundDamage, foundDamage } from '../proof/damage';
import { PackKind } from '../format/format';
import { deriveVaultKeys } from '../keys/keys';
import { LaneMemory } from './lane-memory';
import { PackWriter } from '../format/pack-writer';
import { refFromJson, refToJson } from '../format/ref-json';
import { ReuseIndex } from './reuse';
import type { Store } from '../store/store';
import { throttledSource } from './throttled-source';
import type { TransferFactory } from './transfer-factory';
import type { Lane, LaneAssembleJob, LaneAssembleResult, LaneCompareJob, LaneCompareResult, LaneFlush, LaneJob, LaneOptions, LaneReadJob, LaneReadResult, LaneResult, RenewAccess } from './transfer-lane';
import { loadLeaf, type VaultAccess } from '../format/tree';
import { assembleWindow } from './window-assemble';
import { compareWindow } from './window-compare';
import { readWindow } from './window-restore';
import { type WindowResult, WindowWriter } from './window-writer';

/** The work of a lane, whichever thread it runs in. */
export class LaneWork implements Lane {
  private closed = false;
  private readonly memory = new LaneMemory();

  private constructor(
    private readonly vault: VaultAccess, private readonly source: BlockSource | null, private readonly sink: BlockSink | null,
    private readonly writer: WindowWriter | null, private readonly packs: readonly PackWriter[], private readonly avoid: Set<string>, private readonly collectDamage: boolean,
  ) {}

  static async open(options: LaneOptions, factory: TransferFactory, renew: RenewAccess): Promise<LaneWork> {
    const keys = deriveVaultKeys(Buffer.from(options.keys.vaultId, 'hex'), Buffer.from(options.keys.masterKey, 'hex'));
    const store: Store = await factory.openStore(options.store);
    const vault: VaultAccess = { store, keys };
    const opened: Closable[] = [store];
    try {
      const sink = options.sink && await factory.openSink(options.sink, () => renew('sink'));
      if (sink) opened.unshift(sink);
      if (!options.source) return new LaneWork(vault, null, sink, null, [], new Set(), options.collectDamage);
      const source = await factory.openSource(options.source, () => renew('source'));
      opened.unshift(source);
      const packs = (kind: PackKind): PackWriter => new PackWriter(store, keys, { kind, compressionLevel: options.compressionLevel });
      const [dataPacks, metaPacks] = [packs(PackKind.data), packs(PackKind.meta)];
      const avoid = new Set(options.avoid);
      const reuse = new ReuseIndex(options.champions.length > 0 ? await openChampions(vault, options.champions) : null, avoid);
      const mover = options.forward.length > 0 ? new ChunkMover(vault, new Set(options.forward), dataPacks, reuse) : null;
      const paced = options.readBytesPerSecond === null ? source : throttledSource(source, options.readBytesPerSecond);
      const writer = new WindowWriter({ source: paced, keys, dataPacks, metaPacks, reuse, avoid, mover });
      return new LaneWork(vault, source, sink, writer, [dataPacks, metaPacks], avoid, options.collectDamage);
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
    const damage: ErrorReport[] = [];
    const result = await this.writeSound(this.writer, job, damage);
    const { leaf } = result;
    return { ...result, leaf: leaf === null || leaf === 'same' ? leaf : refToJson(leaf), ...(damage.length > 0 ? { damage } : {}) };
  }

  /** Writes a window so that it needs nothing that is damaged: where the parent does, all of it is read from the source. */
  private async writeSound(writer: WindowWriter, job: LaneJob, damage: ErrorReport[]): Promise<WindowResult & Pick<LaneResult, 'parentLost'>> {
    const ref = job.parent && refFromJson(job.parent);
    const leaf = ref && await this.unlessDamaged(damage, () => loadLeaf(this.vault, ref, job.window, job.parentDiskBytes));
    const parentLost = ref !== null && !leaf;
    const parent = ref && leaf ? { ref, leaf } : null;
    const stale = ref !== null && this.avoid.has(ref.pack);
    for (;;) {
      const unsound = parentLost || parent?.leaf.entries.some(({ chunk }) => chunk && this.avoid.has(chunk.pack)) === true;
      const window = { window: job.window, ranges: unsound ? null : job.ranges, parent, fresh: job.fresh, stale };
      // Only copying forward reads chunks of the vault. What it finds damaged is avoided from here on, so it is met once.
      const result = await this.unlessDamaged(damage, () => writer.write(window));
      if (!result) continue;
      if (unsound || stale) result.stats.healedWindows = 1;
      return { ...result, ...(parentLost ? { parentLost } : {}) };
    }
  }

  /** undefined when the step met a damaged pack, which is noted and avoided from then on. Damage that cannot be told apart, or is met again, is thrown. */
  private async unlessDamaged<T>(damage: ErrorReport[], step: () => Promise<T>): Promise<T | undefined> {
    try {
      return await step();
    } catch (error) {
      const found: FoundDamage | undefined = foundDamage(error);
      if (!found || (damage.some(({ data }) => data.pack === found.pack))) throw error;
      this.avoid.add(found.pack);
      damage.push((error as HoldfastError).toJSON());
      return undefined;
    }
  }

  read(job: LaneReadJob): Promise<LaneReadResult> {
    return readWindow(this.vault, job, this.sink, this.collectDamage, this.memory);
  }

  compare(job: LaneCompareJob): Promise<LaneCompareResult> {
    // What a restore writes to can often be read as well: then it is compared with itself.
    const source = this.source ?? (this.sink && isSource(this.sink) ? this.sink : null);
    if (!source) throw new Error('This lane has nothing to compare');
    if (job.patch && !this.sink) throw new Error('This lane has no sink to write what differs to');
    return compareWindow(this.vault, source, job.patch ? this.sink : null, job, this.memory);
  }

  assemble(job: LaneAssembleJob): Promise<LaneAssembleResult> {
    if (!this.source || !this.sink || !isSource(this.sink)) throw new Error('This lane has no source to copy from, or no sink that can be read back');
    return assembleWindow(this.vault, this.source, this.sink, job, this.memory);
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
