import assert from 'node:assert/strict';
import { type FakeWormBlobs, startFakeWormBlobs } from '../support/fake-worm-blobs';
import { type BackupReport, CliHome, MIB, sampleDisk } from './cli-home';

const DAY_MS = 86_400_000;

describe('holdfast on a container under a WORM policy', () => {
  let home: CliHome;
  let service: FakeWormBlobs;
  beforeEach(async () => {
    home = await CliHome.make();
    service = await startFakeWormBlobs(30 * DAY_MS);
  });
  afterEach(async () => {
    await service.close();
    await home.remove();
  });

  it('fault 39: makes a vault, backs up twice, holds what is needed for longer, and restores', async () => {
    const env = { HOLDFAST_VAULT: service.containerUrl, HOLDFAST_LOCK_DAYS: '60' };
    await home.json(['init'], env);
    const disk = sampleDisk(3 * MIB);
    for (let round = 0; round < 2; round++) {
      disk.fill(round + 1, MIB, MIB + 5000);
      const made = await home.json<BackupReport>(['backup', await home.image('disk.img', disk)], env);
      assert.deepEqual(made.warnings.filter((warning) => /held/.test(warning)), []);
    }
    const packs = service.requests.filter(({ path, query }) => path.includes('/packs/') && query.get('comp') === 'immutabilityPolicies');
    assert.ok(packs.length > 0, 'the default of 30 days is made up for at the commit');
    const dry = await home.json<{ left: number; extended: number }>(['lock', '--dry-run'], env);
    const held = await home.json<{ left: number; extended: number; heldUntil: string }>(['lock'], env);
    // One more than was planned: the record in the audit trail that this command was begun.
    assert.ok(dry.extended === 0 && dry.left > 0 && held.extended === dry.left + 1 && held.left === 0, JSON.stringify([dry, held]));

    await home.json(['restore', 'latest', '--to', home.file('back.img')], env);
    await home.assertSame('back.img', disk);
  });

  it('fault 39: says when a removed key goes, does not try again and again, and removes it when its time is over', async () => {
    const env = { HOLDFAST_VAULT: service.containerUrl };
    const { keyFile } = await home.json<{ keyFile: string }>(['init'], env);
    await home.json(['key', 'add', '--type', 'key-file', '--new-key', home.file('escrow.key')], env);
    const [first] = await home.json<readonly { keyId: string; label: string }[]>(['key', 'list'], env).then((keys) => keys.filter(({ label }) => label === 'key file'));
    const removed = await home.json<{ state: string; until: string }>(['key', 'remove', first?.keyId ?? '', '--yes', '--also-key', home.file('escrow.key')], { ...env, HOLDFAST_KEY: keyFile });
    assert.equal(removed.state, 'later');
    assert.ok(Date.parse(removed.until) > Date.now() + 29 * DAY_MS);
    assert.ok(service.log.filter((line) => line.startsWith('DELETE')).length < 3, 'no retry loop');
    service.advance(400 * DAY_MS);
    assert.equal((await home.json<{ state: string }>(['key', 'remove', first?.keyId ?? '', '--yes', '--also-key', home.file('escrow.key')], { ...env, HOLDFAST_KEY: keyFile })).state, 'removed');
  });

  it('lock asks for days, and refuses a place that holds no single objects', async () => {
    await home.init();
    await home.fails(['lock'], 'USAGE', 2);
    await home.fails(['lock', '--days', '0'], 'USAGE', 2);
    await home.fails(['lock', '--days', '30'], 'RETENTION_UNSUPPORTED', 2);
    await home.fails(['backup', await home.image('disk.img', sampleDisk(3 * MIB))], 'USAGE', 2, { HOLDFAST_LOCK_DAYS: 'many' });
  });
});
