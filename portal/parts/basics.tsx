import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { type Problem, toProblem } from '../api';
import { ago, utc } from '../format';
import type { Live } from '../live';
import type { Page } from '../model';
import { hasMoved, to } from '../router';

/** How a state is to be taken. Only `good` is green, and only what was proved is `good`. */
export type Tone = 'good' | 'plain' | 'busy' | 'warn' | 'bad' | 'off';

const MARK: Readonly<Record<Tone, string>> = { good: '✓', plain: '●', busy: '◐', warn: '!', bad: '✕', off: '–' };

/** A state in words, with a mark and a colour beside it: never a colour alone. */
export const Badge = ({ tone, children, title }: { tone: Tone; children: ComponentChildren; title?: string }): JSX.Element =>
  <span class={`badge ${tone}`} title={title}><span class="mark" aria-hidden="true">{MARK[tone]}</span>{children}</span>;

/** An instant in UTC; the reader's own time and how long ago in the hint. */
export function Time({ at, short = false }: { at: string | number | null; short?: boolean }): JSX.Element {
  if (at === null) return <span class="dim">never</span>;
  const ms = typeof at === 'number' ? at : Date.parse(at);
  const local = new Date(ms).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
  const text = utc(ms);
  return <time dateTime={new Date(ms).toISOString()} title={`${text} · here ${local} · ${ago(ms, Date.now())}`}>{short ? ago(ms, Date.now()) : text}</time>;
}

/** A failure in full: what it means, what happened, what to do, and where that is explained. */
export function ProblemBox({ problem, retry }: { problem: Problem; retry?: () => void }): JSX.Element {
  const fields = Array.isArray(problem.data['fields']) ? problem.data['fields'].filter((field): field is string => typeof field === 'string') : [];
  return (
    <div class="problem" role="alert">
      <p><strong>{problem.title}</strong> <code>{problem.code}</code></p>
      {problem.message !== '' && <p>{problem.message}</p>}
      {fields.length > 1 && <ul>{fields.map((field) => <li key={field}>{field}</li>)}</ul>}
      {problem.remedy !== '' && <p><span class="label">What to do</span> {problem.remedy}</p>}
      <p class="row">
        {problem.status !== 0 && <a href={to('help', problem.code)}>What {problem.code} means</a>}
        {retry && <button type="button" class="small" onClick={retry}>Try again</button>}
      </p>
    </div>
  );
}

/** What an empty place says: what would be here, and how it comes here. */
export const Empty = ({ title, children }: { title: string; children?: ComponentChildren }): JSX.Element =>
  <div class="empty"><p class="empty-title">{title}</p>{children}</div>;

/** The data when it is there; before that a word, and the problem where it cannot be had. */
export function Loaded<T>({ live, children }: { live: Live<T>; children: (data: T) => ComponentChildren }): JSX.Element {
  if (live.data !== undefined) {
    // Errors of what is shown already: those of the connection are told once, at the top of the page.
    const own = live.error && live.error.status !== 0 && live.error.status !== 401 ? live.error : null;
    return <>{own && live.atMs !== null && <p class="stale" role="status">Shown as of <Time at={live.atMs} />: {own.title} ({own.code})</p>}{children(live.data)}</>;
  }
  if (live.error) return <ProblemBox problem={live.error} retry={live.refresh} />;
  return <p class="loading" role="status"><span class="spinner" aria-hidden="true" />Loading …</p>;
}

/** The head of a view. Its title takes the focus when the view opens, so that a screen reader says where one is. */
export function Head({ title, kicker, children }: { title: string; kicker?: ComponentChildren; children?: ComponentChildren }): JSX.Element {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Holdfast`;
  }, [title]);
  useEffect(() => {
    if (hasMoved && (document.activeElement === document.body || document.activeElement?.closest('nav') !== null)) heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <header class="head">
      <div>
        {kicker !== undefined && <p class="kicker">{kicker}</p>}
        <h1 ref={heading} tabIndex={-1}>{title}</h1>
      </div>
      {children !== undefined && <div class="actions">{children}</div>}
    </header>
  );
}

/** A titled part of a view. */
export const Card = ({ title, aside, children, class: extra = '' }: { title: string; aside?: ComponentChildren; children: ComponentChildren; class?: string }): JSX.Element =>
  <section class={`card ${extra}`}><div class="card-head"><h2>{title}</h2>{aside}</div>{children}</section>;

/** A figure with its name; where it leads is a link. */
export const Figure = ({ label, value, note, tone, href }: { label: string; value: ComponentChildren; note?: ComponentChildren; tone?: Tone; href?: string }): JSX.Element => (
  <div class={`figure ${tone ?? ''}`}>
    <p class="figure-label">{href === undefined ? label : <a href={href}>{label}</a>}</p>
    <p class="figure-value">{value}</p>
    {note !== undefined && <p class="figure-note">{note}</p>}
  </div>
);

/** A wide table scrolls within itself, also by the keyboard. */
export const Table = ({ label, children, class: extra = '' }: { label: string; children: ComponentChildren; class?: string }): JSX.Element =>
  <div class="table" role="region" aria-label={label} tabIndex={0}><table class={extra}>{children}</table></div>;

export const ItemLink = ({ id, name }: { id: string; name: string | null | undefined }): JSX.Element => <a href={to('items', id)}>{name ?? id}</a>;

/** A pair of a name and a value, in a list of facts. */
export const Fact = ({ label, children }: { label: string; children: ComponentChildren }): JSX.Element => <div class="fact"><dt>{label}</dt><dd>{children}</dd></div>;

export interface Action<Args extends readonly unknown[]> {
  readonly busy: boolean;
  readonly problem: Problem | null;
  readonly run: (...args: Args) => void;
}

/** Something that a person sets going: one at a time, and its failure is kept to be shown. */
export function useAction<Args extends readonly unknown[]>(work: (...args: Args) => Promise<void>): Action<Args> {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const running = useRef(false);
  const run = (...args: Args): void => {
    if (running.current) return;
    running.current = true;
    setBusy(true);
    setProblem(null);
    work(...args).catch((error: unknown) => setProblem(toProblem(error))).finally(() => {
      running.current = false;
      setBusy(false);
    });
  };
  return { busy, problem, run };
}

/** A text field with its label; `hint` is read with it. */
export function Field({ label, hint, children }: { label: string; hint?: ComponentChildren; children: ComponentChildren }): JSX.Element {
  return <label class="field"><span class="field-label">{label}</span>{children}{hint !== undefined && <span class="hint">{hint}</span>}</label>;
}

/** Fetches the next page of a list, where there is one. */
export function More<T>({ page, label }: { page: Page<T>; label: string }): JSX.Element | null {
  const action = useAction(async () => { await page.more?.(); });
  if (page.more === null || page.more === undefined) return null;
  return <div class="more"><button type="button" disabled={action.busy} onClick={() => action.run()}>{action.busy ? 'Loading …' : label}</button>{action.problem && <ProblemBox problem={action.problem} />}</div>;
}
