import assert from 'node:assert/strict';
import { readFile, unlink, writeFile } from 'node:fs/promises';
import { savePolicy } from '../../activities/policy-store';
import { parsePolicy } from '../../policy/schema';
import { keyFileProvider, parseKeyFile } from '../../vault/keys/key-providers';
import { openFolderStore } from '../../vault/store/folder-store';
import { openVault } from '../../vault/vault';
import { DAY_MS, everyDay, storePoints } from '../support/retention-kit';
import { type BackupReport, CliHome, MIB, sampleDisk } from './cli-home';

interface Marked { readonly recoveryPoint: string; readonly state: string; readonly binUntil: string | null; readonly holds: readonly string[] }
interface Plan { readonly itemId: string; readonly goes: readonly string[]; readonly token: string; readonly refused: { readonly code: string } | null; readonly points: readonly { readonly id: string; readonly keeps: readonly { readonly rule: string }[] }[] }

describe('holdfast delete, undelete, hold, release', () => {
  let home: CliHome;
  let image: string;
  let first: string;
  let second: string;

  before(async () => {
    home = await CliHome.make();
    await home.init();
    image = await home.image('web.img', sampleDisk(3 * MIB));
    first = (await home.json<BackupReport>(['backup', image])).recoveryPoint;
    second = (await home.json<BackupReport>(['backup', image])).recoveryPoint;
  });
  after(() => home.remove());

  it('puts the latest into the bin: it is no longer the latest, comes back byte for byte, and the check knows the bin', async () => {
    const dry = await home.json<Marked>(['delete', second, '--dry-run']);
    assert.equal(dry.state, 'live');
    const { state, binUntil } = await home.json<Marked>(['delete', second]);
    assert.equal(state, 'binned');
    const days = (Date.parse(binUntil ?? '') - Date.now()) / DAY_MS;
    assert.ok(days > 13.9 && days < 14.1, String(binUntil));
    assert.deepEqual((await home.json<{ id: string }[]>(['list'])).map(({ id }) => id), [first]);
    assert.deepEqual((await home.json<{ id: string; state: string }[]>(['list', '--deleted'])).map((one) => [one.id, one.state]), [[first, 'live'], [second, 'binned']]);
    assert.match((await home.run(['list', '--deleted'])).stdout.toString(), /in the bin until 20/);
    assert.equal((await home.json<{ id: string }>(['show', 'latest'])).id, first);
    assert.match((await home.run(['show', second])).stdout.toString(), /state +in the bin until/);
    await home.fails(['restore', second, '--to', home.file('x.img')], 'RECOVERY_POINT_DELETED', 3);
    assert.equal((await home.json<{ ok: boolean; recoveryPoints: unknown[] }>(['check'])).recoveryPoints.length, 2);
    assert.equal((await home.json<Marked>(['undelete', second, '--dry-run'])).state, 'live');
    await home.fails(['export', second, '--format', 'raw', '--to', home.file('x.img')], 'RECOVERY_POINT_DELETED', 3);
    assert.equal((await home.json<Marked>(['undelete', second])).state, 'live');
    await home.json(['restore', 'latest', '--to', home.file('x.img')]);
    await home.assertSame('x.img', await readFile(image));
  });

  it('a backup after the newest was deleted takes the one before it for its parent, and the check finds that in order', async () => {
    await home.json(['delete', second]);
    const third = await home.json<BackupReport>(['backup', image]);
    assert.equal(third.parent, first);
    assert.equal((await home.run(['check'])).code, 0);
    await home.json(['undelete', second]);
    assert.equal((await home.run(['check'])).code, 0);
    await home.json(['delete', third.recoveryPoint]);
  });

  it('a held one stays until its hold is released by its label, and with a yes', async () => {
    assert.deepEqual((await home.json<Marked>(['hold', first, '--label', 'case 7'])).holds, ['case 7']);
    assert.match((await home.fails(['delete', first], 'RECOVERY_POINT_HELD', 1)).message, /"case 7" \(by .+@.+\)/);
    assert.match((await home.run(['show', first])).stdout.toString(), /state +live, held: case 7/);
    await home.fails(['release', first, '--label', 'case 7'], 'CONFIRMATION_NEEDED', 2);
    await home.fails(['release', first, '--label', 'case 8', '--yes'], 'HOLD_NOT_FOUND', 3);
    await home.fails(['release', first], 'USAGE', 2);
    await home.fails(['delete', first, '--dry-run'], 'RECOVERY_POINT_HELD', 1);
    assert.deepEqual((await home.json<Marked>(['release', first, '--label', 'case 7', '--yes'])).holds, []);
    await home.fails(['hold', first, '--label', ' '], 'REQUEST_INVALID', 2);
  });

  it('fault 41: the last good one cannot be deleted; unknown ones are not found', async () => {
    await home.json(['delete', second]);
    await home.fails(['delete', first], 'LAST_RECOVERY_POINT', 1);
    for (const command of [['delete'], ['undelete'], ['hold', '--label', 'x'], ['release', '--label', 'x', '--yes']]) {
      await home.fails([command[0] as string, 'web.20200101T000000Z', ...command.slice(1)], 'RECOVERY_POINT_NOT_FOUND', 3);
      await home.fails([command[0] as string, '../web', ...command.slice(1)], 'RECOVERY_POINT_NOT_FOUND', 3);
    }
  });
});

