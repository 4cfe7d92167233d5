import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BackupReport, CliHome, MIB, sampleDisk } from './cli-home';

describe('holdfast init and keys', () => {
  let home: CliHome;

  beforeEach(async () => {
    home = await CliHome.make();
  });
  afterEach(() => home.remove());

  it('makes the vault and a key that only its owner may read, in the configuration folder, and says both', async () => {
    const { code, stdout } = await home.run(['init']);
    assert.equal(code, 0);
    const [name] = await readdir(home.file('config/holdfast'));
    const keyFile = join(home.file('config/holdfast'), name ?? '');
    const { vaultId } = JSON.parse(await readFile(join(home.vault, 'vault.json'), 'utf8')) as { vaultId: string };
    assert.equal(name, `${vaultId}.key`);
    assert.equal((await stat(keyFile)).mode & 0o777, 0o600);
    assert.equal((await stat(home.file('config/holdfast'))).mode & 0o777, 0o700);
    assert.ok(stdout.toString().includes(keyFile) && /Without this key nothing in the vault can be restored/.test(stdout.toString()), stdout.toString());
    const secret = /holdfast-key-v1:(\S+)/.exec(await readFile(keyFile, 'utf8'))?.[1] ?? '';
    assert.ok(secret.length > 40 && !stdout.toString().includes(secret));
    for (const path of await home.objects('')) assert.ok(!(await readFile(path, 'latin1')).includes(secret), 'the key is not in the vault');
  });

  it('falls back to ~/.config where no configuration folder is named, or a relative one', async () => {
    for (const [vault, config] of [['a', ''], ['b', 'relative/config']] as const) {
      const { keyFile } = await home.json<{ keyFile: string }>(['init', '--vault', home.file(vault)], { XDG_CONFIG_HOME: config });
      assert.ok(keyFile.startsWith(`${home.path}/.config/holdfast/`), keyFile);
    }
  });

  it('puts the key where --key or HOLDFAST_KEY say, and finds it there', async () => {
    const byOption = await home.init('--key', home.file('keys/one.key'));
    assert.equal(byOption.keyFile, home.file('keys/one.key'));
    await home.fails(['list'], 'KEY_NOT_FOUND', 5);
    assert.deepEqual(await home.json(['list', '--key', byOption.keyFile]), []);
    assert.deepEqual(await home.json(['list'], { HOLDFAST_KEY: byOption.keyFile }), []);
  });

  it('never puts the key into the vault, whatever links lead there', async () => {
    await mkdir(home.file('real'));
    await symlink(home.file('real'), home.file('link'));
    for (const key of ['real/deep/in/the.key', 'link/the.key']) {
      await home.fails(['init', '--vault', home.file('real'), '--key', home.file(key)], 'KEY_IN_VAULT', 2);
    }
    await home.fails(['init', '--vault', home.path], 'KEY_IN_VAULT', 2);
    assert.deepEqual(await readdir(home.file('real')), []);
  });

  it('never overwrites a key or a vault, and leaves no key behind for a vault that was not made', async () => {
    await writeFile(home.file('mine.key'), 'precious');
    await home.fails(['init', '--key', home.file('mine.key')], 'KEY_EXISTS', 2);
    assert.equal(await readFile(home.file('mine.key'), 'utf8'), 'precious');
    assert.ok(!existsSync(join(home.vault, 'vault.json')), 'without a key there is no vault');
    await home.init();
    const before = await home.objects('');
    await home.fails(['init'], 'VAULT_EXISTS', 2);
    assert.deepEqual(await home.objects(''), before);
    assert.equal((await readdir(home.file('config/holdfast'))).length, 1);
  });

  it('writes no vault when the key cannot be written', async () => {
    await writeFile(home.file('file'), '');
    await home.fails(['init', '--key', home.file('file/in/a/file.key')], 'KEY_NOT_WRITTEN', 1);
    assert.ok(!existsSync(join(home.vault, 'vault.json')));
  });

  it('works without encryption when told to, and then needs no key', async () => {
    const made = await home.json<{ encrypted: boolean; keyFile: null }>(['init', '--no-encryption']);
    assert.deepEqual([made.encrypted, made.keyFile], [false, null]);
    const disk = sampleDisk(3 * MIB);
    await home.json<BackupReport>(['backup', await home.image('open.img', disk)]);
    await home.json(['restore', 'latest', '--to', home.file('back.img')]);
    await home.assertSame('back.img', disk);
    const other = await home.json<{ keyFile: string }>(['init', '--vault', home.file('other')]);
    const { message } = await home.fails(['list', '--key', other.keyFile], 'KEY_REFUSED', 5);
    assert.match(message, /without encryption/);
  });

  it('refuses a wrong, a malformed and a missing key before it writes anything', async () => {
    const { keyFile } = await home.init();
    const image = await home.image('disk.img', sampleDisk(3 * MIB));
    await home.json(['backup', image]);
    const other = await home.json<{ keyFile: string }>(['init', '--vault', home.file('other')]);
    const before = await home.objects('');
    await writeFile(home.file('bad.key'), '# nothing\n');
    const cases = [[other.keyFile, 'KEY_REFUSED'], [home.file('bad.key'), 'KEY_MALFORMED'], [home.file('none.key'), 'KEY_NOT_FOUND'], [home.path, 'KEY_NOT_FOUND']] as const;
    for (const [key, code] of cases) {
      await home.fails(['backup', image, '--key', key], code, 5);
      await home.fails(['restore', 'latest', '--to', home.file('back.img'), '--key', key], code, 5);
    }
    await rename(keyFile, `${keyFile}.away`);
    const { message } = await home.fails(['list'], 'KEY_NOT_FOUND', 5);
    assert.ok(message.includes(keyFile), message);
    assert.deepEqual(await home.objects(''), before);
    assert.deepEqual((await readdir(home.path)).filter((name) => name.startsWith('back.img')), []);
  });

  it('refuses a vault of a newer format and one whose first document is damaged, and changes nothing', async () => {
    await home.init();
    const image = await home.image('disk.img', sampleDisk(3 * MIB));
    const path = join(home.vault, 'vault.json');
    const text = await readFile(path, 'utf8');
    await chmod(path, 0o600);
    for (const [changed, code, exitCode] of [
      [text.replace('"version": 1', '"version": 2'), 'VAULT_NEWER_FORMAT', 1],
      [text.replace('holdfast-vault', 'holdfast-fault'), 'VAULT_DAMAGED', 4],
      [text.slice(0, 40), 'VAULT_DAMAGED', 4],
      [text.replace(/"createdAt": "2/, '"createdAt": "3'), 'KEY_REFUSED', 5],
    ] as const) {
      await writeFile(path, changed);
      const before = await home.objects('');
      for (const args of [['backup', image], ['list'], ['check'], ['init']]) {
        const isTaken = args[0] === 'init' && code === 'KEY_REFUSED';
        await home.fails(args, isTaken ? 'VAULT_EXISTS' : code, isTaken ? 2 : exitCode);
      }
      assert.deepEqual(await home.objects(''), before);
    }
  });
});
