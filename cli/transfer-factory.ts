// What transfer threads open for the command line: images as sources, files as sinks. See vault/transfer-factory.ts.
import { openStore } from '../azure/open-store';
import { openImage } from '../local/images/open-image';
import type { StoreSpec } from '../vault/store/store-spec';
import type { TransferFactory } from '../vault/transfer-factory';
import { openFileSink } from './file-sink';

export const transferFactory: TransferFactory = {
  openStore: (spec) => openStore(spec as unknown as StoreSpec, process.env),
  openSource: (spec) => openImage(String(spec.path)),
  openSink: (spec) => openFileSink(String(spec.path)),
};
