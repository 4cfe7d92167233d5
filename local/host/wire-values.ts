/**
 * How values change between orchestrator, host and activity. The genuine host is a .NET program in between, and what it
 * does to booleans, large integers and NaN is observable, so it is imitated (test/fixtures/durable, 01 and 29).
 */
import type { TypedData } from './registration';

const largestInt64Text = '9223372036854775807';
const largestInt64 = 2 ** 63;

/** The text an activity receives for an argument; undefined for null and for no argument at all. */
export function activityInputData(input: unknown): TypedData | null {
  if (input === undefined || input === null) return null;
  if (typeof input === 'string') return { string: input };
  if (typeof input === 'boolean') return { string: input ? 'True' : 'False' };
  if (typeof input === 'number') return { string: String(input).replace('e', 'E') };
  return { string: JSON.stringify(input) };
}

/** The JSON text of an activity's or orchestrator's result as it stands in history; null for nothing. */
export function resultText(data: TypedData | null | undefined): string | null {
  if (data === null || data === undefined) return null;
  if (data.string !== undefined) return JSON.stringify(data.string);
  if (data.int !== undefined) return integerText(data.int);
  if (data.double !== undefined) return Number.isFinite(data.double) ? String(data.double) : JSON.stringify(String(data.double));
  if (data.bytes !== undefined) return JSON.stringify(Buffer.from(data.bytes).toString('base64'));
  return data.json ?? null;
}

function integerText(value: number): string {
  if (value >= largestInt64) return largestInt64Text;
  if (value <= -largestInt64) return `-${String(largestInt64)}`;
  return Object.is(value, -0) ? '0' : BigInt(value).toString();
}

/** JSON text of a value, or null for null and undefined; what an orchestrator's `output` or a child's `input` becomes. */
export function jsonText(value: unknown): string | null {
  return value === undefined || value === null ? null : JSON.stringify(value);
}

/** Parses JSON text that the host wrote itself; null stays null. */
export function parseJson(text: string | null): unknown {
  return text === null ? null : (JSON.parse(text) as unknown);
}

/** The error that the worker makes of anything thrown. `throw undefined` and `throw null` count as success there. */
export function workerError(thrown: unknown): { message: string; stackTrace: string } {
  if (thrown instanceof Error) return { message: thrown.message, stackTrace: thrown.stack ?? `Error: ${thrown.message}` };
  const message = typeof thrown === 'object' ? JSON.stringify(thrown) : String(thrown);
  return { message, stackTrace: `Error: ${message}` };
}

/** Reason and Details of a failed activity: the same text and the same JSON members as the .NET exception that carries it. */
export function activityFailure(functionName: string, error: { message: string; stackTrace: string }): { reason: string; details: string } {
  const details = {
    $type: 'System.Exception, System.Private.CoreLib', ClassName: 'System.Exception', Message: ` ${error.message}`, Data: null,
    InnerException: {
      $type: 'Microsoft.Azure.WebJobs.Script.Workers.Rpc.RpcException, Microsoft.Azure.WebJobs.Script', IsUserException: false,
      RemoteStackTrace: error.stackTrace, RemoteMessage: error.message, RemoteTypeName: null,
      Message: `Result: Failure\nException: ${error.message}\nStack: ${error.stackTrace}`,
      Data: { $type: 'System.Collections.ListDictionaryInternal, System.Private.CoreLib' },
      InnerException: null, HelpLink: null, Source: 'System.Private.CoreLib', HResult: -2146233088, StackTrace: '   at Holdfast.EmbeddedHost',
    },
    HelpURL: null, StackTraceString: null, RemoteStackTraceString: null, RemoteStackIndex: 0, ExceptionMethod: null,
    HResult: -2146233088, Source: null, WatsonBuckets: null,
  };
  return { reason: `Activity function '${functionName}' failed:  ${error.message}`, details: JSON.stringify(details) };
}
