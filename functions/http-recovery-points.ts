import type { HttpRequest } from '@azure/functions';
import { z } from 'zod';
import { parseStamp } from '../policy/slot';
import type { Fleet } from '../activities/fleet';
import { itemIdOf, loadRecoveryPoint } from '../vault/catalog';
import type { IndexedItem, IndexedPoint, IndexSnapshot } from '../vault/fleet/vault-index';
import { recoveryPointId } from '../vault/format/manifest';
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

/** A recovery point in its place in lists. */
interface Listed { readonly key: string; readonly itemId: string; readonly atMs: number; readonly point: IndexedPoint }

const inOrder = (items: Iterable<IndexedItem>): Listed[] => sortedBy([...items].flatMap(({ itemId, points, damaged }) => [...points, ...damaged].map((point): Listed => {
  const atMs = parseStamp(point.stamp) ?? 0;
  return { key: `${new Date(atMs).toISOString()} ${itemId}`, itemId, atMs, point };
})), ({ key }) => key, 'descending');

/** Sorting a hundred thousand takes longer than a page of them, so it is done once for each change. */
const ordered = new WeakMap<IndexSnapshot['items'], Listed[]>();

function allInOrder(items: IndexSnapshot['items']): Listed[] {
  let all = ordered.get(items);
  if (!all) ordered.set(items, (all = inOrder(items.values())));
  return all;
}

/** Recovery points of the vault or of an item, newest first, from the index; one that is damaged stands in its place. */
export async function listPoints(request: HttpRequest, fleet: Fleet, query: Wanted, itemId?: string): Promise<object> {
  const { state, from = -Infinity, to = Infinity } = query;
  const { items } = await fleet.vault();
  const item = itemId === undefined ? undefined : items.get(itemId);
  const listed = itemId === undefined ? allInOrder(items) : inOrder(item ? [item] : []);
  // Looked at only as far as the page goes.
  function* wanted(): Generator<Listed> {
    for (const one of listed) if ((state === 'all' || one.point.marks.state === state) && one.atMs >= from && one.atMs < to) yield one;
  }
  return pageFrom(request, query, wanted(), ({ key }) => key, (page) => page.map(({ itemId: of, point }) => showListed(of, point)), 'descending');
}

function showListed(itemId: string, { stamp, facts, error, marks }: IndexedPoint): object {
  const id = recoveryPointId(itemId, stamp);
  return facts ? summarize({ manifest: { ...facts, id, itemId }, marks }) : { id, itemId, state: marks.state, damaged: true, error };
}

const listRecoveryPoints = route({
  id: 'listRecoveryPoints', method: 'GET', path: 'recovery-points', role: 'Reader', responses: { 200: pointList },
  query: z.strictObject({ ...pointsQuery, item: pathId.optional().meta({ description: 'Of this item, by its id or a name that only one has' }) }),
  summary: 'Recovery points of the vault, newest first',
  async handler({ request, query, services }) {
    const vault = await services.deps.vault();
    return json(await listPoints(request, services.fleet, query, query.item === undefined ? undefined : await itemIdOf(vault, query.item)));
  },
});

const getRecoveryPoint = route({
  id: 'getRecoveryPoint', method: 'GET', path: 'recovery-points/{id}', role: 'Reader', params: z.strictObject({ id: pathId }), responses: { 200: fullPoint },
  summary: 'A recovery point, also one in the bin: its state says so',
  handler: async ({ params, services: { deps } }) => json(describe(await loadRecoveryPoint(await deps.vault(), params.id, { deleted: true }))),
});

export const recoveryPointRoutes = [listRecoveryPoints, getRecoveryPoint];
