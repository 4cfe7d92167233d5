import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { documentOf, toldApproval } from '../act';
import { api, call, type Problem, toProblem } from '../api';
import { refresh, useList } from '../live';
import type { Item, Policy, PolicyDocument, Schedule, Selection, TagSelection } from '../model';
import { Card, Field, Head, ProblemBox, useAction } from '../parts/basics';
import { Confirm } from '../parts/dialog';
import { say } from '../parts/say';
import { to } from '../router';
import { PolicyPreview } from './policy-preview';

const WEEKDAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] as const;
const KINDS = { daily: 'Daily', hourly: 'Every few hours', weekly: 'Weekly', monthly: 'Monthly', minutes: 'Every few minutes', cron: 'Cron expression' } as const;
type Kind = keyof typeof KINDS;

const FRESH: PolicyDocument = {
  name: '', enabled: true, schedule: { daily: { at: ['01:00'] } }, items: { all: true },
  retention: { keepLast: 3, keepWithinDays: 14, daily: { count: 30 }, weekly: { count: 8 }, monthly: { count: 12 } },
  consistency: 'application', onWeakerConsistency: 'accept', keepBase: 'newest', firstBackup: 'now', driver: 'auto', maxRunHours: 24, limits: { maxParallelVms: 4, maxParallelTransfers: 4, bandwidthMiBPerSecond: null },
};
const FIRST: Readonly<Record<Kind, Schedule>> = {
  daily: { daily: { at: ['01:00'] } }, hourly: { hourly: { every: 6, minute: 0 } }, weekly: { weekly: { days: ['sunday'], at: ['01:00'] } }, monthly: { monthly: { days: [1], at: ['01:00'] } }, minutes: { minutes: { every: 15 } }, cron: { cron: '0 1 * * *' },
};

/** A policy in a form, with what it would do beside it. */
export function PolicyEditor({ name, query }: { name: string | null; query: URLSearchParams }): JSX.Element {
  const [loaded, setLoaded] = useState<{ readonly document: PolicyDocument; readonly etag: string | null } | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  useEffect(() => {
    if (name === null) {
      const machine = query.get('machine');
      setLoaded({ document: machine === null ? FRESH : { ...FRESH, items: { resourceIds: [machine] } }, etag: null });
      return;
    }
    call<Policy>('GET', api('policies', name)).then(({ body, etag }) => setLoaded({ document: documentOf(body), etag }), (error: unknown) => setProblem(toProblem(error)));
  }, [name]);
  const kicker = <a href={to('policies')}>Policies</a>;
  if (problem) return <><Head title={name ?? 'New policy'} kicker={kicker} /><ProblemBox problem={problem} /></>;
  if (!loaded) return <><Head title={name ?? 'New policy'} kicker={kicker} /><p class="loading" role="status"><span class="spinner" aria-hidden="true" />Loading …</p></>;
  return <Editor key={name ?? ''} before={loaded.document} etag={loaded.etag} isNew={name === null} />;
}

