import type { HttpHandler } from '@azure/functions';
import { loadManifest } from '../vault/manifest';
import { json } from './problem';
import { describe } from './recovery-point-view';
import type { Services } from './services';

export const getRecoveryPoint = ({ deps }: Services): HttpHandler => async (request) =>
  json(describe((await loadManifest(await deps.vault(), request.params.id ?? '')).manifest));
