import { PackKind } from './format';

const FOLDERS: Readonly<Record<PackKind, string>> = { [PackKind.data]: 'packs/data/', [PackKind.meta]: 'packs/meta/' };

/** The name of a pack's object. `pack` is its id as 32 hex digits. */
export const packName = (kind: PackKind, pack: string): string => `${FOLDERS[kind]}${pack.slice(0, 2)}/${pack}`;
