import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { cancelJob, backUp } from '../act';
import { api, Problem } from '../api';
import { bytes, consistency, count, counted, duration, words } from '../format';
import { useLive } from '../live';
import type { Job } from '../model';
import { Card, Fact, Head, ItemLink, Loaded, ProblemBox, Time, useAction } from '../parts/basics';
import { useMay } from '../parts/caller';
import { Confirm } from '../parts/dialog';
import { Bar, isRunning, JobBadge, KIND, phaseText } from '../parts/states';
import { to } from '../router';

const PHASES: Readonly<Record<Job['kind'], readonly string[]>> = {
  backup: ['queued', 'opening', 'planning', 'snapshot', 'transfer', 'commit', 'clean-up', 'done'],
  restore: ['queued', 'planning', 'proving', 'transfer', 'machine', 'commit', 'clean-up', 'done'],
  scrub: ['queued', 'planning', 'reading', 'done'],
};

const EXPLAINED: Readonly<Record<string, string>> = {
  queued: 'waits for a free place', opening: 'takes the next number of the item, so that no other run of it can begin', planning: 'looks at the disks and decides what has to be read',
  snapshot: 'Azure makes the snapshot; from here on the machine is not needed', transfer: 'reads what changed, compresses, encrypts and stores it', commit: 'makes the result visible, in one step',
  'clean-up': 'ends access and removes snapshots that are not needed any more', proving: 'reads the recovery point and proves that it is whole, before anything is made', machine: 'makes or changes the machine', reading: 'reads back what is stored and proves it', done: 'over',
};

export function JobView({ id }: { id: string }): JSX.Element {
  const job = useLive<Job>(api('jobs', id), (one) => (isRunning(one) ? 1_500 : 300_000));
  return job.data === undefined ? <><Head title="Job" kicker={<a href={to('jobs')}>Jobs</a>} /><Loaded live={job}>{() => null}</Loaded></> : <JobDetail job={job.data} />;
}

