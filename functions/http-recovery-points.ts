import type { HttpRequest } from '@azure/functions';
import { z } from 'zod';
import { parseStamp } from '../policy/slot';
import { itemIdOf, loadRecoveryPoint, type NamedPoint, openRecoveryPoints, recoveryPointNames } from '../vault/catalog';
import { recoveryPointId } from '../vault/format/manifest';
import type { VaultAccess } from '../vault/format/tree';
import { listOf, pageFrom, pageQuery, type PageQuery, sortedBy } from './paging';
import { json } from './problem';
import { describe, summarize } from './recovery-point-view';
import { instant, pathId, route } from './route';
import { fullPoint, listedPoint, unreadablePoint } from './schemas/points';

export const pointsQuery = {
  ...pageQuery,
  state: z.enum(['live', 'binned', 'all']).default('live').meta({ description: 'all: what is shown and what is in the bin' }),
  from: instant.optional().meta({ description: 'At or after this moment, by the time in the id' }),
  to: instant.optional().meta({ description: 'Before this moment' }),
};

export const pointList = listOf('RecoveryPointList', z.union([listedPoint, unreadablePoint]));

interface Wanted extends PageQuery {
  readonly state: 'live' | 'binned' | 'all';
  readonly from?: number | undefined;
  readonly to?: number | undefined;
}

/** Recovery points of the vault or of an item, newest first. Only the manifests of the page are read; one that is damaged stands in its place. */
export async function listPoints(request: HttpRequest, vault: VaultAccess, query: Wanted, itemId?: string): Promise<object> {
  const { state, from = -Infinity, to = Infinity } = query;
  const isWanted = ({ marks, stamp }: NamedPoint): boolean => {
    const at = parseStamp(stamp) ?? 0;
    return marks.state !== 'purged' && (state === 'all' || marks.state === state) && at >= from && at < to;
  };
  const keyOf = ({ itemId: item, stamp }: NamedPoint): string => `${new Date(parseStamp(stamp) ?? 0).toISOString()} ${item}`;
  const names = sortedBy((await recoveryPointNames(vault, itemId)).filter(isWanted), keyOf, 'descending');
  return pageFrom(request, query, names, keyOf, async (page) => {
    const { points, damaged } = await openRecoveryPoints(vault, page, summarize);
    const shown = new Map<string, object>(points.map((point) => [point.id, point]));
    for (const { id, itemId: item, error, marks } of damaged) shown.set(id, { id, itemId: item, state: marks.state, damaged: true, error });
    return page.flatMap(({ itemId: item, stamp }) => shown.get(recoveryPointId(item, stamp)) ?? []);
  }, 'descending');
}

const listRecoveryPoints = route({
  id: 'listRecoveryPoints', method: 'GET', path: 'recovery-points', role: 'Reader', responses: { 200: pointList },
  query: z.strictObject({ ...pointsQuery, item: pathId.optional().meta({ description: 'Of this item, by its id or a name that only one has' }) }),
  summary: 'Recovery points of the vault, newest first',
  async handler({ request, query, services: { deps } }) {
    const vault = await deps.vault();
    return json(await listPoints(request, vault, query, query.item === undefined ? undefined : await itemIdOf(vault, query.item)));
  },
});

const getRecoveryPoint = route({
  id: 'getRecoveryPoint', method: 'GET', path: 'recovery-points/{id}', role: 'Reader', params: z.strictObject({ id: pathId }), responses: { 200: fullPoint },
  summary: 'A recovery point, also one in the bin: its state says so',
  handler: async ({ params, services: { deps } }) => json(describe(await loadRecoveryPoint(await deps.vault(), params.id, { deleted: true }))),
});

export const recoveryPointRoutes = [listRecoveryPoints, getRecoveryPoint];
