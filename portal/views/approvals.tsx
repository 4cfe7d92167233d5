import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { toldApproval } from '../act';
import { api, call } from '../api';
import { counted, duration, words } from '../format';
import { refresh, useList, useLive } from '../live';
import type { Approval, ApprovalRules, Caller } from '../model';
import { Badge, Card, Empty, Field, Head, Loaded, More, ProblemBox, Table, Time, type Tone, useAction } from '../parts/basics';
import { useMay } from '../parts/caller';
import { say } from '../parts/say';

const STATE: Readonly<Record<Approval['state'], readonly [Tone, string]>> = {
  waiting: ['warn', 'Waits for somebody'], approved: ['busy', 'Approved, delay runs'], running: ['busy', 'Being carried out'], done: ['plain', 'Done'], refused: ['warn', 'Refused when due'], failed: ['bad', 'Failed'],
  rejected: ['off', 'Rejected'], cancelled: ['off', 'Taken back'], expired: ['off', 'Expired'],
};
const isOpen = ({ state }: Approval): boolean => state === 'waiting' || state === 'approved' || state === 'running';

/** What can be made to need a second person, in words. */
const GUARDED: Readonly<Record<string, string>> = {
  'policy.shrink': 'Have a policy keep less', 'policy.disable': 'Turn a policy off, delete it, or take a machine out of it', 'recovery-point.delete': 'Delete a recovery point', 'retention.approve': 'Approve a retention that deletes unusually much',
  'hold.release': 'Release a legal hold', 'collection.approve': 'Approve a collection that removes unusually much', 'approvals.loosen': 'Loosen these rules',
};

/** What waits for a second person, and what became of what did. */
export function Approvals(): JSX.Element {
  const approvals = useList<Approval>('/api/approvals?limit=100', ({ value }) => (value.some(isOpen) ? 5_000 : 20_000));
  return (
    <>
      <Head title="Approvals" kicker="What takes protection away, and waits for a second person" />
      <Loaded live={approvals}>{(page) => (page.value.length === 0
        ? <Empty title="Nothing waits, and nothing did"><p>What the rules below name is not done when one person asks for it: another administrator has to agree here first.</p></Empty>
        : (
          <>
            <Table label="Approvals">
              <thead><tr><th scope="col">What</th><th scope="col">State</th><th scope="col">Asked by</th><th scope="col">Until</th><th scope="col"><span class="sr">Actions</span></th></tr></thead>
              <tbody>{page.value.map((approval) => <Row key={approval.id} approval={approval} />)}</tbody>
            </Table>
            <More page={page} label="Load older approvals" />
          </>
        ))}</Loaded>
      <Rules />
    </>
  );
}

function Row({ approval }: { approval: Approval }): JSX.Element {
  const { data: me } = useLive<Caller>('/api/me', 300_000);
  const may = useMay();
  const act = useAction(async (verb: 'approve' | 'reject' | 'cancel') => {
    await call('POST', api('approvals', approval.id, verb));
    say({ approve: 'You agreed. It is carried out once its delay is over.', reject: 'It is rejected: nothing is done.', cancel: 'It is taken back: nothing is done.' }[verb]);
    refresh('/api/');
  });
  const [tone, text] = STATE[approval.state];
  const isMine = me !== undefined && approval.askedBy.id === me.id;
  const canStop = approval.state === 'waiting' || approval.state === 'approved';
  return (
    <tr>
      <th scope="row">{approval.what}<span class="sub">{GUARDED[approval.kind] ?? words(approval.kind)} · <code>{approval.action}</code></span></th>
      <td><Badge tone={tone}>{text}</Badge>{approval.message !== null && <span class="sub wrap">{approval.code !== null && <code>{approval.code} </code>}{approval.message}</span>}</td>
      <td>{approval.askedBy.name}<span class="sub"><Time at={approval.askedAt} /></span>{approval.approvedBy !== null && <span class="sub">agreed: {approval.approvedBy.name}</span>}{approval.stoppedBy !== null && <span class="sub">stopped: {approval.stoppedBy.name}</span>}</td>
      <td>{approval.state === 'approved' && approval.dueAt !== null ? <>done at <Time at={approval.dueAt} /></> : approval.endedAt !== null ? <Time at={approval.endedAt} /> : <Time at={approval.expiresAt} />}</td>
      <td class="row-actions">
        {approval.state === 'waiting' && !isMine && may('Admin') && <button type="button" class="small primary" disabled={act.busy} onClick={() => act.run('approve')} aria-label={`Approve: ${approval.what}`}>Approve</button>}
        {canStop && !isMine && may('Admin') && <button type="button" class="small danger" disabled={act.busy} onClick={() => act.run('reject')} aria-label={`Reject: ${approval.what}`}>Reject</button>}
        {canStop && isMine && <><span class="sub">Somebody else has to agree</span><button type="button" class="small" disabled={act.busy} onClick={() => act.run('cancel')} aria-label={`Take back: ${approval.what}`}>Take back</button></>}
        {act.problem && <ProblemBox problem={act.problem} />}
      </td>
    </tr>
  );
}

