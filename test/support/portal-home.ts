import assert from 'node:assert/strict';
import { addVm, halfDisk, type Home, type HomeOptions, noise, startHome, writeDisk } from './home';

/** Names and words that somebody might choose who wants to run something in the browser of whoever looks at them. */
export const MARKUP = '<img src=x onerror="alert(1)"><script>alert(2)</script>';

export interface PortalHome extends Home {
  /** web01 and its recovery points, oldest first: the first is in the bin, the second held, the third the newest and proved. */
  readonly web: { readonly itemId: string; readonly recoveryPoints: readonly string[] };
  /** A job that failed. */
  readonly failed: string;
}

/** A home with something in every view: machines with and without a policy, a history, something proved, held and in the bin, a failure, and names with markup in them. */
export async function startPortalHome(options: HomeOptions = {}): Promise<PortalHome> {
  const home = await startHome(async (folder) => {
    await addVm(folder, 'web01', { os: halfDisk(4, 1), data: halfDisk(2, 2) }, { tags: { env: 'prod', note: MARKUP } });
    await addVm(folder, 'db01', { os: halfDisk(2, 3) }, { tags: { env: 'prod' } });
    await addVm(folder, 'lab01', { os: halfDisk(2, 4) }, { tags: { env: 'lab' } });
    await addVm(folder, 'bare01', { os: halfDisk(2, 5) }, { tags: { env: 'none' } });
  }, { ...options, host: { port: 0, ...options.host } });
  const send = async (method: string, address: string, body?: object): Promise<unknown> => {
    const { status, text, body: answer } = await home.json(address, { method, ...(body ? { body: JSON.stringify(body) } : {}) });
    assert.ok(status < 300, `${method} ${address}: ${status} ${text}`);
    return answer;
  };
  const tagged = (env: string): object => ({ tags: { env } });
  await send('PUT', '/api/policies/nightly', { description: `Every night ${MARKUP}`, schedule: { daily: { at: ['01:00'] } }, items: tagged('prod'), firstBackup: 'next-slot' });
  // It leaves every disk out, so its backups fail.
  await send('PUT', '/api/policies/lab', { schedule: { weekly: { days: ['sunday'], at: ['03:00'] } }, items: tagged('lab'), excludeDisks: [{ lun: 'os' }], firstBackup: 'next-slot' });
  const recoveryPoints: string[] = [];
  for (const seed of [1, 2, 3]) {
    await writeDisk(home, 'web01', 'os', noise(64 * 1024, 100 + seed), seed * 256 * 1024);
    const job = await home.backUp('web01');
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    recoveryPoints.push(job.recoveryPoint ?? '');
  }
  const { state, id: failed } = await home.backUp('lab01');
  assert.equal(state, 'failed');
  await home.backUp('db01');
  const { id: scrub } = await send('POST', '/api/vault/scrubs', { item: 'web01' }) as { id: string };
  await home.host.waitFor(scrub, { until: 'finished' });
  await send('POST', `/api/recovery-points/${recoveryPoints[1] ?? ''}/holds`, { label: 'case 7' });
  await send('DELETE', `/api/recovery-points/${recoveryPoints[0] ?? ''}`);
  await send('POST', '/api/vault/maintenance', { dryRun: true });
  const itemId = (recoveryPoints[0] ?? '').split('.')[0] ?? '';
  return { ...home, web: { itemId, recoveryPoints }, failed };
}
