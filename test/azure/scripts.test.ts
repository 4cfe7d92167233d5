import assert from 'node:assert/strict';
import { isHoldfastError } from '../../errors/holdfast-error';
import { type ArmScript, compute, ok, refusal, startArm } from './arm-script';

const vmId = `${compute}/virtualMachines/web01`;
const name = 'holdfast-0123abcd-7-pre';
const id = `${vmId}/runCommands/${name}`;
const request = { vmId, location: 'westeurope', name, script: 'quiet', timeoutSeconds: 60 };

describe('scripts by Run Command', () => {
  let arm: ArmScript;
  beforeEach(async () => { arm = await startArm(); });
  afterEach(() => arm.close());
  const puts = () => arm.server.requests.filter(({ method }) => method === 'PUT');

  it('are begun with a time limit and not waited for; their output is asked for by nobody', async () => {
    arm.on(`PUT ${id}`, { status: 201, body: { properties: { provisioningState: 'Creating' } } });
    assert.equal(await arm.cloud.startScript(request), 'started');
    assert.deepEqual(JSON.parse(puts()[0]?.body ?? ''), { location: 'westeurope', properties: { source: { script: 'quiet' }, timeoutInSeconds: 60, asyncExecution: true, treatFailureAsDeploymentFailure: false } });
  });

  it('8: are adopted by name, never begun twice', async () => {
    arm.on(`GET ${id}`, refusal(404, 'ResourceNotFound'), ok({ properties: {} }));
    arm.on(`PUT ${id}`, 'reset');
    assert.equal(await arm.cloud.startScript(request), 'started');
    assert.equal(await arm.cloud.startScript(request), 'exists');
    assert.equal(puts().length, 1);
  });

  it('tell how they ended, without a word of what they printed', async () => {
    const state = async (properties: object): Promise<unknown> => {
      arm.on(`GET ${id}`, ok({ properties }));
      return arm.cloud.getScript(vmId, name);
    };
    const view = (executionState: string, exitCode?: number) => ({ provisioningState: 'Succeeded', instanceView: { executionState, exitCode, output: 'SECRET', error: 'SECRET', executionMessage: 'SECRET' } });
    assert.deepEqual(await state(view('Succeeded', 0)), { state: 'succeeded' });
    assert.deepEqual(await state(view('Succeeded', 3)), { state: 'failed', message: 'it ended with 3' });
    assert.deepEqual(await state(view('Failed', 1)), { state: 'failed', message: 'it ended with 1' });
    assert.deepEqual(await state(view('TimedOut')), { state: 'failed', message: 'it took too long and was stopped' });
    assert.deepEqual(await state(view('Canceled')), { state: 'failed', message: 'it was canceled' });
    for (const running of [view('Pending'), view('Running'), view('Unknown'), {}, { provisioningState: 'Creating' }]) assert.deepEqual(await state(running), { state: 'running' });
    const failed = await state({ provisioningState: 'Failed', instanceView: { statuses: [{ code: 'ProvisioningState/failed/1', level: 'Error', message: 'no agent at https://x/?sig=SECRET' }] } });
    assert.match(JSON.stringify(failed), /the agent could not run it: no agent/);
    assert.doesNotMatch(JSON.stringify(failed), /SECRET/);
  });

  it('meet a machine that is off', async () => {
    arm.on(`PUT ${id}`, refusal(409, 'OperationNotAllowed', 'The VM is not running.'));
    await assert.rejects(arm.cloud.startScript(request), (error) => isHoldfastError(error, 'GUEST_AGENT_NOT_READY'));
  });

  it('are removed by name, idempotently, and a name that is none is refused', async () => {
    assert.equal(await arm.cloud.startDeleteScript(vmId, name), 'absent');
    arm.on(`GET ${id}`, ok({ properties: {} }));
    arm.on(`DELETE ${id}`, { status: 202, headers: { location: `${arm.server.url}/operations/1` } });
    assert.equal(await arm.cloud.startDeleteScript(vmId, name), 'started');
    await assert.rejects(arm.cloud.getScript(vmId, '../x'), (error) => isHoldfastError(error, 'CLOUD_ID_INVALID'));
  });
});
