import type { Manifest } from '../vault/manifest';

/** A recovery point in a list. */
export const summarize = (manifest: Manifest): object => ({
  id: manifest.id, itemId: manifest.itemId, createdAt: manifest.createdAt, slot: manifest.slot, policy: manifest.policy, consistency: manifest.consistency,
  sequence: manifest.sequence, warnings: manifest.warnings, stats: manifest.stats,
  disks: manifest.disks.map(({ name, lun, sizeBytes, mode }) => ({ name, lun, sizeBytes, mode })),
});

/** A recovery point in full. */
export const describe = (manifest: Manifest): object => ({
  ...summarize(manifest), startedAt: manifest.startedAt, source: manifest.source, parent: manifest.parent, champions: manifest.champions,
  disks: manifest.disks.map(({ root, ...disk }) => ({ ...disk, root: root && root.id })),
});
