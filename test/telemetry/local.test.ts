import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { observedStore } from '../../telemetry/observed-store';
import { startLocalTelemetry } from '../../telemetry/local';
import { createTelemetry } from '../../telemetry/otel';
import { addVm, halfDisk, startHome } from '../support/home';
import { makeTempFolder } from '../support/temp-folder';

interface Line { readonly traceId: string; readonly spanId: string; readonly parentSpanId: string | null; readonly name: string; readonly event?: string; readonly attributes: Readonly<Record<string, unknown>> }

describe('telemetry of the local home', () => {
  it('is on /metrics over HTTP, and in files a line each, with the figures of the job', async () => {
    const temp = await makeTempFolder();
    const running = startLocalTelemetry(path.join(temp.path, 'telemetry'), 100);
    const telemetry = createTelemetry();
    const home = await startHome((disks) => addVm(disks, 'web', { os: halfDisk(2, 1) }), {
      telemetry, wrapStore: (store) => observedStore(store, telemetry), host: { port: 0, onSpan: (span) => running.hostSpan(span), metricsText: () => running.metricsText() },
    });
    try {
      const job = await home.backUp('web');
      await home.host.runTimer('watcher');
      const answer = await fetch(`${home.host.url}/metrics`);
      assert.equal(answer.status, 200);
      assert.match(answer.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
      const text = await answer.text();
      const valueOf = (name: string, labels: string): number => Number(new RegExp(`^${name}\\{[^}]*${labels}[^}]*\\} (\\S+)$`, 'm').exec(text)?.[1]);
      assert.equal(valueOf('holdfast_backup_read_total', `item="${job.itemId}"`), job.figures?.readBytes);
      assert.equal(valueOf('holdfast_backup_stored_total', `item="${job.itemId}"`), job.figures?.storedBytes);
      assert.equal(valueOf('holdfast_items', 'state="unprotected"'), 1, 'no policy covers it');
      await running.flush();
      const lines = (file: string): Line[] => readFileSync(path.join(temp.path, 'telemetry', file), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Line);
      const spans = lines('traces.jsonl');
      const ended = lines('events.jsonl').find(({ event }) => event === 'holdfast.job');
      assert.equal(ended?.attributes.jobId, job.id);
      const trace = spans.filter(({ traceId }) => traceId === ended?.traceId);
      const ids = new Set(trace.map(({ spanId }) => spanId));
      assert.deepEqual(trace.filter(({ parentSpanId }) => parentSpanId === null).map(({ name }) => name), ['startBackup'], 'one root');
      assert.deepEqual(trace.filter(({ parentSpanId }) => parentSpanId !== null && !ids.has(parentSpanId)), [], 'every parent is there');
      assert.ok(trace.some(({ name }) => name === 'arm POST beginGetAccess'));
    } finally {
      await home.dispose();
      await running.stop();
      await temp.remove();
    }
  });

  it('is not loaded by the command line, and no exporter by an app that sends nothing', () => {
    const root = path.join(__dirname, '..', '..');
    const loaded = (code: string, env: NodeJS.ProcessEnv = {}): string[] => {
      const ran = spawnSync(process.execPath, ['-e', `${code}; process.stdout.write('\\n' + JSON.stringify(Object.keys(require.cache)))`], { encoding: 'utf8', env: { ...process.env, ...env } });
      assert.equal(ran.status, 0, ran.stderr);
      return (JSON.parse(ran.stdout.split('\n').at(-1) ?? '') as string[]).filter((name) => /opentelemetry/.test(name));
    };
    assert.deepEqual(loaded(`require(${JSON.stringify(path.join(root, 'cli', 'main.js'))})`), []);
    const app = `require(${JSON.stringify(path.join(root, 'local', 'host', 'core-module.js'))}); require(${JSON.stringify(path.join(root, 'functions', 'register.js'))})`;
    const settings = { HOLDFAST_VAULT: '/nowhere', AZURE_SUBSCRIPTION_IDS: '0f0e0d0c-1111-2222-3333-444455556666', APPLICATIONINSIGHTS_CONNECTION_STRING: '' };
    assert.deepEqual(loaded(app, settings).filter((name) => !/@opentelemetry[\\/]api(-logs)?[\\/]/.test(name)), []);
  });
});
