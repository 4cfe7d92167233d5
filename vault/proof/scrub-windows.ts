import { type ErrorReport, toReport } from '../../errors/holdfast-error';
import { isDamage } from './damage';
import type { BlobRef } from '../format/blob';
import { REGION_WINDOWS } from '../format/format';
import { diskTree, type Manifest, type ManifestDisk } from '../format/manifest';
import type { InnerNode } from '../format/nodes';
import { refToJson } from '../format/ref-json';
import type { LaneReadJob } from '../transfer/transfer-lane';
import { leafRefs, loadRegion, loadRoot, type VaultAccess } from '../format/tree';

export type ScrubWindow =
  | { readonly disk: ManifestDisk; readonly diskNumber: number; readonly job: LaneReadJob }
  /** A node above the windows that is damaged: what is below it cannot be found. */
  | { readonly disk: ManifestDisk; readonly diskNumber: number; readonly damage: ErrorReport };

export interface ScrubCursor { readonly disk: number; readonly window: number }

/**
 * The windows of a recovery point that are to be read, in order, from the cursor on. With `other`, a recovery point of the same item that was proved, only those where the two
 * trees refer to different places, and of these only the chunks that `other` does not have there.
 */
export async function* windowsToProve(vault: VaultAccess, manifest: Manifest, other: Manifest | null, cursor: ScrubCursor | null): AsyncGenerator<ScrubWindow> {
  for (const [diskNumber, disk] of manifest.disks.entries()) {
    if (cursor && diskNumber < cursor.disk) continue;
    const from = cursor?.disk === diskNumber ? cursor.window : 0;
    const twin = other?.disks.find(({ name, lun, sizeBytes }) => name === disk.name && lun === disk.lun && sizeBytes === disk.sizeBytes);
    yield* windowsOfDisk(vault, disk, diskNumber, twin, from);
  }
}

const samePlace = (a: BlobRef | null | undefined, b: BlobRef | null | undefined): boolean => Boolean(a && b && a.pack === b.pack && a.offset === b.offset && a.id.equals(b.id));

async function* windowsOfDisk(vault: VaultAccess, disk: ManifestDisk, diskNumber: number, twin: ManifestDisk | undefined, from: number): AsyncGenerator<ScrubWindow> {
  const tree = diskTree(disk);
  const twinTree = twin && diskTree(twin);
  if (samePlace(tree.root, twinTree?.root)) return;
  const root = await orDamage(() => loadRoot(vault, tree));
  if (isReport(root)) {
    yield { disk, diskNumber, damage: root };
    return;
  }
  const twinRoot = twinTree ? await orDamage(() => loadRoot(vault, twinTree)) : null;
  for (const [index, ref] of root?.children ?? []) {
    if ((index + 1) * REGION_WINDOWS <= from) continue;
    const twinRef = isReport(twinRoot) ? undefined : twinRoot?.children.get(index);
    if (samePlace(ref, twinRef)) continue;
    const region = await orDamage(() => loadRegion(vault, ref, index, tree.sizeBytes));
    if (isReport(region)) {
      yield { disk, diskNumber, damage: region };
      continue;
    }
    const twinRegion = twinRef ? await orDamage(() => loadRegion(vault, twinRef, index, tree.sizeBytes)) : null;
    yield* windowsOfRegion(disk, diskNumber, region, isReport(twinRegion) ? null : twinRegion, from);
  }
}

function* windowsOfRegion(disk: ManifestDisk, diskNumber: number, region: InnerNode, twin: InnerNode | null, from: number): Generator<ScrubWindow> {
  for (const [window, leaf] of leafRefs(region)) {
    const twinLeaf = twin?.children.get(window % REGION_WINDOWS);
    if (window < from || samePlace(leaf, twinLeaf)) continue;
    yield { disk, diskNumber, job: { window, leaf: refToJson(leaf), diskBytes: disk.sizeBytes, provedLeaf: twinLeaf && refToJson(twinLeaf) } };
  }
}

/** What a step gives, or the report of the damage that it met. Anything else is thrown: it proves nothing. */
async function orDamage<T>(step: () => Promise<T>): Promise<T | ErrorReport> {
  try {
    return await step();
  } catch (error) {
    if (!isDamage(error)) throw error;
    return toReport(error);
  }
}

const isReport = (value: unknown): value is ErrorReport => typeof value === 'object' && value !== null && 'code' in value && 'remedy' in value;