function Editor({ before, etag, isNew }: { before: PolicyDocument; etag: string | null; isNew: boolean }): JSX.Element {
  const [draft, setDraft] = useState(before);
  const [losing, setLosing] = useState<Problem | null>(null);
  const [deleting, askDelete] = useState(false);
  const change = (part: Partial<PolicyDocument>): void => setDraft({ ...draft, ...part });
  const put = async (confirm: string | null): Promise<void> => {
    const { status, body } = await call('PUT', `${api('policies', draft.name)}${confirm === null ? '' : `?confirm=${encodeURIComponent(confirm)}`}`, { body: draft, headers: isNew ? { 'if-none-match': '*' } : etag === null ? {} : { 'if-match': etag } });
    refresh('/api/policies');
    refresh('/api/items');
    if (!toldApproval(status, body)) say(`The policy ${draft.name} is stored.`);
    location.hash = to('policies');
  };
  const save = useAction(async () => {
    try {
      await put(null);
    } catch (error) {
      const refused = toProblem(error);
      if (refused.code !== 'CONFIRMATION_NEEDED') throw error;
      setLosing(refused);
    }
  });
  return (
    <>
      <Head title={isNew ? 'New policy' : draft.name} kicker={<a href={to('policies')}>Policies</a>}>
        {!isNew && <button type="button" class="danger" onClick={() => askDelete(true)}>Delete …</button>}
      </Head>
      <div class="editor">
        <form onSubmit={(event) => { event.preventDefault(); save.run(); }}>
          <div class="stack">
            <Card title="Policy">
              <div class="form">
                {isNew && <Field label="Name" hint="a-z, 0-9 and -, at most 40"><input required pattern="[a-z0-9\-]{1,40}" value={draft.name} autocomplete="off" spellcheck={false} onInput={(event) => change({ name: event.currentTarget.value })} /></Field>}
                <Field label="Description"><input value={draft.description ?? ''} maxLength={1000} onInput={(event) => change({ description: event.currentTarget.value })} /></Field>
                <label class="check"><input type="checkbox" checked={draft.enabled} onChange={(event) => change({ enabled: event.currentTarget.checked })} /><span>On<span class="sub">A policy that is off starts no backup and lets nothing go.</span></span></label>
              </div>
            </Card>
            <Covers items={draft.items} onChange={(items) => change({ items })} />
            <Runs schedule={draft.schedule} onChange={(schedule) => change({ schedule })} />
            <Keeps draft={draft} change={change} />
            <Details draft={draft} change={change} />
            {save.problem && <ProblemBox problem={save.problem} />}
            <div class="foot"><a class="button" href={to('policies')}>Leave</a><button type="submit" class="primary" disabled={save.busy}>{save.busy ? 'Storing …' : 'Store'}</button></div>
          </div>
        </form>
        <PolicyPreview draft={draft} />
      </div>
      {losing && (
        <Confirm title="This keeps less than before" verb="Store it all the same" danger typed={draft.name} onClose={() => setLosing(null)} work={() => put(String(losing.data['confirm'] ?? ''))}>
          <p>{losing.message.replace(/ Who answers for these backups confirms with \w+$/, '')}.</p>
          <p class="dim">They go into the bin with the next maintenance, and stay there for 14 days.</p>
        </Confirm>
      )}
      {deleting && (
        <Confirm title={`Delete the policy ${draft.name}?`} verb="Delete" danger typed={draft.name} onClose={() => askDelete(false)} work={async () => {
          const { status, body } = await call('DELETE', api('policies', draft.name), etag === null ? {} : { headers: { 'if-match': etag } });
          refresh('/api/policies');
          refresh('/api/items');
          if (!toldApproval(status, body)) say(`The policy ${draft.name} is deleted.`);
          location.hash = to('policies');
        }}>
          <p>Machines that no other policy covers are unprotected from then on. Recovery points that it made stay: without a policy nothing lets them go.</p>
        </Confirm>
      )}
    </>
  );
}

const lines = (text: string): readonly string[] => text.split('\n').map((line) => line.trim()).filter((line) => line !== '');
const tagLines = (tags: TagSelection | undefined): string => Object.entries(tags ?? {}).flatMap(([name, value]) => (typeof value === 'string' ? [value] : value).map((one) => `${name}=${one}`)).join('\n');

/** `NAME=VALUE` on each line; a name that is there twice takes any of its values. */
function tagsIn(text: string): TagSelection | undefined {
  const tags = new Map<string, string[]>();
  for (const line of lines(text)) {
    const [name = '', ...value] = line.split('=');
    tags.set(name.trim(), [...(tags.get(name.trim()) ?? []), value.join('=').trim()]);
  }
  return tags.size === 0 ? undefined : Object.fromEntries([...tags].map(([name, values]) => [name, values.length === 1 ? values[0] ?? '' : values]));
}

