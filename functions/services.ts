import type { ActivityDeps } from '../activities/deps';
import type { Settings } from './settings';

/** What the triggers work with: the activities' dependencies, and what the settings say about HTTP and the timer. */
export interface Services {
  readonly deps: ActivityDeps;
  readonly http: Pick<Settings, 'httpAuthLevel'>;
  readonly schedulerCron: string;
}
