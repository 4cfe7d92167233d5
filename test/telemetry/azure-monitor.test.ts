import assert from 'node:assert/strict';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { HoldfastError } from '../../errors/holdfast-error';
import { startAzureMonitor } from '../../telemetry/azure-monitor';
import { observedStore } from '../../telemetry/observed-store';
import { createTelemetry, emitLog } from '../../telemetry/otel';
import type { RunningTelemetry } from '../../telemetry/providers';
import { addVm, halfDisk, type Home, type HomeOptions, startHome } from '../support/home';
import { type Envelope, type Ingestion, startIngestion } from '../support/ingestion';
import { startWireServer } from '../support/wire-server';

/** The genuine exporter against a socket, under an app that does not know who listens. */
describe('telemetry to Application Insights', () => {
  let ingestion: Ingestion;
  let running: RunningTelemetry;
  let home: Home | undefined;

  async function start(keepPercent: number, options: HomeOptions = {}): Promise<Home> {
    ingestion = await startIngestion();
    running = startAzureMonitor({ connectionString: ingestion.connectionString, keepPercent, appName: 'test' });
    const telemetry = createTelemetry();
    home = await startHome((disks) => addVm(disks, 'web', { os: halfDisk(4, 1) }), {
      telemetry, wrapStore: (store) => observedStore(store, telemetry), ...options, host: { onSpan: (span) => running.hostSpan(span), ...options.host },
    });
    return home;
  }

  /** Everything that was said until now has arrived when this resolves. */
  const flushed = (): Promise<void> => running.flush();

  afterEach(async () => {
    await home?.dispose();
    home = undefined;
    await running.stop();
    await ingestion.close();
  });

  const idOf = ({ data }: Envelope): string => data.baseData.id ?? '';
  const nameOf = ({ data }: Envelope): string => data.baseData.name ?? '';
  const property = ({ data }: Envelope, name: string): string | undefined => data.baseData.properties?.[name];
  const spans = (): readonly Envelope[] => [...ingestion.of('AppRequests'), ...ingestion.of('AppDependencies')];

  /** Names from a span up to the root of its trace. Fails when a span in between is missing. */
  function chainOf(span: Envelope): string[] {
    const byId = new Map(spans().map((one) => [idOf(one), one]));
    const names: string[] = [];
    for (let at: Envelope = span; ;) {
      names.push(nameOf(at));
      const parentId = at.tags['ai.operation.parentId'];
      if (parentId === undefined) return names;
      const parent = byId.get(parentId);
      assert.ok(parent, `the parent of ${nameOf(at)} did not arrive`);
      assert.equal(parent.tags['ai.operation.id'], span.tags['ai.operation.id'], 'one trace');
      at = parent;
    }
  }

  const sumOf = (metric: string, where: Readonly<Record<string, string>> = {}): number => ingestion.of('AppMetrics')
    .filter((one) => Object.entries(where).every(([name, value]) => property(one, name) === value)).flatMap(({ data }) => data.baseData.metrics ?? [])
    .reduce((sum, { name, value }) => (name === metric ? sum + value : sum), 0);

  it('shows a backup as one trace, from the trigger through orchestrations and activities to the requests to Azure and the operations on the vault', async () => {
    const { backUp } = await start(100);
    const job = await backUp('web');
    assert.equal(job.state, 'succeeded', JSON.stringify(job));
    await flushed();

    const requests = spans().filter((one) => ['arm', 'disk'].includes(property(one, 'holdfast.service') ?? ''));
    const grant = requests.find((one) => /beginGetAccess$/.test(nameOf(one)));
    assert.ok(grant, 'access to a snapshot was asked for');
    const chain = chainOf(grant);
    assert.match(chain.join(' < '), /^POST \/subscriptions\/.*beginGetAccess < step (planDisk|planRegion|transferSlice|auditDisk) < activity:\1 < orchestration:backup(Disk|Region) < .*orchestration:backupVm < startBackup$/);

    const read = requests.find((one) => property(one, 'holdfast.service') === 'disk' && chainOf(one).includes('step transferSlice'));
    assert.ok(read, 'the disk was read');
    assert.deepEqual(chainOf(read).slice(1), ['step transferSlice', 'activity:transferSlice', 'orchestration:backupRegion', 'orchestration:backupDisk', 'orchestration:backupVm', 'startBackup']);

    const committed = spans().find((one) => nameOf(one) === 'vault create' && /^recovery-points\//.test(property(one, 'holdfast.object') ?? ''));
    assert.ok(committed, 'the manifest was written');
    assert.deepEqual(chainOf(committed), ['vault create', 'step commitRun', 'activity:commitRun', 'orchestration:backupVm', 'startBackup']);

    const step = spans().find((one) => nameOf(one) === 'step transferSlice');
    assert.equal(step && property(step, 'holdfast.itemId'), job.itemId);
  });

  it('counts what the job itself says', async () => {
    const { backUp } = await start(5);
    const job = await backUp('web');
    await flushed();
    const stats = job.figures as unknown as Readonly<Record<string, number>>;
    const of = { item: job.itemId };
    for (const [metric, figure] of [['read', 'readBytes'], ['changed', 'changedBytes'], ['stored', 'storedBytes'], ['chunks_new', 'newChunks'], ['chunks_reused', 'reusedChunks']] as const) {
      assert.equal(sumOf(`holdfast.backup.${metric}`, of), stats[figure], metric);
    }
    assert.equal(sumOf('holdfast.backup.deduplication_ratio', of), (stats.changedBytes as number) / (stats.newBytes as number));
    assert.equal(sumOf('holdfast.backup.compression_ratio', of), (stats.newBytes as number) / (stats.storedBytes as number));
    assert.equal(sumOf('holdfast.jobs', { kind: 'backup', outcome: 'succeeded' }), 1);
    const [event, ...more] = ingestion.of('AppEvents').filter((one) => property(one, 'kind') === 'backup');
    assert.ok(event && more.length === 0, 'one event for one job');
    assert.deepEqual([property(event, 'jobId'), property(event, 'outcome'), property(event, 'code'), property(event, 'storedBytes')], [job.id, 'succeeded', '', String(stats.storedBytes)]);
    for (const phase of ['opening', 'planning', 'snapshot', 'transfer', 'commit', 'clean-up']) assert.ok(property(event, `phase.${phase}`), `the time of ${phase}`);
  });

  it('tells of a failure whatever the sampling, with the code of the catalogue, and of no call that went well; no access signature leaves', async () => {
    const url = 'https://md-1.z1.blob.storage.azure.net/a/abcd?sv=2018-03-28&sr=b&si=x&sig=T0pSecret%2Bx';
    const { backUp } = await start(0, {
      wrapStore: (store) => observedStore({
        ...store, read: (name, range) => store.read(name, range), stat: (name) => store.stat(name), list: (prefix) => store.list(prefix), delete: (name) => store.delete(name),
        serverTimeMs: () => store.serverTimeMs(), close: () => store.close(),
        create: (name, data) => (/^work\/.*plan/.test(name) ? Promise.reject(new HoldfastError('STORE_ACCESS_DENIED', `Refused at ${url}`)) : store.create(name, data)),
      }, createTelemetry()),
    });
    createTelemetry().event('holdfast.look', { outcome: 'failed', code: 'INTERNAL', message: `at ${url}` });
    createTelemetry().measure('holdfast.jobs', 1, { kind: 'x', outcome: 'x', code: url });
    await assert.rejects(createTelemetry().span(`reading ${url}`, { address: url }, () => Promise.reject(new Error(`could not read ${url}`))));
    emitLog('error', `a function said ${url}`);
    const job = await backUp('web');
    assert.equal(job.state, 'failed');
    await flushed();

    const [event] = ingestion.of('AppEvents').filter((one) => property(one, 'kind') === 'backup');
    assert.ok(event);
    assert.deepEqual([property(event, 'outcome'), property(event, 'code'), property(event, 'item')], ['failed', 'STORE_ACCESS_DENIED', job.itemId]);
    assert.equal(sumOf('holdfast.jobs', { kind: 'backup', outcome: 'failed', code: 'STORE_ACCESS_DENIED' }), 1);
    const call = spans().find((one) => nameOf(one) === 'vault create');
    assert.ok(call, 'the operation that failed was kept');
    assert.deepEqual(chainOf(call).slice(1, 3), ['step planBackup', 'activity:planBackup']);
    assert.equal(call.data.baseData.success, false);
    assert.deepEqual(spans().filter((one) => property(one, 'holdfast.service') !== undefined && one.data.baseData.success === true), [], 'calls that went well');
    assert.ok(sumOf('holdfast.requests') > 0, 'but they were counted');
    assert.ok(ingestion.of('AppExceptions').length > 0 && ingestion.of('AppTraces').length > 0, 'exceptions and logs arrived');
    assert.ok(ingestion.raw().includes('md-1.z1.blob.storage.azure.net'), 'the place is told');
    assert.doesNotMatch(ingestion.raw(), /T0pSecret|si=x|sig=/);
  });

  it('hangs the requests of a transfer thread under the step that it works for', async () => {
    await start(100);
    const server = await startWireServer(() => ({ status: 429, body: 'slow down' }));
    await createTelemetry().span('step transferSlice', {}, async () => {
      const { traceparent } = createTelemetry().carrier();
      const worker = new Worker(`
        const { tellCallsOf } = require(${JSON.stringify(path.join(__dirname, '..', '..', 'telemetry', 'thread-side.js'))});
        tellCallsOf(${JSON.stringify(traceparent)});
        require('node:http').get(${JSON.stringify(`${server.url}/vault/packs/1?sig=T0pSecret`)}, { headers: { 'x-ms-version': '1' } }, (response) => {
          response.resume();
          response.on('close', () => setImmediate(() => require('node:worker_threads').parentPort.postMessage(Object.keys(require.cache).filter((name) => name.includes('opentelemetry')))));
        });`, { eval: true });
      const loaded = await new Promise<unknown>((resolve, reject) => worker.once('message', resolve).once('error', reject));
      assert.deepEqual(loaded, [], 'the thread loaded no OpenTelemetry');
      await worker.terminate();
    });
    // A channel between threads says nothing of when: the call comes, or the test's time is over.
    let call: Envelope | undefined;
    while (!call) {
      await flushed();
      call = spans().find((one) => property(one, 'holdfast.service') === 'blob');
    }
    assert.deepEqual(chainOf(call), ['GET /vault/packs/1', 'step transferSlice']);
    assert.equal(sumOf('holdfast.throttles', { service: 'blob' }), 1);
    assert.doesNotMatch(ingestion.raw(), /T0pSecret/);
    await server.close();
  });
});
