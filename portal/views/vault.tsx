import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { scrub } from '../act';
import { call } from '../api';
import { bytes, count, money, percent, utc, words } from '../format';
import { refresh, useList, useLive } from '../live';
import type { CostReport, Health, Job, KeyTests, Maintenance, MaintenanceRecord, VaultFigures } from '../model';
import { Badge, Card, Empty, Fact, Figure, Head, ItemLink, Loaded, ProblemBox, Table, Time, type Tone, useAction } from '../parts/basics';
import { Chart } from '../parts/chart';
import { useMay } from '../parts/caller';
import { Confirm } from '../parts/dialog';
import { Bar, isRunning, phaseText } from '../parts/states';
import { say } from '../parts/say';
import { to } from '../router';
import { jobsEvery } from './jobs';

export function VaultView(): JSX.Element {
  const health = useLive<Health>('/api/vault/health', 30_000);
  const figures = useLive<VaultFigures>('/api/vault', 30_000);
  const maintenance = useLive<Maintenance>('/api/vault/maintenance', ({ running }) => (running ? 3_000 : 30_000));
  const cost = useLive<CostReport>('/api/cost', 300_000);
  const [maintaining, maintain] = useState<'dry' | 'real' | null>(null);
  const may = useMay();
  const prove = useAction(async () => { location.hash = to('jobs', await scrub({}, 'the whole vault')); });
  return (
    <>
      <Head title="Vault" kicker="Whether it is whole, what lies in it, and how it is looked after">
        {may('Operator') && <button type="button" disabled={prove.busy} onClick={() => prove.run()}>Prove everything now</button>}
        {may('Admin') && <button type="button" onClick={() => maintain('dry')}>Maintenance, dry run …</button>}
        {may('Admin') && <button type="button" onClick={() => maintain('real')}>Maintain now …</button>}
      </Head>
      {prove.problem && <ProblemBox problem={prove.problem} />}
      <Loaded live={figures}>{(known) => <VaultFiguresRow known={known} />}</Loaded>
      <Loaded live={health}>{(known) => <HealthCard health={known} />}</Loaded>
      <RunningScrubs />
      <Loaded live={maintenance}>{(known) => <MaintenanceCards maintenance={known} />}</Loaded>
      <Keys />
      <Loaded live={cost}>{(report) => <><Space report={report} /><CostCard report={report} /></>}</Loaded>
      {maintaining !== null && <Maintain dryRun={maintaining === 'dry'} onClose={() => maintain(null)} />}
    </>
  );
}

function VaultFiguresRow({ known: { recoveryPoints, storage, proved } }: { known: VaultFigures }): JSX.Element {
  return (
    <div class="figures">
      <Figure label="Recovery points" value={count(recoveryPoints.live)} note={`${count(recoveryPoints.inBin)} in the bin, ${count(recoveryPoints.held)} held`} />
      <Figure label="Proved by themselves" value={count(recoveryPoints.proved)} tone={recoveryPoints.damaged > 0 ? 'bad' : 'plain'} note={recoveryPoints.damaged > 0 ? `${count(recoveryPoints.damaged)} damaged` : `${count(proved.inRound)} items within ${count(proved.roundDays)} days`} />
      <Figure label="Stored" value={bytes(storage.storedBytes)} note={storage.countedAt === null ? 'as the recovery points say' : <>counted <Time at={storage.countedAt} short /></>} />
      <Figure label="Saved" value={bytes(storage.savedBytes)} note={`of ${bytes(storage.logicalBytes)} as full copies`} />
      <Figure label="Deduplication" value={storage.deduplicationRatio === null ? '—' : `${storage.deduplicationRatio.toFixed(1)} : 1`} note="changed bytes to new ones" />
      <Figure label="Compression" value={storage.compressionRatio === null ? '—' : `${storage.compressionRatio.toFixed(1)} : 1`} note="new bytes to stored ones" />
    </div>
  );
}

