import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { download } from '../api';
import { useList } from '../live';
import type { AuditRecord } from '../model';
import { Badge, Card, Empty, Field, Head, Loaded, More, ProblemBox, Table, Time, type Tone, useAction } from '../parts/basics';
import { to, useInAddress } from '../router';

const OUTCOME: Readonly<Record<string, readonly [Tone, string]>> = { begun: ['busy', 'Begun'], done: ['plain', 'Done'], refused: ['warn', 'Refused'], failed: ['bad', 'Failed'] };

/** Only what is given, as a query. */
const queryOf = (given: Readonly<Record<string, string>>): string => new URLSearchParams(Object.entries(given).filter(([, value]) => value !== '')).toString();

/** Who changed or restored what. */
export function Audit({ query }: { query: URLSearchParams }): JSX.Element {
  const [who, setWho] = useState(query.get('who') ?? '');
  const [action, setAction] = useState(query.get('action') ?? '');
  const [target, setTarget] = useState(query.get('target') ?? '');
  const [outcome, setOutcome] = useState(query.get('outcome') ?? '');
  const filter = { who, action, target, outcome };
  const asked = queryOf(filter);
  useInAddress(filter);
  const trail = useList<AuditRecord>(`/api/audit?limit=100${asked === '' ? '' : `&${asked}`}`, 20_000);
  const save = useAction(() => download(`/api/audit?format=jsonl${asked === '' ? '' : `&${asked}`}`, 'holdfast-audit.jsonl'));
  return (
    <>
      <Head title="Audit" kicker="Every change and every restore: who, what, when, from where, and what came of it"><button type="button" disabled={save.busy} onClick={() => save.run()}>{save.busy ? 'Exporting …' : 'Export as JSON lines'}</button></Head>
      {save.problem && <ProblemBox problem={save.problem} />}
      <div class="filters" role="search">
        <Field label="Who"><input type="search" value={who} placeholder="Name or id" onInput={(event) => setWho(event.currentTarget.value)} /></Field>
        <Field label="Action"><input type="search" value={action} placeholder="recovery-point.delete" onInput={(event) => setAction(event.currentTarget.value)} /></Field>
        <Field label="Target"><input type="search" value={target} onInput={(event) => setTarget(event.currentTarget.value)} /></Field>
        <Field label="Outcome"><select value={outcome} onChange={(event) => setOutcome(event.currentTarget.value)}><option value="">All outcomes</option>{Object.entries(OUTCOME).map(([key, [, label]]) => <option key={key} value={key}>{label}</option>)}</select></Field>
      </div>
      <Loaded live={trail}>{(page) => (page.value.length === 0
        ? <Empty title={asked === '' ? 'Nothing was changed yet' : 'No record fits'}><p>{asked === '' ? 'Each change and each restore leaves a record here, which nobody can take away or change unseen.' : 'Filters look for a part of the text; an action also by what it begins with.'}</p><More page={page} label="Look further back" /></Empty>
        : (
          <Card title="Trail" aside={<span class="dim small-text">The chain is proved by the command line alone: <code>holdfast audit --verify</code></span>}>
            <Table label="Audit trail">
              <thead><tr><th scope="col" class="number">No.</th><th scope="col">When</th><th scope="col">Who</th><th scope="col">Action</th><th scope="col">Target</th><th scope="col">Outcome</th><th scope="col">Details</th></tr></thead>
              <tbody>{page.value.map((record) => <Row key={record.number} record={record} />)}</tbody>
            </Table>
            <More page={page} label="Load older records" />
          </Card>
        ))}</Loaded>
    </>
  );
}

function Row({ record }: { record: AuditRecord }): JSX.Element {
  if ('damaged' in record) return <tr><th scope="row" class="number">{record.number}</th><td colSpan={6}><Badge tone="bad">Does not open</Badge> This record was changed or is damaged. <code>holdfast audit --verify</code> says more.</td></tr>;
  const [tone, label] = OUTCOME[record.outcome] ?? ['off', record.outcome];
  const details = Object.entries(record.details);
  return (
    <tr>
      <th scope="row" class="number">{record.number}</th>
      <td><Time at={record.at} /></td>
      <td>{record.who.name}{!record.who.verified && <span class="sub">not proved who that is</span>}<span class="sub">{[record.who.roles.join(', '), record.from === null ? '' : `from ${record.from}`].filter((one) => one !== '').join(', ')}</span></td>
      <td><code>{record.action}</code></td>
      <td>{record.target === null ? '—' : <Target target={record.target} action={record.action} />}</td>
      <td><Badge tone={tone}>{label}</Badge>{record.code !== null && <span class="sub"><code>{record.code}</code></span>}</td>
      <td>{details.length === 0 ? '' : <details><summary>{details.map(([name]) => name).slice(0, 3).join(', ')}</summary><dl class="pairs">{details.map(([name, value]) => <div key={name}><dt>{name}</dt><dd><code>{typeof value === 'string' ? value : JSON.stringify(value)}</code></dd></div>)}</dl></details>}</td>
    </tr>
  );
}

/** Leads to what was acted on, where there is a view of it. */
function Target({ target, action }: { target: string; action: string }): JSX.Element {
  const view = action.startsWith('recovery-point') || action.startsWith('restore') ? 'recovery-points' : action.startsWith('policy') ? 'policies' : action.startsWith('job') ? 'jobs' : action.startsWith('backup') || action.startsWith('item') ? 'items' : null;
  return view === null || target.includes('/') ? <code>{target}</code> : <a href={to(view, target)}>{target}</a>;
}