function Covers({ items, onChange }: { items: Selection; onChange: (items: Selection) => void }): JSX.Element {
  const known = useList<Item>('/api/items?limit=1000', 60_000);
  const [mode, setMode] = useState<'all' | 'some'>(items.all === true ? 'all' : 'some');
  const [tags, setTags] = useState(tagLines(items.tags));
  const [ids, setIds] = useState((items.resourceIds ?? []).join('\n'));
  const [exceptTags, setExceptTags] = useState(tagLines(items.excludeTags));
  const [exceptIds, setExceptIds] = useState((items.excludeResourceIds ?? []).join('\n'));
  const tell = (now: { mode?: 'all' | 'some'; tags?: string; ids?: string; exceptTags?: string; exceptIds?: string }): void => {
    const { mode: how, ...of } = { mode, tags, ids, exceptTags, exceptIds, ...now };
    const some = how === 'all' ? { all: true as const } : { ...opt('tags', tagsIn(of.tags)), ...opt('resourceIds', notEmpty(lines(of.ids))) };
    onChange({ ...some, ...opt('excludeTags', tagsIn(of.exceptTags)), ...opt('excludeResourceIds', notEmpty(lines(of.exceptIds))) });
  };
  const all = [...new Set((known.data?.value ?? []).flatMap((item) => Object.entries(item.tags).map(([name, value]) => `${name}=${value}`)))].sort();
  return (
    <Card title="Which machines">
      <div class="form">
        <fieldset>
          <legend class="sr">Which machines</legend>
          <div class="choices">
            <label class="choice"><input type="radio" name="covers" checked={mode === 'all'} onChange={() => { setMode('all'); tell({ mode: 'all' }); }} /><span><strong>All machines</strong><span class="sub">New ones too, as soon as they are there</span></span></label>
            <label class="choice"><input type="radio" name="covers" checked={mode === 'some'} onChange={() => { setMode('some'); tell({ mode: 'some' }); }} /><span><strong>By tags or ids</strong><span class="sub">Those with all of the tags, and those that are named</span></span></label>
          </div>
        </fieldset>
        {mode === 'some' && <>
          <Field label="Tags" hint={<>NAME=VALUE, one on a line. {all.length > 0 && <>There are {all.slice(0, 8).join(', ')}{all.length > 8 && ' …'}</>}</>}><textarea rows={2} value={tags} spellcheck={false} onInput={(event) => { setTags(event.currentTarget.value); tell({ tags: event.currentTarget.value }); }} /></Field>
          <Field label="Resource ids" hint="Of machines, one on a line"><textarea rows={2} value={ids} spellcheck={false} onInput={(event) => { setIds(event.currentTarget.value); tell({ ids: event.currentTarget.value }); }} /></Field>
        </>}
        <details open={exceptTags !== '' || exceptIds !== ''}>
          <summary>Exceptions</summary>
          <div class="form flush">
            <Field label="Not those with any of these tags"><textarea rows={2} value={exceptTags} spellcheck={false} onInput={(event) => { setExceptTags(event.currentTarget.value); tell({ exceptTags: event.currentTarget.value }); }} /></Field>
            <Field label="Not these machines"><textarea rows={2} value={exceptIds} spellcheck={false} onInput={(event) => { setExceptIds(event.currentTarget.value); tell({ exceptIds: event.currentTarget.value }); }} /></Field>
          </div>
        </details>
      </div>
    </Card>
  );
}

const notEmpty = <T,>(list: readonly T[]): readonly T[] | undefined => (list.length === 0 ? undefined : list);
const opt = <T,>(name: string, value: T | undefined): object => (value === undefined ? {} : { [name]: value });
const numberOr = (text: string, otherwise: number): number => (text.trim() === '' || Number.isNaN(Number(text)) ? otherwise : Number(text));
const listIn = (text: string): readonly string[] => text.split(/[\s,]+/).filter((one) => one !== '');

