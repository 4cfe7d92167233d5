import { app } from '@azure/functions';
import { look } from '../activities/look';
import { formatStamp } from '../policy/slot';
import { messageOf } from '../errors/holdfast-error';
import type { Services } from './services';

/**
 * The timer that looks at the vault and measures what is there, apart from everything that makes backups (activities/look.ts). Then it writes down what the views have read, where that is
 * much, so that the next start of the app need not open every manifest.
 */
export function registerWatch({ deps, fleet, lookCron }: Services): void {
  app.timer('watcher', {
    schedule: lookCron,
    async handler() {
      await look(deps);
      try {
        await fleet.summarize(formatStamp(deps.nowMs()));
      } catch (error) {
        // It only spares work: the look itself went well.
        deps.log('What the views know could not be written down', { error: messageOf(error) });
      }
    },
  });
}
