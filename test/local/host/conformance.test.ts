/**
 * The embedded host against recordings of the genuine one: the same stories, driven over the same client and management
 * calls, must send every orchestrator the same inputs and end in the same statuses.
 *
 * | recording | covered here | not covered, and why |
 * |---|---|---|
 * | 01-04, 06-10, 15, 17, 18 | every instance | |
 * | 05, 07 | every instance | stack traces and the .NET frames in failures are placeholders |
 * | 11 | terminate, suspend, resume, restart, purge | rewind: the embedded host answers 501 |
 * | 12 | both timers | |
 * | 16 | every instance | a start with a version: versions are not supported and ignored; the 300-character id stands for itself |
 * | 19 | determinism | another activity name: the genuine host overlooks it and runs a second task, this one fails the instance |
 * | 20, 21 | statuses, codes, headers and bodies (management.test.ts) | entities: refused when the app is loaded |
 * | 22, 23 | timer payload, admin endpoints, HTTP functions (http-functions.test.ts) | `GET /admin/functions/<name>` |
 * | 24 | what never finishes | |
 * | 28 | everything else | p28-sig signals an entity: fails with words |
 * | 29 | every value | |
 * | 13, 14, 25, 26 | not copied | entities, callHttp, enableHttpStream's proxy and versions are not supported |
 */
import assert from 'node:assert/strict';
import { inputsByInstance, runStory } from './conformance-stories';
import { normalise, readRecording, type OrchestratorInput, type RecordedEvent } from './recordings';

interface Story {
  readonly name: string;
  /** Instances whose completions overtake each other, or that the genuine timer fired early: order and batches are not compared. */
  readonly concurrent?: RegExp;
  /** Instances whose genuine timers fired so early that one attempt more fitted into the retry timeout: ours is the beginning of theirs. */
  readonly early?: RegExp;
  /** Instances (and calls that name them) that are left out; the table says why. */
  readonly without?: RegExp;
}

const stories: readonly Story[] = [
  { name: '01-single-activity' },
  { name: '02-sequence' },
  { name: '03-fan-out', concurrent: /p03-(fan|fail)$/ },
  { name: '04-any-timer' },
  { name: '05-activity-failure' },
  { name: '06-retry' },
  { name: '07-sub-orchestration', concurrent: /p07-sub$/ },
  { name: '08-external-events', concurrent: /p08-(burst|client)/ },
  { name: '09-continue-as-new', concurrent: /p09-events/ },
  { name: '10-custom-status' },
  { name: '11-terminate-suspend-rewind-purge-restart', without: /p11-rewind/ },
  { name: '12-long-timer' },
  { name: '15-throw-undefined-large' },
  { name: '16-start-new', without: /p16-version|300 times/ },
  { name: '17-big-payload' },
  { name: '18-unicode' },
  { name: '19-determinism', without: /p19-o_nondetName/ },
  { name: '24-orchestrator-error-loop' },
  { name: '28-more', concurrent: /p28-(many|race|spaced)/, early: /p28-retrymax/, without: /p28-sig/ },
  { name: '29-value-kinds', concurrent: /p29-give/ },
];

/** Ids that differ in every run, and one with a # that the recordings' driver could not ask for. */
const namelessInstance = /^[0-9a-f]{8}-|^[0-9a-f]{32}$|#/;

const isOrchestration = (event: RecordedEvent): boolean => event.kind === 'invocation' && event.trigger === 'orchestrationTrigger';

/** Whether an event of the recording belongs to an instance that is left out. */
function leftOut(story: Story, event: RecordedEvent): boolean {
  const text = isOrchestration(event) ? (event.input as OrchestratorInput).instanceId : JSON.stringify([event.args, event.request?.url]);
  return story.without?.test(text) ?? false;
}

/** Strings above 6000 characters were cut when recording. */
function withoutCuts(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_key, item: unknown) => (typeof item === 'string' && (item.length > 6000 || /\.\.\.<\d+ chars in total>/.test(item)) ? '<long text>' : item))) as unknown;
}

describe('embedded host: conformance with the genuine host', () => {
  for (const story of stories) {
    it(`sends what was recorded: ${story.name}`, async () => {
      const recording = readRecording(story.name);
      const recorded = recording.events.filter((event) => isOrchestration(event) && !leftOut(story, event)).map((event) => ({ function: event.function ?? '', input: event.input as OrchestratorInput }));
      const concurrent = (instanceId: string): boolean => story.concurrent?.test(instanceId) ?? false;
      await runStory(recording, ({ host, invocations }) => {
        const all = invocations.filter(({ kind }) => kind === 'orchestration').map(({ function: name, input }) => ({ function: name, input: input as OrchestratorInput }));
        const early = ({ input }: { input: OrchestratorInput }): boolean => story.early?.test(input.instanceId) ?? false;
        const [own, theirs] = [all, recorded].map((list) => list.filter((item) => !early(item)));
        assert.deepEqual(withoutCuts(inputsByInstance(own ?? [], concurrent)), withoutCuts(inputsByInstance(theirs ?? [], concurrent)));
        const beginning = all.filter(early).map(({ input }) => normalise(input));
        assert.deepEqual(beginning, recorded.filter(early).slice(0, beginning.length).map(({ input }) => normalise(input)));
        assert.equal(beginning.length > 0, story.early !== undefined);
        for (const [instanceId, { httpStatus, body }] of Object.entries(recording.finalStatus)) {
          if (story.without?.test(instanceId) || namelessInstance.test(instanceId)) continue;
          const found = host.client.find(instanceId);
          if (httpStatus === 404) assert.equal(found, undefined, `${instanceId} should be gone`);
          else assert.deepEqual(withoutCuts(normalise(found)), withoutCuts(normalise(body, ['historyEvents'])), instanceId);
        }
      }, (event) => !leftOut(story, event));
    });
  }
});