function Runs({ schedule, onChange }: { schedule: Schedule; onChange: (schedule: Schedule) => void }): JSX.Element {
  const kind = (Object.keys(KINDS) as Kind[]).find((one) => schedule[one] !== undefined) ?? 'daily';
  const at = schedule.daily?.at ?? schedule.weekly?.at ?? schedule.monthly?.at;
  const [times, setTimes] = useState((at ?? []).join(', '));
  const [days, setDays] = useState((schedule.monthly?.days ?? []).join(', '));
  useEffect(() => { setTimes((at ?? []).join(', ')); setDays((schedule.monthly?.days ?? []).join(', ')); }, [kind]);
  const { daily, hourly, weekly, monthly, minutes, cron } = schedule;
  const timesField = (tell: (list: readonly string[]) => void): JSX.Element => <Field label="Times of day (UTC)" hint="01:00, 13:00 …"><input value={times} required onInput={(event) => { setTimes(event.currentTarget.value); tell(listIn(event.currentTarget.value)); }} /></Field>;
  return (
    <Card title="When it runs">
      <div class="form">
        <div class="grid">
          <Field label="Schedule"><select value={kind} onChange={(event) => onChange(FIRST[event.currentTarget.value as Kind])}>{Object.entries(KINDS).map(([key, label]) => <option key={key} value={key}>{label}</option>)}</select></Field>
          {daily && timesField((list) => onChange({ daily: { at: list } }))}
          {hourly && <>
            <Field label="Every (hours)"><select value={hourly.every} onChange={(event) => onChange({ hourly: { ...hourly, every: Number(event.currentTarget.value) } })}>{[1, 2, 3, 4, 6, 8, 12].map((one) => <option key={one} value={one}>{one}</option>)}</select></Field>
            <Field label="At minute"><input type="number" min={0} max={59} value={hourly.minute} onInput={(event) => onChange({ hourly: { ...hourly, minute: numberOr(event.currentTarget.value, 0) } })} /></Field>
          </>}
          {weekly && timesField((list) => onChange({ weekly: { ...weekly, at: list } }))}
          {monthly && <>
            <Field label="Days of the month" hint="1, 15, last"><input value={days} required onInput={(event) => { setDays(event.currentTarget.value); onChange({ monthly: { ...monthly, days: listIn(event.currentTarget.value).map((one) => (one === 'last' ? 'last' : Number(one))) } }); }} /></Field>
            {timesField((list) => onChange({ monthly: { ...monthly, at: list } }))}
          </>}
          {minutes && <Field label="Every (minutes)"><select value={minutes.every} onChange={(event) => onChange({ minutes: { every: Number(event.currentTarget.value) } })}>{[5, 10, 15, 20, 30].map((one) => <option key={one} value={one}>{one}</option>)}</select></Field>}
          {cron !== undefined && <Field label="Expression (UTC)" hint="minute hour day month weekday; L is the last day of the month"><input value={cron} required spellcheck={false} onInput={(event) => onChange({ cron: event.currentTarget.value })} /></Field>}
        </div>
        {weekly && (
          <fieldset>
            <legend class="field-label">On</legend>
            <div class="days">{WEEKDAYS.map((day) => <label class="check" key={day}><input type="checkbox" checked={weekly.days.includes(day)} onChange={(event) => onChange({ weekly: { ...weekly, days: WEEKDAYS.filter((one) => (one === day ? event.currentTarget.checked : weekly.days.includes(one))) } })} />{day.charAt(0).toUpperCase() + day.slice(1, 3)}</label>)}</div>
          </fieldset>
        )}
      </div>
    </Card>
  );
}

interface PartProps { readonly draft: PolicyDocument; readonly change: (part: Partial<PolicyDocument>) => void }

