/**
 * The durable journal: every instance, its history, the messages on their way to it and the activities that still have to
 * run, in one SQLite database. Whatever is not here is forgotten when the process dies, so every step of the engine is one
 * transaction (docs/decisions/local-host-journal.md).
 */
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { HoldfastError, messageOf } from '../../errors/holdfast-error';
import type { HistoryEvent, ParentInstance } from './history';
import { openDatabase, type Database, type Row } from './sqlite';

export type RuntimeStatus = 'Pending' | 'Running' | 'Suspended' | 'Completed' | 'Failed' | 'Terminated';

export interface Instance {
  readonly instanceId: string;
  readonly executionId: string;
  readonly name: string;
  /** 0 for a first start by a client, counted up when the id is used again, null for children and after continue-as-new. */
  readonly generation: number | null;
  readonly status: RuntimeStatus;
  /** JSON text. */
  readonly input: string | null;
  /** JSON text; while suspended, the reason as JSON text. */
  readonly output: string | null;
  readonly customStatus: string | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly parent: ParentInstance | null;
}

/** The span that an instance is in a trace (traces.ts). */
export interface InstanceTrace { readonly traceId: string; readonly spanId: string; readonly parentSpanId: string | null; readonly startMs: number }

/** A message on its way to an instance. */
export interface Message {
  readonly id: number;
  readonly instanceId: string;
  /** Only this execution may consume it; null when any may. */
  readonly executionId: string | null;
  /** 'start' begins an execution, 'continue' a generation after continue-as-new; both carry what came with them. */
  readonly kind: 'start' | 'continue' | 'event';
  readonly events: readonly HistoryEvent[];
  readonly dueAtMs: number;
}
export type NewMessage = Omit<Message, 'id'> & { readonly timerId?: number };

export interface ActivityItem {
  readonly id: number;
  readonly instanceId: string;
  readonly executionId: string;
  readonly taskId: number;
  readonly name: string;
  /** JSON text of the argument as the orchestrator wrote it; null for none. */
  readonly input: string | null;
}

export interface Listing {
  readonly prefix?: string;
  readonly statuses?: readonly RuntimeStatus[];
  readonly createdFromMs?: number;
  readonly createdToMs?: number;
  /** Only ids after this one. */
  readonly after?: string;
  readonly limit?: number;
}

const schemaVersion = 1;
const schema = `
  CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS instances (
    instance_id TEXT PRIMARY KEY, execution_id TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER, status TEXT NOT NULL, input TEXT, output TEXT,
    custom_status TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, parent TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS history (instance_id TEXT NOT NULL, seq INTEGER NOT NULL, event TEXT NOT NULL, PRIMARY KEY (instance_id, seq)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, instance_id TEXT NOT NULL, execution_id TEXT, kind TEXT NOT NULL, events TEXT NOT NULL, due_at INTEGER NOT NULL, timer_id INTEGER) STRICT;
  CREATE INDEX IF NOT EXISTS inbox_due ON inbox (due_at);
  CREATE INDEX IF NOT EXISTS inbox_instance ON inbox (instance_id);
  CREATE TABLE IF NOT EXISTS activities (
    id INTEGER PRIMARY KEY AUTOINCREMENT, instance_id TEXT NOT NULL, execution_id TEXT NOT NULL, task_id INTEGER NOT NULL, name TEXT NOT NULL, input TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS traces (instance_id TEXT PRIMARY KEY, trace TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS schedules (function_name TEXT PRIMARY KEY, status TEXT NOT NULL) STRICT;
`;

export class Journal {
  readonly #db: Database;
  readonly #statements = new Map<string, ReturnType<Database['prepare']>>();

  private constructor(db: Database) {
    this.#db = db;
  }

  /**
   * Opens the journal in a folder, creating both as needed, or one in memory for ':memory:'.
   * Throws HOST_STATE_LOCKED at once when another host has it, HOST_STATE_INVALID when it cannot be read.
   */
  static open(stateFolder: string): Journal {
    const inMemory = stateFolder === ':memory:';
    const location = inMemory ? stateFolder : join(stateFolder, 'journal.sqlite');
    let db: Database | undefined;
    try {
      if (!inMemory) mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
      db = openDatabase(location);
      db.exec('PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;');
      db.exec(`BEGIN EXCLUSIVE; ${schema} COMMIT;`);
      if (!inMemory) chmodSync(location, 0o600);
      const journal = new Journal(db);
      const version = journal.meta('schemaVersion', () => String(schemaVersion));
      if (version !== String(schemaVersion)) throw new HoldfastError('HOST_STATE_INVALID', `The journal in ${stateFolder} has schema version ${version}; this version reads ${String(schemaVersion)}.`, { data: { stateFolder, version } });
      return journal;
    } catch (error) {
      db?.close();
      throw openError(error, stateFolder);
    }
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
  }

