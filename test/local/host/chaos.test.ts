/** Planned misfortune over many seeds, in virtual time: whatever happens, every step takes effect and the result is the same. */
import assert from 'node:assert/strict';
import * as df from 'durable-functions';
import type { OrchestrationHandler } from 'durable-functions';
import type { ChaosOptions } from '../../../local/host/chaos';
import { VirtualClock } from '../../../local/host/clock';
import { createHost, type EmbeddedHost } from '../../../local/host/host';

const seeds = Array.from({ length: 40 }, (_, index) => index + 1);
const expected = ['start', ['0', '1', '2', '3', '4', '5'], ['kid a', 'kid b'], 'third time', 'timed out', 'event', 'end 2'];

interface Run {
  readonly host: EmbeddedHost;
  /** How often each activity took effect, by argument. */
  readonly effects: ReadonlyMap<string, number>;
}

function load(clock: VirtualClock, effects: Map<string, number>): void {
  const count = (key: string): number => {
    effects.set(key, (effects.get(key) ?? 0) + 1);
    return effects.get(key) ?? 0;
  };
  df.app.activity('step', {
    handler: async (name: string) => {
      count(name);
      await clock.sleep(name.length * 10);
      return name;
    },
  });
  df.app.activity('third', {
    handler: () => {
      if (count('third') < 3) throw new Error('not yet');
      return 'third time';
    },
  });
  df.app.orchestration('flow', function* (c) {
    const out: unknown[] = [yield c.df.callActivity('step', 'start')];
    out.push(yield c.df.Task.all(Array.from({ length: 6 }, (_, i) => c.df.callActivity('step', String(i)))));
    out.push(yield c.df.Task.all(['a', 'b'].map((name) => c.df.callSubOrchestrator('kid', name))));
    out.push(yield c.df.callActivityWithRetry('third', new df.RetryOptions(60_000, 20)));
    const timer = c.df.createTimer(new Date(c.df.currentUtcDateTime.getTime() + 8 * 86_400_000));
    const never = c.df.waitForExternalEvent('never');
    out.push((yield c.df.Task.any([never, timer])) === timer ? 'timed out' : 'event came');
    out.push(yield c.df.waitForExternalEvent('go'));
    out.push(yield c.df.callSubOrchestrator('rounds', 0));
    return out;
  } as OrchestrationHandler);
  df.app.orchestration('kid', function* (c) { return `kid ${String(yield c.df.callActivity('step', c.df.getInput()))}`; } as OrchestrationHandler);
  df.app.orchestration('rounds', function* (c) {
    const round = c.df.getInput<number>();
    yield c.df.callActivity('step', `round ${String(round)}`);
    if (round === 2) return 'end 2';
    c.df.continueAsNew(round + 1);
    return undefined;
  } as OrchestrationHandler);
}

async function run(chaos: ChaosOptions, check: (run: Run) => void): Promise<void> {
  const clock = new VirtualClock();
  const effects = new Map<string, number>();
  const host = await createHost({ stateFolder: ':memory:', clock, chaos, load: () => load(clock, effects) });
  await host.start();
  try {
    host.client.startNew('flow', { instanceId: 'one' });
    host.client.raiseEvent('one', 'go', 'event');
    const status = await host.waitFor('one');
    assert.deepEqual(status.output, expected, `chaos seed ${String(chaos.seed)}`);
    for (const name of ['start', '0', '5', 'a', 'b', 'third', 'round 0', 'round 2']) assert.ok((effects.get(name) ?? 0) >= 1, `${name} with chaos seed ${String(chaos.seed)}`);
    check({ host, effects });
  } finally {
    await host.stop();
  }
}

describe('embedded host: chaos', () => {
  it('ends alike over many seeds, with crashes, duplicates and delays', async () => {
    const totals = { duplicates: 0, crashes: 0, delays: 0, shuffles: 0 };
    for (const seed of seeds) {
      await run({ seed, duplicateActivity: 0.2, crashBeforeCommit: 0.1, delay: 0.3 }, ({ host }) => {
        for (const [kind, count] of Object.entries(host.chaos?.counts ?? {})) totals[kind as keyof typeof totals] += count;
      });
    }
    for (const [kind, count] of Object.entries(totals)) assert.ok(count > seeds.length / 4, `${kind} happened ${String(count)} times only`);
  });

  it('runs every activity twice when asked, and the first result counts', async () => {
    await run({ seed: 7, runEveryActivityTwice: true }, ({ effects }) => {
      for (const name of ['start', '0', 'a', 'round 1']) assert.equal(effects.get(name), 2, name);
    });
  });

  it('draws the same from the same seed', async () => {
    const counts: unknown[] = [];
    for (let i = 0; i < 2; i++) await run({ seed: 11, duplicateActivity: 0.3 }, ({ host }) => counts.push({ ...host.chaos?.counts }));
    assert.deepEqual(counts[0], counts[1]);
  });

  it('names the seed when something goes wrong', async () => {
    const clock = new VirtualClock();
    const host = await createHost({ stateFolder: ':memory:', clock, chaos: { seed: 4711 }, load: () => load(clock, new Map()) });
    await host.start();
    host.client.startNew('flow', { instanceId: 'one' });
    await assert.rejects(host.waitFor('one'), /never come.*4711/);
    await host.stop();
  });
});
