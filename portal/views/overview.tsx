import type { JSX } from 'preact';
import { bytes, count, counted, duration, money } from '../format';
import { useList, useLive } from '../live';
import type { History, Job, OverviewFigures } from '../model';
import { Badge, Card, Empty, Figure, Head, ItemLink, Loaded, Table, Time } from '../parts/basics';
import { Chart, type Dot } from '../parts/chart';
import { to } from '../router';
import { jobsEvery, JobTable } from './jobs';

const SHOWN = 12;

export function Overview(): JSX.Element {
  const overview = useLive<OverviewFigures>('/api/overview', 15_000);
  const history = useLive<History>('/api/vault/history?days=30', 120_000);
  const jobs = useList<Job>('/api/jobs?limit=200', jobsEvery);
  return (
    <>
      <Head title="Overview" kicker="How the backups stand" />
      <Loaded live={overview}>{(known) => <><Figures known={known} /><Attention known={known} /></>}</Loaded>
      <Loaded live={history}>{({ days, storage }) => (
        <div class="split">
          <Card title="Changed bytes a day"><Chart label="Bytes that changed on all items, a day" kind="bars" unit="bytes" show={bytes} series={[{ label: 'Changed', dots: dotsOf(days, 'changedBytes') }]} /></Card>
          {storage.length > 1
            ? <Card title="Storage growth"><Chart label="Bytes in the vault, at each maintenance" kind="area" unit="bytes" show={bytes} of="Day (UTC)" series={[{ label: 'Stored', dots: storage.map(({ at, storedBytes }) => ({ atMs: Date.parse(at), value: storedBytes })) }]} /></Card>
            : <Card title="Stored a day"><Chart label="Bytes that were stored, a day" kind="bars" unit="bytes" show={bytes} series={[{ label: 'Stored', dots: dotsOf(days, 'storedBytes') }]} /></Card>}
        </div>
      )}</Loaded>
      <Loaded live={jobs}>{(page) => (page.value.length === 0
        ? <Empty title="No job yet"><p>Back up <a href={to('items')}>an item</a> now, or <a href={to('policies', 'new')}>make a policy</a> that does it every night.</p></Empty>
        : <Card title="Latest jobs" aside={<a href={to('jobs')}>All jobs</a>}><JobTable jobs={page.value.slice(0, 8)} caption="Latest jobs" /></Card>)}</Loaded>
    </>
  );
}

/** One figure of each day. */
export const dotsOf = (days: History['days'], figure: 'changedBytes' | 'storedBytes'): readonly Dot[] => days.map((day) => ({ atMs: Date.parse(day.day), value: day[figure] }));

function Figures({ known: { items, jobs, oldest, storage, cost, proved } }: { known: OverviewFigures }): JSX.Element {
  const covered = items.protected + items.waiting + items.overdue;
  const late = oldest !== null && (oldest.ageSeconds === null || oldest.ageSeconds > oldest.objectiveSeconds);
  return (
    <div class="figures">
      <Figure label="Protected" href={`${to('items')}?state=protected`} value={count(items.protected)} note={`of ${counted(covered + items.unprotected + items.damaged, 'machine')}`} />
      <Figure label="Unprotected" href={`${to('items')}?state=unprotected`} value={count(items.unprotected)} tone={items.unprotected > 0 ? 'warn' : 'plain'} note={items.unprotected > 0 ? 'no policy covers them' : 'a policy covers each machine'} />
      <Figure label="Overdue or damaged" href={`${to('items')}?state=overdue`} value={count(items.overdue + items.damaged)} tone={items.overdue + items.damaged > 0 ? 'bad' : 'plain'} note={`${count(items.overdue)} overdue, ${count(items.damaged)} damaged`} />
      <Figure label="Backups in 24 h" href={to('jobs')} value={count(jobs.succeeded + jobs.failed + jobs.cancelled + jobs.running)} tone={jobs.failed > 0 ? 'bad' : 'plain'} note={`${count(jobs.succeeded)} succeeded, ${count(jobs.failed)} failed${jobs.running > 0 ? `, ${count(jobs.running)} run` : ''}`} />
      <Figure label="Nearest to overdue" value={oldest === null ? '—' : oldest.ageSeconds === null ? 'no backup' : duration(oldest.ageSeconds)} tone={late ? 'bad' : 'plain'} note={oldest === null ? 'no item is covered' : <><ItemLink id={oldest.itemId} name={oldest.name} /> of {duration(oldest.objectiveSeconds)} allowed</>} />
      <Figure label="Proved" href={to('vault')} value={`${count(proved.inRound)} of ${count(proved.inRound + proved.longerAgo + proved.never + proved.failed)}`} tone={proved.failed > 0 ? 'bad' : 'plain'} note={`items, within ${count(proved.roundDays)} days`} />
      <Figure label="Stored" href={to('vault')} value={bytes(storage.storedBytes)} note={storage.countedAt === null ? 'as the recovery points say' : <>counted <Time at={storage.countedAt} short /></>} />
      <Figure label="Saved" href={to('vault')} value={bytes(storage.savedBytes)} note={`of ${bytes(storage.logicalBytes)} as full copies`} />
      <Figure label="Cost of a month" href={to('vault')} value={money(cost.total, cost.currency)} note={`${money(cost.azureBackup, cost.currency)} under Azure Backup${cost.checked ? '' : '; prices not checked'}`} />
    </div>
  );
}

function Attention({ known: { attention, attentionTotal, proved, asOf } }: { known: OverviewFigures }): JSX.Element {
  if (attention.length === 0) {
    return (
      <Card title="What needs attention" aside={<span class="dim small-text">as of <Time at={asOf} /></span>}>
        <p class="pad dim">Nothing that the app knows of. {proved.never + proved.longerAgo > 0 ? 'Not every item was proved by reading it back yet; the daily scrub gets to all of them.' : ''}</p>
      </Card>
    );
  }
  return (
    <Card title="What needs attention" aside={<span class="dim small-text">{counted(attentionTotal, 'thing')}, as of <Time at={asOf} /></span>}>
      <Table label="What needs attention">
        <thead><tr><th scope="col">How urgent</th><th scope="col">What</th><th scope="col">What to do</th><th scope="col">Since</th></tr></thead>
        <tbody>{attention.slice(0, SHOWN).map((one, index) => (
          <tr key={`${one.code} ${one.itemId ?? ''} ${index}`}>
            <td><Badge tone={one.severity === 'critical' ? 'bad' : 'warn'}>{one.severity === 'critical' ? 'Act' : 'Look'}</Badge></td>
            <th scope="row">{one.itemId !== null && <><ItemLink id={one.itemId} name={one.itemName} />: </>}{one.message}<span class="sub"><a href={to('help', one.code)}>{one.code}</a></span></th>
            <td class="prose">{one.remedy}</td>
            <td>{one.since === null ? '—' : <Time at={one.since} short />}</td>
          </tr>
        ))}</tbody>
      </Table>
      {attentionTotal > SHOWN && <p class="pad dim">and {count(attentionTotal - SHOWN)} more</p>}
    </Card>
  );
}
