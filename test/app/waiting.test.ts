import assert from 'node:assert/strict';
import { VirtualClock } from '../../local/host/clock';
import { addVm, halfDisk, type Home, HOME_START_MS, readImage, startHome } from '../support/home';

const VERSION = 'api-version=2025-01-02';

/** A reader that is not Holdfast: snapshots of the machine's OS disk, opened for a day. */
async function openSnapshots(home: Home, count: number): Promise<string[]> {
  const { url } = home.standIn;
  const vms = await (await fetch(`${url}/subscriptions/${home.standIn.subscriptionId}/providers/Microsoft.Compute/virtualMachines?${VERSION}`)).json() as
    { value: { id: string; location: string; properties: { storageProfile: { osDisk: { managedDisk: { id: string } } } } }[] };
  const [vm] = vms.value;
  assert.ok(vm);
  const group = vm.id.slice(0, vm.id.indexOf('/providers/'));
  const ids: string[] = [];
  for (let n = 0; n < count; n++) {
    const id = `${group}/providers/Microsoft.Compute/snapshots/other-${n}`;
    await settle(await post(`${url}${id}`, 'PUT', { location: vm.location, properties: { incremental: true, creationData: { createOption: 'Copy', sourceResourceId: vm.properties.storageProfile.osDisk.managedDisk.id } } }));
    await settle(await post(`${url}${id}/beginGetAccess`, 'POST', { access: 'Read', durationInSeconds: 2 * 86_400 }));
    ids.push(id);
  }
  return ids;
}

const post = (url: string, method: string, body?: object): Promise<Response> =>
  fetch(`${url}?${VERSION}`, { method, ...(body ? { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {}) });

async function settle(response: Response): Promise<void> {
  const address = response.headers.get('azure-asyncoperation') ?? response.headers.get('location');
  assert.ok(response.status < 300, await response.text());
  if (address) for (let n = 0; n < 20 && (await (await fetch(address)).text()).includes('InProgress'); n++);
}

const putPolicy = (home: Home, changes: object): Promise<unknown> =>
  home.json('/api/policies/p', { method: 'PUT', body: JSON.stringify({ schedule: { daily: { at: ['02:00'] } }, items: { all: true }, driver: 'diskSnapshot', ...changes }) });

describe('a backup that has to wait for others', () => {
  let home: Home;
  afterEach(() => home.dispose());

  it('fault 19: five open snapshots of the disk: it queues until one is closed, and nobody else\'s access is ended', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }));
    await putPolicy(home, {});
    const others = await openSnapshots(home, 5);
    const { id } = (await home.json('/api/items/web01/backups', { method: 'POST', body: JSON.stringify({ policy: 'p' }) })).body as { id: string };
    const startedMs = home.clock.now();
    await home.host.waitFor(id, { until: ({ customStatus }) => (customStatus as { phase?: string } | null)?.phase === 'transfer' });
    await home.host.advanceTo(startedMs + 5 * 3_600_000);
    assert.equal((await home.job(id)).state, 'running', 'it waits');
    assert.equal((await home.leftovers()).open.length, 5, 'the others are still open');
    await settle(await post(`${home.standIn.url}${others[0]}/endGetAccess`, 'POST'));
    await home.host.waitFor(id, { until: 'finished' });
    const job = await home.job(id);
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    assert.deepEqual((await home.leftovers()).open.map((open) => open.split('/').at(-1)).sort(), others.slice(1).map((other) => other.split('/').at(-1)));
    assert.ok((await home.restore(job.recoveryPoint ?? '')).equals(await readImage(home, 'web01', 'os')));
  });

  it('fault 19: no place until the run\'s time is over: it fails with that cause and what to do, before its time is over', async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }));
    await putPolicy(home, { maxRunHours: 3 });
    await openSnapshots(home, 5);
    const startedMs = home.clock.now();
    const job = await home.backUp('web01', { policy: 'p' });
    assert.equal(job.state, 'failed');
    assert.equal(job.error?.code, 'CLOUD_ACCESS_LIMIT');
    assert.match(job.error?.remedy ?? '', /waited for a place/);
    assert.ok(home.clock.now() - startedMs > 2 * 3_600_000 && home.clock.now() - startedMs < 3.5 * 3_600_000);
    const left = await home.leftovers();
    assert.equal(left.open.length, 5);
    assert.deepEqual(left.snapshots.filter((name) => name.startsWith('hf-')), []);
  });

  it('fault 34: a transfer that never comes back is tried again beside it, and in the end the run fails in words, is closed and cleaned up; the next one works', async () => {
    const clock = new VirtualClock(HOME_START_MS);
    let stuck = 0;
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), {
      host: { clock }, schedulerCron: '0 0 0 * * *',
      wrapStore: (store) => ({
        description: store.description, read: (name, range) => store.read(name, range), stat: (name) => store.stat(name), list: (prefix) => store.list(prefix),
        delete: (name) => store.delete(name), serverTimeMs: () => store.serverTimeMs(), close: () => store.close(),
        async create(name, data) {
          if (name.startsWith('packs/data/') && stuck++ === 0) await clock.sleep(3 * 86_400_000);
          return store.create(name, data);
        },
      }),
    });
    const startedMs = clock.now();
    const { id } = (await home.json('/api/items/web01/backups', { method: 'POST' })).body as { id: string };
    await home.host.waitFor(id, { until: ({ customStatus }) => (customStatus as { phase?: string } | null)?.phase === 'done' });
    assert.ok(clock.now() - startedMs < 34 * 3_600_000, 'bounded by the run\'s time');
    const job = await home.job(id);
    assert.deepEqual([job.state, job.error?.code], ['failed', 'STEP_TIMEOUT'], JSON.stringify(job));
    assert.equal(home.host.client.find(id)?.runtimeStatus, 'Running', 'as the extension does: what is outstanding holds the instance, and nothing else');
    await home.assertClean(0);
    const next = await home.backUp('web01');
    assert.equal(next.state, 'succeeded', JSON.stringify(next.error));
    await home.host.advanceTo(startedMs + 4 * 86_400_000);
    assert.equal(home.host.client.find(id)?.runtimeStatus, 'Completed', 'the late result changes nothing');
    assert.equal((await home.points()).length, 1);
    assert.ok((await home.restore(next.recoveryPoint ?? '')).equals(await readImage(home, 'web01', 'os')));
  });
});
