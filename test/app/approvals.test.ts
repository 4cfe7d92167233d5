import assert from 'node:assert/strict';
import type { ApprovalState } from '../../activities/approval-records';
import type { GuardedKind } from '../../activities/approval-rules';
import { APPROVALS, approvalInstanceId } from '../../orchestrations/names';
import { readMarksOf } from '../../vault/points/marks';
import { recordsForwards } from '../../vault/trail/read-trail';
import { verifyTrail } from '../../vault/trail/verify-trail';
import { VirtualClock } from '../../local/host/clock';
import { createFaultStore, type FaultStore } from '../support/fault-store';
import { addVm, halfDisk, HOME_START_MS, type Home, noise, type Reply, startHome, writeDisk } from '../support/home';
import { Issuer } from '../support/issuer';

interface View { readonly id: string; readonly state: ApprovalState; readonly what: string; readonly dueAt: string | null; readonly code: string | null; readonly askedBy: { readonly name: string }; readonly approvedBy: { readonly name: string } | null }

const HOUR_MS = 3_600_000;
const POLICY = { schedule: { daily: { at: ['02:00'] } }, items: { all: true } };

describe('approvals: what takes protection away needs a second person (threat 3)', function () {
  this.timeout(60_000);
  let issuer: Issuer;
  let home: Home;
  let faults: FaultStore;
  const tokens: Record<string, string> = {};
  const forever = { exp: Math.floor(HOME_START_MS / 1000) + 10 * 365 * 86_400 };

  before(async () => {
    issuer = await Issuer.start(() => HOME_START_MS);
    for (const [name, oid] of [['ada', '1'], ['bob', '2'], ['eve', '3']]) {
      tokens[name as string] = await issuer.token(['Admin'], { claims: { ...forever, oid: `00000000-0000-4000-8000-00000000000${oid}`, preferred_username: `${name}@example.com` } });
    }
    tokens['program'] = await issuer.token(['Admin'], { claims: { ...forever, oid: '00000000-0000-4000-8000-000000000009', idtyp: 'app' }, without: ['scp', 'preferred_username'] });
    tokens['ron'] = await issuer.token(['Reader'], { claims: { ...forever, preferred_username: 'ron@example.com' } });
  });
  after(() => issuer.close());

  beforeEach(async () => {
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), {
      access: { kind: 'bearer', entra: issuer.settings }, token: tokens['ada'] ?? '', schedulerCron: '0 0 0 1 1 *', wrapStore: (store) => { faults = createFaultStore(store); return faults; },
    });
  });
  afterEach(() => home.dispose());

  const as = (who: string, path: string, method = 'GET', body?: object, headers: Record<string, string> = {}): Promise<Reply> =>
    home.json(`/api/${path}`, { method, headers: { authorization: `Bearer ${tokens[who]}`, ...headers }, ...(body && { body: JSON.stringify(body) }) });
  const codeOf = ({ body }: Reply): string => (body as { code: string }).code;
  const later = (ms: number): Promise<void> => home.host.advanceTo(home.clock.now() + ms);
  const view = async (id: string): Promise<View> => (await as('ron', `approvals/${id}`)).body as View;

  async function rule(actions: readonly GuardedKind[], more: object = {}): Promise<void> {
    const reply = await as('ada', 'approval-rules', 'PUT', { actions, ...more });
    assert.equal(reply.status, 201, reply.text);
  }
  /** Two recovery points; the ids. */
  async function twoPoints(): Promise<string[]> {
    for (let round = 0; round < 2; round++) {
      await writeDisk(home, 'web01', 'os', noise(100_000, round + 5), 0);
      assert.equal((await home.backUp('web01')).state, 'succeeded');
      await later(60_000);
    }
    return (await home.points()).map(({ id }) => id);
  }
  /** Asks, and is told to wait; the approval's id. */
  async function ask(reply: Promise<Reply>): Promise<string> {
    const { status, body, text, headers } = await reply;
    assert.equal(status, 202, text);
    const { approval, state } = body as { approval: string; state: string };
    assert.deepEqual([state, headers.get('location')], ['waiting', `/api/approvals/${approval}`]);
    return approval;
  }
  async function approveAs(who: string, id: string): Promise<void> {
    const reply = await as(who, `approvals/${id}/approve`, 'POST');
    assert.equal(reply.status, 202, reply.text);
  }
  const settled = async (id: string): Promise<View> => {
    await home.host.waitFor(approvalInstanceId(id, 'due'), { until: 'finished' });
    return view(id);
  };
  const actions = async (): Promise<string[]> => {
    const all: string[] = [];
    for await (const { record } of recordsForwards(home.vault)) if (record) all.push(`${record.who.name} ${record.action} ${record.outcome}${record.code ? ` ${record.code}` : ''}`);
    return all;
  };
  const isBinned = async (id: string): Promise<boolean> => (await readMarksOf(home.vault, id)).state === 'binned';

  it('does nothing without rules, and nothing that they do not name', async () => {
    const [first = '', second = ''] = await twoPoints();
    assert.equal((await as('ada', `recovery-points/${first}`, 'DELETE')).status, 200);
    assert.equal((await as('ada', `recovery-points/${first}/undelete`, 'POST')).status, 200);
    await rule(['hold.release']);
    assert.equal((await as('ada', `recovery-points/${first}`, 'DELETE')).status, 200);
    assert.ok(await isBinned(first) && !await isBinned(second));
  });

  it('threat 3: a deletion waits for another Admin and for its delay, is done once, and every step is in the trail', async () => {
    const [first = ''] = await twoPoints();
    await rule(['recovery-point.delete'], { delayMinutes: 60 });
    const before = (await actions()).length;
    const id = await ask(as('ada', `recovery-points/${first}`, 'DELETE'));
    assert.equal(await ask(as('ada', `recovery-points/${first}`, 'DELETE')), id, 'asked twice, it is the same');
    assert.equal((await as('ada', `recovery-points/${first}?dryRun=true`, 'DELETE')).status, 200, 'a dry run needs nobody');
    assert.equal(codeOf(await as('ada', `approvals/${id}/approve`, 'POST')), 'APPROVAL_OWN');
    assert.equal(codeOf(await as('ron', `approvals/${id}/approve`, 'POST')), 'FORBIDDEN');
    assert.equal(codeOf(await as('program', `approvals/${id}/approve`, 'POST')), 'APPROVAL_OWN', 'whoever owns a program could be its asker');
    assert.equal(await isBinned(first), false);
    await approveAs('bob', id);
    await approveAs('bob', id);
    assert.equal(codeOf(await as('eve', `approvals/${id}/approve`, 'POST')), 'APPROVAL_ENDED');
    const { state, dueAt, what, approvedBy } = await view(id);
    assert.deepEqual([state, Date.parse(dueAt ?? '') - home.clock.now() <= HOUR_MS, what.includes(first), approvedBy?.name], ['approved', true, true, 'bob@example.com']);
    await later(59 * 60_000);
    assert.equal(await isBinned(first), false, 'its delay is not over');
    await later(2 * 60_000);
    assert.equal((await settled(id)).state, 'done');
    assert.ok(await isBinned(first));
    assert.match((await readMarksOf(home.vault, first)).deleted?.by ?? '', /^ada@example\.com, approved by bob@example\.com$/);
    assert.deepEqual((await actions()).slice(before).filter((line) => /^\w+@/.test(line)), [
      'ada@example.com approval.ask begun', 'ada@example.com approval.ask done', 'ada@example.com approval.approve begun', 'ada@example.com approval.approve refused APPROVAL_OWN',
      'ron@example.com approval.approve refused FORBIDDEN', 'bob@example.com approval.approve begun', 'bob@example.com approval.approve done', 'bob@example.com approval.approve begun', 'bob@example.com approval.approve done',
      'eve@example.com approval.approve begun', 'eve@example.com approval.approve refused APPROVAL_ENDED', 'ada@example.com recovery-point.delete begun', 'ada@example.com recovery-point.delete done',
    ]);
    assert.equal((await verifyTrail(home.vault)).ok, true);
    // Long after it expired, nothing more happens.
    assert.equal((await as('ada', `recovery-points/${first}/undelete`, 'POST')).status, 200);
    await later(80 * HOUR_MS);
    assert.deepEqual([(await view(id)).state, await isBinned(first)], ['done', false]);
    assert.ok(home.logs.some((line) => /An approval is needed/.test(line)));
  });

  it('is rejected by another, cancelled by who asked, also while the delay runs; expires; and is then over', async () => {
    const [first = ''] = await twoPoints();
    await rule(['recovery-point.delete'], { delayMinutes: 60, expiresHours: 2 });
    const rejected = await ask(as('ada', `recovery-points/${first}`, 'DELETE'));
    assert.equal(codeOf(await as('ada', `approvals/${rejected}/reject`, 'POST')), 'APPROVAL_OWN');
    assert.equal(codeOf(await as('bob', `approvals/${rejected}/cancel`, 'POST')), 'APPROVAL_OWN');
    await approveAs('bob', rejected);
    assert.equal((await as('eve', `approvals/${rejected}/reject`, 'POST')).status, 200, 'also what another one agreed to');
    await later(1000);
    const cancelled = await ask(as('ada', `recovery-points/${first}`, 'DELETE'));
    assert.notEqual(cancelled, rejected);
    await approveAs('bob', cancelled);
    assert.equal((await as('ada', `approvals/${cancelled}/cancel`, 'POST')).status, 200);
    await later(3 * HOUR_MS);
    assert.deepEqual([(await settled(rejected)).state, (await settled(cancelled)).state, await isBinned(first)], ['rejected', 'cancelled', false]);
    const expired = await ask(as('ada', `recovery-points/${first}`, 'DELETE'));
    await later(2 * HOUR_MS + 1000);
    await home.host.waitFor(approvalInstanceId(expired, 'expiry'), { until: 'finished' });
    assert.equal((await view(expired)).state, 'expired');
    assert.equal(codeOf(await as('bob', `approvals/${expired}/approve`, 'POST')), 'APPROVAL_ENDED');
    assert.ok((await actions()).includes('Holdfast approval.expire done'));
    const listed = (await as('ron', 'approvals')).body as { value: View[] };
    assert.deepEqual(listed.value.map(({ id, state }) => [id, state]), [[expired, 'expired'], [cancelled, 'cancelled'], [rejected, 'rejected']]);
    assert.deepEqual(((await as('ron', 'approvals?state=cancelled&limit=1')).body as { value: View[] }).value.map(({ id }) => id), [cancelled]);
    assert.equal(codeOf(await as('ron', 'approvals/nothing')), 'APPROVAL_NOT_FOUND');
  });

  it('does not do what is about something else by now', async () => {
    const [first = ''] = await twoPoints();
    await rule(['recovery-point.delete', 'policy.disable'], { delayMinutes: 60 });
    const deletion = await ask(as('ada', `recovery-points/${first}`, 'DELETE'));
    await approveAs('bob', deletion);
    assert.equal((await as('eve', `recovery-points/${first}/holds`, 'POST', { label: 'case 7' })).status, 200);
    assert.equal((await as('ada', 'policies/p', 'PUT', { ...POLICY, retention: { keepLast: 5 } })).status, 201);
    const disabling = await ask(as('ada', 'policies/p', 'DELETE'));
    await approveAs('bob', disabling);
    assert.equal((await as('eve', 'policies/p', 'PUT', { ...POLICY, retention: { keepLast: 6 } })).status, 200);
    await later(61 * 60_000);
    assert.deepEqual([await settled(deletion), await settled(disabling)].map(({ state, code }) => [state, code]), [['refused', 'APPROVAL_STALE'], ['refused', 'APPROVAL_STALE']]);
    assert.deepEqual([await isBinned(first), (await as('ada', 'policies/p')).status], [false, 200]);
  });

  it('covers every kind: shrinking and disabling a policy, releasing a hold, an abnormal plan of collection, and the rules themselves', async () => {
    const [first = ''] = await twoPoints();
    assert.equal((await as('ada', 'policies/p', 'PUT', { ...POLICY, retention: { keepLast: 10 } })).status, 201);
    assert.equal((await as('ada', `recovery-points/${first}/holds`, 'POST', { label: 'case 7' })).status, 200);
    await rule(['policy.shrink', 'policy.disable', 'hold.release', 'collection.approve']);
    // What takes nothing away needs nobody, and what would be refused is refused.
    assert.equal((await as('ada', 'policies/p', 'PUT', { ...POLICY, retention: { keepLast: 12 } })).status, 200);
    const shrunk = { ...POLICY, retention: { keepLast: 1 } };
    const refusal = await as('ada', 'policies/p', 'PUT', shrunk);
    assert.equal(codeOf(refusal), 'CONFIRMATION_NEEDED');
    const confirm = (refusal.body as { data: { confirm: string } }).data.confirm;
    const asked: Record<string, string> = { shrink: await ask(as('ada', `policies/p?confirm=${confirm}`, 'PUT', shrunk)) };
    await approveAs('bob', asked['shrink'] ?? '');
    assert.equal((await settled(asked['shrink'] ?? '')).state, 'done');
    assert.equal(((await as('ada', 'policies/p')).body as { retention: { keepLast: number } }).retention.keepLast, 1);
    for (const [kind, reply] of [
      ['unprotect', () => as('ada', 'items/web01/policies/p', 'DELETE')],
      ['schedule', () => as('ada', 'policies/p', 'PUT', { ...shrunk, items: { all: true }, schedule: { daily: { at: ['03:00'] } } })],
      ['disable', () => as('ada', 'policies/p', 'PUT', { ...shrunk, items: { all: true }, enabled: false })],
      ['hold', () => as('ada', `recovery-points/${first}/holds?label=case+7&confirm=case+7`, 'DELETE')],
      ['collection', () => as('ada', 'vault/maintenance', 'POST', { dryRun: false, approve: '20261123T103000000Z-0123456789abcdef' })],
      ['rules', () => as('ada', 'approval-rules', 'PUT', { actions: ['hold.release'] })],
    ] as const) {
      const id = await ask(reply());
      await approveAs('bob', id);
      assert.equal((await settled(id)).state, 'done', `${kind}: ${JSON.stringify(await view(id))}`);
    }
    assert.equal(((await as('ada', 'policies/p')).body as { enabled: boolean }).enabled, false);
    assert.deepEqual((await readMarksOf(home.vault, first)).holds, []);
    assert.deepEqual((await as('ron', 'approval-rules')).body, { actions: ['hold.release'], delayMinutes: 0, expiresHours: 72, revision: 2 });
    assert.equal((await as('ada', 'approval-rules', 'PUT', { actions: ['hold.release', 'policy.shrink'], delayMinutes: 5 }, { 'if-match': '"2"' })).status, 200, 'to tighten them needs nobody');
    assert.equal(codeOf(await as('ada', 'approval-rules', 'PUT', { actions: ['hold.release', 'policy.shrink'], delayMinutes: 10 }, { 'if-match': '"2"' })), 'APPROVAL_RULES_CHANGED');
    for (const wrong of [{}, { actions: ['all'] }, { actions: ['hold.release', 'hold.release'] }, { actions: [], delayMinutes: -1 }, { actions: [], expiresHours: 0 }, { actions: [], more: 1 }]) {
      assert.equal((await as('ada', 'approval-rules', 'PUT', wrong)).status, 400, JSON.stringify(wrong));
    }
  });

  it('fault 45: is done once, whatever store call of it fails, before or after it had its effect', async () => {
    const [first = ''] = await twoPoints();
    await rule(['recovery-point.delete']);
    const patterns = [/^approvals\/.*\/verdict$/, /^approvals\/.*\/end$/, /^marks\//, /^audit\//];
    for (const matching of patterns) {
      for (const when of ['before', 'after'] as const) {
        const id = await ask(as('ada', `recovery-points/${first}`, 'DELETE'));
        await approveBy(id, () => faults.plan({ operation: 'create', matching, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when } }));
        assert.equal((await settled(id)).state, 'done', `${String(matching)} ${when}: ${JSON.stringify(await view(id))}`);
        assert.ok(await isBinned(first));
        const { count } = await readMarksOf(home.vault, first);
        assert.equal((await as('ada', `recovery-points/${first}/undelete`, 'POST')).status, 200);
        assert.equal((await readMarksOf(home.vault, first)).count, count + 1);
        assert.equal(count % 2, 1, 'one mark for each deletion and one for each undelete');
      }
    }
    faults.assertAllFired();
    assert.equal((await verifyTrail(home.vault)).ok, true);
  });

  /** Agrees, and then, before its time comes, does something to the vault. */
  async function approveBy(id: string, meanwhile: () => void): Promise<void> {
    await approveAs('bob', id);
    meanwhile();
  }

  it('fault 6: twins carry it out once', async () => {
    const [first = ''] = await twoPoints();
    await rule(['recovery-point.delete'], { delayMinutes: 60 });
    const id = await ask(as('ada', `recovery-points/${first}`, 'DELETE'));
    await approveAs('bob', id);
    // What the instance of its expiry and any number of others do at the same moment.
    const dueMs = Date.parse((await view(id)).dueAt ?? '');
    for (const twin of [1, 2, 3]) home.host.client.startNew(APPROVALS.approval, { instanceId: `approval.${id}.twin${twin}`, input: { id, wakeAtMs: dueMs } });
    await later(61 * 60_000);
    for (const twin of [1, 2, 3]) await home.host.waitFor(`approval.${id}.twin${twin}`, { until: 'finished' });
    assert.deepEqual([(await settled(id)).state, (await readMarksOf(home.vault, first)).count], ['done', 1]);
  });

  for (const [title, chaos] of [['fault 6: every step twice at once', { seed: 2, duplicateActivity: 1 }], ['fault 45: crashes at the edges of steps', { seed: 4, crashBeforeCommit: 0.4, delay: 0.2 }]] as const) {
    it(`is carried out once under chaos; ${title}`, async () => {
      await home.dispose();
      home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), {
        access: { kind: 'bearer', entra: issuer.settings }, token: tokens['ada'] ?? '', schedulerCron: '0 0 0 1 1 *', host: { chaos, clock: new VirtualClock(HOME_START_MS) },
      });
      await rule(['policy.disable'], { delayMinutes: 10 });
      for (let round = 0; round < 4; round++) {
        assert.equal((await as('ada', 'policies/p', 'PUT', { ...POLICY, retention: { keepLast: 5 } })).status < 300, true);
        const id = await ask(as('ada', 'policies/p', 'DELETE'));
        await approveAs('bob', id);
        await later(11 * 60_000);
        assert.equal((await settled(id)).state, 'done', `seed ${chaos.seed}: ${JSON.stringify(await view(id))}`);
        assert.equal((await as('ada', 'policies/p')).status, 404);
      }
      const revisions: string[] = [];
      for await (const { name } of home.vault.store.list('policies/p/')) revisions.push(name);
      assert.equal(revisions.length, 8, 'one revision for each change and one for each deletion');
      const { duplicates = 0, crashes = 0 } = home.host.chaos?.counts ?? {};
      assert.ok(duplicates + crashes > 3, 'chaos that never came proves nothing');
    });
  }

  it('refuses what the rules guard where nobody can read them, and rules on one machine, where there is no second person', async () => {
    const [first = ''] = await twoPoints();
    await home.vault.store.create('approval-rules/00000001.json', Buffer.from('{"actions": "all"}'));
    assert.equal(codeOf(await as('ada', `recovery-points/${first}`, 'DELETE')), 'APPROVAL_RULES_INVALID');
    assert.equal(await isBinned(first), false);
    assert.equal((await as('ada', `recovery-points/${first}/holds`, 'POST', { label: 'x' })).status, 200, 'what takes nothing away goes on');
    await home.dispose();
    home = await startHome((folder) => addVm(folder, 'web01', { os: halfDisk(2, 1) }), { schedulerCron: '0 0 0 1 1 *' });
    assert.equal((await home.json('/api/approval-rules', { method: 'PUT', body: JSON.stringify({ actions: ['hold.release'] }) })).status, 400);
    assert.equal((await home.json('/api/approval-rules', { method: 'PUT', body: JSON.stringify({ actions: [] }) })).status, 201);
  });
});
