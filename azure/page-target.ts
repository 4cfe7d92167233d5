import type { AccessUrl } from '../activities/cloud';
import type { OpenPageTarget, PageTargetSpec } from '../activities/restore-cloud';
import { HoldfastError } from '../errors/holdfast-error';
import type { Spec } from '../vault/transfer/transfer-factory';
import { createCredential } from './credential';
import { openDiskTarget } from './disk/disk-target';
import { userAgentOf } from './user-agent';

/**
 * Opens what a restore writes to, in the main thread or in a worker. The storage client is loaded only for a page blob. A container that has neither a
 * signature nor a key in the environment is opened with the identity of restores (HOLDFAST_RESTORE_CREDENTIAL, or else HOLDFAST_AZURE_CREDENTIAL).
 */
export const openPageTarget: OpenPageTarget = async (spec, renew) => {
  if (spec.kind === 'disk') return openDiskTarget(spec, async () => accessOf(await renew()));
  const { openPageBlobTarget } = await import('./blob/page-blob.js');
  const setting = process.env['HOLDFAST_RESTORE_CREDENTIAL'] || process.env['HOLDFAST_AZURE_CREDENTIAL'] || 'default';
  return openPageBlobTarget(spec, spec.sizeBytes, { env: process.env, credential: createCredential(setting), userAgent: userAgentOf('restore') });
};

/** A spec as it came over postMessage. */
export function pageTargetSpec(spec: Spec): PageTargetSpec {
  if (spec['kind'] === 'disk') return { kind: 'disk', url: String(spec['url']), sizeBytes: Number(spec['sizeBytes']) };
  if (spec['kind'] === 'pageBlob') return { kind: 'pageBlob', containerUrl: String(spec['containerUrl']), blob: String(spec['blob']), sizeBytes: Number(spec['sizeBytes']) };
  throw new HoldfastError('INTERNAL', `There is no target of the kind ${JSON.stringify(spec['kind'])}`);
}

function accessOf(spec: PageTargetSpec): AccessUrl {
  if (spec.kind !== 'disk') throw new HoldfastError('INTERNAL', 'The access to a disk was renewed with a page blob');
  return { url: spec.url, sizeBytes: spec.sizeBytes };
}
