import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Command } from './process';

/** Where a contender keeps what it stores. */
export type Place =
  | { readonly kind: 'folder'; /** The vault or repository. */ readonly store: string; /** For what else it keeps: key, cache. */ readonly own: string }
  | { readonly kind: 'azurite'; readonly container: string; readonly own: string };

/** A way to write the newest backup back, and the file that is then the image. */
export interface RestoreWay {
  readonly name: string;
  readonly command: Command;
  readonly file: string;
}

export interface Contender {
  readonly name: 'holdfast' | 'restic';
  init(place: Place): Command;
  /** `rangesFile` names where the image changed since the backup before; a contender that cannot use it ignores it. */
  backup(place: Place, image: string, rangesFile: string | null): Command;
  /** Reads everything back that is stored and proves it. */
  proof(place: Place): Command;
  restores(place: Place, image: string, target: string): readonly RestoreWay[];
}

/** Bytes of all files under a folder. */
export function storedBytes(folder: string): number {
  if (!existsSync(folder)) return 0;
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) bytes += statSync(path.join(entry.parentPath, entry.name)).size;
  }
  return bytes;
}
