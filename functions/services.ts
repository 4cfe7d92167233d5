import type { Access } from '../access/access';
import type { ActivityDeps, Duty } from '../activities/deps';
import type { Courier } from '../activities/courier';
import { createFleet, type Fleet } from '../activities/fleet';
import { type Freshness } from '../vault/fleet/fresh';
import { noticingStore } from '../vault/fleet/noticing-store';
import type { VaultAccess } from '../vault/format/tree';

/** What the triggers work with: the activities' dependencies, and what the settings say about HTTP and the timer. */
export interface Services {
  /** What backups and the HTTP API work with. */
  readonly deps: ActivityDeps;
  /** The same for the other duties, each with its own identity. */
  readonly others: Readonly<Record<Exclude<Duty, 'backup'>, ActivityDeps>>;
  /** Who may call the HTTP API. */
  readonly access: Access;
  /** What the views look at. Whatever these dependencies change in the vault, it is told. */
  readonly fleet: Fleet;
  readonly schedulerCron: string;
  /** How notifications are brought, and when the timer looks for those that nobody tells (NCRONTAB with seconds, UTC). */
  readonly notifications: { readonly courier: Courier; readonly cron: string };
  /** When the look at the vault measures it: NCRONTAB with seconds, UTC. */
  readonly lookCron: string;
  /** When the reconciler, the sweeper and the maintenance of the vault run: NCRONTAB with seconds, UTC. */
  readonly housekeeping: { readonly reconcileCron: string; readonly sweepCron: string; readonly maintainCron: string };
  /** When a day's share of the vault is proved (NCRONTAB with seconds, UTC), and how many days a round through all of it takes. */
  readonly scrubs: { readonly cron: string; readonly days: number };
}

/** Adds the fleet, and lets every duty's vault tell it what it changes. */
export function withFleet(services: Omit<Services, 'fleet'>, freshness?: Freshness): Services {
  const made: { fleet?: Fleet } = {};
  const telling = (deps: ActivityDeps): ActivityDeps => {
    const told = new WeakMap<VaultAccess, VaultAccess>();
    return {
      ...deps,
      async vault() {
        const vault = await deps.vault();
        let known = told.get(vault);
        if (!known) told.set(vault, (known = { ...vault, store: noticingStore(vault.store, (name) => made.fleet?.noticed(name)) }));
        return known;
      },
    };
  };
  const deps = telling(services.deps);
  const fleet = createFleet(deps, freshness);
  made.fleet = fleet;
  return { ...services, deps, others: { maintenance: telling(services.others.maintenance), restore: telling(services.others.restore) }, fleet };
}
