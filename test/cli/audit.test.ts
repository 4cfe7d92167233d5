import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import type { TrailRecord } from '../../vault/trail/record';
import type { TrailReport } from '../../vault/trail/verify-trail';
import { IndependentReader } from '../support/vault-independent-reader';
import { type BackupReport, CliHome, noise } from './cli-home';

describe('holdfast audit', () => {
  let home: CliHome;
  let keyFile: string;
  const ids: string[] = [];
  before(async () => {
    home = await CliHome.make();
    ({ keyFile } = await home.init());
    await home.image('disk.img', noise(1 << 20, 1));
    for (let index = 0; index < 2; index++) {
      await writeFile(home.file('disk.img'), noise(1 << 20, index + 1));
      ids.push((await home.json<BackupReport>(['backup', home.file('disk.img')])).recoveryPoint);
    }
  });
  after(() => home.remove());

  const trail = (...args: string[]): Promise<TrailRecord[]> => home.json(['audit', ...args]);
  const actions = (records: readonly TrailRecord[]): string[] => records.map(({ action, outcome, code }) => `${action} ${outcome}${code === null ? '' : ` ${code}`}`);

  it('has what every command changed or gave out, with who the operating system says it was, and nothing of dry runs', async () => {
    const [first = '', second = ''] = ids;
    assert.deepEqual(await trail(), [], 'backups leave no record of their own');
    await home.json(['delete', first, '--dry-run']);
    await home.json(['collect', '--dry-run']);
    await home.json(['retention', '--preview']);
    assert.deepEqual(await trail(), []);
    await home.json(['hold', first, '--label', 'case 7']);
    await home.fails(['delete', first], 'RECOVERY_POINT_HELD', 1);
    await home.json(['release', first, '--label', 'case 7', '--yes']);
    await home.json(['delete', first]);
    await home.json(['undelete', first]);
    await home.json(['retention']);
    await home.json(['collect']);
    await home.json(['restore', second, '--to', home.file('back.img')]);
    await home.json(['export', second, '--format', 'vhd', '--to', home.file('back.vhd')]);
    assert.equal((await home.run(['export', second, '--format', 'raw'])).code, 0);
    assert.equal((await home.run(['export', second, '--format', 'tar'])).code, 0);
    const added = await home.json<{ keyId: string }>(['key', 'add', '--type', 'key-file', '--new-key', home.file('second.key')]);
    await home.json(['key', 'remove', added.keyId, '--yes']);
    await home.fails(['lock', '--days', '30'], 'RETENTION_UNSUPPORTED', 2);
    const both = (action: string): string[] => [`${action} begun`, `${action} done`];
    const records = await trail();
    assert.deepEqual(actions(records), [
      ...both('recovery-point.hold'), 'recovery-point.delete begun', 'recovery-point.delete refused RECOVERY_POINT_HELD', ...both('recovery-point.release'), ...both('recovery-point.delete'), ...both('recovery-point.undelete'),
      ...both('retention.apply'), ...both('vault.collect'), ...both('restore.to-file'), ...both('recovery-point.export'), ...both('recovery-point.export'), ...both('recovery-point.export'), ...both('key.add'), ...both('key.remove'),
      'vault.lock begun', 'vault.lock refused RETENTION_UNSUPPORTED',
    ]);
    const name = userInfo().username;
    for (const { who, from, outcome, begun, number } of records) {
      assert.deepEqual([who, from], [{ id: `${name}@${hostname()}`, name, kind: 'os-user', roles: [], verified: false }, hostname()]);
      assert.equal(begun, outcome === 'begun' ? null : number - 1);
    }
    const restored = records.find(({ action, outcome }) => action === 'restore.to-file' && outcome === 'done');
    assert.deepEqual([restored?.target, restored?.details['file']], [second, home.file('back.img')]);
    assert.equal(records.find(({ action, outcome }) => action === 'key.add' && outcome === 'done')?.details['keyId'], added.keyId);
  });

  it('filters, shows a table that says unverified, and exports JSON lines', async () => {
    const [first = '', second = ''] = ids;
    assert.deepEqual(actions(await trail('--action', 'recovery-point.delete', '--outcome', 'refused')), ['recovery-point.delete refused RECOVERY_POINT_HELD']);
    assert.deepEqual(actions(await trail('--limit', '1')), ['vault.lock refused RETENTION_UNSUPPORTED']);
    assert.ok((await trail('--target', second, '--action', 'restore')).every(({ target }) => target === second));
    assert.deepEqual(await trail('--who', 'nobody-of-this-name'), []);
    assert.deepEqual(await trail('--until', '2020-01-01'), []);
    assert.equal((await trail('--since', '2020-01-01')).length, (await trail()).length);
    await home.fails(['audit', '--since', 'yesterday'], 'REQUEST_INVALID', 2);
    await home.fails(['audit', '--outcome', 'maybe'], 'REQUEST_INVALID', 2);
    await home.fails(['audit', '--anchor', `1:${'0'.repeat(64)}`], 'USAGE', 2);
    await home.fails(['audit', '--verify', '--anchor', '1:x'], 'USAGE', 2);
    await home.fails(['audit', '--limit', '0'], 'USAGE', 2);
    const table = (await home.run(['audit', '--action', 'recovery-point.delete'])).stdout.toString();
    assert.match(table, /\(unverified\) +\S+ +recovery-point\.delete +\S+ +refused, RECOVERY_POINT_HELD \(of 3\)/);
    const lines = (await home.run(['audit', '--jsonl', '--target', first])).stdout.toString().trim().split('\n').map((line) => JSON.parse(line) as TrailRecord & { digest: string });
    assert.ok(lines.length >= 6 && lines.every(({ target, digest }) => target === first && /^[0-9a-f]{64}$/.test(digest)));
  });

  it('agrees with a reader by the format alone', async () => {
    const reader = new IndependentReader(home.vault, await readFile(keyFile, 'utf8'));
    assert.deepEqual(reader.trail().map(({ number, action, outcome }) => ({ number, action, outcome })), (await trail()).map(({ number, action, outcome }) => ({ number, action, outcome })));
  });

  it('notices what was taken out, exchanged or cut off, and so does check', async () => {
    const whole = await home.json<TrailReport>(['audit', '--verify']);
    assert.deepEqual([whole.ok, whole.records], [true, (await trail()).length]);
    const anchor = `${whole.head?.number}:${whole.head?.digest}`;
    await home.json(['audit', '--verify', '--anchor', anchor]);
    const file = (number: number): string => join(home.vault, 'audit', String(number).padStart(10, '0'));
    const brokenBy = async (...args: string[]): Promise<string> => (await home.fails(['audit', '--verify', ...args], 'AUDIT_BROKEN', 4)).message;
    await rename(file(5), home.file('taken'));
    assert.match(await brokenBy(), /Record 5 is not there/);
    assert.equal((await home.run(['audit', '--jsonl'])).code, 4);
    const check = await home.run(['check']);
    assert.deepEqual([check.code, /AUDIT +Record 5 is not there/.test(check.stdout.toString())], [4, true], check.stdout.toString());
    await rename(home.file('taken'), file(5));
    await home.json(['check']);
    const six = await readFile(file(6));
    await rm(file(6));
    await writeFile(file(6), await readFile(file(4)));
    assert.match(await brokenBy(), /0000000006 does not open/);
    const listed = await home.run(['audit']);
    assert.deepEqual([listed.code, /audit\/0000000006 does not open/.test(listed.stderr)], [0, true]);
    await rm(file(6));
    await writeFile(file(6), six);
    const last = whole.head?.number ?? 0;
    await rename(file(last), home.file('taken'));
    await home.json(['audit', '--verify']);
    assert.match(await brokenBy('--anchor', anchor), new RegExp(`ends at ${last - 1}, and the anchor that was given knows record ${last}`));
    await rename(home.file('taken'), file(last));
    await home.json(['audit', '--verify', '--anchor', anchor]);
  });

  it('fault 45: killed at any moment, nothing was done that is not in it, and it goes on afterwards', async () => {
    const [, second = ''] = ids;
    const before = (await trail()).length;
    const file = join(home.vault, 'audit', String(before + 1).padStart(10, '0'));
    const command = home.start(['hold', second, '--label', 'case 9']);
    await command.holdAt('it is recorded as begun', () => existsSync(file));
    command.child.kill('SIGKILL');
    assert.equal((await command.ended).signal, 'SIGKILL');
    const { marks: { holds } } = await home.json<{ marks: { holds: string[] } }>(['show', second]);
    const records = (await trail('--limit', '1000')).slice(before);
    assert.deepEqual([records[0]?.action, records[0]?.outcome], ['recovery-point.hold', 'begun']);
    assert.ok(records.length === 1 || holds.includes('case 9'), 'an outcome only after the deed');
    await home.json(['hold', second, '--label', 'case 9']);
    await home.json(['release', second, '--label', 'case 9', '--yes']);
    await home.json(['audit', '--verify']);
  });

  it('does nothing that it cannot record', async () => {
    // A file where the folder of the trail should be: permissions hold nobody up who is root.
    await rename(join(home.vault, 'audit'), home.file('audit-away'));
    await writeFile(join(home.vault, 'audit'), 'in the way');
    try {
      const [, second = ''] = ids;
      const marks = (await readdir(join(home.vault, 'marks'), { recursive: true })).length;
      const refused = await home.fails(['hold', second, '--label', 'case 8'], 'AUDIT_NOT_WRITTEN', 1);
      assert.match(refused.message, /recovery-point\.hold/);
      assert.equal((await readdir(join(home.vault, 'marks'), { recursive: true })).length, marks);
    } finally {
      await rm(join(home.vault, 'audit'));
      await rename(home.file('audit-away'), join(home.vault, 'audit'));
    }
  });
});
