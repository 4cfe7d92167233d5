import { type Patience, pauseMs, retryAfterMs, type Waiting } from './backoff';
import { type DataClient, type DataRequest, type DataResponse, TransportError } from './data-client';
import { dataPlaneError, singleHeader, transportFailure } from './data-errors';
import { HoldfastError } from '../../errors/holdfast-error';

/** A throttled disk recovers within seconds; a minute of patience in all, then the durable layer above takes over. */
export const dataPatience: Patience = { attempts: 8, baseMs: 250, capMs: 15_000, longestPauseMs: 60_000 };

const transientStatuses = new Set([408, 429, 500, 502, 503, 504]);

/**
 * Sends a request and sends it again while the failure looks temporary. Every request here is a read, or a write of whole pages whose
 * bytes are the same each time, so that it may be repeated whatever became of the attempt before.
 * Returns any answer that is not temporary, whatever its status; throws CLOUD_THROTTLED, CLOUD_UNREACHABLE or CLOUD_FAILED.
 */
export async function sendPatiently(client: DataClient, request: DataRequest, doing: string, patience: Patience, waiting: Waiting): Promise<DataResponse> {
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await attemptOnce(client, request);
    if (!(outcome instanceof TransportError) && !transientStatuses.has(outcome.status)) return outcome;
    const askedMs = outcome instanceof TransportError ? undefined : retryAfterMs(singleHeader(outcome.headers, 'retry-after'), waiting.now());
    const isTooLong = askedMs !== undefined && askedMs > patience.longestPauseMs;
    if (attempt >= patience.attempts || isTooLong) throw givingUp(outcome, doing, attempt, askedMs);
    await waiting.wait(pauseMs(patience, attempt, askedMs, waiting.random));
  }
}

async function attemptOnce(client: DataClient, request: DataRequest): Promise<DataResponse | TransportError> {
  try {
    return await client.send(request);
  } catch (error) {
    if (error instanceof TransportError) return error;
    throw error;
  }
}

function givingUp(outcome: DataResponse | TransportError, doing: string, attempts: number, askedMs: number | undefined): HoldfastError {
  const failure = outcome instanceof TransportError ? transportFailure(outcome, doing) : dataPlaneError(outcome, doing);
  const data = { ...failure.data, attempts, ...(askedMs === undefined ? {} : { retryAfterMs: askedMs }) };
  return new HoldfastError(failure.code, `${failure.message}, after ${String(attempts)} attempts`, { data });
}
