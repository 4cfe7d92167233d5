import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import * as df from 'durable-functions';
import { backupRegion } from '../../orchestrations/backup-region';
import { ACTIVITIES, ORCHESTRATIONS } from '../../orchestrations/names';
import { goldenFile, goldenNames, type GoldenExecution, readGolden } from './golden/fixture';
import { recordStory } from './golden/record';
import { Orchestrators } from './golden/replay';
import { stories } from './golden/stories';

const golden = goldenNames().map(readGolden);
const executions = golden.flatMap((story) => story.executions);
const functionsIn = (execution: GoldenExecution): string[] => execution.history.flatMap((event) => ('Name' in event && typeof event.Name === 'string' ? [event.Name] : []));

describe('golden histories', () => {
  let orchestrators: Orchestrators;
  before(() => { orchestrators = new Orchestrators(); });

  for (const { story, about, executions: recorded } of golden) {
    it(`fault 33: ${story} replays to the actions that were recorded. ${about}`, async () => {
      assert.ok(recorded.length > 0);
      for (const execution of recorded) assert.equal(await orchestrators.difference(execution), null);
    });
  }

  it('are there for every orchestration of the app, and every step of it is in one', () => {
    assert.deepEqual([...new Set(executions.map(({ name }) => name))].sort(), orchestrators.names('orchestrationTrigger'));
    const called = new Set(executions.flatMap(functionsIn));
    assert.deepEqual(orchestrators.names('activityTrigger').filter((name) => !called.has(name)), [], 'steps that no golden history has: give test/orchestrations/golden/stories.ts one that takes them');
  });

  it('are of stories that are told, and of a moderate size', () => {
    assert.deepEqual(goldenNames(), stories.map(({ story }) => story).sort());
    assert.ok(golden.reduce((sum, { story }) => sum + readFileSync(goldenFile(story)).length, 0) < 2 * 1024 * 1024, 'the fixtures are larger than 2 MiB: keep fewer orchestrations of a story');
  });

  it('are the same when they are recorded anew', async () => {
    for (const name of ['backup-overtaken', 'maintain-locks', 'large-policy']) {
      const story = stories.find((one) => one.story === name) ?? assert.fail(name);
      const anew = (await recordStory(story)).split('\n');
      const kept = readFileSync(goldenFile(name), 'utf8').split('\n');
      const at = kept.findIndex((line, index) => line !== anew[index]);
      assert.equal(anew[at], kept[at], `${name} is recorded differently now, first in line ${at + 1}: npm run golden:record, and look at what changed`);
    }
  });
});

/** An app in which one orchestration was exchanged for another. */
const changed = (name: string, orchestrator: df.OrchestrationHandler): Orchestrators => new Orchestrators(() => {
  df.app.orchestration(name, orchestrator);
  for (const activity of Object.values(ACTIVITIES)) df.app.activity(activity, { handler: () => null });
});

describe('a change of an orchestration', () => {
  const region = golden.find(({ story }) => story === 'backup')?.executions.find(({ name }) => name === ORCHESTRATIONS.backupRegion) ?? assert.fail('no region');
  /** What the golden history says, called in another order or in another way. */
  const differenceOf = (orchestrator: df.OrchestrationHandler): Promise<string | null> => changed(ORCHESTRATIONS.backupRegion, orchestrator).difference(region);

  it('fault 33: that calls another step first is told, with what to do', async () => {
    const difference = await differenceOf(function* (context) {
      yield context.df.callActivity(ACTIVITIES.finishRegion, {});
      return yield* backupRegion(context);
    });
    assert.match(difference ?? '', /backupRegion \(backup\.web01-.*\.r0\), episode 1 of \d+: the history has activity planRegion, a timer until .*, and the code asks for activity finishRegion\./);
    assert.match(difference ?? '', /docs\/orchestration-versioning\.md.*npm run golden:record/);
  });

  it('fault 33: that calls a further step at its end is told', async () => {
    assert.match(await differenceOf(function* (context) {
      const done = yield* backupRegion(context);
      yield context.df.callActivity(ACTIVITIES.auditDisk, {});
      return done;
    }) ?? '', /there are 1 actions more, first \{"functionName":"auditDisk"/);
  });

  it('fault 33: that leaves a step out, or waits longer for it, is told', async () => {
    assert.match(await differenceOf(function* (context) {
      yield context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 1));
      return null;
    }) ?? '', /the history has activity planRegion, .*and the code asks for a timer until/);
  });

  it('fault 33: of arguments alone replays, and is told all the same: steps of open runs must understand both', async () => {
    assert.match(await differenceOf(function* (context) {
      const input = context.df.getInput() as object;
      return yield* backupRegion(Object.assign(Object.create(context) as typeof context, { df: Object.assign(Object.create(context.df) as typeof context.df, { getInput: () => ({ ...input, more: true }) }) }));
    }) ?? '', /action 1 was .*"planRegion".* and is .*"more":true.*must understand both/);
  });
});
