// What commands read of a vault and do in it, asked of an app: each answers just what its twin on the vault does, so that one piece of code shows either.
import type { ItemView } from '../activities/fleet-items';
import type { AppliedRetention, ItemRetentionPlan } from '../activities/retention';
import { HoldfastError, isHoldfastError } from '../errors/holdfast-error';
import type { ItemSummary } from '../vault/catalog';
import type { KeyFacts, KeyTestReport } from '../vault/keys/key-ring';
import type { Manifest } from '../vault/format/manifest';
import type { AppClient } from './app-client';
import type { MarksShown } from './marks-view';

const at = (...parts: readonly string[]): string => `/api/${parts.map(encodeURIComponent).join('/')}`;

/** Those that are in the vault; machines without a recovery point are what the app knows beside. */
export async function itemsOfApp(app: AppClient): Promise<ItemSummary[]> {
  const items = await app.all<ItemView>('/api/items?limit=1000');
  return items.map(({ id, name, recoveryPoints, damaged, oldestAt, latest, proved }) => ({ itemId: id, name, recoveryPoints, damaged, oldestAt, latest, proved }))
    .filter(({ recoveryPoints, damaged }) => recoveryPoints + damaged > 0);
}

/** What the API says of marks. */
interface MarksView extends Pick<MarksShown, 'state' | 'binUntil' | 'held' | 'holds'> { readonly marksDamaged?: MarksShown['damaged'] }

const marksOf = ({ state, binUntil, held, holds, marksDamaged }: MarksView): MarksShown => ({ state, binUntil, held, holds, damaged: marksDamaged ?? null });

type PointFacts = Pick<Manifest, 'id' | 'itemId' | 'createdAt' | 'consistency' | 'sequence' | 'slot' | 'policy' | 'warnings' | 'stats'> & { readonly disks: readonly Pick<Manifest['disks'][number], 'name' | 'lun' | 'sizeBytes' | 'mode'>[] };

export interface PointList {
  /** By item, then by sequence. */
  readonly points: readonly { readonly manifest: PointFacts; readonly marks: MarksShown }[];
  readonly damaged: readonly { readonly id: string; readonly error: { readonly message: string } }[];
}

export async function pointsOfApp(app: AppClient, item: string | undefined, deleted: boolean): Promise<PointList> {
  const path = item === undefined ? '/api/recovery-points' : at('items', item, 'recovery-points');
  const listed = await app.all<(PointFacts & MarksView) | { id: string; itemId: string; damaged: true; error: { message: string } }>(`${path}?limit=1000&state=${deleted ? 'all' : 'live'}`);
  const points = listed.flatMap((point) => ('damaged' in point ? [] : [{ manifest: point, marks: marksOf(point) }]));
  const byItem = (a: PointFacts, b: PointFacts): number => (a.itemId === b.itemId ? a.sequence - b.sequence : a.itemId < b.itemId ? -1 : 1);
  return { points: points.sort((a, b) => byItem(a.manifest, b.manifest)), damaged: listed.flatMap((point) => ('damaged' in point ? [point] : [])).sort((a, b) => (a.id < b.id ? -1 : 1)) };
}

/** A recovery point by its id, or the latest one: of the item, or of the only one that there is. */
export async function pointOfApp(app: AppClient, wanted: string, item: string | undefined): Promise<{ readonly manifest: Manifest; readonly marks: MarksShown }> {
  const { marks, ...manifest } = await app.send('GET', at('recovery-points', wanted === 'latest' ? await latestOfApp(app, item) : wanted, 'manifest')) as Manifest & { marks: MarksView };
  return { manifest, marks: marksOf(marks) };
}

async function latestOfApp(app: AppClient, asked: string | undefined): Promise<string> {
  let item = asked;
  if (item === undefined) {
    const items = await itemsOfApp(app);
    if (items.length > 1) throw new HoldfastError('ITEM_AMBIGUOUS', `The vault has ${items.length} items: ${items.slice(0, 20).map(({ itemId }) => itemId).join(', ')}`);
    item = items[0]?.itemId;
  }
  const last = item === undefined ? undefined : (await app.send('GET', `${at('items', item, 'recovery-points')}?limit=1`) as { value: { id: string }[] }).value[0];
  if (last === undefined) throw new HoldfastError('RECOVERY_POINT_NOT_FOUND', item === undefined ? 'The vault has no recovery point yet' : `The item ${item} has no recovery point`);
  return last.id;
}

