import type { ListedPoint } from '../vault/catalog';
import type { Manifest, ManifestDisk } from '../vault/format/manifest';
import type { MarkState } from '../vault/points/marks';

/** What became of a recovery point. */
export const marksView = ({ state, binUntil, deleted, held, holds, damaged }: MarkState): object => ({ state, binUntil, deleted, held, holds, ...(damaged ? { marksDamaged: damaged } : {}) });

/** What a list shows of a manifest; the index has it without opening one. */
type Summarized = Pick<Manifest, 'id' | 'itemId' | 'createdAt' | 'slot' | 'policy' | 'consistency' | 'sequence' | 'stats'> & {
  readonly warnings: readonly string[]; readonly disks: readonly Readonly<Pick<ManifestDisk, 'name' | 'lun' | 'sizeBytes' | 'mode'>>[];
};

/** A recovery point in a list. */
export const summarize = ({ manifest, marks }: { readonly manifest: Summarized; readonly marks: MarkState }) => ({
  id: manifest.id, itemId: manifest.itemId, createdAt: manifest.createdAt, slot: manifest.slot, policy: manifest.policy, consistency: manifest.consistency,
  sequence: manifest.sequence, ...marksView(marks), warnings: manifest.warnings, stats: manifest.stats,
  disks: manifest.disks.map(({ name, lun, sizeBytes, mode }) => ({ name, lun, sizeBytes, mode })),
});

/** A recovery point in full. */
export const describe = (point: ListedPoint): object => describeManifest(point, point.manifest);

const describeManifest = (point: ListedPoint, manifest: ListedPoint['manifest']): object => ({
  ...summarize(point), startedAt: manifest.startedAt, source: manifest.source, parent: manifest.parent, champions: manifest.champions,
  disks: manifest.disks.map(({ root, ...disk }) => ({ ...disk, root: root && root.id })),
});