function HealthCard({ health }: { health: Health }): JSX.Element {
  const proved = health.items.filter(({ proved: proof }) => proof?.ok === true).length;
  return (
    <Card title="Health" aside={health.state === 'proved' ? <Badge tone="good">Every item was proved</Badge> : health.state === 'damaged' ? <Badge tone="bad">Damaged</Badge> : <Badge tone="plain">Not all was proved yet</Badge>}>
      <dl class="facts">
        <Fact label="Items that were proved">{count(proved)} of {count(health.items.length)}</Fact>
        <Fact label="Oldest last proof"><Time at={health.items.map(({ proved: proof }) => proof?.at ?? null).reduce<string | null>((oldest, at) => (at === null || (oldest !== null && oldest < at) ? oldest : at), null)} /></Fact>
        <Fact label="Damaged packs">{count(health.damagedPacks)}</Fact>
        <Fact label="Damaged recovery points">{count(health.damagedRecoveryPoints.length)}</Fact>
      </dl>
      {health.damage.length + health.damagedRecoveryPoints.length > 0 && (
        <Table label="Damage">
          <thead><tr><th scope="col">What</th><th scope="col">Found</th><th scope="col">Recovery points</th></tr></thead>
          <tbody>
            {health.damage.map((one) => <tr key={one.pack}><th scope="row"><code>{one.code}</code><span class="sub">{one.message}</span></th><td><Time at={one.foundAt} /></td><td>{one.recoveryPoints.slice(0, 5).map((id, index) => <span key={id}>{index > 0 && ', '}<a href={to('recovery-points', id)}>{id}</a></span>)}{one.recoveryPoints.length > 5 && ` and ${one.recoveryPoints.length - 5} more`}</td></tr>)}
            {health.damagedRecoveryPoints.map((one) => <tr key={one.recoveryPoint}><th scope="row"><code>{one.code}</code><span class="sub">{one.message}</span></th><td><Time at={one.foundAt} /></td><td><a href={to('recovery-points', one.recoveryPoint)}>{one.recoveryPoint}</a></td></tr>)}
          </tbody>
        </Table>
      )}
    </Card>
  );
}

const OUTCOME: Readonly<Record<KeyTests['tests'][number]['keys'][number]['outcome'], readonly [Tone, string]>> = {
  opens: ['good', 'Opens the vault'], refused: ['bad', 'Refused'], failed: ['bad', 'Failed'], 'not-tried': ['off', 'Not the app\'s to try'], damaged: ['bad', 'Its document is damaged'],
};

