import type { PolicyDocument } from '../policy/schema';
import { itemIdOfResource } from '../policy/item-id';
import { selectItems } from '../policy/select';
import type { Prices, Tier } from '../policy/cost/prices';
import { Fresh, type Freshness } from '../vault/fleet/fresh';
import { type IndexSnapshot, VaultIndex } from '../vault/fleet/vault-index';
import { factsOf, type KeyFacts } from '../vault/keys/key-ring';
import { readKeyDocuments } from '../vault/keys/unlock';
import { listMaintenance, type MaintenanceRecord } from '../vault/points/maintenance-log';
import { type DamageEntry, listDamage } from '../vault/proof/damage-ledger';
import { type DamagedPoint, listDamagedPoints } from '../vault/proof/damaged-points';
import type { VmSummary } from './cloud';
import { bytesByTier } from './cost';
import type { ActivityDeps } from './deps';
import { objectiveSeconds, strictestOf } from './look';
import { listPolicies, type StoredPolicy } from './policy-store';
import { loadPrices } from './price-store';

/** Something that is known, and since when: what changed after `asOf` (ISO 8601) may not be in it. */
export interface Known<T> { readonly asOf: string; readonly value: T }

/** A policy in force and the age, in seconds, at which an item of it is overdue; null for one that is not enabled. */
export interface FleetPolicy extends StoredPolicy { readonly objective: number | null }

export interface FleetPolicies { readonly policies: readonly FleetPolicy[]; /** Names of those that cannot be read: what they cover is not known. */ readonly broken: readonly string[] }

/** A machine of the subscriptions and what covers it. */
export interface Coverage {
  readonly vm: VmSummary;
  /** Names of the enabled policies that cover it. */
  readonly policies: readonly string[];
  /** Of those the one that wants the newest recovery points. */
  readonly strictest: FleetPolicy | null;
}

/** All that is looked at together: the vault's index, the machines, the policies, and how the vault is looked after. Each is loaded once for all who ask, and kept for a while. */
export interface Fleet {
  /** To be told of every object that this process may have created or deleted. */
  noticed(name: string): void;
  vault(): Promise<IndexSnapshot>;
  /** Machines with what covers them, by item id. */
  coverage(): Promise<Known<ReadonlyMap<string, Coverage>>>;
  policies(): Promise<Known<FleetPolicies>>;
  /** The outcomes of the last maintenances, the newest first. */
  maintenance(): Promise<Known<readonly MaintenanceRecord[]>>;
  damage(): Promise<Known<{ readonly packs: readonly DamageEntry[]; readonly points: readonly DamagedPoint[] }>>;
  prices(): Promise<Known<Prices>>;
  /** Bytes of all that is stored, by tier. Every object is listed for it, so it may be an hour old. */
  tiers(): Promise<Known<Record<Tier, number>>>;
  keys(): Promise<Known<readonly KeyFacts[]>>;
  /** Writes down for the next start what is known, where that is worth it; how many facts. */
  summarize(stamp: string): Promise<number>;
}

/** What others change is seen within a minute, and as a rule within a quarter of one. Long listings are repeated less often: see Fresh. */
export const FRESHNESS: Freshness = { softMs: 15_000, hardMs: 60_000 };
const TIERS_FRESHNESS: Freshness = { softMs: 15 * 60_000, hardMs: 60 * 60_000 };
/** Records of maintenances that are read for charts: two a day at most for half a year. */
const MAINTENANCES = 200;

export function createFleet(deps: ActivityDeps, freshness: Freshness = FRESHNESS): Fleet {
  const open = (): ReturnType<ActivityDeps['vault']> => deps.vault();
  const index = new VaultIndex({ open, nowMs: deps.nowMs, freshness, log: deps.log });
  const late = (what: string) => (error: unknown): void => deps.log(`${what} could not be looked at; what is shown of it grows older`, { error: error instanceof Error ? error.message : String(error) });
  const kept = <T>(what: string, load: () => Promise<T>, age: Freshness = freshness): Fresh<Known<T>> => new Fresh(async () => {
    const asOf = new Date(deps.nowMs()).toISOString();
    return { asOf, value: await load() };
  }, age, late(what));
  const machines = kept('The machines', () => deps.cloud.listVms());
  const policies = kept('The policies', () => loadPolicies(deps));
  const maintenance = kept('The maintenance of the vault', async () => listMaintenance(await open(), MAINTENANCES));
  const damage = kept('The ledger of damage', async () => ({ packs: await listDamage(await open()), points: await listDamagedPoints(await open()) }));
  const prices = kept('The prices', async () => (await loadPrices((await open()).store)).prices);
  const keys = kept('The keys', async () => (await readKeyDocuments((await open()).store)).map(factsOf));
  const tiers = kept('What is stored', async () => bytesByTier(await open()), freshness.hardMs === 0 ? freshness : TIERS_FRESHNESS);
  const byFolder: Readonly<Record<string, { invalidate(): void }>> = { policies, maintenance, damage, prices, keys };
  const covers = lastOf(coverageOf);
  return {
    noticed(name) {
      index.noticed(name);
      byFolder[name.slice(0, name.indexOf('/'))]?.invalidate();
    },
    vault: () => index.snapshot(),
    async coverage() {
      const [vms, known] = await Promise.all([machines.get(), policies.get()]);
      return { asOf: vms.asOf < known.asOf ? vms.asOf : known.asOf, value: covers(vms.value, known.value) };
    },
    policies: () => policies.get(),
    maintenance: () => maintenance.get(),
    damage: () => damage.get(),
    prices: () => prices.get(),
    tiers: () => tiers.get(),
    keys: () => keys.get(),
    summarize: async (stamp) => index.summarize(await open(), stamp),
  };
}

async function loadPolicies(deps: ActivityDeps): Promise<FleetPolicies> {
  const broken: string[] = [];
  const vault = await deps.vault();
  const stored = await listPolicies(vault.store, (name) => {
    broken.push(name);
    deps.log('A policy cannot be read: what it covers is not known', { policy: name });
  });
  const at = deps.nowMs();
  return { policies: stored.map((policy) => ({ ...policy, objective: policy.document.enabled ? objectiveSeconds(policy.document, at) : null })), broken };
}

function coverageOf(vms: readonly VmSummary[], { policies }: FleetPolicies): ReadonlyMap<string, Coverage> {
  const covering = new Map<string, FleetPolicy[]>(vms.map(({ id }) => [id, []]));
  for (const policy of policies) {
    if (policy.objective === null) continue;
    for (const { id } of selectItems<VmSummary>(policy.document satisfies PolicyDocument, vms)) covering.get(id)?.push(policy);
  }
  return new Map(vms.map((vm) => {
    const own = covering.get(vm.id) ?? [];
    const strictest = strictestOf(own);
    return [itemIdOfResource(vm.id), { vm, policies: own.map(({ document }) => document.name), strictest }];
  }));
}

/** A pure function of two objects that answers the last question again without asking. */
export function lastOf<A, B, R>(make: (a: A, b: B) => R): (a: A, b: B) => R {
  let last: { readonly a: A; readonly b: B; readonly made: R } | undefined;
  return (a, b) => {
    if (last?.a !== a || last.b !== b) last = { a, b, made: make(a, b) };
    return last.made;
  };
}
