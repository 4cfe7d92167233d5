import assert from 'node:assert/strict';
import { startAzurite } from '../support/azurite';
import { type BackupReport, CliHome, MIB, noise, sampleDisk } from './cli-home';

describe('holdfast with a vault in Azure Blob Storage', () => {
  let home: CliHome;

  beforeEach(async () => {
    home = await CliHome.make();
  });
  afterEach(() => home.remove());

  it('makes a vault, backs up, lists, restores and checks', async () => {
    const vault = (await startAzurite()).newContainerUrl();
    const env = { HOLDFAST_VAULT: vault };
    const made = await home.json<{ vault: string; keyFile: string }>(['init'], env);
    assert.equal(made.vault, vault);
    const disk = sampleDisk(66 * MIB, 31);
    const image = await home.image('cloud.img', disk);
    const first = await home.json<BackupReport>(['backup', image], env);
    noise(512, 77).copy(disk, 512);
    await home.image('cloud.img', disk);
    const second = await home.json<BackupReport>(['backup', image], env);
    assert.ok(second.stats.storedBytes < MIB && second.parent === first.recoveryPoint, JSON.stringify(second.stats));
    assert.deepEqual((await home.json<{ id: string }[]>(['list'], env)).map(({ id }) => id), [first.recoveryPoint, second.recoveryPoint]);
    await home.json(['restore', 'latest', '--to', home.file('back.img')], env);
    await home.assertSame('back.img', disk);
    assert.equal((await home.json<{ ok: boolean }>(['check'], env)).ok, true);
    await home.fails(['init'], 'VAULT_EXISTS', 2, env);
  });

  it('never shows the access signature of an address that it cannot use', async () => {
    const container = (await startAzurite()).newContainerUrl();
    const ended = await home.run(['list', '--json', '--vault', `${container}?sv=2024-11-04&sr=c&sig=TOPSECRET%3D`], { HOLDFAST_DEBUG: '1' });
    assert.notEqual(ended.code, 0);
    assert.ok(!ended.stderr.includes('TOPSECRET') && !ended.stdout.includes('TOPSECRET'), ended.stderr);
  });
});
