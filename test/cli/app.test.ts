import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import type { JobView } from '../../functions/job-view';
import { MIB, noise } from './cli-home';
import { LocalHome, type RunningApp } from '../support/local-home';

describe('holdfast --url: the same commands on an app', function () {
  this.timeout(180_000);
  let home: LocalHome;
  let app: RunningApp;
  let point: string;

  before(async () => {
    home = await LocalHome.make();
    await home.addDisk('web', 'os.img', noise(4 * MIB, 1));
    await home.addDisk('web', 'data.img', noise(2 * MIB, 2));
    await home.addDisk('db', 'os.img', noise(4 * MIB, 3));
    await home.quietVault();
    app = await home.startApp();
  });
  after(() => home.dispose());

  const onApp = (...args: string[]): string[] => [...args, '--url', app.url];
  /** What a command says, to people and to scripts. */
  async function said(args: readonly string[]): Promise<{ readonly code: number | null; readonly text: string; readonly json: unknown }> {
    const [{ code, stdout, stderr }, scripted] = [await home.cli.run(args), await home.cli.run([...args, '--json'])];
    return { code, text: `${stdout.toString()}${stderr}`, json: JSON.parse(scripted.stdout.toString()) as unknown };
  }
  /** The same on the app as on the vault, word for word. */
  async function same(...args: string[]): Promise<{ readonly text: string; readonly json: unknown }> {
    const [ofVault, ofApp] = [await said(args), await said(onApp(...args))];
    assert.deepEqual(ofApp, ofVault, `holdfast ${args.join(' ')}`);
    return ofApp;
  }

  /** For what has been shown above: scripts alone. */
  async function sameJson(...args: string[]): Promise<void> {
    assert.deepEqual(await home.cli.json(onApp(...args)), await home.cli.json(args), `holdfast ${args.join(' ')}`);
  }

  it('backup has the app back a machine up, and follows the job', async () => {
    const job = await home.cli.json<JobView>(onApp('backup', 'web'));
    assert.equal(job.state, 'succeeded');
    point = job.recoveryPoint ?? '';
    const { code, stdout, stderr } = await home.cli.run(onApp('backup', 'db'));
    assert.equal(code, 0, stderr);
    assert.match(stdout.toString(), /^Backed up db: db-\w+\.\w+ \(crash\)\n {2}read 4\.0 MiB, changed 4\.0 MiB, stored /);
    await home.cli.fails(onApp('backup', 'nobody'), 'ITEM_NOT_FOUND', 3);
    await home.cli.fails(onApp('backup', 'web', 'db'), 'USAGE', 2);
  });

  it('what reads says the same as on the vault', async () => {
    assert.match((await same('items')).text, /^ITEM .*\ndb-\w+ +1 .*\nweb-\w+ +1 /);
    assert.equal((await same('list')).text.split('\n').length, 4);
    await sameJson('list', '--item', point.split('.')[0] ?? '');
    assert.match((await same('show', point)).text, /disk +web_os, lun os, 4\.0 MiB/);
    assert.equal((await same('show', 'latest', '--item', point.split('.')[0] ?? '')).text, (await said(['show', point])).text);
    await same('retention', '--preview');
    await same('key', 'list');
    assert.match((await same('key', 'test')).text, /opens/);
    assert.match((await same('policy', 'list')).text, /^POLICY .*\nmanual +1 +no +-/);
    await sameJson('policy', 'show', 'manual');
    const costs = await Promise.all([['cost'], onApp('cost')].map((args) => home.cli.json<{ at: string }>(args)));
    assert.deepEqual(...costs.map((cost) => ({ ...cost, at: '' })) as [object, object]);
    assert.match((await home.cli.run(onApp('cost'))).stdout.toString(), /^A month of this vault: /);
  });

  it('what is not there is told the same', async () => {
    const told = async (code: Parameters<typeof home.cli.fails>[1], ...args: string[]): Promise<void> => { for (const line of [args, onApp(...args)]) await home.cli.fails(line, code, 3); };
    await told('ITEM_NOT_FOUND', 'list', '--item', 'nobody');
    await told('RECOVERY_POINT_NOT_FOUND', 'show', 'web-00000000.20200101T000000Z');
    await told('RECOVERY_POINT_NOT_FOUND', 'delete', 'web-00000000.20200101T000000Z');
    await told('POLICY_NOT_FOUND', 'policy', 'show', 'nothing');
    for (const args of [['show', 'latest'], onApp('show', 'latest')]) assert.match((await home.cli.fails(args, 'ITEM_AMBIGUOUS', 2)).message, /The vault has 2 items/);
  });

  it('delete, undelete, hold and release do on the app what they do on the vault', async () => {
    assert.equal((await home.cli.json<JobView>(onApp('backup', 'web'))).state, 'succeeded');
    assert.match((await home.cli.run(onApp('delete', point, '--dry-run'))).stdout.toString(), /would go into the bin/);
    const deleted = await home.cli.json<{ state: string; recoveryPoint: string }>(onApp('delete', point));
    assert.deepEqual([deleted.recoveryPoint, deleted.state], [point, 'binned']);
    assert.match((await same('list', '--deleted')).text, /in the bin until/);
    assert.match((await home.cli.run(onApp('undelete', point))).stdout.toString(), new RegExp(`^${point} is live\\.\n$`));
    assert.match((await home.cli.run(onApp('hold', point, '--label', 'case 7'))).stdout.toString(), /is live, held: case 7/);
    await sameJson('show', point);
    await home.cli.fails(onApp('delete', point), 'RECOVERY_POINT_HELD', 1);
    await home.cli.fails(onApp('release', point, '--label', 'case 7'), 'CONFIRMATION_NEEDED', 2);
    await home.cli.fails(onApp('release', point, '--label', 'case 8', '--yes'), 'HOLD_NOT_FOUND', 3);
    assert.match((await home.cli.run(onApp('release', point, '--label', 'case 7', '--yes'))).stdout.toString(), /is live\.\n$/);
  });

  it('retention, scrub and collect run in the app', async () => {
    const applied = await home.cli.json<{ itemId: string; kept: number; refused: unknown }[]>(onApp('retention'));
    assert.deepEqual(applied.map(({ kept, refused }) => [kept, refused]), [[1, null], [2, null]]);
    const scrubbed = await home.cli.run(onApp('scrub', '--all'));
    assert.equal(scrubbed.code, 0, scrubbed.stderr);
    assert.match(scrubbed.stdout.toString(), /^read and proved 3 recovery points \(/);
    assert.match((await home.cli.run(onApp('collect', '--dry-run'))).stdout.toString(), /^A maintenance would do this; nothing was changed\.\n {2}retention: 2 items, 0 recovery points would go into the bin, 3 stay\n/);
    assert.match((await home.cli.run(onApp('collect'))).stdout.toString(), /^Maintained\.\n.*\n {2}3 recovery points, 0 in the bin; \d+ packs/);
  });

  it('policies are stored, shown and taken out of force', async () => {
    const file = home.cli.file('nightly.json');
    await writeFile(file, JSON.stringify({ name: 'nightly', schedule: { daily: { at: ['02:00'] } }, items: { tags: { backup: 'nightly' } }, retention: { keepLast: 9 } }));
    assert.match((await home.cli.run(onApp('policy', 'put', file))).stdout.toString(), /Stored the policy nightly, revision 1/);
    await sameJson('policy', 'show', 'nightly');
    await sameJson('retention', '--preview', '--policy', file);
    await sameJson('retention', '--preview', '--policy', 'nightly');
    assert.match((await home.cli.run(onApp('cost', '--policy', 'nightly'))).stdout.toString(), /^A year of nightly for 0 items/);
    assert.match((await home.cli.run(onApp('policy', 'delete', 'nightly'))).stdout.toString(), /out of force/);
    await home.cli.fails(onApp('policy', 'show', 'nightly'), 'POLICY_NOT_FOUND', 3);
  });

  it('jobs shows what ran, and cancel says what it cannot stop', async () => {
    const jobs = await home.cli.json<{ id: string; state: string; kind: string }[]>(onApp('jobs'));
    assert.deepEqual(jobs.map(({ kind, state }) => `${kind} ${state}`).sort(), ['backup succeeded', 'backup succeeded', 'backup succeeded', 'scrub succeeded']);
    assert.deepEqual(await home.cli.json(onApp('jobs', '--running')), []);
    assert.match((await home.cli.run(onApp('jobs', jobs[0]?.id ?? ''))).stdout.toString(), /state +succeeded, done, 100 %/);
    await home.cli.fails(onApp('cancel', jobs.find(({ kind }) => kind === 'backup')?.id ?? ''), 'REQUEST_INVALID', 2);
    await home.cli.fails(['jobs'], 'USAGE', 2);
  });

  it('audit shows the app\'s trail as the vault has it; what proves it takes the vault', async () => {
    assert.match((await same('audit')).text, /^NUMBER +TIME +WHO.*\n1 .* local +127\.0\.0\.1 +backup\.start/);
    await sameJson('audit', '--action', 'recovery-point', '--outcome', 'done', '--limit', '2');
    for (const args of [['audit', '--verify'], ['audit', '--jsonl']]) await home.cli.fails(onApp(...args), 'USAGE', 2);
    await home.cli.fails(onApp('audit', '--outcome', 'maybe'), 'REQUEST_INVALID', 2);
    await home.cli.json(['audit', '--verify']);
    assert.match((await home.cli.run(onApp('approval', 'list'))).stdout.toString(), /^Nothing waits for a second person/);
  });

  it('what takes the vault itself says so, and one of both is named', async () => {
    for (const args of [['init'], ['check'], ['lock'], ['export', 'latest', '--format', 'raw'], ['restore', 'latest', '--to', 'x'], ['key', 'add', '--type', 'key-file'], ['key', 'remove', 'x']]) {
      assert.match((await home.cli.fails(onApp(...args), 'USAGE', 2)).message, /reads or changes the vault itself, with its key: name it with --vault/, args.join(' '));
    }
    await home.cli.fails(onApp('items', '--vault', home.cli.vault), 'USAGE', 2);
    await home.cli.fails(onApp('cost', '--prices', 'x'), 'USAGE', 2);
    await home.cli.fails(onApp('scrub'), 'USAGE', 2);
    await home.cli.fails(onApp('items'), 'UNAUTHENTICATED', 5, { HOLDFAST_TOKEN: 'not-the-token' });
    await home.cli.fails(onApp('items'), 'UNAUTHENTICATED', 5, { HOLDFAST_STATE: home.cli.file('elsewhere') });
    // HOLDFAST_URL counts only where no vault is named.
    const items = await home.cli.json(['items']);
    assert.deepEqual(await home.cli.json(['items'], { HOLDFAST_VAULT: '', HOLDFAST_URL: app.url }), items);
    assert.deepEqual(await home.cli.json(['items'], { HOLDFAST_URL: 'http://127.0.0.1:1' }), items);
  });
});
