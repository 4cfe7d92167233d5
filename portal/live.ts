/**
 * Data that stays fresh. Everything that is on the screen shares one timer and one request for each address; a tab that nobody looks at asks rarely, and an app
 * that does not answer is asked less and less often. What is shown is never thrown away for an error: it is shown as old, with its time.
 */
import { useEffect, useReducer, useState } from 'preact/hooks';
import { call, type Problem, toProblem } from './api';
import type { Page } from './model';

const MIN_MS = 1_000;
const HIDDEN_FACTOR = 12;
const MAX_BACKOFF_MS = 120_000;
/** How long data stays in memory that nothing on the screen shows, so that going back shows it at once. */
const KEPT_MS = 5 * 60_000;

/** How often to ask again, in milliseconds; it may depend on what came last. */
export type Every<T> = number | ((data: T) => number);

interface Entry {
  readonly path: string;
  readonly users: Set<() => void>;
  every: Every<never>;
  data: unknown;
  etag: string | null;
  /** When the data was last known to be true; null before the first answer. */
  atMs: number | null;
  error: Problem | null;
  failures: number;
  dueMs: number;
  running: boolean;
  leftMs: number;
}

export interface Live<T> {
  readonly data: T | undefined;
  readonly atMs: number | null;
  readonly error: Problem | null;
  readonly refresh: () => void;
}

const entries = new Map<string, Entry>();
let timer: number | undefined;
/** Called after each answer: what shows the state of the whole page. */
const watchers = new Set<() => void>();
/** True from the first answer that asks for a sign-in to the next that does not. */
let isSignedOut = false;

function entryOf(path: string, every: Every<never>): Entry {
  let entry = entries.get(path);
  if (!entry) {
    entry = { path, users: new Set(), every, data: undefined, etag: null, atMs: null, error: null, failures: 0, dueMs: 0, running: false, leftMs: 0 };
    entries.set(path, entry);
  }
  entry.every = every;
  return entry;
}

const periodOf = (entry: Entry): number => {
  const wanted = Math.max(MIN_MS, typeof entry.every === 'number' ? entry.every : entry.data === undefined ? MIN_MS : (entry.every as (data: unknown) => number)(entry.data));
  const slowed = document.visibilityState === 'hidden' ? wanted * HIDDEN_FACTOR : wanted;
  return entry.failures === 0 ? slowed : Math.min(MAX_BACKOFF_MS, Math.max(slowed, 1_000 * 2 ** Math.min(entry.failures, 7)));
};

function schedule(): void {
  window.clearTimeout(timer);
  const due = [...entries.values()].filter(({ users, running }) => users.size > 0 && !running).map(({ dueMs }) => dueMs);
  if (due.length > 0) timer = window.setTimeout(tick, Math.max(0, Math.min(...due) - Date.now()));
}

function tick(): void {
  const now = Date.now();
  for (const [path, entry] of entries) {
    if (entry.users.size === 0 && !entry.running && now - entry.leftMs > KEPT_MS) entries.delete(path);
    // What is due within the next moment goes along: one wake-up for all.
    else if (entry.users.size > 0 && !entry.running && entry.dueMs <= now + 250) void ask(entry);
  }
  schedule();
}

async function ask(entry: Entry): Promise<void> {
  entry.running = true;
  try {
    const answer = await call<unknown>('GET', entry.path, entry.etag !== null && entry.data !== undefined ? { headers: { 'if-none-match': entry.etag } } : {});
    if (answer.status !== 304) entry.data = answer.body;
    entry.etag = answer.etag ?? entry.etag;
    entry.atMs = Date.now();
    entry.error = null;
    entry.failures = 0;
    isSignedOut = false;
  } catch (error) {
    entry.error = toProblem(error);
    isSignedOut ||= entry.error.status === 401;
    entry.failures++;
  }
  entry.running = false;
  entry.dueMs = Date.now() + periodOf(entry);
  for (const tell of [...entry.users, ...watchers]) tell();
  schedule();
}

