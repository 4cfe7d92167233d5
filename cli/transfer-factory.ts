// What transfer threads open for the command line: images as sources, files as sinks. See vault/transfer-factory.ts.
import { openStore } from '../azure/open-store';
import { openImage } from '../local/images/open-image';
import type { StoreSpec } from '../vault/store/store-spec';
import type { TransferFactory } from '../vault/transfer/transfer-factory';
import { discardWrites } from './discard-store';
import { openFileSink } from './file-sink';
import { openRawFile } from './raw-file';

/** How the command line tells a thread where the vault is and what it may do there. */
export interface VaultSpec {
  readonly store: StoreSpec;
  readonly readOnly: boolean;
  /** Takes writes and keeps none of them: a dry run. */
  readonly discard: boolean;
}

export async function openSpec({ store: spec, readOnly, discard }: VaultSpec, create = false): ReturnType<typeof openStore> {
  const store = await openStore(spec, process.env, { create, readOnly: readOnly || discard });
  return discard ? discardWrites(store) : store;
}

export const transferFactory: TransferFactory = {
  openStore: (spec) => openSpec(spec as unknown as VaultSpec),
  openSource: (spec) => (spec.raw === true ? openRawFile(String(spec.path)) : openImage(String(spec.path))),
  openSink: (spec) => openFileSink(String(spec.path)),
};
