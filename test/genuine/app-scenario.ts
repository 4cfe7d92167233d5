import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { JobView } from '../../functions/job-view';
import type { RestoreJobView } from '../../functions/restore-view';
import type { AzureStandIn } from '../../local/azure/stand-in';

/** Some host that runs the app. */
export interface AppHost {
  json(address: string, init?: RequestInit): Promise<{ readonly status: number; readonly body: unknown }>;
  /** Fires a timer function; a host that runs timers by itself need not do anything. */
  runTimer(name: string): Promise<void>;
}

/** What the app is put through on a genuine runtime. There is one machine, web01, with the disks os and data. */
export class AppScenario {
  constructor(private readonly host: AppHost, private readonly standIn: AzureStandIn) {}

  async backUp(): Promise<JobView> {
    return this.ended<JobView>(await this.start('/api/items/web01/backups'));
  }

  /** A backup whose snapshot Azure refuses. */
  async failingBackUp(): Promise<JobView> {
    this.standIn.faults.add({ kind: 'failOperation', code: 'VMAgentNotReady', message: 'The VM agent does not answer.', path: '/restorePoints/' });
    return this.backUp();
  }

  /** A backup that is cancelled while its snapshot is copied. */
  async cancelledBackUp(): Promise<JobView> {
    this.standIn.faults.add({ kind: 'stallCopy', percent: 30, looks: 1000, path: 'diskRestorePoints' });
    const id = await this.start('/api/items/web01/backups');
    while (((await this.host.json(`/api/jobs/${id}`)).body as JobView).phase !== 'snapshot') await delay(200);
    assert.equal((await this.host.json(`/api/jobs/${id}/cancel`, { method: 'POST' })).status, 202);
    const job = await this.ended<JobView>(id);
    this.standIn.faults.clear();
    return job;
  }

  /** The data disk of a recovery point, as a new disk `back`. */
  async restore(point: string): Promise<RestoreJobView> {
    return this.ended<RestoreJobView>(await this.start(`/api/recovery-points/${point}/restores`, { id: 'good', target: { kind: 'disk', disk: 'web01_data', name: 'back' } }));
  }

  async refusedRestore(point: string): Promise<RestoreJobView> {
    this.standIn.faults.add({ kind: 'respond', status: 403, code: 'AuthorizationFailed', message: 'no', times: 1000, method: 'PUT', path: '/disks/' });
    const refused = await this.ended<RestoreJobView>(await this.start(`/api/recovery-points/${point}/restores`, { id: 'bad', target: { kind: 'disk', disk: 'web01_data', name: 'again' } }));
    this.standIn.faults.clear();
    return refused;
  }

  /** Every machine of a policy, two at once; `done` says when the orchestration of the policy itself has ended. */
  async policy(machines: readonly string[], done: () => boolean): Promise<void> {
    const put = await this.host.json('/api/policies/p', { method: 'PUT', body: JSON.stringify({ schedule: { daily: { at: ['02:00'] } }, items: { all: true }, limits: { maxParallelVms: 2 } }) });
    assert.equal(put.status, 201, JSON.stringify(put.body));
    await this.host.runTimer('scheduler');
    const succeeded = async (): Promise<number> => ((await this.host.json('/api/jobs')).body as { value: JobView[] }).value.filter(({ itemName, state }) => machines.includes(itemName ?? '') && state === 'succeeded').length;
    while (await succeeded() < machines.length) await delay(500);
    while (!done()) await delay(200);
  }

  private async start(address: string, body: object = {}): Promise<string> {
    const started = await this.host.json(address, { method: 'POST', body: JSON.stringify(body) });
    assert.equal(started.status, 202, JSON.stringify(started.body));
    return (started.body as { id: string }).id;
  }

  private async ended<T extends { readonly state: string }>(id: string): Promise<T> {
    for (;;) {
      const { body } = await this.host.json(`/api/jobs/${id}`);
      if (!['queued', 'running'].includes((body as T).state)) return body as T;
      await delay(500);
    }
  }
}