export type MarkRequest = 'delete' | 'undelete' | { readonly hold: string } | { readonly release: string };

/** Changes what becomes of a recovery point. */
export async function markByApp(app: AppClient, point: string, request: MarkRequest, dryRun = false): Promise<MarksShown> {
  const path = at('recovery-points', point);
  if (request === 'delete') return marksOf(await app.send('DELETE', `${path}${dryRun ? '?dryRun=true' : ''}`) as MarksView);
  if (request === 'undelete') return marksOf(await app.send('POST', `${path}/undelete`) as MarksView);
  if ('hold' in request) return marksOf(await app.send('POST', `${path}/holds`, { label: request.hold }) as MarksView);
  // The command line has asked for --yes, which is what the app asks to be said.
  const label = encodeURIComponent(request.release);
  return marksOf(await app.send('DELETE', `${path}/holds?label=${label}&confirm=${label}`) as MarksView);
}

/** Ids of the items that retention is asked of. */
export async function retentionItems(app: AppClient, item: string | undefined, policy: string | undefined): Promise<string[]> {
  const items = item === undefined ? (await itemsOfApp(app)).map(({ itemId }) => itemId) : [(await app.send('GET', at('items', item)) as ItemView).id];
  if (policy === undefined) return items;
  // One list of all, and not one of each: a large fleet would run into the app's limit of requests.
  const { points } = await pointsOfApp(app, item === undefined ? undefined : items[0], false);
  const made = new Set(points.flatMap(({ manifest }) => (manifest.policy === policy ? [manifest.itemId] : [])));
  return items.filter((id) => made.has(id));
}

export const retentionPlanOfApp = async (app: AppClient, itemId: string): Promise<ItemRetentionPlan> => await app.send('GET', at('items', itemId, 'retention')) as ItemRetentionPlan;

/** What the document would keep of an item, if it were in force. */
export const previewOfApp = async (app: AppClient, itemId: string, document: { readonly name: string }): Promise<ItemRetentionPlan> =>
  await app.send('POST', `${at('policies', document.name, 'retention-preview')}?item=${encodeURIComponent(itemId)}`, document) as ItemRetentionPlan;

/** A plan that waits for a person is told in `refused`, as on a vault. */
export async function retainByApp(app: AppClient, itemId: string, approve: string | undefined): Promise<AppliedRetention> {
  try {
    return await app.send('POST', at('items', itemId, 'retention'), approve === undefined ? {} : { approve }) as AppliedRetention;
  } catch (error) {
    if (!isHoldfastError(error, 'RETENTION_REFUSED')) throw error;
    const { points } = await retentionPlanOfApp(app, itemId);
    return { itemId, kept: points.length, binned: [], stayed: [], refused: error.toJSON() };
  }
}

export const keysOfApp = async (app: AppClient): Promise<KeyFacts[]> => (await app.send('GET', '/api/vault/keys') as { value: KeyFacts[] }).value;

/** Each identity of the app tries for itself; what is shown of a key is the first answer that is not that it opens the vault. */
export async function keyTestOfApp(app: AppClient): Promise<KeyTestReport> {
  const { ok, tests } = await app.send('POST', '/api/vault/keys/test') as { ok: boolean; tests: readonly KeyTestReport[] };
  const byId = new Map<string, KeyTestReport['keys'][number]>();
  for (const key of tests.flatMap(({ keys }) => keys)) {
    const known = byId.get(key.keyId);
    if (known === undefined || known.outcome === 'not-tried' || (known.outcome === 'opens' && key.outcome !== 'not-tried')) byId.set(key.keyId, key);
  }
  return { ok, keys: [...byId.values()] };
}
