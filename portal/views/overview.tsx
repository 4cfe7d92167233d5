import type { JSX } from 'preact';
import { bytes, count, counted, duration, money } from '../format';
import { type Live, useList, useLive } from '../live';
import type { CostReport, Health, Item, Job, Maintenance, Page } from '../model';
import { Badge, Card, Empty, Figure, Head, ItemLink, Loaded, Time, type Tone } from '../parts/basics';
import { itemState, KIND } from '../parts/states';
import { to } from '../router';
import { jobsEvery, JobTable } from './jobs';

const DAY_MS = 86_400_000;
const SHOWN = 12;

/** Something that a person should look at, and why. */
interface Attention { readonly tone: Tone; readonly text: JSX.Element; readonly key: string }

export function Overview(): JSX.Element {
  const items = useList<Item>('/api/items?limit=1000', 15_000);
  const jobs = useList<Job>('/api/jobs?limit=200', jobsEvery);
  const cost = useLive<CostReport>('/api/cost', 300_000);
  const health = useLive<Health>('/api/vault/health', 30_000);
  const maintenance = useLive<Maintenance>('/api/vault/maintenance', 60_000);
  return (
    <>
      <Head title="Overview" kicker="How the backups stand" />
      <Loaded live={items}>{(page) => <Figures items={page.value} jobs={jobs.data} cost={cost.data} />}</Loaded>
      <AttentionCard items={items} jobs={jobs} health={health} maintenance={maintenance} />
      <Loaded live={jobs}>{(page) => (page.value.length === 0
        ? <Empty title="No job yet"><p>{items.data !== undefined && items.data.value.length > 0 ? <>Back up <a href={to('items')}>an item</a> now, or <a href={to('policies', 'new')}>make a policy</a> that does it every night.</> : 'A machine that the app can see is backed up by a policy, or on demand.'}</p></Empty>
        : <Card title="Latest jobs" aside={<a href={to('jobs')}>All jobs</a>}><JobTable jobs={page.value.slice(0, 8)} caption="Latest jobs" /></Card>)}</Loaded>
    </>
  );
}

function Figures({ items, jobs, cost }: { items: readonly Item[]; jobs: Page<Job> | undefined; cost: CostReport | undefined }): JSX.Element {
  const machines = items.filter(({ resourceId }) => resourceId !== null);
  const covered = machines.filter(({ policies }) => policies.length > 0);
  const recent = (jobs?.value ?? []).filter((job) => job.kind === 'backup' && Date.now() - Date.parse(job.startedAt) < DAY_MS);
  const failed = recent.filter(({ state }) => state === 'failed').length;
  const oldest = covered.reduce<Item | null>((worst, item) => (item.latest !== null && (worst?.latest === null || worst === null || item.latest.createdAt < worst.latest.createdAt) ? item : worst), null);
  const stored = cost && Object.values(cost.usage.storedBytes).reduce((sum, one) => sum + one, 0);
  return (
    <div class="figures">
      <Figure label="Protected" href={`${to('items')}?state=protected`} value={`${count(covered.length)} of ${count(machines.length)}`} note="machines a policy covers" />
      <Figure label="Unprotected" href={`${to('items')}?state=unprotected`} value={count(machines.length - covered.length)} tone={machines.length > covered.length ? 'warn' : 'plain'} note={machines.length > covered.length ? 'no policy covers them' : 'every machine is covered'} />
      <Figure label="Backups in 24 h" href={to('jobs')} value={count(recent.length)} tone={failed > 0 ? 'bad' : 'plain'} note={failed > 0 ? `${count(failed)} failed` : `${count(recent.filter(({ state }) => state === 'succeeded').length)} succeeded, none failed`} />
      <Figure label="Oldest latest point" value={oldest?.latest ? duration((Date.now() - Date.parse(oldest.latest.createdAt)) / 1000) : '—'} note={oldest ? <ItemLink id={oldest.id} name={oldest.name} /> : 'no recovery point yet'} />
      <Figure label="Stored" href={to('vault')} value={stored === undefined ? '…' : bytes(stored)} note={cost ? counted(cost.items.reduce((sum, item) => sum + item.recoveryPoints, 0), 'recovery point') : ''} />
      <Figure label="Cost of a month" href={to('vault')} value={cost ? money(cost.cost.total, cost.cost.currency) : '…'} note={cost ? `${money(cost.azureBackup.total, cost.azureBackup.currency)} under Azure Backup` : ''} />
    </div>
  );
}

function AttentionCard({ items, jobs, health, maintenance }: { items: Live<Page<Item>>; jobs: Live<Page<Job>>; health: Live<Health>; maintenance: Live<Maintenance> }): JSX.Element | null {
  if (items.data === undefined || jobs.data === undefined || health.data === undefined) return null;
  const found = attention(items.data.value, jobs.data.value, health.data, maintenance.data);
  return (
    <Card title="What needs attention" aside={found.length > 0 ? <span class="dim">{counted(found.length, 'thing')}</span> : undefined}>
      {found.length === 0 ? <p class="pad dim">Nothing that the app knows of. {health.data.state === 'proved' ? 'Every item was proved by reading it back.' : 'Not every item was proved by reading it back yet; the daily scrub gets to all of them.'}</p>
        : <ul class="attention">{found.slice(0, SHOWN).map(({ key, tone, text }) => <li key={key}><Badge tone={tone}>{tone === 'bad' ? 'Act' : 'Look'}</Badge><span>{text}</span></li>)}{found.length > SHOWN && <li><span>and {count(found.length - SHOWN)} more</span></li>}</ul>}
    </Card>
  );
}

/** What should be looked at, the worst first. */
function attention(items: readonly Item[], jobs: readonly Job[], health: Health, maintenance: Maintenance | undefined): readonly Attention[] {
  const found: Attention[] = [];
  if (health.state === 'damaged') found.push({ key: 'vault', tone: 'bad', text: <><a href={to('vault')}>The vault is damaged</a>: {counted(health.damagedPacks, 'pack')}, {counted(health.damagedRecoveryPoints.length, 'recovery point')}. A backup heals what the source still has.</> });
  for (const item of items.filter((one) => itemState(one).key === 'damaged')) found.push({ key: `damaged ${item.id}`, tone: 'bad', text: <><ItemLink id={item.id} name={item.name} />: its last proof failed</> });
  const lastOf = new Map<string, Job>();
  for (const job of jobs) if (job.kind === 'backup' && job.itemId !== null && job.endedAt !== null && !lastOf.has(job.itemId)) lastOf.set(job.itemId, job);
  for (const job of lastOf.values()) if (job.state === 'failed') found.push({ key: `failed ${job.id}`, tone: 'bad', text: <><a href={to('jobs', job.id)}>{KIND[job.kind]} of {job.itemName ?? job.itemId}</a> failed <Time at={job.endedAt} short />: {job.error?.cause}. {job.error?.remedy}</> });
  const last = maintenance?.last.find(({ dryRun }) => !dryRun);
  if (last?.error) found.push({ key: 'maintenance', tone: 'bad', text: <><a href={to('vault')}>The last maintenance</a> failed: {last.error.message} {last.error.remedy}</> });
  for (const item of items.filter((one) => itemState(one).key === 'unprotected')) found.push({ key: `unprotected ${item.id}`, tone: 'warn', text: <><ItemLink id={item.id} name={item.name} />: no policy covers it</> });
  for (const item of items.filter((one) => itemState(one).key === 'waiting')) found.push({ key: `waiting ${item.id}`, tone: 'warn', text: <><ItemLink id={item.id} name={item.name} />: covered by {item.policies.join(', ')}, and not backed up yet</> });
  return found;
}
