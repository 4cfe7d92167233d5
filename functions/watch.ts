import { app } from '@azure/functions';
import { look } from '../activities/look';
import type { Services } from './services';

/** The timer that looks at the vault and measures what is there, apart from everything that makes backups (activities/look.ts). */
export function registerWatch({ deps, lookCron }: Services): void {
  app.timer('watcher', { schedule: lookCron, handler: () => look(deps) });
}
