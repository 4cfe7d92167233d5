import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { scrub, toldApproval } from '../act';
import { api, call } from '../api';
import { utc } from '../format';
import { refresh } from '../live';
import type { RecoveryPoint } from '../model';
import { to } from '../router';
import { Field, ProblemBox, Time, useAction } from './basics';
import { useMay } from './caller';
import { Confirm } from './dialog';
import { say } from './say';

function changed(text: string): void {
  say(text);
  refresh('/api/items');
  refresh('/api/recovery-points');
}

/** What can be done with a recovery point. `compact` leaves the rarer ones to its own page. */
export function PointActions({ point, compact = false }: { point: RecoveryPoint; compact?: boolean }): JSX.Element {
  const may = useMay();
  const [asking, ask] = useState<'delete' | 'hold' | null>(null);
  const undelete = useAction(async () => {
    await call('POST', api('recovery-points', point.id, 'undelete'));
    changed('The recovery point is out of the bin.');
  });
  const prove = useAction(async () => { location.hash = to('jobs', await scrub({ recoveryPoint: point.id }, 'the recovery point')); });
  if (point.state === 'binned') {
    return <>{may('Operator') && <button type="button" class={compact ? 'small' : ''} disabled={undelete.busy} onClick={() => undelete.run()}>Undelete</button>}{undelete.problem && <ProblemBox problem={undelete.problem} />}</>;
  }
  return (
    <>
      {!compact && may('Operator') && <button type="button" disabled={prove.busy} onClick={() => prove.run()}>Prove now</button>}
      {!compact && may('Operator') && <button type="button" onClick={() => ask('hold')}>Hold …</button>}
      {may('Admin') && <button type="button" class={compact ? 'small' : 'danger'} onClick={() => ask('delete')} aria-label={`Delete …: recovery point of ${utc(Date.parse(point.createdAt))}`}>Delete …</button>}
      {may('RestoreOperator') && <a class={compact ? 'button small' : 'button primary'} href={to('restore', point.id)} aria-label={`Restore …: recovery point of ${utc(Date.parse(point.createdAt))}`}>Restore …</a>}
      {prove.problem && <ProblemBox problem={prove.problem} />}
      {asking === 'delete' && (
        <Confirm title="Delete this recovery point?" verb="Delete" danger onClose={() => ask(null)} work={async () => {
          const { status, body } = await call<{ binUntil?: string }>('DELETE', api('recovery-points', point.id));
          if (!toldApproval(status, body)) changed('The recovery point is in the bin.');
        }}>
          <p>The recovery point of <strong><Time at={point.createdAt} /></strong> goes into the bin. There it stays for 14 days and can be taken out again; then what only it needs is removed.</p>
          {point.held && <p>It is under a legal hold, so this will be refused until the hold is released.</p>}
        </Confirm>
      )}
      {asking === 'hold' && <Hold point={point} onClose={() => ask(null)} />}
    </>
  );
}

function Hold({ point, onClose }: { point: RecoveryPoint; onClose: () => void }): JSX.Element {
  const [label, setLabel] = useState('');
  return (
    <Confirm title="Hold this recovery point" verb="Hold" onClose={onClose} work={async () => {
      await call('POST', api('recovery-points', point.id, 'holds'), { body: { label: label.trim() } });
      changed(`The hold ${label.trim()} is on the recovery point.`);
    }}>
      <p>Neither a rule nor a person deletes it until every hold is released.</p>
      <Field label="Label" hint="What the hold is for, such as the number of a case. It is needed to release it."><input required value={label} onInput={(event) => setLabel(event.currentTarget.value)} /></Field>
    </Confirm>
  );
}

/** Releases a hold, after its label was typed again. */
export function Release({ point, label, onClose }: { point: RecoveryPoint; label: string; onClose: () => void }): JSX.Element {
  return (
    <Confirm title="Release this hold?" verb="Release" danger typed={label} onClose={onClose} work={async () => {
      const { status, body } = await call('DELETE', `${api('recovery-points', point.id, 'holds')}?label=${encodeURIComponent(label)}&confirm=${encodeURIComponent(label)}`);
      if (!toldApproval(status, body)) changed(`The hold ${label} is released.`);
    }}>
      <p>Without the hold the recovery point can be deleted, by a person or by a rule.</p>
    </Confirm>
  );
}