  /** All of `work` or nothing of it. */
  transaction<T>(work: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  /** A value that is made once and kept. */
  meta(key: string, make: () => string): string {
    const row = this.#get('SELECT value FROM meta WHERE key = ?', key);
    if (row) return String(row['value']);
    const value = make();
    this.#run('INSERT INTO meta (key, value) VALUES (?, ?)', key, value);
    return value;
  }

  instance(instanceId: string): Instance | undefined {
    const row = this.#get('SELECT * FROM instances WHERE instance_id = ?', instanceId);
    return row && toInstance(row);
  }

  saveInstance(instance: Instance): void {
    this.#run(`INSERT OR REPLACE INTO instances (instance_id, execution_id, name, generation, status, input, output, custom_status, created_at, updated_at, parent)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, instance.instanceId, instance.executionId, instance.name, instance.generation, instance.status, instance.input, instance.output,
    instance.customStatus, instance.createdAtMs, instance.updatedAtMs, instance.parent ? JSON.stringify(instance.parent) : null);
  }

  /** Instances by id, ascending. */
  list(filter: Listing): Instance[] {
    const where: string[] = ['1'];
    const values: (string | number)[] = [];
    const add = (condition: string, ...bound: (string | number)[]): void => {
      where.push(condition);
      values.push(...bound);
    };
    if (filter.prefix !== undefined) add('substr(instance_id, 1, length(?)) = ?', filter.prefix, filter.prefix);
    if (filter.statuses && filter.statuses.length > 0) add(`status IN (${filter.statuses.map(() => '?').join(',')})`, ...filter.statuses);
    if (filter.createdFromMs !== undefined) add('created_at >= ?', filter.createdFromMs);
    if (filter.createdToMs !== undefined) add('created_at <= ?', filter.createdToMs);
    if (filter.after !== undefined) add('instance_id > ?', filter.after);
    return this.#all(`SELECT * FROM instances WHERE ${where.join(' AND ')} ORDER BY instance_id LIMIT ?`, ...values, filter.limit ?? -1).map(toInstance);
  }

  /** Forgets an instance and everything on its way to it. */
  purge(instanceId: string): void {
    for (const table of ['instances', 'history', 'inbox', 'activities', 'traces']) this.#run(`DELETE FROM ${table} WHERE instance_id = ?`, instanceId);
  }

  trace(instanceId: string): InstanceTrace | undefined {
    const row = this.#get('SELECT trace FROM traces WHERE instance_id = ?', instanceId);
    return row && (JSON.parse(String(row['trace'])) as InstanceTrace);
  }

  saveTrace(instanceId: string, trace: InstanceTrace): void {
    this.#run('INSERT OR REPLACE INTO traces (instance_id, trace) VALUES (?, ?)', instanceId, JSON.stringify(trace));
  }

  history(instanceId: string): HistoryEvent[] {
    return this.#all('SELECT event FROM history WHERE instance_id = ? ORDER BY seq', instanceId).map((row) => JSON.parse(String(row['event'])) as HistoryEvent);
  }

  /** @param from how many events there are already; writing the same place twice is an error */
  appendHistory(instanceId: string, from: number, added: readonly HistoryEvent[]): void {
    added.forEach((event, index) => this.#run('INSERT INTO history (instance_id, seq, event) VALUES (?, ?, ?)', instanceId, from + index, JSON.stringify(event)));
  }

  clearHistory(instanceId: string): void {
    this.#run('DELETE FROM history WHERE instance_id = ?', instanceId);
  }

  post(message: NewMessage): void {
    this.#run('INSERT INTO inbox (instance_id, execution_id, kind, events, due_at, timer_id) VALUES (?, ?, ?, ?, ?, ?)',
      message.instanceId, message.executionId, message.kind, JSON.stringify(message.events), message.dueAtMs, message.timerId ?? null);
  }

  dueInstances(nowMs: number): string[] {
    return this.#all('SELECT instance_id FROM inbox WHERE due_at <= ? GROUP BY instance_id ORDER BY min(id)', nowMs).map((row) => String(row['instance_id']));
  }