document.addEventListener('visibilitychange', () => {
  for (const entry of entries.values()) if (entry.users.size > 0) entry.dueMs = document.visibilityState === 'visible' ? 0 : Date.now() + periodOf(entry);
  schedule();
});

/** Asks again now for everything whose address begins so, for instance after a change. */
export function refresh(prefix: string): void {
  for (const entry of entries.values()) if (entry.path.startsWith(prefix)) entry.dueMs = 0;
  schedule();
}

/** Forgets everything, for instance when somebody else signs in. */
export function forgetAll(): void {
  for (const entry of entries.values()) Object.assign(entry, { data: undefined, etag: null, atMs: null, error: null, failures: 0, dueMs: 0 });
  isSignedOut = false;
  for (const tell of watchers) tell();
  schedule();
}

/** The data of an address, kept fresh while the component is on the screen. A null path asks nothing. */
export function useLive<T>(path: string | null, every: Every<T>): Live<T> {
  const [, redraw] = useReducer<number, void>((n) => n + 1, 0);
  useEffect(() => {
    if (path === null) return undefined;
    const entry = entryOf(path, every as Every<never>);
    entry.users.add(redraw as () => void);
    // What was fetched a moment ago for another view need not be fetched again.
    if (entry.atMs === null || entry.error !== null || Date.now() - entry.atMs > 2_000) entry.dueMs = 0;
    schedule();
    return () => {
      entry.users.delete(redraw as () => void);
      entry.leftMs = Date.now();
    };
  }, [path]);
  const entry = path === null ? undefined : entries.get(path);
  return {
    data: entry?.data as T | undefined, atMs: entry?.atMs ?? null, error: entry?.error ?? null,
    refresh: () => { if (path !== null) refresh(path); },
  };
}

/** A list: its first page is kept fresh, further ones are fetched by `more` and stay as they came. */
export function useList<T>(path: string | null, every: Every<Page<T>>): Live<Page<T>> {
  const live = useLive<Page<T>>(path, every);
  const [seen, look] = useState<{ readonly path: string | null; readonly pages: readonly Page<T>[] }>({ path, pages: [] });
  const pages = seen.path === path ? seen.pages : [];
  if (live.data === undefined) return live;
  const first = live.data;
  // An entry that moved to a later page since is shown once, as the fresh page has it.
  const known = new Set(first.value.map(keyOf));
  const value = pages.length === 0 ? first.value : [...first.value, ...pages.flatMap((page) => page.value.filter((entry) => !known.has(keyOf(entry))))];
  const next = pages.length === 0 ? first.nextLink : pages.at(-1)?.nextLink ?? null;
  const more = next === null ? null : async (): Promise<void> => {
    const { body } = await call<Page<T>>('GET', next);
    look({ path, pages: [...pages, body] });
  };
  return { ...live, data: { value, nextLink: next, more } };
}

/** What an entry of a list is known by: jobs and recovery points have the id of an item as well, records of the audit trail a number alone. */
function keyOf(entry: unknown): unknown {
  const { id, itemId, number, name } = entry as { readonly id?: string; readonly itemId?: string; readonly number?: number; readonly name?: string };
  return id ?? itemId ?? number ?? name;
}

/** How the page as a whole stands: whether somebody has to sign in, and the oldest data that is shown though it could not be confirmed, with its time and why. */
export interface Standing { readonly isSignedOut: boolean; readonly trouble: { readonly atMs: number | null; readonly error: Problem } | null }

export function useStanding(): Standing {
  const [, redraw] = useReducer<number, void>((n) => n + 1, 0);
  useEffect(() => {
    watchers.add(redraw as () => void);
    return () => void watchers.delete(redraw as () => void);
  }, []);
  const troubled = [...entries.values()].filter(({ users, error }) => users.size > 0 && error !== null && (error.status === 0 || error.status >= 500));
  if (troubled.length === 0) return { isSignedOut, trouble: null };
  const oldest = troubled.reduce((a, b) => ((a.atMs ?? 0) <= (b.atMs ?? 0) ? a : b));
  return { isSignedOut, trouble: { atMs: oldest.atMs, error: oldest.error as Problem } };
}
