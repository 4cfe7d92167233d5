import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { toldApproval } from '../act';
import { api, call } from '../api';
import { bytes, consistency, counted } from '../format';
import { refresh, useLive } from '../live';
import type { PointDetail, RestorePlanView } from '../model';
import { Card, Fact, Field, Head, Loaded, ProblemBox, Table, Time, useAction } from '../parts/basics';
import { say } from '../parts/say';
import { to } from '../router';

type Kind = 'disk' | 'vm' | 'in-place' | 'page-blob';

const KINDS: Readonly<Record<Kind, readonly [title: string, about: string]>> = {
  disk: ['A new disk', 'One disk of the recovery point becomes a new managed disk. Nothing that is there is touched.'],
  vm: ['A new machine', 'The machine is made anew beside the old one, with new disks.'],
  'in-place': ['The machine as it was', 'The disks of the machine are exchanged for restored ones. It is stopped for that; its old disks are kept unless you say otherwise.'],
  'page-blob': ['A page blob', 'One disk is written as a page blob into a container that the app may write to.'],
};

/** What the form holds; an empty text means: as at the source. */
interface Form {
  readonly kind: Kind;
  readonly disk: string;
  readonly disks: readonly string[];
  readonly name: string;
  readonly resourceGroup: string;
  readonly location: string;
  readonly sku: string;
  readonly size: string;
  readonly subnetId: string;
  readonly nicIds: string;
  readonly keepOldDisks: boolean;
  readonly differential: boolean;
  readonly account: string;
  readonly container: string;
  readonly blob: string;
}

const STEPS = ['What', 'Where', 'Preview', 'Progress'] as const;

/** A restore in four steps: what, where, what that would do, and how far it is. */
export function Restore({ point: id }: { point: string }): JSX.Element {
  const point = useLive<PointDetail>(api('recovery-points', id), 60_000);
  if (point.data === undefined) return <><Head title="Restore" kicker={<a href={to('items')}>Items</a>} /><Loaded live={point}>{() => null}</Loaded></>;
  return <Wizard point={point.data} />;
}

function Wizard({ point }: { point: PointDetail }): JSX.Element {
  const [step, setStep] = useState(0);
  const first = point.disks[0]?.name ?? '';
  const [form, setForm] = useState<Form>({
    kind: 'disk', disk: first, disks: point.disks.map(({ name }) => name), name: `${point.source.name}-restored`.slice(0, 60), resourceGroup: '', location: '', sku: '', size: '', subnetId: '', nicIds: '',
    keepOldDisks: true, differential: false, account: '', container: '', blob: `${point.source.name}.vhd`,
  });
  const change = (part: Partial<Form>): void => setForm({ ...form, ...part });
  const [plan, setPlan] = useState<RestorePlanView | null>(null);
  // Drawn once, so that asking twice is one restore.
  const [restoreId] = useState(() => `portal-${crypto.randomUUID().slice(0, 18)}`);
  const preview = useAction(async () => {
    const { body } = await call<RestorePlanView>('POST', api('recovery-points', point.id, 'restores'), { body: { dryRun: true, target: targetOf(form) } });
    setPlan(body);
    setStep(2);
  });
  const start = useAction(async () => {
    const { status, body } = await call<{ id: string }>('POST', api('recovery-points', point.id, 'restores'), { body: { id: restoreId, target: targetOf(form) } });
    refresh('/api/jobs');
    if (toldApproval(status, body)) {
      location.hash = to('approvals');
      return;
    }
    say('The restore has begun.');
    location.hash = to('jobs', body.id);
  });
  return (
    <div class="wizard">
      <Head title={`Restore ${point.source.name}`} kicker={<><a href={to('items')}>Items</a> / <a href={to('items', point.itemId)}>{point.source.name}</a> / <a href={to('recovery-points', point.id)}>{point.id}</a></>} />
      <ol class="steps" aria-label="Steps">{STEPS.map((name, index) => <li key={name} class={index < step ? 'past' : ''} aria-current={index === step ? 'step' : undefined}>{name}</li>)}</ol>
      <p>From the recovery point of <strong><Time at={point.createdAt} /></strong>, {consistency(point.consistency)} consistency, {counted(point.disks.length, 'disk')}.</p>
      {point.state === 'binned' && <div class="notice warn"><p>This recovery point is in the bin until <Time at={point.binUntil} />. Take it out first, so that it stays while it is restored.</p></div>}
      <form onSubmit={(event) => { event.preventDefault(); if (step === 0) setStep(1); else if (step === 1) preview.run(); else start.run(); }}>
        {step === 0 && <What point={point} form={form} change={change} />}
        {step === 1 && <Where form={form} change={change} />}
        {step === 2 && plan !== null && <Preview plan={plan} />}
        {step === 1 && preview.problem && <ProblemBox problem={preview.problem} />}
        {step === 2 && start.problem && <ProblemBox problem={start.problem} />}
        <div class="foot">
          <a class="button" href={to('recovery-points', point.id)}>Leave</a>
          {step > 0 && <button type="button" onClick={() => setStep(step - 1)}>Back</button>}
          {step === 0 && <button type="submit" class="primary" disabled={form.kind !== 'disk' && form.kind !== 'page-blob' && form.disks.length === 0}>Next: where</button>}
          {step === 1 && <button type="submit" class="primary" disabled={preview.busy}>{preview.busy ? 'Looking …' : 'Preview'}</button>}
          {step === 2 && <button type="submit" class="primary" disabled={start.busy}>{start.busy ? 'Starting …' : 'Restore'}</button>}
        </div>
      </form>
    </div>
  );
}

