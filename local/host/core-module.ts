/**
 * The virtual module `@azure/functions-core` that `@azure/functions` asks for at run time. The genuine worker supplies
 * it the same way, through the CommonJS loader. There is one per process, because `@azure/functions` keeps the first
 * one it gets: what changes between hosts is the collector that receives the registrations.
 *
 * Surface and metadata as recorded (test/fixtures/durable/README.md). Importing this file installs the module, so it
 * has to happen before the first `app.http(...)` or `df.app.*(...)` of the process.
 */
import Module from 'node:module';
import { resolve } from 'node:path';
import type { Binding, CoreContext, FunctionRegistration, InvocationModel, LogLevel } from './registration';

export const coreModuleName = '@azure/functions-core';

export type HookName = 'appStart' | 'appTerminate' | 'preInvocation' | 'postInvocation' | 'log';
export type HookCallback = (context: Record<string, unknown>) => unknown;

/** What one host has registered. */
export interface Registrations {
  readonly functions: FunctionRegistration[];
  readonly hooks: { readonly name: string; readonly callback: HookCallback }[];
}

interface ProgrammingModel {
  readonly name: string;
  readonly version: string;
  getInvocationModel(context: CoreContext): InvocationModel;
  getCapabilities(defaults: Record<string, string>): Record<string, string> | Promise<Record<string, string>>;
}

class Disposable {
  readonly #onDispose: () => void;
  constructor(onDispose: () => void) {
    this.#onDispose = onDispose;
  }
  dispose(): void {
    this.#onDispose();
  }
}

let collector: Registrations | undefined;
let model: ProgrammingModel | undefined;
let systemLog: ((level: LogLevel, message: string) => void) | undefined;

const core = {
  version: '3.9.1',
  hostVersion: '4.1037.0.0',
  Disposable,
  registerFunction(metadata: { name: string; bindings: Record<string, Binding>; retryOptions?: FunctionRegistration['retryOptions'] }, handler: (...args: unknown[]) => unknown): Disposable {
    const target = collector;
    const registration: FunctionRegistration = { name: metadata.name, bindings: metadata.bindings, retryOptions: metadata.retryOptions, handler };
    target?.functions.push(registration);
    return new Disposable(() => {
      const index = target?.functions.indexOf(registration) ?? -1;
      if (index >= 0) target?.functions.splice(index, 1);
    });
  },
  registerHook(name: string, callback: HookCallback): Disposable {
    const target = collector;
    const hook = { name, callback };
    target?.hooks.push(hook);
    return new Disposable(() => {
      const index = target?.hooks.indexOf(hook) ?? -1;
      if (index >= 0) target?.hooks.splice(index, 1);
    });
  },
  setProgrammingModel(newModel: ProgrammingModel): void {
    model = newModel;
  },
  getProgrammingModel: (): ProgrammingModel | undefined => model,
  log(level: LogLevel, _category: string, message: string): void {
    systemLog?.(level, message);
  },
};

interface ResolvingLoader {
  _resolveFilename(request: string, ...rest: unknown[]): string;
  _cache: Record<string, NodeJS.Module | undefined>;
}

/** Makes `require('@azure/functions-core')` answer with the object above, whoever asks. Idempotent. */
function install(): void {
  const loader = Module as unknown as ResolvingLoader;
  if (loader._cache[coreModuleName]) return;
  const resolveFilename = loader._resolveFilename;
  loader._resolveFilename = function (request: string, ...rest: unknown[]): string {
    return request === coreModuleName ? coreModuleName : resolveFilename.call(this, request, ...rest);
  };
  const holder = new Module(coreModuleName);
  holder.exports = core;
  holder.loaded = true;
  loader._cache[coreModuleName] = holder;
}
install();

/** Runs `load` and returns what it registered; nested or concurrent calls are a programming error. */
export function collectRegistrations(load: () => void, log: (level: LogLevel, message: string) => void): Registrations {
  if (collector) throw new Error('Registrations are already being collected: load one host after the other.');
  const registrations: Registrations = { functions: [], hooks: [] };
  collector = registrations;
  systemLog = log;
  try {
    load();
  } finally {
    collector = undefined;
  }
  return registrations;
}

/** The invocation model of the library, or undefined when no app was loaded yet. */
export function invocationModelFor(context: CoreContext): InvocationModel | undefined {
  return model?.getInvocationModel(context);
}

/** Modules that an entry file brought along, so that the next host starts the app anew. */
const loadedByEntry = new Map<string, string[]>();

/**
 * Requires an app's main file afresh: what it loaded last time, packages excepted, is dropped from the module cache,
 * so that its registrations run again and no module state leaks from one host to the next.
 */
export function requireEntry(entryFile: string): void {
  const absolute = resolve(entryFile);
  const load = Module.createRequire(absolute);
  const cache = load.cache as Record<string, NodeJS.Module | undefined>;
  const path = load.resolve(absolute);
  for (const id of loadedByEntry.get(path) ?? []) delete cache[id];
  delete cache[path];
  const before = new Set(Object.keys(cache));
  load(path);
  loadedByEntry.set(path, Object.keys(cache).filter((id) => !before.has(id) && !/[\\/]node_modules[\\/]/.test(id) && id !== coreModuleName));
}
