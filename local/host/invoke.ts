/** Calls a registered function the way the Node worker does: through the library's invocation model, with the app's hooks around it. */
import { randomUUID } from 'node:crypto';
import { invocationModelFor, type Registrations } from './core-module';
import type { CoreContext, InvocationContextLike, InvocationModel, LogLevel, RegisteredFunction, TypedData } from './registration';
import type { TraceContext } from './traces';

export type LogSink = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void;

export interface InvocationInput {
  readonly data?: TypedData | null;
  readonly triggerMetadata?: Readonly<Record<string, TypedData>>;
  readonly retryContext?: CoreContext['request']['retryContext'];
  /** The span that the function runs in; null or left out where there are no traces. */
  readonly trace?: TraceContext | null;
  /** The durableClient binding object, for functions that ask for it. */
  readonly durableClient?: () => unknown;
  /** An argument that bypasses the wire (HTTP requests); the trigger's data is then not sent. */
  readonly argument?: unknown;
}

export interface InvocationResult {
  readonly returned: unknown;
  readonly response: () => Promise<{ returnValue?: TypedData | null }>;
}

export class Invoker {
  readonly #hooks: Registrations['hooks'];
  readonly #log: LogSink;

  constructor(hooks: Registrations['hooks'], log: LogSink) {
    this.#hooks = hooks;
    this.#log = log;
  }

  /** Rejects with whatever the handler threw. `invocationId` is the worker's; tries of one timer run share it. */
  async invoke(target: RegisteredFunction, input: InvocationInput, invocationId: string = randomUUID()): Promise<InvocationResult> {
    const core = this.#coreContext(target, input, invocationId);
    const model = invocationModelFor(core);
    if (!model) throw new Error('No programming model was set: the app was loaded before the host.');
    const { context, inputs } = await model.getArguments();
    const args = input.argument === undefined ? inputs : [input.argument];
    const outcome = await this.#run(model, target, context, args, core);
    return { returned: outcome, response: () => model.getResponse(context, outcome) };
  }

  async runHooks(name: string, context: Record<string, unknown>): Promise<void> {
    for (const hook of this.#hooks) if (hook.name === name) await hook.callback(context);
  }

  async #run(model: InvocationModel, target: RegisteredFunction, context: InvocationContextLike, inputs: unknown[], core: CoreContext): Promise<unknown> {
    if (this.#hooks.length === 0) return model.invokeFunction(context, inputs, target.handler);
    const hookData = {};
    const before = { invocationContext: context, functionCallback: target.handler, inputs, hookData, appHookData: {} };
    core.state = 'preInvocationHooks';
    await this.runHooks('preInvocation', before);
    const after: Record<string, unknown> & { result: unknown; error: unknown } = { invocationContext: context, inputs: before.inputs, hookData, appHookData: {}, result: null, error: null };
    core.state = 'invocation';
    try {
      after.result = await model.invokeFunction(context, before.inputs, before.functionCallback);
    } catch (error) {
      after.error = error;
    }
    core.state = 'postInvocationHooks';
    await this.runHooks('postInvocation', after);
    if (after.error !== null && after.error !== undefined) throw after.error;
    return after.result;
  }

  #coreContext(target: RegisteredFunction, input: InvocationInput, invocationId: string): CoreContext {
    const inputData: { name: string; data: TypedData | null }[] = [];
    if (input.argument === undefined) inputData.push({ name: bindingName(target, target.trigger), data: input.data ?? null });
    for (const [name, binding] of Object.entries(target.bindings)) {
      if (binding.type === 'durableClient') inputData.push({ name, data: { json: JSON.stringify(input.durableClient?.() ?? null) } });
    }
    return {
      invocationId,
      request: { invocationId, functionId: target.name, inputData, triggerMetadata: input.triggerMetadata ?? {}, traceContext: input.trace ?? null, retryContext: input.retryContext ?? null },
      metadata: { name: target.name, bindings: target.bindings },
      state: 'invocation',
      log: (level, _category, message) => this.#log(level, message, { function: target.name, invocationId }),
    };
  }
}

function bindingName(target: RegisteredFunction, trigger: RegisteredFunction['trigger']): string {
  return Object.entries(target.bindings).find(([, binding]) => binding === trigger)?.[0] ?? trigger.name;
}