interface StepProps { readonly form: Form; readonly change: (part: Partial<Form>) => void }

function What({ point, form, change }: StepProps & { point: PointDetail }): JSX.Element {
  const single = form.kind === 'disk' || form.kind === 'page-blob';
  return (
    <Card title="What is to be restored">
      <div class="form">
        <fieldset>
          <legend class="sr">Kind of restore</legend>
          <div class="choices">{(Object.keys(KINDS) as Kind[]).map((kind) => (
            <label class="choice" key={kind}><input type="radio" name="kind" value={kind} checked={form.kind === kind} onChange={() => change({ kind })} /><span><strong>{KINDS[kind][0]}</strong><span class="sub">{KINDS[kind][1]}</span></span></label>
          ))}</div>
        </fieldset>
        <fieldset>
          <legend>{single ? 'Which disk' : 'Which disks'}</legend>
          <div class="choices">{point.disks.map(({ name, sizeBytes, lun }) => (
            <label class="choice" key={name}>
              {single ? <input type="radio" name="disk" value={name} checked={form.disk === name} onChange={() => change({ disk: name })} />
                : <input type="checkbox" checked={form.disks.includes(name)} onChange={(event) => change({ disks: event.currentTarget.checked ? [...form.disks, name] : form.disks.filter((one) => one !== name) })} />}
              <span><strong>{name}</strong><span class="sub">{lun === 'os' || lun === -1 ? 'OS disk' : `LUN ${String(lun)}`}, {bytes(sizeBytes)}</span></span>
            </label>
          ))}</div>
        </fieldset>
      </div>
    </Card>
  );
}

function Where({ form, change }: StepProps): JSX.Element {
  const text = (name: 'name' | 'resourceGroup' | 'location' | 'sku' | 'size' | 'subnetId' | 'nicIds' | 'account' | 'container' | 'blob', label: string, hint: string, required = false): JSX.Element => (
    <Field label={label} hint={hint}><input value={form[name]} required={required} spellcheck={false} autocomplete="off" onInput={(event) => change({ [name]: event.currentTarget.value })} /></Field>
  );
  const differential = (what: string): JSX.Element => <label class="check"><input type="checkbox" checked={form.differential} onChange={(event) => change({ differential: event.currentTarget.checked })} /><span>Only what differs<span class="sub">{what}</span></span></label>;
  return (
    <Card title={`Where: ${KINDS[form.kind][0].toLowerCase()}`}>
      <div class="form">
        {form.kind === 'disk' && <div class="grid">{text('name', 'Name of the new disk', 'It must not exist yet', true)}</div>}
        {form.kind === 'vm' && <>
          <div class="grid">{text('name', 'Name of the new machine', 'It must not exist yet', true)}{text('size', 'Size', 'As at the source when empty')}</div>
          <div class="grid wide-cells">{text('subnetId', 'Subnet', 'Resource id of the subnet, for a new network card')}{text('nicIds', 'Or network cards', 'Resource ids of cards that are there, separated by spaces')}</div>
        </>}
        {form.kind === 'in-place' && <>
          <label class="check"><input type="checkbox" checked={form.keepOldDisks} onChange={(event) => change({ keepOldDisks: event.currentTarget.checked })} /><span>Keep the old disks<span class="sub">They stay, detached, until you delete them: the way back if this recovery point was not the right one.</span></span></label>
          {differential('What the present disks have in common with the recovery point is copied out of them by Azure, and only the difference is read from the vault.')}
        </>}
        {form.kind === 'page-blob' && <>
          <div class="grid">{text('account', 'Storage account', 'Its name', true)}{text('container', 'Container', 'One of HOLDFAST_RESTORE_CONTAINERS', true)}{text('blob', 'Blob', 'Its name', true)}</div>
          {differential('The blob is there already, and only what differs is written.')}
        </>}
        {(form.kind === 'disk' || form.kind === 'vm') && <div class="grid">{text('resourceGroup', 'Resource group', 'As at the source when empty')}{text('location', 'Region', 'As at the source when empty')}{text('sku', 'Kind of disk', 'Premium_LRS, StandardSSD_LRS …; as at the source when empty')}</div>}
      </div>
    </Card>
  );
}