function JobDetail({ job }: { job: Job }): JSX.Element {
  const may = useMay();
  const [cancelling, askCancel] = useState(false);
  const again = useAction(async () => { location.hash = to('jobs', await backUp(job.itemId ?? '', job.itemName ?? job.itemId ?? '')); });
  const running = isRunning(job);
  const of = job.itemId === null ? 'the whole vault' : job.itemName ?? job.itemId;
  const seconds = ((job.endedAt === null ? Date.now() : Date.parse(job.endedAt)) - Date.parse(job.startedAt)) / 1000;
  return (
    <>
      <Head title={`${KIND[job.kind]} of ${of}`} kicker={<><a href={to('jobs')}>Jobs</a> / {job.id}</>}>
        {running && may('Operator', 'RestoreOperator') && <button type="button" class="danger" onClick={() => askCancel(true)}>Cancel …</button>}
        {may('Operator') && job.kind === 'backup' && job.state === 'failed' && job.itemId !== null && <button type="button" class="primary" disabled={again.busy} onClick={() => again.run()}>Back up again</button>}
      </Head>
      {again.problem && <ProblemBox problem={again.problem} />}
      {job.error && job.state !== 'cancelled' && <ProblemBox problem={new Problem(500, job.error.code, job.error.cause, job.error.message, job.error.remedy, job.error.data)} />}
      {(job.warnings ?? []).length > 0 && <div class="notice warn"><p><strong>Warnings</strong></p><ul>{(job.warnings ?? []).map((one) => <li key={one}>{one}</li>)}</ul></div>}
      {(job.left ?? []).length > 0 && <div class="notice bad"><p><strong>Left behind in Azure; the daily sweep tries again</strong></p><ul>{(job.left ?? []).map((one) => <li key={one}>{one}</li>)}</ul></div>}
      <Card title="Progress" aside={<JobBadge job={job} />}>
        <div class="pad">
          {running && <>
            <Bar value={job.progress.percent} label={`Progress of the ${KIND[job.kind].toLowerCase()} of ${of}`} />
            <p class="progress-line" role="status">
              <strong>{job.progress.percent} %</strong>{' '}
              {bytes(job.progress.bytesDone)}{job.progress.bytesTotal !== null && ` of ${bytes(job.progress.bytesTotal)}`}
              {job.progress.bytesPerSecond !== null && ` · ${bytes(job.progress.bytesPerSecond)}/s`}
              {job.progress.secondsLeft !== null && ` · about ${duration(job.progress.secondsLeft)} left`}
            </p>
          </>}
          <Phases job={job} />
        </div>
      </Card>
      <Card title="Figures">
        <dl class="facts">
          <Fact label="Began"><Time at={job.startedAt} /></Fact>
          <Fact label={running ? 'Running for' : 'Took'}>{duration(seconds)}</Fact>
          {job.itemId !== null && <Fact label="Item"><ItemLink id={job.itemId} name={job.itemName} /></Fact>}
          {job.policy !== null && job.policy !== undefined && <Fact label="Policy"><a href={to('policies', job.policy)}>{job.policy}</a></Fact>}
          {job.slot !== null && job.slot !== undefined && <Fact label="Slot"><Time at={job.slot} /></Fact>}
          {job.recoveryPoint !== null && job.recoveryPoint !== undefined && <Fact label="Recovery point"><a href={to('recovery-points', job.recoveryPoint)}>{job.recoveryPoint}</a></Fact>}
          {job.consistency !== null && job.consistency !== undefined && <Fact label="Consistency">{consistency(job.consistency)}</Fact>}
          {job.target !== undefined && <Fact label="Restored to">{words(job.target)}</Fact>}
          {job.progress.disks !== undefined && job.progress.disks > 0 && <Fact label="Disks">{counted(job.progress.disks, 'disk')}, {bytes(job.progress.bytesTotal ?? 0)}</Fact>}
          {job.figures && <>
            <Fact label="Read from disks">{bytes(job.figures.readBytes)}</Fact>
            <Fact label="Changed">{bytes(job.figures.changedBytes)}</Fact>
            <Fact label="In the vault already">{bytes(job.figures.reusedBytes)}</Fact>
            <Fact label="Stored">{bytes(job.figures.storedBytes)}</Fact>
            {job.figures.healedWindows > 0 && <Fact label="Healed windows">{count(job.figures.healedWindows)}</Fact>}
          </>}
          {job.writtenBytes !== null && job.writtenBytes !== undefined && <Fact label="Written from the vault">{bytes(job.writtenBytes)}</Fact>}
          {job.copiedBytes !== null && job.copiedBytes !== undefined && job.copiedBytes > 0 && <Fact label="Copied by Azure">{bytes(job.copiedBytes)}</Fact>}
          {job.kind === 'scrub' && <Fact label="Recovery points proved">{count(job.proved ?? 0)}</Fact>}
        </dl>
      </Card>
      {job.restored !== null && job.restored !== undefined && <Restored restored={job.restored} />}
      {cancelling && (
        <Confirm title={`Cancel the ${KIND[job.kind].toLowerCase()} of ${of}?`} verb="Cancel the job" danger onClose={() => askCancel(false)} work={() => cancelJob(job.id)}>
          <p>{job.kind === 'backup' ? 'What it has stored is not visible and is removed later. Earlier recovery points are untouched.' : job.kind === 'restore' ? 'What it has made is removed again. Nothing that was there before is touched.' : 'What it has read stays proved.'}</p>
        </Confirm>
      )}
    </>
  );
}

function Phases({ job }: { job: Job }): JSX.Element {
  const phases = PHASES[job.kind];
  const at = job.state === 'succeeded' ? phases.length : phases.indexOf(job.phase);
  return (
    <ol class="phases">{phases.filter((phase) => phase !== 'done' && (phase !== 'machine' || job.target === 'vm' || job.target === 'in-place')).map((phase) => {
      const index = phases.indexOf(phase);
      const state = index < at ? 'past' : index === at && isRunning(job) ? 'now' : 'next';
      return <li key={phase} class={state} aria-current={state === 'now' ? 'step' : undefined}><span>{phaseText(phase)}</span><span class="sub">{EXPLAINED[phase]}</span></li>;
    })}</ol>
  );
}

/** What a restore made, and what it exchanged and kept: ids of resources of Azure. */
function Restored({ restored: { made, oldDisks } }: { restored: NonNullable<Job['restored']> }): JSX.Element {
  return (
    <Card title="What was restored">
      <dl class="facts wide">
        {made.map((id) => <Fact key={id} label="Made"><code>{id}</code></Fact>)}
        {oldDisks.map((id) => <Fact key={id} label="Exchanged, and kept"><code>{id}</code></Fact>)}
      </dl>
    </Card>
  );
}
