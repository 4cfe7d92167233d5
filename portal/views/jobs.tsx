import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { bytes, count, counted, duration } from '../format';
import { useList } from '../live';
import type { Job, Page } from '../model';
import { Badge, Card, Empty, Field, Head, ItemLink, Loaded, More, Table, Time } from '../parts/basics';
import { Chart } from '../parts/chart';
import { Bar, isRunning, JobBadge, KIND, phaseText } from '../parts/states';
import { to, useInAddress } from '../router';

/** Often while something runs, seldom otherwise. */
export const jobsEvery = ({ value }: Page<Job>): number => (value.some(isRunning) ? 2_000 : 15_000);

export function Jobs({ query }: { query: URLSearchParams }): JSX.Element {
  const jobs = useList<Job>('/api/jobs?limit=200', jobsEvery);
  return (
    <>
      <Head title="Jobs" kicker="Backups, restores and scrubs of the last week" />
      <Loaded live={jobs}>{(page) => (page.value.length === 0
        ? <Empty title="No job in the last week"><p>A policy starts backups at its times; <a href={to('items')}>an item</a> can be backed up now.</p></Empty>
        : <><JobList jobs={page.value} query={query} /><More page={page} label="Load older jobs" /></>)}</Loaded>
    </>
  );
}

function JobList({ jobs, query }: { jobs: readonly Job[]; query: URLSearchParams }): JSX.Element {
  const [kind, setKind] = useState(query.get('kind') ?? '');
  const [state, setState] = useState(query.get('state') ?? '');
  const [text, setText] = useState(query.get('q') ?? '');
  useInAddress({ kind, state, q: text });
  const found = jobs.filter((job) => (kind === '' || job.kind === kind) && (state === '' || (state === 'running' ? isRunning(job) : job.state === state))
    && (text === '' || [job.itemName ?? '', job.itemId ?? '', job.policy ?? '', job.id].some((one) => one.toLowerCase().includes(text.toLowerCase()))));
  const ended = found.filter((job) => job.state === 'succeeded' && job.endedAt !== null).slice(0, 200).reverse();
  return (
    <>
      <div class="filters" role="search">
        <Field label="Search"><input type="search" value={text} placeholder="Item, policy or id" onInput={(event) => setText(event.currentTarget.value)} /></Field>
        <Field label="Kind"><select value={kind} onChange={(event) => setKind(event.currentTarget.value)}><option value="">All kinds</option>{Object.entries(KIND).map(([key, label]) => <option key={key} value={key}>{label}</option>)}</select></Field>
        <Field label="State"><select value={state} onChange={(event) => setState(event.currentTarget.value)}><option value="">All states</option><option value="running">Under way</option><option value="failed">Failed</option><option value="succeeded">Succeeded</option><option value="cancelled">Cancelled</option><option value="skipped">Skipped</option></select></Field>
        <p class="filter-count" role="status">{found.length === jobs.length ? counted(found.length, 'job') : `${count(found.length)} of ${counted(jobs.length, 'job')}`}</p>
      </div>
      {found.length === 0 ? <Empty title="No job fits" /> : <JobTable jobs={found} />}
      {ended.length > 1 && (
        <Card title="How long they took">
          <Chart label="Duration of jobs that succeeded" kind="dots" of="Began (UTC)" unit="seconds" show={duration} showAt={(ms) => new Date(ms).toISOString().slice(0, 16).replace('T', ' ')}
            series={[{ label: 'Duration', dots: ended.map((job) => ({ atMs: Date.parse(job.startedAt), value: (Date.parse(job.endedAt ?? job.startedAt) - Date.parse(job.startedAt)) / 1000 })) }]} />
        </Card>
      )}
    </>
  );
}

export function JobTable({ jobs, caption = 'Jobs' }: { jobs: readonly Job[]; caption?: string }): JSX.Element {
  return (
    <Table label={caption}>
      <thead><tr><th scope="col">Job</th><th scope="col">State</th><th scope="col">Item</th><th scope="col">Began</th><th scope="col" class="number">Took</th><th scope="col" class="number">Changed</th><th scope="col" class="number">Stored</th></tr></thead>
      <tbody>{jobs.map((job) => {
        const seconds = ((job.endedAt === null ? Date.now() : Date.parse(job.endedAt)) - Date.parse(job.startedAt)) / 1000;
        return (
          <tr key={job.id}>
            <th scope="row"><a href={to('jobs', job.id)}>{KIND[job.kind]}</a>{job.policy !== null && job.policy !== undefined && <span class="sub">{job.policy}</span>}</th>
            <td>{isRunning(job) ? <span class="progress"><Badge tone="busy">{phaseText(job.phase)}</Badge><Bar value={job.progress.percent} label={`Progress of ${job.itemName ?? job.id}`} /></span> : <><JobBadge job={job} />{job.error && <span class="sub">{job.error.cause}</span>}</>}</td>
            <td>{job.itemId === null ? <span class="dim">whole vault</span> : <ItemLink id={job.itemId} name={job.itemName} />}</td>
            <td><Time at={job.startedAt} /></td>
            <td class="number">{duration(Math.max(0, seconds))}</td>
            <td class="number">{job.figures ? bytes(job.figures.changedBytes) : '—'}</td>
            <td class="number">{job.figures ? bytes(job.figures.storedBytes) : job.kind === 'restore' && job.writtenBytes ? bytes(job.writtenBytes) : '—'}</td>
          </tr>
        );
      })}</tbody>
    </Table>
  );
}