/** The keys that open the vault, and whether they still do: said only of what was tried just now. */
function Keys(): JSX.Element {
  const vault = useLive<VaultFigures>('/api/vault', 30_000);
  const may = useMay();
  const [tests, setTests] = useState<KeyTests | null>(null);
  const test = useAction(async () => setTests((await call<KeyTests>('POST', '/api/vault/keys/test', { body: {} })).body));
  const outcomeOf = (keyId: string): readonly (readonly [Tone, string])[] => (tests?.tests ?? []).flatMap(({ identityOf, keys: tried }) => tried.filter((one) => one.keyId === keyId && one.outcome !== 'not-tried')
    .map(({ outcome }): readonly [Tone, string] => [OUTCOME[outcome][0], `${OUTCOME[outcome][1]} for ${identityOf.join(', ')}`]));
  return (
    <Loaded live={vault}>{({ keys: value }) => (
      <Card title="Keys" aside={may('Operator') && <button type="button" class="small" disabled={test.busy} onClick={() => test.run()}>{test.busy ? 'Testing …' : 'Test the keys now'}</button>}>
        {test.problem && <ProblemBox problem={test.problem} />}
        {value.length === 0 ? <Empty title="The vault is not encrypted"><p>Whoever can read its storage can read what is in it.</p></Empty> : (
          <Table label="Keys">
            <thead><tr><th scope="col">Key</th><th scope="col">Kind</th><th scope="col">Made</th><th scope="col">Test</th></tr></thead>
            <tbody>{value.map((key) => (
              <tr key={key.keyId}>
                <th scope="row">{key.label === '' ? key.keyId : key.label}<span class="sub"><code>{key.keyVaultKey ?? key.keyId}</code></span></th>
                <td>{words(key.type)}</td><td><Time at={key.createdAt} /></td>
                <td>{key.problem !== null && <Badge tone="bad">{key.problem}</Badge>}{tests === null ? key.tested === null ? <span class="dim">not tried by the app</span> : <>opened the vault <Time at={key.tested} /></> : outcomeOf(key.keyId).length === 0 ? <Badge tone="off">Not the app's to try</Badge> : <span class="marks">{outcomeOf(key.keyId).map(([tone, text]) => <Badge key={text} tone={tone}>{text}</Badge>)}</span>}</td>
              </tr>
            ))}</tbody>
          </Table>
        )}
      </Card>
    )}</Loaded>
  );
}

function RunningScrubs(): JSX.Element | null {
  const jobs = useList<Job>('/api/jobs?limit=200', jobsEvery);
  const scrubs = (jobs.data?.value ?? []).filter((job) => job.kind === 'scrub' && isRunning(job));
  if (scrubs.length === 0) return null;
  return <Card title="Scrubs under way"><ul class="attention">{scrubs.map((job) => <li key={job.id}><span class="progress"><a href={to('jobs', job.id)}>{phaseText(job.phase)}</a><Bar value={job.progress.percent} label="Progress of the scrub" /></span><span>{bytes(job.progress.bytesDone)} read</span></li>)}</ul></Card>;
}

function MaintenanceCards({ maintenance: { running, last } }: { maintenance: Maintenance }): JSX.Element {
  const grown = [...last].reverse().flatMap(({ startedAt, collection }) => (collection ? [{ atMs: Date.parse(startedAt), value: collection.allBytes }] : []));
  return (
    <>
      {grown.length > 1 && <Card title="Storage growth"><Chart label="Bytes of packs in the vault, at each maintenance" kind="area" of="Maintenance (UTC)" unit="bytes" show={bytes} showAt={utc} series={[{ label: 'Packs', dots: grown }]} /></Card>}
      <Card title="Maintenance: retention, then collection" aside={running ? <Badge tone="busy">{running.dryRun ? 'Dry run under way' : 'Under way'}</Badge> : undefined}>
        {last.length === 0 ? <Empty title="The vault was never maintained"><p>It is maintained daily. Until then nothing goes, and the vault only grows.</p></Empty> : (
          <Table label="Maintenance">
            <thead><tr><th scope="col">Began</th><th scope="col">Outcome</th><th scope="col" class="number">Kept</th><th scope="col" class="number">Into the bin</th><th scope="col" class="number">Gone for good</th><th scope="col" class="number">Freed</th><th scope="col" class="number">Waiting</th><th scope="col" class="number">In the vault</th><th scope="col">Keys tested</th></tr></thead>
            <tbody>{last.map((record) => <MaintenanceRow key={record.stamp} record={record} />)}</tbody>
          </Table>
        )}
      </Card>
    </>
  );
}

function MaintenanceRow({ record: { startedAt, dryRun, retention, collection, keys, error } }: { record: MaintenanceRecord }): JSX.Element {
  const problems = [...(error ? [error] : []), ...retention.refused.map((one) => one.error), ...(collection?.problems ?? [])];
  return (
    <tr>
      <th scope="row"><Time at={startedAt} /></th>
      <td>{problems.length > 0 ? <Badge tone="bad">{error ? 'Failed' : 'Refused in part'}</Badge> : <Badge tone="plain">{dryRun ? 'Dry run' : 'Done'}</Badge>}{problems.slice(0, 3).map((problem, index) => <span class="sub wrap" key={index}><code>{problem.code}</code> {problem.message} {problem.remedy}</span>)}</td>
      <td class="number">{count(retention.kept)}</td>
      <td class="number">{count(retention.binned)}</td>
      <td class="number">{collection ? count(collection.purged) : '—'}</td>
      <td class="number">{collection ? bytes(collection.deletedBytes) : '—'}</td>
      <td class="number">{collection ? bytes(collection.waitingBytes) : '—'}</td>
      <td class="number">{collection ? bytes(collection.allBytes) : '—'}</td>
      <td>{keys ? keys.opened.join(', ') : '—'}{keys && keys.notTried > 0 && <span class="sub">{count(keys.notTried)} not tried</span>}</td>
    </tr>
  );
}

function Space({ report }: { report: CostReport }): JSX.Element {
  const largest = report.items[0]?.storedBytes ?? 0;
  const total = report.items.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  return (
    <Card title="Space by item" aside={<span class="dim small-text">What items share is counted where it was stored first</span>}>
      {report.items.length === 0 ? <Empty title="Nothing is stored yet" /> : (
        <Table label="Space by item">
          <thead><tr><th scope="col">Item</th><th scope="col" class="number">Recovery points</th><th scope="col" class="number">Stored</th><th scope="col" class="wide-cell">Share</th></tr></thead>
          <tbody>{report.items.slice(0, 50).map((item) => (
            <tr key={item.itemId}><th scope="row"><ItemLink id={item.itemId} name={item.name} /></th><td class="number">{count(item.recoveryPoints)}</td><td class="number">{bytes(item.storedBytes)}</td><td><span class="sr">{percent(total === 0 ? 0 : item.storedBytes / total)}</span><span class="share" aria-hidden="true" style={{ width: `${largest === 0 ? 0 : (100 * item.storedBytes) / largest}%` }} /></td></tr>
          ))}</tbody>
        </Table>
      )}
    </Card>
  );
}

function CostCard({ report }: { report: CostReport }): JSX.Element {
  const { cost, azureBackup, prices } = report;
  return (
    <Card title="Cost of a month" aside={<span class="dim small-text">{prices.redundancy}, {prices.region}, prices of {prices.asOf}{prices.checked ? '' : ': nobody has held them against a bill'}</span>}>
      <div class="split pad-free">
        <CostTable title="Holdfast" cost={cost} />
        <CostTable title="The same under Azure Backup" cost={azureBackup} />
      </div>
      <p class="pad dim small-text">As of <Time at={report.at} />. Prices come from one file, which PUT /api/prices replaces: {prices.source}.</p>
    </Card>
  );
}

/** What is billed by the ten thousand is told by the piece. */
function quantity(value: number, unit: string): string {
  const pieces = { '10,000': 10_000, '1,000,000': 1_000_000 }[unit];
  if (pieces !== undefined) return count(value * pieces);
  return `${value < 10 ? Number(value.toPrecision(3)) : count(value)} ${unit}`;
}

const CostTable = ({ title, cost }: { title: string; cost: CostReport['cost'] }): JSX.Element => (
  <Table label={title}>
    <thead><tr><th scope="col">{title}</th><th scope="col" class="number">Quantity</th><th scope="col" class="number">Amount</th></tr></thead>
    <tbody>
      {cost.lines.map((line) => <tr key={`${line.what} ${line.tier ?? ''}`}><th scope="row">{words(line.what)}{line.tier !== null && `, ${line.tier}`}</th><td class="number">{quantity(line.quantity, line.unit)}</td><td class="number">{money(line.amount, cost.currency)}</td></tr>)}
      <tr class="total"><th scope="row">Together</th><td /><td class="number">{money(cost.total, cost.currency)}</td></tr>
    </tbody>
  </Table>
);

function Maintain({ dryRun, onClose }: { dryRun: boolean; onClose: () => void }): JSX.Element {
  return (
    <Confirm title={dryRun ? 'Maintenance, as a dry run' : 'Maintain the vault now?'} verb={dryRun ? 'Look' : 'Maintain'} danger={!dryRun} onClose={onClose} work={async () => {
      await call('POST', '/api/vault/maintenance', { body: { dryRun } });
      say(dryRun ? 'The dry run has begun; its outcome will stand in the table.' : 'The maintenance has begun.');
      refresh('/api/vault');
    }}>
      <p>{dryRun ? 'Says what retention would put into the bin and what collection would remove. Nothing is changed.' : 'Retention puts into the bin what no rule keeps; collection removes what lay in the bin for 14 days and is needed by nothing. It runs by itself every day.'}</p>
      {!dryRun && <p class="dim">One runs at a time. A plan that would delete unusually much is refused and waits for a person.</p>}
    </Confirm>
  );
}
