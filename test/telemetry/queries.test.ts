import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { savePolicy } from '../../activities/policy-store';
import { saveNotifications } from '../../activities/notice-targets';
import { EVENTS, METRICS } from '../../activities/telemetry';
import { parsePolicy } from '../../policy/schema';
import { startAzureMonitor } from '../../telemetry/azure-monitor';
import { observedStore } from '../../telemetry/observed-store';
import { createTelemetry } from '../../telemetry/otel';
import { addVm, halfDisk, HOME_START_MS, startHome } from '../support/home';
import { startIngestion, TABLES } from '../support/ingestion';
import { checkKql, SCHEMAS } from '../support/kusto';
import { Receiver, SECRET } from '../support/receiver';
import { createCourier } from '../../webhooks/courier';
import { parseWebhookSecrets } from '../../webhooks/secrets';

/** Compiled tests lie in dist/test/telemetry. */
const folder = path.join(__dirname, '..', '..', '..', 'infra', 'queries');
const queries = readdirSync(folder).sort().map((file) => ({ file, text: readFileSync(path.join(folder, file), 'utf8') }));
const DAY_MS = 86_400_000;

/** What a query reads: tables, names of metrics and events, and keys of Properties. */
function reads(text: string): { readonly tables: string[]; readonly names: string[]; readonly keys: string[] } {
  const all = (pattern: RegExp): string[] => [...new Set([...text.matchAll(pattern)].map(([, found = '']) => found))];
  // A key in brackets may look like a name: what is a name is known.
  const known: ReadonlySet<string> = new Set([...Object.keys(METRICS), ...EVENTS]);
  return {
    tables: all(/\b(App[A-Z][a-z]+)\b(?=[\s,\n])/g).filter((name) => name in SCHEMAS), names: all(/'(holdfast\.[\w.]+)'/g).filter((name) => known.has(name)),
    keys: [...all(/Properties\.(\w+)/g), ...all(/Properties\['([^']+)'\]/g)],
  };
}

describe('the queries of the workbook and the alert rules', () => {
  for (const { file, text } of queries) {
    it(`${file} is sound against the tables of the workspace`, () => {
      const { problems, columns } = checkKql(text);
      assert.deepEqual(problems, []);
      assert.ok(columns.size > 0, 'it gives columns');
    });
  }

  it('would be refused with a column, a table or an operator that there is not', () => {
    assert.match(checkKql('AppEvents | where Nome == 1').problems.join(), /Nome/);
    assert.match(checkKql('AppEvens | take 1').problems.join(), /AppEvens/);
    assert.ok(checkKql('AppEvents | were Name == 1').problems.length > 0);
  });

  it('are all used by the deployment, which gives every rule with a threshold a column that its query has', () => {
    const bicep = readFileSync(path.join(folder, '..', 'modules', 'monitoring.bicep'), 'utf8');
    const used = [...bicep.matchAll(/loadTextContent\('\.\.\/queries\/([\w-]+\.kql)'\)/g)].map(([, file = '']) => file);
    // One is for people to run by hand; docs/monitoring.md names it.
    assert.deepEqual([...new Set([...used, 'job-trace.kql'])].sort(), queries.map(({ file }) => file));
    const rules = [...bicep.matchAll(/queries\/([\w-]+\.kql)'\).*?column: '(\w+)'/g)];
    assert.ok(rules.length >= 3);
    for (const [, file = '', column = ''] of rules) assert.ok(['real', 'long', 'int'].includes(checkKql(queries.find((one) => one.file === file)?.text ?? '').columns.get(column) ?? ''), `${file} has no number ${column}`);
  });

  it('read only what the app really emits: tables, metrics, events, and each key of their properties', async () => {
    const ingestion = await startIngestion();
    const running = startAzureMonitor({ connectionString: ingestion.connectionString, keepPercent: 100, appName: 'test' });
    const telemetry = createTelemetry();
    const receiver = await Receiver.start();
    const home = await startHome((disks) => addVm(disks, 'web', { os: halfDisk(2, 1) }), {
      telemetry, wrapStore: (store) => observedStore(store, telemetry), host: { onSpan: (span) => running.hostSpan(span) },
      // Nobody starts a backup by itself: the item becomes overdue.
      schedulerCron: '0 0 0 1 1 *', notifications: { courier: createCourier({ secrets: parseWebhookSecrets(JSON.stringify({ ops: { sign: [SECRET] } })), allowLoopback: true, origin: 'home.test' }) },
    });
    try {
      await savePolicy(home.vault.store, parsePolicy({ name: 'daily', schedule: { daily: { at: ['01:00'] } }, items: { all: true } }), 0);
      assert.equal((await home.backUp('web')).state, 'succeeded');
      // A webhook that is gone.
      receiver.reply = () => ({ status: 410 });
      await saveNotifications(home.vault.store, { targets: [{ name: 'ops', url: receiver.url, enabled: true, handshake: false }] }, 0);
      for (const timer of ['sweeper', 'maintainer', 'scrubber']) {
        await home.host.runTimer(timer);
        await home.host.runUntilIdle();
      }
      await home.host.advanceTo(HOME_START_MS + 4 * DAY_MS);
      await home.host.runTimer('watcher');
      await home.host.runTimer('notifier');
      await home.host.runUntilIdle();
      await running.flush();

      const emitted = new Map<string, Set<string>>();
      const tables = new Set<string>();
      for (const { data } of ingestion.envelopes) {
        tables.add(TABLES[data.baseType] ?? data.baseType);
        const names = data.baseData.metrics?.map(({ name }) => name) ?? [data.baseData.name ?? ''];
        for (const name of names) for (const key of Object.keys(data.baseData.properties ?? {})) emitted.set(name, (emitted.get(name) ?? new Set()).add(key));
      }
      const allKeys = new Set([...emitted.values()].flatMap((keys) => [...keys]));
      for (const { file, text } of queries) {
        const { tables: wanted, names, keys } = reads(text);
        for (const table of wanted) assert.ok(tables.has(table), `${file}: nothing came into ${table}`);
        for (const name of names) assert.ok(emitted.has(name), `${file}: ${name} was not emitted`);
        const of = names.length === 0 ? allKeys : new Set(names.flatMap((name) => [...emitted.get(name) ?? []]));
        for (const key of keys) assert.ok(of.has(key), `${file}: no ${names.join(' or ') || 'record'} has ${key}`);
      }

      // What must be right in the look, for the rule that wakes somebody goes by it.
      const overdue = ingestion.of('AppEvents').filter(({ data }) => data.baseData.name === 'holdfast.item.overdue');
      assert.equal(overdue.length, 1);
      const { age, objective } = overdue[0]?.data.baseData.properties ?? {};
      assert.equal(Number(objective), 2 * 86_400, 'a daily policy: a day, and a day for the run');
      assert.ok(Math.abs(Number(age) - 4 * 86_400) < 3_600, `the age is ${age}`);
    } finally {
      await home.dispose();
      await receiver.stop();
      await running.stop();
      await ingestion.close();
    }
  });
});
