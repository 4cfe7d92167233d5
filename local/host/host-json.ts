/** The settings of host.json that the embedded host honours. */
import { readFileSync } from 'node:fs';
import { HoldfastError, messageOf } from '../../errors/holdfast-error';

export interface HostSettings {
  readonly taskHubName: string;
  /** Without slashes at its ends; '' serves routes from the root. */
  readonly routePrefix: string;
  readonly maxConcurrentActivities: number;
  readonly maxConcurrentOrchestrators: number;
}

const defaultMaxConcurrentActivities = 4;
const defaultMaxConcurrentOrchestrators = 10;

interface HostJson {
  readonly extensions?: {
    readonly http?: { readonly routePrefix?: unknown };
    readonly durableTask?: { readonly hubName?: unknown; readonly maxConcurrentActivityFunctions?: unknown; readonly maxConcurrentOrchestratorFunctions?: unknown };
  };
}

export function readHostSettings(hostJsonPath: string | undefined): HostSettings {
  const json = hostJsonPath === undefined ? {} : parseHostJson(hostJsonPath);
  const durable = json.extensions?.durableTask;
  const prefix = json.extensions?.http?.routePrefix;
  return {
    taskHubName: typeof durable?.hubName === 'string' ? durable.hubName : 'TestHubName',
    routePrefix: (typeof prefix === 'string' ? prefix : 'api').replace(/^\/+|\/+$/g, ''),
    maxConcurrentActivities: positiveInteger(durable?.maxConcurrentActivityFunctions, 'maxConcurrentActivityFunctions') ?? defaultMaxConcurrentActivities,
    maxConcurrentOrchestrators: positiveInteger(durable?.maxConcurrentOrchestratorFunctions, 'maxConcurrentOrchestratorFunctions') ?? defaultMaxConcurrentOrchestrators,
  };
}

function parseHostJson(path: string): HostJson {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as HostJson;
  } catch (error) {
    throw new HoldfastError('HOST_APP_INVALID', `host.json could not be read from ${path}: ${messageOf(error)}`, { cause: error, data: { path } });
  }
}

function positiveInteger(value: unknown, name: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
  throw new HoldfastError('HOST_APP_INVALID', `host.json: extensions.durableTask.${name} must be a whole number above 0, not ${JSON.stringify(value)}.`, { data: { setting: name } });
}
