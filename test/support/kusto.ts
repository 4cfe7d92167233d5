import { createRequire } from 'node:module';

/** What is used of Microsoft's language service for KQL: generated from C#, it hangs itself into the global scope. */
interface Service {
  readonly Kusto: { readonly Language: {
    readonly GlobalState: { readonly Default: Globals };
    readonly KustoCode: { ParseAndAnalyze(text: string, globals: Globals): Analyzed };
    readonly Symbols: {
      readonly TableSymbol: { From(schema: string): { WithName(name: string): TableSymbol } };
      readonly DatabaseSymbol: { readonly $ctor1: new (name: string, members: readonly TableSymbol[]) => unknown };
    };
  } };
}
interface Globals { WithDatabase(database: unknown): Globals }
type TableSymbol = object;
interface Analyzed {
  GetDiagnostics(): { readonly Count?: number; getItem?(index: number): Diagnostic; readonly _items?: Diagnostic[] };
  readonly ResultType?: { readonly Columns?: { readonly Count: number; getItem(index: number): { readonly Name: string; readonly Type: { readonly Name: string } } } };
}
interface Diagnostic { readonly Severity: string; readonly Message: string; readonly Start: number }

/** Columns of the workspace's tables that the queries may use. Source: Azure Monitor Logs reference, tables AppEvents, AppMetrics, AppRequests, AppDependencies, AppExceptions, AppTraces. */
const COMMON = 'TimeGenerated: datetime, Properties: dynamic, Measurements: dynamic, OperationId: string, OperationName: string, ParentId: string, AppRoleName: string, AppRoleInstance: string, ItemCount: int, SDKVersion: string, Type: string, _ResourceId: string';
export const SCHEMAS: Readonly<Record<string, string>> = {
  AppEvents: `${COMMON}, Name: string`,
  AppMetrics: 'TimeGenerated: datetime, Properties: dynamic, OperationId: string, OperationName: string, ParentId: string, AppRoleName: string, AppRoleInstance: string, SDKVersion: string, Type: string, _ResourceId: string, ItemCount: int, Name: string, Sum: real, Min: real, Max: real',
  AppRequests: `${COMMON}, Id: string, Name: string, Url: string, Source: string, Success: bool, ResultCode: string, DurationMs: real, PerformanceBucket: string`,
  AppDependencies: `${COMMON}, Id: string, Name: string, Target: string, DependencyType: string, Data: string, Success: bool, ResultCode: string, DurationMs: real, PerformanceBucket: string`,
  AppExceptions: `${COMMON}, ProblemId: string, ExceptionType: string, Assembly: string, Method: string, OuterType: string, OuterMessage: string, InnermostType: string, InnermostMessage: string, SeverityLevel: int, Details: dynamic`,
  AppTraces: `${COMMON}, Message: string, SeverityLevel: int`,
};

let globals: Globals | undefined;

function service(): Service['Kusto']['Language'] {
  const load = createRequire(__filename);
  load('@kusto/language-service-next/bridge.min.js');
  load('@kusto/language-service-next/Kusto.Language.Bridge.min.js');
  return (globalThis as unknown as Service).Kusto.Language;
}

export interface CheckedQuery {
  /** Mistakes, of syntax and of meaning: tables, columns and functions that there are not, types that do not go together. */
  readonly problems: readonly string[];
  /** What the query gives: name and type of each column. */
  readonly columns: ReadonlyMap<string, string>;
}

/** Parses and analyses a query against the tables above, as the query editor of Azure does. */
export function checkKql(text: string): CheckedQuery {
  const { GlobalState, KustoCode, Symbols } = service();
  globals ??= GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.$ctor1('workspace', Object.entries(SCHEMAS).map(([name, schema]) => Symbols.TableSymbol.From(`(${schema})`).WithName(name))));
  const analyzed = KustoCode.ParseAndAnalyze(text, globals);
  const found = analyzed.GetDiagnostics();
  const problems = Array.from({ length: found.Count ?? 0 }, (_, index) => found.getItem?.(index)).filter((one): one is Diagnostic => one !== undefined)
    .map(({ Severity, Message, Start }) => `${Severity} in line ${text.slice(0, Start).split('\n').length}: ${Message}`);
  const list = analyzed.ResultType?.Columns;
  return { problems, columns: new Map(Array.from({ length: list?.Count ?? 0 }, (_, index) => list?.getItem(index)).flatMap((column) => (column ? [[column.Name, column.Type.Name] as const] : []))) };
}
