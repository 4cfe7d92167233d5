/**
 * That the conformance of the embedded host covers what this app uses of Durable Functions: every call in the sources has a recording that shows it, and
 * every shape of actions in the golden histories was recorded from the genuine extension.
 */
import assert from 'node:assert/strict';
import ts from 'typescript';
import { type Action, ActionType } from '../../../local/host/actions';
import { textFiles } from '../../docs/repository';
import { goldenNames, readGenuine, readGolden } from '../../orchestrations/golden/fixture';
import { misunderstanding } from '../../orchestrations/golden/replay';
import { readRecording, recordedState } from './recordings';

/** Of what an orchestrator, a client or the registration may call: the recordings that show it. */
const RECORDED: Readonly<Record<string, readonly string[]>> = {
  'df.callActivity': ['01-single-activity', '02-sequence', '05-activity-failure'], 'df.callSubOrchestrator': ['07-sub-orchestration'], 'df.createTimer': ['04-any-timer', '12-long-timer'],
  'df.Task.any': ['04-any-timer'], 'df.continueAsNew': ['09-continue-as-new'], 'df.setCustomStatus': ['10-custom-status'], 'df.getInput': ['01-single-activity', '16-start-new', '29-value-kinds'],
  'df.instanceId': ['07-sub-orchestration'], 'df.currentUtcDateTime': ['04-any-timer'], 'df.isReplaying': ['02-sequence'],
  'timer.cancel': ['04-any-timer'],
  'client.startNew': ['16-start-new', '21-client-rpc'], 'client.getStatus': ['21-client-rpc'], 'client.getStatusBy': ['21-client-rpc'], 'client.getStatusAll': ['21-client-rpc'], 'client.terminate': ['11-terminate-suspend-rewind-purge-restart', '21-client-rpc'],
  'df.getClient': ['21-client-rpc'], 'df.app.orchestration': ['01-single-activity'], 'df.app.activity': ['01-single-activity'], 'df.input.durableClient': ['21-client-rpc'],
};

/** Shapes that no recording has, and why that is all right. */
const NOT_RECORDED: Readonly<Record<string, string>> = {
  'WhenAny>WhenAny>CreateTimer': 'a step that does not come back loses its race after 40 minutes; 04-any-timer has a race that the timer wins, one level up',
};

const CLIENT = /^(client|df\.getClient\(context\))$/;

/** `context.df.x`, `df.app.x`, `client.x`, `timer.x()`: every use of the library in a source file. */
function usesIn(file: string, text: string): string[] {
  const uses: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node)) {
      const owner = node.expression.getText();
      const name = node.name.text;
      if (/(^|\.)df(\.(Task|app|input))?$/.test(owner) && !['Task', 'app', 'input'].includes(name)) uses.push(`${owner.replace(/^.*\bdf\b/, 'df')}.${name}`);
      else if (CLIENT.test(owner)) uses.push(`client.${name}`);
      else if (owner === 'timer' && name === 'cancel') uses.push('timer.cancel');
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true));
  return uses;
}

const typeName = (type: number): string => Object.entries(ActionType).find(([, number]) => number === type)?.[0] ?? String(type);

/** How actions stand in one another: `WhenAny>WhenAny>CallActivity`, with what else matters to the host. */
function shapesOf(actions: readonly Action[], above = ''): string[] {
  return actions.flatMap((action) => {
    const shape = `${above}${typeName(action.actionType)}${'instanceId' in action && action.instanceId !== undefined ? ' with an id' : ''}${action.actionType === ActionType.CreateTimer && action.isCanceled ? ', cancelled' : ''}`;
    return 'compoundActions' in action ? shapesOf(action.compoundActions, `${shape}>`) : [shape];
  });
}

describe('embedded host: what the app uses of Durable Functions', () => {
  it('is shown by a recording, call by call', () => {
    const files = ['orchestrations', 'functions', 'activities'].flatMap((room) => textFiles(room).filter(({ path: name }) => name.endsWith('.ts')));
    assert.ok(files.length > 40);
    const uses = new Set(files.flatMap(({ path: name, text }) => usesIn(name, text)));
    assert.ok(uses.has('df.callActivity') && uses.has('client.startNew') && uses.has('df.Task.any'), [...uses].join(', '));
    assert.deepEqual([...uses].filter((use) => !RECORDED[use]).sort(), [], 'calls without a recording: the embedded host may do something else than Azure');
    for (const recording of new Set(Object.values(RECORDED).flat())) assert.ok(readRecording(recording).events.length > 0, recording);
  });

  it('is shown by a recording of the genuine extension, shape by shape', () => {
    const recorded = new Set<string>();
    for (const name of new Set(Object.values(RECORDED).flat())) {
      for (const event of readRecording(name).events.filter(({ trigger }) => trigger === 'orchestrationTrigger')) {
        const state = recordedState(event) as { actions?: Action[][] } | undefined;
        for (const shape of shapesOf((state?.actions ?? []).flat())) recorded.add(shape);
      }
    }
    for (const { answer } of readGenuine().executions) for (const shape of shapesOf(answer.actions)) recorded.add(shape);
    const used = new Set(goldenNames().flatMap((story) => readGolden(story).executions.flatMap(({ answer }) => shapesOf(answer.actions))));
    assert.ok(used.size > 4, [...used].join(', '));
    assert.deepEqual([...used].filter((shape) => !recorded.has(shape)).sort(), Object.keys(NOT_RECORDED));
  });

  it('does with the app\'s own runs on the genuine extension what that did, event by event', () => {
    const { executions } = readGenuine();
    assert.ok(executions.length > 10 && executions.some(({ name }) => name === 'restore'));
    for (const execution of executions) assert.equal(misunderstanding(execution), null);
  });
});
