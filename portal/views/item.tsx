import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { backUp, scrub } from '../act';
import { api } from '../api';
import { bytes, consistency, count, counted } from '../format';
import { useList, useLive } from '../live';
import type { DamagedPoint, Item, ItemHistory, Job, Page, RecoveryPoint, RetentionPlan } from '../model';
import { Badge, Card, Empty, Fact, Head, Loaded, More, ProblemBox, Table, Time, useAction } from '../parts/basics';
import { useMay } from '../parts/caller';
import { Calendar } from '../parts/calendar';
import { Chart } from '../parts/chart';
import { KeptUntil } from '../parts/keeps';
import { PointActions } from '../parts/point-actions';
import { ItemBadge, Proved } from '../parts/states';
import { to } from '../router';
import { Protect } from './items';
import { jobsEvery, JobTable } from './jobs';
import { dotsOf } from './overview';

const ROWS = 60;

type Listed = RecoveryPoint | DamagedPoint;
const isDamaged = (point: Listed): point is DamagedPoint => 'damaged' in point;

export function ItemView({ id }: { id: string }): JSX.Element {
  const item = useLive<Item>(api('items', id), 15_000);
  const points = useList<Listed>(`${api('items', id, 'recovery-points')}?state=all&limit=200`, 30_000);
  const history = useLive<ItemHistory>(`${api('items', id, 'history')}?days=60`, 30_000);
  const plan = useLive<RetentionPlan>(item.data && item.data.recoveryPoints > 0 ? api('items', id, 'retention') : null, 60_000);
  if (item.data === undefined) return <><Head title="Item" kicker={<a href={to('items')}>Items</a>} /><Loaded live={item}>{() => null}</Loaded></>;
  return (
    <>
      <ItemHead item={item.data} />
      <Facts item={item.data} />
      <Loaded live={points}>{(page) => <Points item={item.data as Item} page={page} plan={plan.data} history={history.data} />}</Loaded>
      <ItemJobs id={item.data.id} />
    </>
  );
}

function ItemHead({ item }: { item: Item }): JSX.Element {
  const may = useMay();
  const [protecting, protect] = useState(false);
  const start = useAction(async () => { location.hash = to('jobs', await backUp(item.id, item.name)); });
  const prove = useAction(async () => { location.hash = to('jobs', await scrub({ item: item.id }, item.name)); });
  return (
    <>
      <Head title={item.name} kicker={<><a href={to('items')}>Items</a> / {item.id}</>}>
        {may('RestoreOperator') && item.latest !== null && <a class="button" href={to('restore', item.latest.id)}>Restore …</a>}
        {may('Operator') && item.recoveryPoints > 0 && <button type="button" disabled={prove.busy} onClick={() => prove.run()}>Prove now</button>}
        {may('Admin') && item.resourceId !== null && item.policies.length === 0 && <button type="button" onClick={() => protect(true)}>Protect …</button>}
        {may('Operator') && item.resourceId !== null && <button type="button" class="primary" disabled={start.busy} onClick={() => start.run()}>Back up now</button>}
      </Head>
      {[start.problem, prove.problem].map((problem) => problem && <ProblemBox key={problem.code} problem={problem} />)}
      {protecting && <Protect item={item} onClose={() => protect(false)} />}
    </>
  );
}

function Facts({ item }: { item: Item }): JSX.Element {
  return (
    <dl class="facts card">
      <Fact label="State"><ItemBadge item={item} /></Fact>
      <Fact label="Last proved"><Proved proved={item.proved} /></Fact>
      <Fact label="Policies">{item.policies.length === 0 ? 'none' : item.policies.map((name, index) => <span key={name}>{index > 0 && ', '}<a href={to('policies', name)}>{name}</a></span>)}</Fact>
      <Fact label="Latest">{item.latest === null ? 'none' : <Time at={item.latest.createdAt} />}</Fact>
      {Object.keys(item.tags).length > 0 && <Fact label="Tags"><span class="tags">{Object.entries(item.tags).map(([name, value]) => <span class="tag" key={name}>{name}={value}</span>)}</span></Fact>}
      <Fact label="Resource">{item.resourceId === null ? 'The machine is gone; its recovery points stay' : <code>{item.resourceId}</code>}</Fact>
    </dl>
  );
}

