import { STEP_LIMIT_MS } from '../orchestrations/limits';
import { activity, type Outcome } from './outcome';
import { HoldfastError } from '../errors/holdfast-error';

/** Calls `fire` after so many ms; the returned function cancels it. */
export type SetTimer = (ms: number, fire: () => void) => () => void;

const realTimer: SetTimer = (ms, fire) => {
  const timer = setTimeout(fire, ms);
  return () => clearTimeout(timer);
};

/**
 * A step that gives itself up when it takes too long (fault 34): it is then told as what it is, while the host's functionTimeout would end
 * the whole worker process with everything else that runs in it. What the step was doing may go on and end later; that is a zombie like any other, and its
 * records are create-only. STEP_TIMEOUT is thrown, so that the step is repeated.
 */
export const withinLimit = <I, O>(name: string, step: (input: I) => Promise<Outcome<O>>, setTimer: SetTimer = realTimer) => (input: I): Promise<Outcome<O>> =>
  new Promise((resolve, reject) => {
    const timedOut = activity(() => Promise.reject(new HoldfastError('STEP_TIMEOUT', `The step ${name} took longer than ${STEP_LIMIT_MS / 60_000} minutes`, { data: { step: name } })));
    const cancel = setTimer(STEP_LIMIT_MS, () => { timedOut(null).then(() => undefined, reject); });
    step(input).then(resolve, reject).finally(cancel);
  });
