/**
 * What an orchestrator returns: the actions that it wants done, as `durable-functions` writes them (schema version 3).
 * Parsing refuses what the embedded host cannot do, with words, instead of guessing.
 */
import { jsonText } from './wire-values';

export const ActionType = {
  CallActivity: 0,
  CallActivityWithRetry: 1,
  CallSubOrchestrator: 2,
  CallSubOrchestratorWithRetry: 3,
  ContinueAsNew: 4,
  CreateTimer: 5,
  WaitForExternalEvent: 6,
  WhenAny: 11,
  WhenAll: 12,
} as const;

const refused: Readonly<Record<number, string>> = {
  7: 'callEntity', 8: 'callHttp', 9: 'signalEntity', 13: 'lock', 14: 'releasing entities',
};

export interface RetryOptions {
  readonly firstRetryIntervalInMilliseconds: number;
  readonly maxNumberOfAttempts: number;
  readonly backoffCoefficient?: number;
  readonly maxRetryIntervalInMilliseconds?: number;
  readonly retryTimeoutInMilliseconds?: number;
}

export type Action =
  | { readonly actionType: 0; readonly functionName: string; readonly input?: unknown }
  | { readonly actionType: 1; readonly functionName: string; readonly input?: unknown; readonly retryOptions: RetryOptions }
  | { readonly actionType: 2; readonly functionName: string; readonly input?: unknown; readonly instanceId?: string }
  | { readonly actionType: 3; readonly functionName: string; readonly input?: unknown; readonly instanceId?: string; readonly retryOptions: RetryOptions }
  | { readonly actionType: 4; readonly input?: unknown }
  | { readonly actionType: 5; readonly fireAt: string; readonly isCanceled: boolean }
  | { readonly actionType: 6; readonly externalEventName: string }
  | { readonly actionType: 11 | 12; readonly compoundActions: readonly Action[] };

export interface OrchestratorOutput {
  readonly isDone: boolean;
  readonly actions: readonly Action[];
  /** JSON text, null when there is none. */
  readonly output: string | null;
  readonly error?: string;
  /** JSON text; undefined leaves the status as it was. */
  readonly customStatus?: string;
}

/** An action that this host does not perform; the instance fails with these words. */
export class UnsupportedAction extends Error {
  override readonly name = 'UnsupportedAction';
}

interface RawState {
  readonly isDone: boolean;
  readonly actions: readonly (readonly Action[])[];
  readonly output?: unknown;
  readonly error?: string;
  readonly customStatus?: unknown;
}

/** @param state the object that the orchestrator returned, or that stood behind the marker of its failure */
export function readOrchestratorOutput(state: unknown): OrchestratorOutput {
  const raw = state as RawState;
  if (typeof raw !== 'object' || raw === null || !Array.isArray(raw.actions)) throw new UnsupportedAction(`The orchestrator returned ${JSON.stringify(state)}, which is no orchestrator state.`);
  const actions = raw.actions.flat();
  actions.forEach(refuseUnsupported);
  return {
    isDone: raw.isDone,
    actions,
    output: jsonText(raw.output),
    ...(raw.error === undefined ? {} : { error: raw.error }),
    ...(raw.customStatus === undefined ? {} : { customStatus: JSON.stringify(raw.customStatus) }),
  };
}

function refuseUnsupported(action: Action): void {
  const type: number = action.actionType;
  if (action.actionType === ActionType.WhenAny || action.actionType === ActionType.WhenAll) {
    action.compoundActions.forEach(refuseUnsupported);
  } else if (!(Object.values(ActionType) as number[]).includes(type)) {
    throw new UnsupportedAction(`The embedded host does not support ${refused[type] ?? `action type ${String(type)}`}; use an activity instead.`);
  }
}

const marker = '\n\n$OutOfProcData$:';

/** The state inside the message of a failed orchestrator, or undefined when the message holds none. */
export function stateOfFailure(message: string): unknown {
  const at = message.indexOf(marker);
  if (at < 0) return undefined;
  return JSON.parse(message.slice(at + marker.length)) as unknown;
}