function Rules(): JSX.Element {
  const rules = useLive<ApprovalRules>('/api/approval-rules', 60_000);
  return <Loaded live={rules}>{(known) => <RulesForm key={known.revision} rules={known} />}</Loaded>;
}

function RulesForm({ rules }: { rules: ApprovalRules }): JSX.Element {
  const may = useMay();
  const [draft, setDraft] = useState(rules);
  useEffect(() => setDraft(rules), [rules.revision]);
  const save = useAction(async () => {
    const { revision, ...document } = draft;
    const { status, body } = await call('PUT', '/api/approval-rules', { body: document, headers: { 'if-match': `"${revision}"` } });
    refresh('/api/approval');
    if (!toldApproval(status, body)) say('The rules are stored.');
  });
  const isAdmin = may('Admin');
  return (
    <Card title="What needs a second person" aside={<span class="dim small-text">{rules.actions.length === 0 ? 'Nothing does yet' : `${counted(rules.actions.length, 'action')}, delay ${rules.delayMinutes === 0 ? 'none' : duration(rules.delayMinutes * 60)}`}</span>}>
      <form class="form" onSubmit={(event) => { event.preventDefault(); save.run(); }}>
        <fieldset disabled={!isAdmin}>
          <legend class="sr">Actions that need a second person</legend>
          <div class="choices">{Object.entries(GUARDED).filter(([kind]) => kind !== 'approvals.loosen').map(([kind, text]) => (
            <label class="check" key={kind}><input type="checkbox" checked={draft.actions.includes(kind)} onChange={(event) => setDraft({ ...draft, actions: event.currentTarget.checked ? [...draft.actions, kind] : draft.actions.filter((one) => one !== kind) })} />{text}</label>
          ))}</div>
        </fieldset>
        <fieldset disabled={!isAdmin}>
          <legend class="sr">Times</legend>
          <div class="grid">
            <Field label="Delay (minutes)" hint="Between the approval and the deed, for anybody to stop it"><input type="number" min={0} value={draft.delayMinutes} onInput={(event) => setDraft({ ...draft, delayMinutes: Number(event.currentTarget.value) })} /></Field>
            <Field label="Expires after (hours)" hint="For so long an approval is waited for"><input type="number" min={1} value={draft.expiresHours} onInput={(event) => setDraft({ ...draft, expiresHours: Number(event.currentTarget.value) })} /></Field>
          </div>
        </fieldset>
        <p class="hint">To ask for less than the rules in force needs a second person itself.</p>
        {save.problem && <ProblemBox problem={save.problem} />}
        {isAdmin && <div class="foot"><button type="submit" class="primary" disabled={save.busy}>{save.busy ? 'Storing …' : 'Store the rules'}</button></div>}
      </form>
    </Card>
  );
}
