import type { HttpHandler } from '@azure/functions';
import { loadRecoveryPoint } from '../vault/catalog';
import { json } from './problem';
import { describe } from './recovery-point-view';
import type { Services } from './services';

/** Also one in the bin: `state` says so. */
export const getRecoveryPoint = ({ deps }: Services): HttpHandler => async (request) =>
  json(describe(await loadRecoveryPoint(await deps.vault(), request.params.id ?? '', { deleted: true })));
