import type { Manifest } from '../../vault/format/manifest';
import { refToJson } from '../../vault/format/ref-json';
import type { TreeHistory } from '../../vault/points/references';
import type { OpenRunRequest, RunRef } from '../../vault/run';
import { emptyStats } from '../../vault/transfer/transfer-types';
import type { DiskTree } from '../../vault/format/tree';
import { START_MS } from './vault-kit';

export const STAMP_A = '20261123T010000Z';
export const STAMP_B = '20261124T010000Z';
export const HOUR_MS = 3_600_000;

export const runRequest = (owner: string, more: Partial<OpenRunRequest> = {}): OpenRunRequest =>
  ({ itemId: 'item', stamp: STAMP_A, slot: null, owner, policy: null, nowMs: START_MS, maxRunMs: HOUR_MS, ...more });

/** A manifest of the run; `name` tells apart who wrote it. */
export const makeManifest = (run: RunRef, name: string, tree: DiskTree = { root: null, sizeBytes: 4096 }, history?: TreeHistory): Manifest => ({
  format: 'holdfast-recovery-point', version: 1, id: `${run.itemId}.${run.stamp}`, itemId: run.itemId, stamp: run.stamp, sequence: run.sequence, slot: null,
  startedAt: new Date(START_MS).toISOString(), createdAt: new Date(START_MS).toISOString(), policy: null, consistency: 'crash', warnings: [],
  source: { kind: 'image', name, resourceId: null, model: null },
  disks: [{ name: 'disk', lun: 'os', sizeBytes: tree.sizeBytes, logicalSectorBytes: 512, root: tree.root && refToJson(tree.root), tree: history ?? { lineage: `${run.sequence}.0`, references: '0-0', records: [] }, source: {}, mode: 'full', stats: emptyStats() }],
  parent: null, champions: [], stats: emptyStats(),
});