/** The body that the API takes: what was left empty is left out. */
function targetOf(form: Form): object {
  const given = (part: Readonly<Record<string, string>>): object => Object.fromEntries(Object.entries(part).map(([name, value]) => [name, value.trim()]).filter(([, value]) => value !== ''));
  const place = given({ resourceGroup: form.resourceGroup, location: form.location, sku: form.sku });
  const nicIds = form.nicIds.split(/\s+/).filter((one) => one !== '');
  switch (form.kind) {
    case 'disk': return { kind: 'disk', disk: form.disk, name: form.name.trim(), ...place };
    case 'vm': return { kind: 'vm', name: form.name.trim(), disks: form.disks, network: nicIds.length > 0 ? { nicIds } : { subnetId: form.subnetId.trim() }, ...given({ size: form.size }), ...place };
    case 'in-place': return { kind: 'in-place', disks: form.disks, keepOldDisks: form.keepOldDisks, differential: form.differential };
    case 'page-blob': return { kind: 'page-blob', disk: form.disk, account: form.account.trim(), container: form.container.trim(), blob: form.blob.trim(), differential: form.differential };
  }
}

function Preview({ plan }: { plan: RestorePlanView }): JSX.Element {
  return (
    <Card title="What this would do" aside={<span class="dim">Nothing was made yet</span>}>
      <div class="pad">
        {plan.warnings.length > 0 && <div class="notice warn wide"><p><strong>Warnings</strong></p><ul>{plan.warnings.map((one) => <li key={one}>{one}</li>)}</ul></div>}
        {plan.swap !== null && <div class="notice warn wide"><p><strong>{plan.swap.wasRunning ? 'The machine is running: it will be stopped, its disks exchanged, and started again.' : 'The machine is stopped; its disks are exchanged and it stays stopped.'}</strong></p><p>{plan.swap.keepOldDisks ? `${counted(plan.swap.oldDisks.length, 'old disk')} will be kept.` : `${counted(plan.swap.oldDisks.length, 'old disk')} will be deleted once the restored ones are proved and attached.`}</p></div>}
        <p>{plan.proved ? 'All that is needed was read back just now and is whole.' : 'It is large: all that is needed is proved by the job, before it makes anything.'}</p>
      </div>
      <Table label="What would be made">
        <thead><tr><th scope="col">Disk</th><th scope="col" class="number">Size</th><th scope="col">Becomes</th></tr></thead>
        <tbody>{plan.disks.map((disk) => <tr key={disk.name}><th scope="row">{disk.name}</th><td class="number">{bytes(disk.sizeBytes)}</td><td><code>{String(disk.target['id'] ?? [disk.target['account'], disk.target['container'], disk.target['blob']].join('/'))}</code><span class="sub">{[disk.target['sku'], disk.target['location'], disk.target['zone']].filter((one) => typeof one === 'string').join(', ')}</span></td></tr>)}</tbody>
      </Table>
      <dl class="facts">
        {plan.vm !== null && <Fact label="Machine"><code>{plan.vm.id}</code><span class="sub">{plan.vm.size}, {plan.vm.location}</span></Fact>}
        {plan.estimate !== null && <>
          <Fact label="Data of the disks">{bytes(plan.estimate.dataBytes)}</Fact>
          <Fact label="Read from the vault">{bytes(plan.estimate.fromVaultBytes)}</Fact>
          {plan.estimate.copiedBytes > 0 && <Fact label="Copied by Azure">{bytes(plan.estimate.copiedBytes)}</Fact>}
        </>}
      </dl>
    </Card>
  );
}
