import type { PolicyDocument } from '../policy/schema';
import { itemIdOfResource } from '../policy/item-id';
import { nextSlots } from '../policy/schedule';
import { policyFor } from '../policy/select';
import { parseStamp } from '../policy/slot';
import { toReport } from '../errors/holdfast-error';
import { newestPoints } from '../vault/catalog';
import { lastProvedItems } from '../vault/proof/proofs';
import { parseRecoveryPointId } from '../vault/format/manifest';
import type { ActivityDeps } from './deps';
import { itemState, type ItemState, secondsSince } from './item-state';
import { raiseNotices } from './notice';
import { noticesOfOverdue, type OverdueItem } from './notice-rules';
import { listPolicies } from './policy-store';

const HOUR_MS = 3_600_000;
/** The longest pause of a schedule shows within so many slots: a week of hourly ones is longer than a person's week of exceptions. */
const SLOTS_LOOKED_AT = 24 * 7;

const STATES = ['protected', 'overdue', 'damaged', 'unprotected', 'gone'] as const;
type CountedState = (typeof STATES)[number];
/** What is counted together: an item that waits for its first recovery point is looked after, and whose machine is not there is not asked. */
const COUNTED: Readonly<Record<ItemState, CountedState>> = { protected: 'protected', waiting: 'protected', overdue: 'overdue', damaged: 'damaged', unprotected: 'unprotected', server: 'gone', gone: 'gone' };

/**
 * Looks at the vault from outside the path of runs: what recovery points are there, how old they are, and what the policies want. So that an item is found overdue
 * whatever kept its backups from running, jobs that never began included. Writes nothing but what people are told of what is overdue. What it finds goes out as metrics, overdue items as an event each; that it came
 * to an end, or why not, is an event as well, and an alert rule fires when that event stays away.
 */
export async function look(deps: Pick<ActivityDeps, 'vault' | 'cloud' | 'nowMs' | 'telemetry' | 'log'>): Promise<void> {
  const startedMs = deps.nowMs();
  try {
    const counts = await measureItems(deps);
    deps.telemetry.event('holdfast.look', { outcome: 'succeeded', code: '', message: '', seconds: (deps.nowMs() - startedMs) / 1000, ...counts });
  } catch (error) {
    const { code, message } = toReport(error);
    deps.telemetry.event('holdfast.look', { outcome: 'failed', code, message: message.slice(0, 500), seconds: (deps.nowMs() - startedMs) / 1000 });
    throw error;
  }
}

async function measureItems({ vault: open, cloud, nowMs, telemetry, log }: Parameters<typeof look>[0]): Promise<Readonly<Record<CountedState, number>>> {
  const vault = await open();
  const broken = (name: string): void => log('A policy cannot be read: what it covers is not known', { policy: name });
  const at = nowMs();
  const policies = (await listPolicies(vault.store, broken)).filter(({ document }) => document.enabled).map((policy) => ({ policy, objective: objectiveSeconds(policy.document, at) }));
  const points = new Map((await newestPoints(vault)).map((point) => [point.itemId, point]));
  const newest = new Set([...points.values()].flatMap(({ newest: point }) => (point ? [point.id] : [])));
  const proofs = await lastProvedItems(vault, (id) => points.has(parseRecoveryPointId(id).itemId));
  const counts = Object.fromEntries(STATES.map((state) => [state, 0])) as Record<CountedState, number>;
  const vms = new Map((await cloud.listVms()).map((vm) => [itemIdOfResource(vm.id), vm]));
  const overdue: OverdueItem[] = [];
  for (const itemId of new Set([...vms.keys(), ...points.keys()])) {
    const point = points.get(itemId);
    const proof = proofs.get(itemId);
    if (point) telemetry.measure('holdfast.item.proved_age', secondsSince(proof?.ok ? Date.parse(proof.at) : parseStamp(point.oldestStamp) ?? at, at), { item: itemId });
    const damaged = (point?.unreadable ?? 0) > 0 || (proof?.ok === false && newest.has(proof.recoveryPoint));
    const vm = vms.get(itemId);
    const strictest = vm ? strictestOf(policies.filter(({ policy }) => policyFor(vm, [policy.document]).length > 0)) : null;
    const newestAge = point?.newest ? secondsSince(Date.parse(point.newest.createdAt), at) : null;
    const waiting = strictest ? secondsSince(strictest.policy.storedAtMs, at) : null;
    const state = itemState({ hasMachine: vm !== undefined, isServer: false, objective: strictest?.objective ?? null, age: newestAge, waiting, isDamaged: damaged });
    counts[COUNTED[state]]++;
    const age = newestAge ?? waiting;
    if (!strictest || age === null) continue;
    const of = { item: itemId, policy: strictest.policy.document.name };
    telemetry.measure('holdfast.recovery_point.age', age, of);
    telemetry.measure('holdfast.recovery_point.objective', strictest.objective, of);
    if (state !== 'overdue') continue;
    overdue.push({ item: itemId, machine: vm?.name ?? '', policy: of.policy, ageSeconds: Math.round(age), objectiveSeconds: Math.round(strictest.objective), recoveryPoint: point?.newest?.id ?? '' });
    telemetry.event('holdfast.item.overdue', { ...of, age, objective: strictest.objective, recoveryPoint: point?.newest?.id ?? '', machine: vm?.name ?? '' });
  }
  await raiseNotices(vault, noticesOfOverdue(overdue, at)).catch((error: unknown) => log('What is overdue could not be told', { items: overdue.length, error: toReport(error).message }));
  for (const state of STATES) telemetry.measure('holdfast.items', counts[state], { state });
  return counts;
}

/** Of several policies the one that wants the newest recovery points. */
export const strictestOf = <W extends { readonly objective: number | null }>(wanted: readonly W[]): W | null =>
  wanted.reduce<W | null>((least, one) => (least === null || (one.objective ?? Infinity) < (least.objective ?? Infinity) ? one : least), null);

/** The age at which an item is overdue: the longest pause between two slots, and the time that a run may take, at most as long as that pause again. */
export function objectiveSeconds(policy: Pick<PolicyDocument, 'schedule' | 'maxRunHours'>, nowMs: number): number {
  const slots = nextSlots(policy.schedule, nowMs, SLOTS_LOOKED_AT);
  const pauseMs = Math.max(0, ...slots.slice(1).map((slot, index) => slot - (slots[index] as number)));
  return (pauseMs + Math.min(pauseMs, policy.maxRunHours * HOUR_MS)) / 1000;
}
