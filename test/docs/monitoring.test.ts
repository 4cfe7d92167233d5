import assert from 'node:assert/strict';
import { METRICS, EVENTS, metricSpec, type MetricName } from '../../activities/telemetry';
import { readText } from './repository';

describe('docs/monitoring.md', () => {
  const text = readText('docs/monitoring.md');

  it('lists every metric with its kind, unit, dimensions and meaning, and no other', () => {
    const rows = [...text.matchAll(/^\| `(holdfast\.[\w.]+)` \| (counter|gauge|histogram) \| (\S+) \| (.*?) \| (.*) \|$/gm)].map(([, name, kind, unit, dimensions, description]) => ({ name, kind, unit, dimensions, description }));
    assert.deepEqual(rows, (Object.keys(METRICS) as MetricName[]).map((name) => {
      const { kind, unit, dimensions, description } = metricSpec(name);
      return { name, kind, unit, dimensions: dimensions.join(', '), description };
    }));
  });

  it('lists every event, and says what to do about every alert rule of the deployment', () => {
    for (const event of EVENTS) assert.match(text, new RegExp(`^\\| \`${event.replaceAll('.', '\\.')}\` \\|`, 'm'));
    const rules = [...readText('infra/modules/monitoring.bicep').matchAll(/\{ name: '([\w-]+)', title:/g)].map(([, name = '']) => name);
    assert.ok(rules.length >= 9);
    for (const rule of rules) {
      assert.match(text, new RegExp(`^\\| \`${rule}\` \\|`, 'm'));
      assert.match(text, new RegExp(`^\\*\\*\`${rule}\`\\*\\*\\.`, 'm'));
    }
  });
});
