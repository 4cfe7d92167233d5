import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import type { Caller } from '../access/roles';
import { answerRequest, claimRequest, requestIdOf, type RequestTry, type StoredAnswer } from '../activities/request-records';
import { toReport, HoldfastError } from '../errors/holdfast-error';
import { catalogue } from '../errors/catalogue';
import { ownAddress } from './paging';
import type { Services } from './services';

/** How long a request waits for its twin's answer. */
const WAIT_MS = 20_000;
const POLL_MS = [50, 100, 200, 400, 800];

/** The header, or null. Throws REQUEST_INVALID. */
export function idempotencyKey(request: HttpRequest): string | null {
  const key = request.headers.get('idempotency-key');
  if (key !== null && !/^[A-Za-z0-9_-]{1,64}$/.test(key)) throw new HoldfastError('REQUEST_INVALID', 'The header Idempotency-Key expects 1 to 64 of A-Z, a-z, 0-9, _ and -');
  return key;
}

/**
 * Carries a request out once for its key, and tells every repeat the answer of the first. What was refused was not carried out, so a repeat tries it anew.
 * Throws IDEMPOTENCY_KEY_REUSED, REQUEST_IN_PROGRESS.
 */
export async function once(services: Services, caller: Caller, key: string, request: HttpRequest, body: unknown, run: (mine: RequestTry) => Promise<HttpResponseInit>): Promise<HttpResponseInit> {
  const vault = await services.deps.vault();
  const id = requestIdOf(caller.id, key);
  const { pathname, searchParams } = ownAddress(request);
  searchParams.sort();
  const fingerprint = createHash('sha256').update(JSON.stringify([request.method, pathname, searchParams.toString(), body ?? null])).digest('hex');
  const untilMs = Date.now() + WAIT_MS;
  for (let look = 0; ; look++) {
    const claim = await claimRequest(vault, id, fingerprint, services.deps.nowMs());
    if (claim.kind === 'other') throw new HoldfastError('IDEMPOTENCY_KEY_REUSED', `The Idempotency-Key ${key} was given with another request`);
    if (claim.kind === 'answered') return replay(claim.answer);
    if (claim.kind === 'mine') {
      try {
        const answer = await run(claim.mine);
        await answerRequest(vault, claim.mine, stored(answer));
        return answer;
      } catch (error) {
        const isRefused = catalogue[toReport(error).code].status < 500;
        await answerRequest(vault, claim.mine, isRefused ? 'nothing' : 'unknown').catch(() => undefined);
        throw error;
      }
    }
    if (Date.now() > untilMs) throw new HoldfastError('REQUEST_IN_PROGRESS', `A request with the Idempotency-Key ${key} is being carried out`);
    await delay(POLL_MS[Math.min(look, POLL_MS.length - 1)]);
  }
}

const stored = ({ status = 200, headers, jsonBody }: HttpResponseInit): StoredAnswer => ({ status, headers: { ...headers as Record<string, string> }, body: jsonBody ?? null });

const replay = ({ status, headers, body }: StoredAnswer): HttpResponseInit => ({ status, headers: { ...headers, 'idempotency-replayed': 'true' }, jsonBody: body });
