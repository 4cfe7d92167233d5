import assert from 'node:assert/strict';
import { startAzureMonitor } from '../../telemetry/azure-monitor';
import { observedStore } from '../../telemetry/observed-store';
import { createTelemetry } from '../../telemetry/otel';
import type { RunningTelemetry } from '../../telemetry/providers';
import { addVm, halfDisk, type Home, type HomeOptions, startHome } from '../support/home';
import { type Envelope, type Ingestion, startIngestion } from '../support/ingestion';

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
});