function Points({ item, page, plan, history }: { item: Item; page: Page<Listed>; plan: RetentionPlan | undefined; history: ItemHistory | undefined }): JSX.Element {
  const [day, pick] = useState('');
  const [shown, setShown] = useState(ROWS);
  const readable = page.value.filter((point): point is RecoveryPoint => !isDamaged(point));
  const damaged = page.value.filter(isDamaged);
  const newest = [...readable].sort((a, b) => b.sequence - a.sequence);
  const found = day === '' ? newest : newest.filter(({ createdAt }) => createdAt.startsWith(day));
  if (page.value.length === 0) return <Empty title="No recovery point yet"><p>{item.policies.length > 0 ? `The policy ${item.policies[0] ?? ''} makes one at its next time, or back it up now.` : 'No policy covers it: protect it, or back it up now.'}</p></Empty>;
  return (
    <>
      {damaged.length > 0 && <div class="notice bad"><p><strong>{counted(damaged.length, 'recovery point')} cannot be read</strong></p><ul>{damaged.map(({ id, error }) => <li key={id}><a href={to('recovery-points', id)}>{id}</a>: {error.message} {error.remedy}</li>)}</ul></div>}
      <div class="split">
        <Card title="Calendar" aside={<span class="legend"><span class="dot plain" />backed up <span class="dot good" />proved <span class="dot bad" />damaged <span class="dot binned" />in the bin</span>}>
          {history === undefined ? <p class="pad dim">Loading …</p> : <Calendar points={history.points} day={day} onPick={pick} nowMs={Date.now()} />}
        </Card>
        <Card title="Changed bytes a day"><Chart label={`Bytes that changed on ${item.name}, a day`} kind="bars" unit="bytes" show={bytes} series={[{ label: 'Changed', dots: dotsOf(history?.days ?? [], 'changedBytes') }]} /></Card>
      </div>
      <Card title="Recovery points" aside={<span class="dim" role="status">{day === '' ? counted(readable.length, 'recovery point') : <>{counted(found.length, 'recovery point')} on {day} <button type="button" class="small" onClick={() => pick('')}>Show all days</button></>}</span>}>
        <Table label="Recovery points">
          <thead><tr><th scope="col">Instant</th><th scope="col">Consistency</th><th scope="col" class="number">Disks</th><th scope="col" class="number">Changed</th><th scope="col" class="number">Stored</th><th scope="col">Kept until</th><th scope="col"><span class="sr">Actions</span></th></tr></thead>
          <tbody>{found.slice(0, shown).map((point) => <PointRow key={point.id} point={point} proved={history?.points.find(({ id }) => id === point.id)?.proved ?? null} plan={plan} />)}</tbody>
        </Table>
        {found.length > shown && <p class="more"><button type="button" onClick={() => setShown(shown + ROWS)}>Show {count(Math.min(ROWS, found.length - shown))} more</button></p>}
        {found.length <= shown && <More page={page} label="Load older recovery points" />}
      </Card>
    </>
  );
}

function PointRow({ point, proved, plan }: { point: RecoveryPoint; proved: ItemHistory['points'][number]['proved']; plan: RetentionPlan | undefined }): JSX.Element {
  return (
    <tr class={point.state === 'binned' ? 'faded' : ''}>
      <th scope="row"><a href={to('recovery-points', point.id)}><Time at={point.createdAt} /></a><span class="sub">{point.policy ?? 'on demand'}</span>
        {(proved !== null || point.held || point.state === 'binned') && <span class="marks">
          {proved !== null && <Badge tone={proved.ok ? 'good' : 'bad'} title={proved.at}>{proved.ok ? 'Proved' : 'Damaged'} <Time at={proved.at} short /></Badge>}
          {point.held && <Badge tone="plain" title={point.holds.map(({ label }) => label).join(', ')}>Held</Badge>}
          {point.state === 'binned' && <Badge tone="off">In the bin</Badge>}
        </span>}
      </th>
      <td>{consistency(point.consistency)}{point.warnings.length > 0 && <span class="sub">{counted(point.warnings.length, 'warning')}</span>}</td>
      <td class="number">{bytes(point.disks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0))}</td>
      <td class="number">{bytes(point.stats.changedBytes)}</td>
      <td class="number">{bytes(point.stats.storedBytes)}</td>
      <td><KeptUntil point={point} plan={plan} /></td>
      <td class="row-actions"><PointActions point={point} compact /></td>
    </tr>
  );
}

function ItemJobs({ id }: { id: string }): JSX.Element | null {
  const jobs = useList<Job>('/api/jobs?limit=200', jobsEvery);
  const own = (jobs.data?.value ?? []).filter(({ itemId }) => itemId === id).slice(0, 10);
  return own.length === 0 ? null : <Card title="Jobs of the last week"><JobTable jobs={own} caption="Jobs of this item" /></Card>;
}
