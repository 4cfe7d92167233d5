/**
 * The other direction of conformance.test.ts, without running any app: every recorded orchestrator output is given to the
 * host's interpreter, together with the history that was recorded before it; what follows must be the history that was
 * recorded next, event by event, and the status that was recorded at the end.
 *
 * Left out: p11-rewind (not supported), p19-o_nondetName (the genuine host overlooks the change), p28-sig (entities). All
 * other orchestrator invocations of the copied recordings are covered; the last test counts them.
 */
import assert from 'node:assert/strict';
import { outcomeOf, concludeEpisode, type Conclusion, type PreparedEpisode } from '../../../local/host/episode';
import { readOrchestratorOutput } from '../../../local/host/actions';
import { EventType, historyToSend, type HistoryEvent } from '../../../local/host/history';
import type { Instance } from '../../../local/host/journal';
import { parseJson } from '../../../local/host/wire-values';
import { normalise, readRecording, recordedState, type OrchestratorInput, type RecordedEvent } from './recordings';

const names = [
  '01-single-activity', '02-sequence', '03-fan-out', '04-any-timer', '05-activity-failure', '06-retry', '07-sub-orchestration', '08-external-events', '09-continue-as-new', '10-custom-status',
  '11-terminate-suspend-rewind-purge-restart', '12-long-timer', '15-throw-undefined-large', '16-start-new', '17-big-payload', '18-unicode', '19-determinism', '20-management-api', '21-client-rpc',
  '24-orchestrator-error-loop', '28-more', '29-value-kinds',
];
const leftOut = /p11-rewind|p19-o_nondetName|p28-sig/;
/** Between these invocations others were left out of the recording. */
const withGaps = /m-q|p29-give/;

interface Invocation {
  readonly event: RecordedEvent;
  readonly input: OrchestratorInput;
  readonly history: readonly HistoryEvent[];
}

const known = { activity: (name: string): boolean => name !== 'doesNotExist', orchestrator: (name: string): boolean => name !== 'doesNotExist' };

function startOf(history: readonly HistoryEvent[]): Extract<HistoryEvent, { EventType: 0 }> {
  const start = history.find((event) => event.EventType === EventType.ExecutionStarted);
  assert.ok(start?.EventType === EventType.ExecutionStarted);
  return start;
}

/** The episode as the host must have prepared it. */
function episodeOf({ input, history }: Invocation): PreparedEpisode {
  const continued = !input.isReplaying && history.at(-1)?.EventType === EventType.OrchestratorCompleted;
  const lastStarted = history.findLastIndex((event) => event.EventType === EventType.OrchestratorStarted);
  const at = continued ? 0 : lastStarted;
  const fresh = history.slice(at).map((event) => (continued && event.EventType === EventType.OrchestratorCompleted ? { ...event, IsPlayed: true } : event));
  return { sent: history, past: history.slice(0, at), fresh, first: !input.isReplaying, continued };
}

function conclude(invocation: Invocation): { conclusion: Conclusion; episode: PreparedEpisode } {
  const start = startOf(invocation.history);
  const instance: Instance = {
    instanceId: invocation.input.instanceId, executionId: start.OrchestrationInstance.ExecutionId, name: start.Name, generation: start.Generation, status: 'Running', input: start.Input,
    output: null, customStatus: null, createdAtMs: 0, updatedAtMs: 0, parent: start.ParentInstance,
  };
  const episode = episodeOf(invocation);
  const outcome = outcomeOf(() => readOrchestratorOutput(recordedState(invocation.event)));
  return { conclusion: concludeEpisode(instance, episode, outcome, known, Date.parse('2026-11-22T22:46:00Z')), episode };
}

function invocationsOf(name: string): Map<string, Invocation[]> {
  const byInstance = new Map<string, Invocation[]>();
  for (const event of readRecording(name).events) {
    if (event.kind !== 'invocation' || event.trigger !== 'orchestrationTrigger') continue;
    const input = event.input as OrchestratorInput;
    if (leftOut.test(input.instanceId)) continue;
    byInstance.set(input.instanceId, [...(byInstance.get(input.instanceId) ?? []), { event, input, history: input.history as unknown as HistoryEvent[] }]);
  }
  return byInstance;
}

const fireTimes = (events: readonly HistoryEvent[]): number[] => events.flatMap((event) => (event.EventType === EventType.TimerCreated ? [Date.parse(event.FireAt)] : []));

/** What arrived must belong to something that was scheduled and had not ended. */
function assertArrivals(arrivals: readonly HistoryEvent[], before: readonly HistoryEvent[]): void {
  for (const event of arrivals) {
    const id = 'TaskScheduledId' in event ? event.TaskScheduledId : 'TimerId' in event ? event.TimerId : undefined;
    assert.equal(event.EventId, -1);
    if (id !== undefined) assert.ok(before.some(({ EventId }) => EventId === id), `event ${JSON.stringify(event)} ends something that was never scheduled`);
  }
}

function assertNext(current: Invocation, next: Invocation): void {
  const { conclusion, episode } = conclude(current);
  const predicted = historyToSend([...episode.past, ...conclusion.appended], []);
  const found = next.history.slice(0, predicted.length);
  assert.deepEqual(normalise(found), normalise(predicted), `after invocation ${String(current.event.n)}`);
  assert.deepEqual(fireTimes(predicted), fireTimes(found));
  const [started, ...arrivals] = next.history.slice(predicted.length);
  assert.equal(started?.EventType, EventType.OrchestratorStarted);
  assertArrivals(arrivals, found);
}

function assertContinued(current: Invocation, next: Invocation): void {
  const { conclusion } = conclude(current);
  assert.ok(conclusion.continueAsNew, `invocation ${String(current.event.n)} should continue as new`);
  assert.equal(conclusion.continueAsNew.input, startOf(next.history).Input);
  assert.deepEqual(conclusion.continueAsNew.carried.map((event) => ({ ...event, IsPlayed: true })), next.history.filter(({ EventType: type }) => type === EventType.EventRaised));
}

function assertFinal(current: Invocation, status: { runtimeStatus: string; output: unknown }): void {
  const { conclusion } = conclude(current);
  assert.equal(conclusion.status, status.runtimeStatus, `after invocation ${String(current.event.n)}`);
  assert.deepEqual(normalise(parseJson(conclusion.output)), normalise(status.output));
}

describe('embedded host: recorded orchestrator outputs are understood', () => {
  let checked = 0;
  for (const name of names) {
    it(name, () => {
      const recording = readRecording(name);
      for (const [instanceId, invocations] of invocationsOf(name)) {
        invocations.forEach((current, index) => {
          const next = invocations[index + 1];
          const sameRun = next && startOf(next.history).OrchestrationInstance.ExecutionId === startOf(current.history).OrchestrationInstance.ExecutionId;
          const final = recording.finalStatus[instanceId]?.body as { runtimeStatus: string; output: unknown } | '' | undefined;
          if (withGaps.test(instanceId) && (!next || next.history.length > current.history.length + 8)) return;
          checked++;
          if (next && sameRun) assertNext(current, next);
          else if (next && startOf(next.history).Generation === null) assertContinued(current, next);
          else if (!next && final) assertFinal(current, final);
          else conclude(current);
        });
      }
    });
  }

  it('nearly all of them', () => {
    assert.ok(checked > 300, `${String(checked)} invocations were checked`);
  });
});