function Keeps({ draft: { retention }, change }: PartProps): JSX.Element {
  const count = (name: 'keepLast' | 'keepWithinDays', label: string): JSX.Element => (
    <Field label={label}><input type="number" min={1} value={retention[name] ?? ''} onInput={(event) => {
      const { [name]: _gone, ...others } = retention;
      void _gone;
      change({ retention: event.currentTarget.value === '' ? others : { ...retention, [name]: Number(event.currentTarget.value) } });
    }} /></Field>
  );
  const rule = (name: 'daily' | 'weekly' | 'monthly' | 'yearly', label: string): JSX.Element => (
    <Field label={label}><input type="number" min={1} value={retention[name]?.count ?? ''} onInput={(event) => {
      const { [name]: own, ...others } = retention;
      change({ retention: event.currentTarget.value === '' ? others : { ...retention, [name]: { ...own, count: Number(event.currentTarget.value) } } });
    }} /></Field>
  );
  return (
    <Card title="How long it is kept">
      <div class="form">
        <p class="hint">A recovery point stays as long as any one rule keeps it. An empty rule keeps nothing.</p>
        <div class="grid">{count('keepLast', 'The last')}{count('keepWithinDays', 'All of so many days')}{rule('daily', 'One a day, for days')}{rule('weekly', 'One a week, for weeks')}{rule('monthly', 'One a month, for months')}{rule('yearly', 'One a year, for years')}</div>
      </div>
    </Card>
  );
}

function Details({ draft, change }: PartProps): JSX.Element {
  const { limits } = draft;
  const choice = <K extends 'consistency' | 'onWeakerConsistency' | 'keepBase' | 'firstBackup' | 'driver'>(name: K, label: string, options: Readonly<Record<string, string>>): JSX.Element => (
    <Field label={label}><select value={draft[name]} onChange={(event) => change({ [name]: event.currentTarget.value })}>{Object.entries(options).map(([key, text]) => <option key={key} value={key}>{text}</option>)}</select></Field>
  );
  return (
    <details class="card fold">
      <summary>More: consistency, snapshots, limits</summary>
      <div class="form">
        <div class="grid">
          {choice('consistency', 'Consistency', { application: 'As strong as there is', crash: 'Crash is enough' })}
          {choice('onWeakerConsistency', 'When it is weaker', { accept: 'Accept, with a warning', fail: 'Fail' })}
          {choice('driver', 'Snapshots by', { auto: 'The best that applies', restorePoint: 'Restore points', diskSnapshot: 'Disk snapshots', vmSnapshotExtension: 'The extension in the guest' })}
          {choice('keepBase', 'Snapshot for the next difference', { newest: 'Keep the newest', none: 'Keep none' })}
          {choice('firstBackup', 'First backup', { now: 'Now', 'next-slot': 'At the next time' })}
          <Field label="A run ends after (hours)"><input type="number" min={1} value={draft.maxRunHours} onInput={(event) => change({ maxRunHours: numberOr(event.currentTarget.value, 24) })} /></Field>
          <Field label="Machines at once"><input type="number" min={1} max={50} value={limits.maxParallelVms} onInput={(event) => change({ limits: { ...limits, maxParallelVms: numberOr(event.currentTarget.value, 4) } })} /></Field>
          <Field label="Transfers at once, each disk"><input type="number" min={1} max={16} value={limits.maxParallelTransfers} onInput={(event) => change({ limits: { ...limits, maxParallelTransfers: numberOr(event.currentTarget.value, 4) } })} /></Field>
          <Field label="Bandwidth (MiB/s)" hint="No limit when empty"><input type="number" min={0.1} step="any" value={limits.bandwidthMiBPerSecond ?? ''} onInput={(event) => change({ limits: { ...limits, bandwidthMiBPerSecond: event.currentTarget.value === '' ? null : Number(event.currentTarget.value) } })} /></Field>
        </div>
      </div>
    </details>
  );
}
