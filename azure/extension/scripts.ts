import type { VirtualMachineRunCommand } from '@azure/arm-compute';
import type { ScriptCloud, ScriptRequest, ScriptStatus } from '../../activities/guest-cloud';
import { HoldfastError, isHoldfastError } from '../../errors/holdfast-error';
import { type ArmContext, askingIfThere, begin, beginDelete } from '../compute/context';
import { redact } from '../../errors/redact';
import { aboutAgent } from './agent';

/** Scripts in the guest as Run Commands, which are resources of the machine: made, looked at, deleted. What a script prints is never read. */
export function scriptOperations(context: ArmContext): ScriptCloud {
  const find = (vmId: string, name: string): Promise<VirtualMachineRunCommand | undefined> => {
    const vm = context.ids.parse(vmId, 'virtualMachines');
    context.ids.check(vm, [name]);
    return askingIfThere(`to read the run command ${name} of ${vm.name}`, () =>
      context.clientFor(vm.subscriptionId).virtualMachineRunCommands.getByVirtualMachine(vm.resourceGroup, vm.name, name, { expand: 'instanceView' }));
  };
  return {
    async startScript({ vmId, location, name, script, timeoutSeconds }: ScriptRequest): Promise<'started' | 'exists'> {
      const vm = context.ids.parse(vmId, 'virtualMachines');
      if (await find(vmId, name)) return 'exists';
      // Asynchronous, so that Azure does not hold an operation open for the script; its own failure is told by its exit code.
      const body: VirtualMachineRunCommand = { location, source: { script }, timeoutInSeconds: timeoutSeconds, asyncExecution: true, treatFailureAsDeploymentFailure: false };
      try {
        return await begin(
          `to run the command ${name} on ${vm.name}`,
          () => context.clientFor(vm.subscriptionId).virtualMachineRunCommands.createOrUpdate(vm.resourceGroup, vm.name, name, body),
          async () => await find(vmId, name) !== undefined,
        );
      } catch (error) {
        if (isHoldfastError(error, 'CLOUD_CONFLICT') && aboutAgent.test(error.message)) throw new HoldfastError('GUEST_AGENT_NOT_READY', error.message, { data: error.data });
        throw error;
      }
    },
    async getScript(vmId: string, name: string): Promise<ScriptStatus | undefined> {
      const command = await find(vmId, name);
      return command && statusOfScript(command);
    },
    async startDeleteScript(vmId: string, name: string): Promise<'started' | 'absent'> {
      const vm = context.ids.parse(vmId, 'virtualMachines');
      if (!await find(vmId, name)) return 'absent';
      return beginDelete(
        `to delete the run command ${name} of ${vm.name}`,
        (onResponse) => context.clientFor(vm.subscriptionId).virtualMachineRunCommands.delete(vm.resourceGroup, vm.name, name, { onResponse }),
        async () => await find(vmId, name) !== undefined,
      );
    },
  };
}

function statusOfScript({ provisioningState, instanceView }: VirtualMachineRunCommand): ScriptStatus {
  const { executionState = '', exitCode } = instanceView ?? {};
  if (executionState === 'Succeeded') return exitCode === undefined || exitCode === 0 ? { state: 'succeeded' } : { state: 'failed', message: `it ended with ${exitCode}` };
  if (executionState === 'TimedOut') return { state: 'failed', message: 'it took too long and was stopped' };
  if (executionState === 'Failed' || executionState === 'Canceled') return { state: 'failed', message: exitCode === undefined ? `it was ${executionState.toLowerCase()}` : `it ended with ${exitCode}` };
  if (!/^(failed|cancell?ed)$/i.test(provisioningState ?? '')) return { state: 'running' };
  const told = instanceView?.statuses?.find(({ level, code }) => level === 'Error' || /failed/i.test(code ?? ''));
  return { state: 'failed', message: `the agent could not run it: ${redact(told?.message ?? told?.displayStatus ?? String(provisioningState)).slice(0, 300)}` };
}
