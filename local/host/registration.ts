/** What an app registers with the host, and the shapes in which the host invokes it (observed; see test/fixtures/durable). */
import { HoldfastError } from '../../errors/holdfast-error';
import type { TraceContext } from './traces';

export type LogLevel = 'trace' | 'debug' | 'information' | 'warning' | 'error' | 'critical';

export interface Binding {
  readonly type: string;
  readonly name: string;
  readonly direction: 'in' | 'out';
  readonly route?: string;
  readonly methods?: readonly string[];
  readonly authLevel?: string;
  readonly schedule?: string;
  readonly runOnStartup?: boolean;
  readonly useMonitor?: boolean;
}

export interface RetryPolicy {
  readonly retryStrategy: string;
  readonly maxRetryCount: number;
  readonly delayInterval?: { readonly seconds: number };
  readonly minimumInterval?: { readonly seconds: number };
  readonly maximumInterval?: { readonly seconds: number };
}

export interface FunctionRegistration {
  readonly name: string;
  readonly bindings: Readonly<Record<string, Binding>>;
  readonly retryOptions: RetryPolicy | undefined;
  readonly handler: (...args: unknown[]) => unknown;
}

/** One value on the wire between host and worker. */
export interface TypedData {
  readonly string?: string;
  readonly json?: string;
  readonly bytes?: Uint8Array;
  readonly int?: number;
  readonly double?: number;
  readonly http?: unknown;
}

export interface CoreContext {
  readonly invocationId: string;
  readonly request: {
    readonly invocationId: string;
    readonly functionId: string;
    readonly inputData: readonly { readonly name: string; readonly data: TypedData | null }[];
    readonly triggerMetadata: Readonly<Record<string, TypedData>>;
    readonly traceContext: TraceContext | null;
    readonly retryContext: { readonly retryCount: number; readonly maxRetryCount: number; readonly exception?: { readonly message: string } } | null;
  };
  readonly metadata: { readonly name: string; readonly bindings: Readonly<Record<string, Binding>> };
  state: 'preInvocationHooks' | 'invocation' | 'postInvocationHooks';
  log(level: LogLevel, category: string, message: string): void;
}

export interface InvocationModel {
  getArguments(): Promise<{ context: InvocationContextLike; inputs: unknown[] }>;
  invokeFunction(context: InvocationContextLike, inputs: unknown[], handler: (...args: unknown[]) => unknown): Promise<unknown>;
  getResponse(context: InvocationContextLike, result: unknown): Promise<{ returnValue?: TypedData | null }>;
}

export interface InvocationContextLike {
  readonly invocationId: string;
}

export type TriggerKind = 'httpTrigger' | 'timerTrigger' | 'activityTrigger' | 'orchestrationTrigger';
const supported: readonly string[] = ['httpTrigger', 'timerTrigger', 'activityTrigger', 'orchestrationTrigger'] satisfies TriggerKind[];

export interface RegisteredFunction extends FunctionRegistration {
  readonly kind: TriggerKind;
  readonly trigger: Binding;
}

/** Functions by kind and name; lookups ignore case, as the genuine host does. */
export class FunctionRegistry {
  readonly #byKey = new Map<string, RegisteredFunction>();
  readonly all: readonly RegisteredFunction[];

  constructor(registrations: readonly FunctionRegistration[]) {
    const names = new Set<string>();
    this.all = registrations.map((registration) => {
      const found = withTrigger(registration);
      const name = registration.name.toLowerCase();
      if (names.has(name)) throw new HoldfastError('HOST_APP_INVALID', `Two functions are called "${registration.name}"; names must differ in more than case.`, { data: { function: registration.name } });
      names.add(name);
      this.#byKey.set(`${found.kind}:${name}`, found);
      return found;
    });
  }

  find(kind: TriggerKind, name: string): RegisteredFunction | undefined {
    return this.#byKey.get(`${kind}:${name.toLowerCase()}`);
  }

  byName(name: string): RegisteredFunction | undefined {
    return this.all.find((candidate) => candidate.name.toLowerCase() === name.toLowerCase());
  }

  ofKind(kind: TriggerKind): readonly RegisteredFunction[] {
    return this.all.filter((candidate) => candidate.kind === kind);
  }
}

function withTrigger(registration: FunctionRegistration): RegisteredFunction {
  const trigger = Object.values(registration.bindings).find((binding) => /Trigger$/i.test(binding.type));
  if (!trigger) throw new HoldfastError('HOST_APP_INVALID', `Function "${registration.name}" has no trigger.`, { data: { function: registration.name } });
  if (!supported.includes(trigger.type)) {
    throw new HoldfastError('HOST_APP_INVALID',
      `Function "${registration.name}" has a ${trigger.type}, which the embedded host does not run; it runs ${supported.join(', ')}.`,
      { data: { function: registration.name, trigger: trigger.type } });
  }
  for (const binding of Object.values(registration.bindings)) {
    if (binding === trigger || binding.type === 'durableClient' || binding.type === 'http') continue;
    throw new HoldfastError('HOST_APP_INVALID', `Function "${registration.name}" has a ${binding.type} binding, which the embedded host does not supply.`,
      { data: { function: registration.name, binding: binding.type } });
  }
  return { ...registration, kind: trigger.type as TriggerKind, trigger };
}
