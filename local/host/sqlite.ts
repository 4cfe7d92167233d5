/** `node:sqlite`, without the one line of warning that Node 22 and 24 print when it is loaded for the first time. */
import type * as sqlite from 'node:sqlite';

type SqliteModule = typeof sqlite;
let loaded: SqliteModule | undefined;

export type Database = sqlite.DatabaseSync;
export type Row = Readonly<Record<string, sqlite.SQLInputValue>>;

export function openDatabase(location: string): Database {
  loaded ??= loadQuietly();
  return new loaded.DatabaseSync(location, { timeout: 0 });
}

function loadQuietly(): SqliteModule {
  const emit = process.emitWarning;
  process.emitWarning = function (warning: string | Error, ...rest: unknown[]): void {
    if (String(warning).includes('SQLite is an experimental feature')) return;
    Reflect.apply(emit, process, [warning, ...rest]);
  };
  try {
    return process.getBuiltinModule('node:sqlite');
  } finally {
    process.emitWarning = emit;
  }
}