  dueMessages(instanceId: string, nowMs: number): Message[] {
    return this.#all(`SELECT * FROM inbox WHERE instance_id = ? AND due_at <= ? ORDER BY (kind = 'event'), due_at, id`, instanceId, nowMs).map(toMessage);
  }

  nextDueAt(afterMs: number): number | undefined {
    const at = this.#get('SELECT min(due_at) AS at FROM inbox WHERE due_at > ?', afterMs)?.['at'];
    return typeof at === 'number' ? at : undefined;
  }

  removeMessage(id: number): void {
    this.#run('DELETE FROM inbox WHERE id = ?', id);
  }

  removeTimer(instanceId: string, executionId: string, timerId: number): void {
    this.#run('DELETE FROM inbox WHERE instance_id = ? AND execution_id = ? AND timer_id = ?', instanceId, executionId, timerId);
  }

  removeTimersOf(instanceId: string, executionId: string): void {
    this.#run('DELETE FROM inbox WHERE instance_id = ? AND execution_id = ? AND timer_id IS NOT NULL', instanceId, executionId);
  }

  enqueueActivity(item: Omit<ActivityItem, 'id'>): void {
    this.#run('INSERT INTO activities (instance_id, execution_id, task_id, name, input) VALUES (?, ?, ?, ?, ?)', item.instanceId, item.executionId, item.taskId, item.name, item.input);
  }

  /** The oldest ones, at most `limit`. */
  activities(limit: number): ActivityItem[] {
    return this.#all('SELECT * FROM activities ORDER BY id LIMIT ?', limit).map((row) => ({
      id: Number(row['id']), instanceId: String(row['instance_id']), executionId: String(row['execution_id']), taskId: Number(row['task_id']), name: String(row['name']), input: text(row['input']),
    }));
  }

  /** True when the item was still there: the one result that counts is the first. */
  removeActivity(id: number): boolean {
    return this.#run('DELETE FROM activities WHERE id = ?', id) === 1;
  }

  /** What a timer function's monitor remembers, as JSON text. */
  schedule(functionName: string): string | undefined {
    const row = this.#get('SELECT status FROM schedules WHERE function_name = ?', functionName);
    return row && String(row['status']);
  }

  saveSchedule(functionName: string, status: string): void {
    this.#run('INSERT OR REPLACE INTO schedules (function_name, status) VALUES (?, ?)', functionName, status);
  }

  #statement(sql: string): ReturnType<Database['prepare']> {
    let statement = this.#statements.get(sql);
    if (!statement) this.#statements.set(sql, (statement = this.#db.prepare(sql)));
    return statement;
  }

  #get(sql: string, ...values: (string | number | null)[]): Row | undefined {
    return this.#statement(sql).get(...values);
  }

  #all(sql: string, ...values: (string | number | null)[]): Row[] {
    return this.#statement(sql).all(...values);
  }

  #run(sql: string, ...values: (string | number | null)[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }
}

function text(value: unknown): string | null {
  return value === null || value === undefined ? null : String(value as string);
}

function toInstance(row: Row): Instance {
  const generation = row['generation'];
  return {
    instanceId: String(row['instance_id']), executionId: String(row['execution_id']), name: String(row['name']), generation: generation === null ? null : Number(generation),
    status: String(row['status']) as RuntimeStatus, input: text(row['input']), output: text(row['output']), customStatus: text(row['custom_status']),
    createdAtMs: Number(row['created_at']), updatedAtMs: Number(row['updated_at']),
    parent: row['parent'] === null ? null : (JSON.parse(String(row['parent'])) as ParentInstance),
  };
}

function toMessage(row: Row): Message {
  return {
    id: Number(row['id']), instanceId: String(row['instance_id']), executionId: text(row['execution_id']), kind: String(row['kind']) as Message['kind'],
    events: JSON.parse(String(row['events'])) as HistoryEvent[], dueAtMs: Number(row['due_at']),
  };
}

function openError(error: unknown, stateFolder: string): HoldfastError {
  if (error instanceof HoldfastError) return error;
  if (/database is locked|SQLITE_BUSY/i.test(messageOf(error))) {
    return new HoldfastError('HOST_STATE_LOCKED', `The state folder ${stateFolder} is in use by another host.`, { data: { stateFolder }, cause: error });
  }
  return new HoldfastError('HOST_STATE_INVALID', `The journal in ${stateFolder} cannot be opened: ${messageOf(error)}`, { data: { stateFolder }, cause: error });
}
