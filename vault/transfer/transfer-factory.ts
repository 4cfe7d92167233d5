import { pathToFileURL } from 'node:url';
import { HoldfastError } from '../../errors/holdfast-error';
import type { BlockSink } from './block-sink';
import type { BlockSource } from './block-source';
import type { Store } from '../store/store';

/** Anything that survives postMessage: how a thread is told where the vault and the disk are. May hold secrets. */
export type Spec = Readonly<Record<string, unknown>>;

/**
 * How a thread opens what it works on. vault/ knows no cloud and no image format, so a composition root names a module
 * (by absolute path) whose export `transferFactory` is one of these.
 */
export interface TransferFactory {
  openStore(spec: Spec): Promise<Store>;
  /** `renew` asks the main thread for a new spec when access has expired. */
  openSource(spec: Spec, renew: () => Promise<Spec>): Promise<BlockSource>;
  openSink(spec: Spec, renew: () => Promise<Spec>): Promise<BlockSink>;
}

export async function loadFactory(modulePath: string): Promise<TransferFactory> {
  const loaded = await import(pathToFileURL(modulePath).href) as { transferFactory?: TransferFactory };
  if (!loaded.transferFactory) throw new HoldfastError('INTERNAL', `The module ${modulePath} exports no transferFactory`);
  return loaded.transferFactory;
}
