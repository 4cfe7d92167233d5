import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../api';
import { bytes, consistency, count, ratio, words } from '../format';
import { useLive } from '../live';
import type { Item, PointDetail, RetentionPlan } from '../model';
import { Badge, Card, Fact, Head, Loaded, Table, Time } from '../parts/basics';
import { KeptUntil, reason } from '../parts/keeps';
import { PointActions, Release } from '../parts/point-actions';
import { to } from '../router';

export function RecoveryPointView({ id }: { id: string }): JSX.Element {
  const point = useLive<PointDetail>(api('recovery-points', id), 30_000);
  return point.data === undefined ? <><Head title="Recovery point" kicker={<a href={to('items')}>Items</a>} /><Loaded live={point}>{() => null}</Loaded></> : <Detail point={point.data} />;
}

function Detail({ point }: { point: PointDetail }): JSX.Element {
  const item = useLive<Item>(api('items', point.itemId), 30_000);
  const plan = useLive<RetentionPlan>(api('items', point.itemId, 'retention'), 60_000);
  const [releasing, release] = useState<string | null>(null);
  const proof = item.data?.proved?.recoveryPoint === point.id ? item.data.proved : null;
  const keeps = plan.data?.points.find(({ id }) => id === point.id)?.keeps ?? [];
  const { stats } = point;
  return (
    <>
      <Head title={`${point.source.name}, ${point.createdAt.slice(0, 16).replace('T', ' ')} UTC`} kicker={<><a href={to('items')}>Items</a> / <a href={to('items', point.itemId)}>{point.source.name}</a> / {point.id}</>}><PointActions point={point} /></Head>
      {point.warnings.length > 0 && <div class="notice warn"><p><strong>Warnings</strong></p><ul>{point.warnings.map((one) => <li key={one}>{one}</li>)}</ul></div>}
      <Card title="Recovery point" aside={point.state === 'binned' ? <Badge tone="off">In the bin</Badge> : proof === null ? <Badge tone="plain">Not proved by itself</Badge> : <Badge tone={proof.ok ? 'good' : 'bad'}>{proof.ok ? 'Proved' : 'Damaged'}</Badge>}>
        <dl class="facts">
          <Fact label="Instant"><Time at={point.createdAt} /></Fact>
          <Fact label="Consistency">{consistency(point.consistency)}</Fact>
          <Fact label="Policy">{point.policy === null ? 'on demand' : <a href={to('policies', point.policy)}>{point.policy}</a>}</Fact>
          <Fact label="Kept until"><KeptUntil point={point} plan={plan.data} /></Fact>
          <Fact label="Read from disks">{bytes(stats.readBytes)}</Fact>
          <Fact label="Changed">{bytes(stats.changedBytes)}</Fact>
          <Fact label="In the vault already">{bytes(stats.reusedBytes)}</Fact>
          <Fact label="Stored">{bytes(stats.storedBytes)}{ratio(stats.newBytes, stats.storedBytes) !== null && <span class="sub">compressed {ratio(stats.newBytes, stats.storedBytes)}</span>}</Fact>
          <Fact label="Number">{count(point.sequence)}</Fact>
          {proof !== null && <Fact label="Proved"><Time at={proof.at} /></Fact>}
          {point.deleted !== null && point.state === 'binned' && <Fact label="Deleted"><Time at={point.deleted.at} /><span class="sub">by {point.deleted.by}</span></Fact>}
        </dl>
      </Card>
      <Card title="Disks">
        <Table label="Disks">
          <thead><tr><th scope="col">Disk</th><th scope="col">LUN</th><th scope="col" class="number">Size</th><th scope="col">How it was read</th></tr></thead>
          <tbody>{point.disks.map((disk) => <tr key={disk.name}><th scope="row">{disk.name}</th><td>{String(disk.lun)}</td><td class="number">{bytes(disk.sizeBytes)}</td><td>{words(disk.mode)}</td></tr>)}</tbody>
        </Table>
      </Card>
      {keeps.length > 0 && (
        <Card title="What keeps it">
          <Table label="What keeps it"><thead><tr><th scope="col">Rule</th><th scope="col">Until</th></tr></thead><tbody>{keeps.map((keep, index) => <tr key={index}><th scope="row">{reason(keep)}</th><td>{keep.untilAt === null ? keep.until : <Time at={keep.untilAt} />}</td></tr>)}</tbody></Table>
        </Card>
      )}
      {point.holds.length > 0 && (
        <Card title="Legal holds">
          <Table label="Legal holds"><thead><tr><th scope="col">Label</th><th scope="col"><span class="sr">Actions</span></th></tr></thead><tbody>{point.holds.map(({ label }) => <tr key={label}><th scope="row">{label}</th><td class="row-actions"><button type="button" class="small" onClick={() => release(label)}>Release …</button></td></tr>)}</tbody></Table>
        </Card>
      )}
      <p class="dim small-text">On the command line: <code>holdfast restore {point.id} --to FILE</code> needs the vault and its key alone.</p>
      {releasing !== null && <Release point={point} label={releasing} onClose={() => release(null)} />}
    </>
  );
}
