import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { fresh, MIB } from '../cli/cli-home';
import { LocalHome } from '../support/local-home';

describe('the app on this machine, at its start', function () {
  this.timeout(120_000);
  let home: LocalHome;
  beforeEach(async () => { home = await LocalHome.make(); });
  afterEach(() => home.dispose());

  it('refuses an option that it does not know, and a port that is none', async () => {
    const ended = await home.spawnApp(['--colour', 'red']).ended;
    assert.equal(ended.code, 2, ended.stderr);
    assert.match(ended.stderr, /unknown option '--colour'/);
    assert.match(ended.stderr, /npm start -- --help/);
    const port = await home.spawnApp(['--port', '70000']).ended;
    assert.equal(port.code, 2, port.stderr);
    assert.match(port.stderr, /"70000" is not a port/);
    assert.ok(!existsSync(home.state) && !existsSync(home.cli.vault), 'nothing was made');
    assert.equal((await home.spawnApp(['--help']).ended).code, 0);
  });

  it('refuses a folder of disks that is not there, before a vault or a key is made', async () => {
    await home.refused(['--disks', home.cli.file('typo')], 2, /There is no folder .*typo/, /Give an existing folder/);
    await writeFile(home.cli.file('plain'), 'x');
    await home.refused(['--disks', home.cli.file('plain')], 2, /plain is not a folder/, /Give an existing folder/);
    assert.ok(!existsSync(home.cli.vault) && !existsSync(home.cli.file('config')), 'neither vault nor key');
  });

  it('refuses a folder of disks without any image, and says what it left out', async () => {
    await home.refused([], 2, /holds no disk image/, /one folder for each machine/);
    await writeFile(`${home.disks}/stray.img`, fresh(MIB));
    await home.addDisk('web', 'os.img', Buffer.from('this is no disk image'));
    await home.refused([], 2, /holds no disk image[^]*stray\.img lies outside any VM's folder[^]*web\/os\.img is left out/, /one folder for each machine/);
    assert.ok(!existsSync(home.cli.vault) && !existsSync(home.cli.file('config')), 'neither vault nor key');
  });

  it('refuses a port that is taken, and can be started on another one', async () => {
    await home.addDisk('web', 'os.img', fresh(MIB));
    await home.quietVault();
    const other = createServer();
    await new Promise<void>((resolve) => { other.listen(0, '127.0.0.1', resolve); });
    try {
      const { port } = other.address() as AddressInfo;
      await home.refused(['--port', String(port)], 6, new RegExp(`Port ${port} on 127\\.0\\.0\\.1 is in use`), /--port/);
    } finally {
      other.close();
    }
    const app = await home.startApp();
    assert.equal((await app.interrupt()).code, 0);
  });

  it('refuses a key that is missing, malformed or another vault\'s, before anything is started', async () => {
    await home.addDisk('web', 'os.img', fresh(MIB));
    const { keyFile } = await home.quietVault();
    const key = await readFile(keyFile);

    const other = await home.cli.json<{ keyFile: string }>(['init', '--vault', home.cli.file('other')]);
    await home.refused(['--key', other.keyFile], 5, /The key does not open this vault/, /Use a key of this vault/);
    await writeFile(home.cli.file('malformed'), 'secret?');
    const malformed = await home.refused(['--key', home.cli.file('malformed')], 5, /malformed holds no Holdfast key/, /holdfast init/);
    assert.ok(!malformed.includes('secret?'), 'what may be a key is not shown');
    await rm(keyFile);
    await home.refused([], 5, /There is no key file/, /--key or HOLDFAST_KEY/);
    assert.ok(!existsSync(`${home.state}/azure`) && !existsSync(`${home.state}/host`), 'nothing was started');

    await writeFile(home.cli.file('elsewhere.key'), key);
    const app = await home.startApp([], { HOLDFAST_KEY: home.cli.file('elsewhere.key') });
    const { job } = await app.backUp('web');
    await app.succeeds(job);
    assert.equal((await app.interrupt()).code, 0);
  });

  it('makes and opens a vault with a passphrase from the environment, and keeps to --key where that is given', async () => {
    await home.addDisk('web', 'os.img', fresh(MIB));
    const env = { HOLDFAST_PASSPHRASE: 'correct horse battery staple' };
    const app = await home.startApp([], env);
    assert.match(app.output, /key +the passphrase in HOLDFAST_PASSPHRASE/);
    assert.ok(!app.output.includes('horse'));
    assert.equal((await app.interrupt()).code, 0);
    assert.ok(!existsSync(home.cli.file('config')), 'no key file was made');
    const { keyFile } = await home.cli.json<{ keyFile: string }>(['key', 'add', '--type', 'key-file', '--new-key', home.cli.file('second.key')], env);
    const second = await home.startApp(['--key', keyFile], env);
    assert.ok(second.output.includes(`key       ${keyFile}`), second.output);
    assert.equal((await second.interrupt()).code, 0);
  });

  it('refuses a vault of a newer format and leaves it as it is', async () => {
    await home.addDisk('web', 'os.img', fresh(MIB));
    await home.quietVault();
    const name = home.inVault('vault.json');
    const newer = (await readFile(name, 'utf8')).replace(/"version": 1/, '"version": 2');
    await writeFile(name, newer);
    await home.refused([], 1, /has format 2; this version of Holdfast knows 1/, /Install a newer Holdfast/);
    assert.equal(await readFile(name, 'utf8'), newer);
    assert.ok(!existsSync(`${home.state}/azure`), 'nothing was started');
  });

  it('refuses a state folder that cannot be used', async () => {
    await home.addDisk('web', 'os.img', fresh(MIB));
    await writeFile(home.state, 'a file where a folder should be');
    await home.refused([], 1, /The state folder .*state cannot be used/, /--state/);
    await home.refused(['--state', `${home.state}/below`], 1, /The state folder .*below cannot be used/, /--state/);
    assert.ok(!existsSync(home.cli.vault), 'no vault was made');
    await rm(home.state);
    await mkdir(`${home.state}/azure`, { recursive: true });
    await writeFile(`${home.state}/azure/state.json`, '{"version":');
    await home.refused([], 4, /state\.json is not the state of this stand-in/, /--state/);
    await rm(`${home.state}/azure`, { recursive: true });
    await mkdir(`${home.state}/host`, { recursive: true });
    await writeFile(`${home.state}/host/journal.sqlite`, 'not a database, whatever its name says');
    await home.refused([], 4, /The journal in .*host cannot be opened/, /backups in the vault are untouched/);
  });

  it('refuses to be the second app on a vault or on a state folder, and leaves the first one alone', async () => {
    await home.addDisk('web', 'os.img', fresh(MIB));
    const { vaultId } = await home.quietVault();
    const first = await home.startApp();
    await home.refused(['--state', home.cli.file('elsewhere')], 6, new RegExp(`works on the vault ${vaultId}`), /Stop the other one/);
    await home.refused(['--vault', home.cli.file('another')], 6, /azure.* is held by process \d+/, /--state/);
    const { job } = await first.backUp('web');
    await first.succeeds(job);
    assert.equal((await first.interrupt()).code, 0);
    const next = await home.startApp(['--state', home.cli.file('elsewhere')]);
    assert.equal((await next.interrupt()).code, 0);
  });

  it('leaves an image that is none out with a warning, and backs up the others by its own first policy', async () => {
    const bytes = fresh(MIB);
    await home.addDisk('web', 'os.img', bytes);
    await home.addDisk('web', 'notes.img', Buffer.from('this is no disk image'));
    await home.addDisk('broken', 'os.vhd', Buffer.concat([fresh(MIB), Buffer.from('conectix'), Buffer.alloc(504)]));
    const app = await home.startApp();
    await app.until('the first backup was told', () => / {2}web-[0-9a-f]+\.\d{8}T\d+Z/.test(app.output));
    assert.match(app.output, /web\/notes\.img is left out: /);
    assert.match(app.output, /broken\/os\.vhd is left out: /);
    assert.equal(app.output.split('web/notes.img is left out').length, 2, 'a warning is given once');
    assert.match(app.output, /web: backed up in /);
    assert.equal((await app.interrupt()).code, 0);
    const [point] = await home.cli.json<{ id: string; disks: { name: string }[] }[]>(['list']);
    assert.deepEqual(point?.disks.map(({ name }) => name), ['web_os']);
    await home.assertRestores('latest', bytes);
  });

  it('takes the vault from HOLDFAST_VAULT as the command line does, unless one is named', async () => {
    await home.addDisk('web', 'os.img', fresh(MIB));
    const { vaultId } = await home.cli.json<{ vaultId: string }>(['init', '--vault', home.cli.file('other')]);
    const args = ['--disks', home.disks, '--state', home.state, '--port', '0'];
    const app = home.spawnBare(args, { HOLDFAST_VAULT: home.cli.file('other') });
    await app.listening();
    assert.ok(app.output.includes(`${home.cli.file('other')}\n`) && app.output.includes(vaultId), app.output);
    assert.equal((await app.interrupt()).code, 0);
    assert.ok(!existsSync(`${home.state}/vault`), 'no vault of its own was made');
  });

  it('stops cleanly on Ctrl-C that comes while it still starts', async () => {
    await home.addDisk('web', 'os.img', fresh(MIB));
    await home.quietVault();
    const app = home.spawnApp();
    // The lock is taken long before the app listens: from then on there is something to stop.
    await app.untilFile(`${home.state}/azure/lock`);
    const { code, stderr } = await app.interrupt();
    assert.equal(code, 0, stderr);
    assert.ok(!existsSync(`${home.state}/azure/lock`), 'nothing is left locked');
  });
});
