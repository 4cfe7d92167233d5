import { channel } from 'node:diagnostics_channel';
import type { JsonObject } from './wire';

/** One request to Resource Manager as it came. The body may hold what is secret: it is handed on and never kept. */
export interface Traffic {
  readonly method: string;
  /** Path and query as they came over the wire. */
  readonly target: string;
  readonly userAgent: string | undefined;
  /** Without members where there is none. */
  readonly body: JsonObject;
}

/** Tells every request to whoever listens in this process: the tests hold the traffic of all of them against what Azure takes. */
export const trafficChannel = channel('holdfast:azure-traffic');

/** One call to Azure Resource Manager, without anything secret. */
export interface ArmCall {
  readonly atMs: number;
  readonly method: string;
  readonly path: string;
  readonly apiVersion: string | null;
  readonly body: JsonObject | null;
  /** 0 when the connection was reset instead of an answer. */
  readonly status: number;
}

/** What was read and written behind access URLs. */
export interface DataPlaneCounters {
  reads: number;
  bytesRead: number;
  pageLists: number;
  diffs: number;
  writes: number;
  bytesWritten: number;
  /** By Put Page From URL. */
  bytesCopied: number;
  refused: number;
}

const keptCalls = 20_000;

/** Every call, so that a test can say what the app asked for and what it cost. */
export class CallLog {
  private calls: ArmCall[] = [];
  data: DataPlaneCounters = noData();

  record(call: ArmCall): void {
    this.calls.push(call);
    if (this.calls.length > keptCalls) this.calls = this.calls.slice(-keptCalls / 2);
  }

  all(): readonly ArmCall[] {
    return this.calls;
  }

  matching(method: string, path: RegExp): readonly ArmCall[] {
    return this.calls.filter((call) => call.method === method && path.test(call.path));
  }

  clear(): void {
    this.calls = [];
    this.data = noData();
  }
}

function noData(): DataPlaneCounters {
  return { reads: 0, bytesRead: 0, pageLists: 0, diffs: 0, writes: 0, bytesWritten: 0, bytesCopied: 0, refused: 0 };
}
