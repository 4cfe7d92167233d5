import type { Spec } from '../vault/transfer/transfer-factory';
import type { ActivityDeps } from './deps';

/** How a thread finds the vault, with the step's place in its trace, so that the thread's requests count as the step's. */
export const laneStore = ({ transfer, telemetry }: Pick<ActivityDeps, 'transfer' | 'telemetry'>): Spec => ({ ...transfer.store, ...telemetry.carrier() });