describe('holdfast retention', () => {
  let home: CliHome;
  let ids: string[];
  const document = (keepLast: number) => ({ name: 'nightly', schedule: { daily: { at: ['02:00'] } }, items: { all: true }, retention: { keepLast } });

  beforeEach(async () => {
    home = await CliHome.make();
    const { keyFile } = await home.init();
    const vault = await openVault(await openFolderStore(home.vault), keyFileProvider(parseKeyFile(await readFile(keyFile, 'utf8'), keyFile)));
    await savePolicy(vault.store, parsePolicy(document(3)), null);
    const lastMs = Math.floor(Date.now() / 1000) * 1000 - 5000;
    ids = await storePoints(vault, 'web', everyDay(lastMs, 6));
    await storePoints(vault, 'image', everyDay(lastMs, 5), () => ({ policy: null, slot: null }));
  });
  afterEach(() => home.remove());

  it('previews what keeps each recovery point, and changes nothing', async () => {
    const plans = await home.json<Plan[]>(['retention', '--preview']);
    assert.deepEqual(plans.map(({ itemId, goes }) => [itemId, goes.length]), [['image', 0], ['web', 3]]);
    assert.deepEqual(plans[1]?.points.map(({ keeps }) => keeps.map(({ rule }) => rule).join()), ['', '', '', 'keepLast', 'keepLast', 'last-good,keepLast']);
    assert.deepEqual(new Set(plans[0]?.points.flatMap(({ keeps }) => keeps.map(({ rule }) => rule))), new Set(['no-policy', 'last-good']));
    const shown = (await home.run(['retention', '--dry-run', '--item', 'web'])).stdout.toString();
    assert.match(shown, /^web: 3 stay, 3 go into the bin\n {2}web\.\S+ +GOES/);
    assert.match(shown, /stays .*nightly keepLast, until there are 3 newer ones more/);
    assert.equal((await home.json<unknown[]>(['list', '--item', 'web'])).length, 6);
  });

  it('applies it; a second time there is nothing to do', async () => {
    const done = await home.json<{ itemId: string; binned: string[] }[]>(['retention']);
    assert.deepEqual(done.map(({ binned }) => binned), [[], ids.slice(0, 3)]);
    assert.deepEqual((await home.json<{ id: string }[]>(['list', '--item', 'web'])).map(({ id }) => id), ids.slice(3));
    assert.deepEqual((await home.json<{ binned: string[] }[]>(['retention'])).map(({ binned }) => binned), [[], []]);
  });

  it('takes the rules of a document in a file: for a preview, and for one named item', async () => {
    const file = home.file('policy.json');
    await writeFile(file, JSON.stringify({ ...document(1), name: 'images' }));
    assert.deepEqual((await home.json<Plan[]>(['retention', '--preview', '--policy', file])).map(({ goes }) => goes.length), [4, 3]);
    await home.fails(['retention', '--policy', file], 'USAGE', 2);
    assert.deepEqual((await home.json<{ binned: string[] }[]>(['retention', '--policy', file, '--item', 'image'])).map(({ binned }) => binned.length), [4]);
    assert.deepEqual((await home.json<Plan[]>(['retention', '--preview', '--policy', 'nightly'])).map(({ itemId }) => itemId), ['web']);
    await home.fails(['retention', '--preview', '--policy', 'nothing'], 'POLICY_NOT_FOUND', 3);
    await home.fails(['retention', '--preview', '--item', 'nothing'], 'ITEM_NOT_FOUND', 3);
    await writeFile(file, JSON.stringify({ ...document(1), retention: {} }));
    await home.fails(['retention', '--preview', '--policy', file], 'POLICY_INVALID', 2);
    await unlink(file);
  });
});
