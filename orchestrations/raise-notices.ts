import type { OrchestrationContext } from 'durable-functions';
import type { JobReport } from '../activities/report-job';
import { NOTICES } from './names';
import { persist, type Steps } from './steps';

/** Through an outage of the vault of a day. After that the failure of the job is no news any more, and other alarms have told of the outage. */
const RAISING = { firstMs: 5_000, mostMs: 15 * 60_000, limitMs: 24 * 3_600_000 };

/** Writes down what people are told of a job that ended (activities/notice-rules.ts). Apart from the job, which must not wait for that. Telling them is `tell`'s. */
export function* raiseNotices(context: OrchestrationContext): Steps<{ readonly ids: readonly string[]; readonly error: string | null }> {
  const raised = yield* persist<{ readonly ids: readonly string[] }>(context, NOTICES.raiseJobNotices, context.df.getInput() as JobReport, RAISING);
  return raised.ok ? { ids: [...raised.value.ids], error: null } : { ids: [], error: raised.error.code };
}
