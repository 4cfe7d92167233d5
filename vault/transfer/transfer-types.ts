/** Change of references to data packs: pack id in hex, chunks, bytes of their blobs; negative where references went. */
export type UsageDelta = readonly (readonly [pack: string, chunks: number, bytes: number])[];

/** What a transfer did. All sums, so that they can be added up over windows, slices, regions and disks. */
export interface TransferStats {
  windows: number;
  /** Read from the source. */
  readBytes: number;
  /** Plain bytes whose content differs from the parent's at the same place. */
  changedBytes: number;
  newChunks: number;
  newBytes: number;
  /** Changed chunks that were in the vault already. */
  reusedChunks: number;
  reusedBytes: number;
  /** Written to the store: packs with all that belongs to them. */
  storedBytes: number;
  /** Windows whose part of the parent was damaged, so that they were read and stored anew. */
  healedWindows: number;
  /** Chunks that were copied out of packs that are hardly used any more, and the bytes of their blobs. */
  forwardedChunks: number;
  forwardedBytes: number;
}

export const emptyStats = (): TransferStats => ({ windows: 0, readBytes: 0, changedBytes: 0, newChunks: 0, newBytes: 0, reusedChunks: 0, reusedBytes: 0, storedBytes: 0, healedWindows: 0, forwardedChunks: 0, forwardedBytes: 0 });

export function addStats(into: TransferStats, more: TransferStats): TransferStats {
  for (const key of Object.keys(into) as (keyof TransferStats)[]) into[key] += more[key];
  return into;
}
