import type { Access } from '../access/access';
import type { ActivityDeps, Duty } from '../activities/deps';

/** What the triggers work with: the activities' dependencies, and what the settings say about HTTP and the timer. */
export interface Services {
  /** What backups and the HTTP API work with. */
  readonly deps: ActivityDeps;
  /** The same for the other duties, each with its own identity. */
  readonly others: Readonly<Record<Exclude<Duty, 'backup'>, ActivityDeps>>;
  /** Who may call the HTTP API. */
  readonly access: Access;
  readonly schedulerCron: string;
  /** When the look at the vault measures it: NCRONTAB with seconds, UTC. */
  readonly lookCron: string;
  /** When the reconciler, the sweeper and the maintenance of the vault run: NCRONTAB with seconds, UTC. */
  readonly housekeeping: { readonly reconcileCron: string; readonly sweepCron: string; readonly maintainCron: string };
  /** When a day's share of the vault is proved (NCRONTAB with seconds, UTC), and how many days a round through all of it takes. */
  readonly scrubs: { readonly cron: string; readonly days: number };
}
