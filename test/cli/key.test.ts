import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type FakeKeyVault, startFakeKeyVault } from '../support/fake-key-vault';
import { CliHome, MIB, sampleDisk } from './cli-home';

interface ListedKey { readonly keyId: string; readonly type: string; readonly label: string; readonly keyVaultKey: string | null }
interface TestReport { readonly ok: boolean; readonly keys: readonly (ListedKey & { readonly outcome: string; readonly message: string | null })[] }

const words = 'correct horse battery staple';

describe('holdfast key', () => {
  let home: CliHome;
  beforeEach(async () => { home = await CliHome.make(); });
  afterEach(() => home.remove());

  const list = () => home.json<readonly ListedKey[]>(['key', 'list']);

  it('adds an escrow key file, tests what is at hand, and removes only what leaves a proved key', async () => {
    const { keyFile } = await home.init();
    const escrow = home.file('safe/escrow.key');
    const added = await home.json<{ keyId: string; keyFile: string }>(['key', 'add', '--type', 'key-file', '--new-key', escrow, '--escrow']);
    assert.equal(added.keyFile, escrow);
    const keys = await list();
    assert.deepEqual(keys.map(({ type, label }) => [type, label]).sort(), [['key-file', 'escrow'], ['key-file', 'key file']]);
    const first = keys.find(({ keyId }) => keyId !== added.keyId)?.keyId ?? '';

    const tested = await home.json<TestReport>(['key', 'test', '--also-key', escrow]);
    assert.deepEqual(tested.keys.map(({ outcome }) => outcome), ['opens', 'opens']);
    const untrailed = async (): Promise<string[]> => (await home.objects('')).filter((name) => !name.includes('/vault/audit/'));
    const before = await untrailed();
    await home.fails(['key', 'remove', first], 'CONFIRMATION_NEEDED', 2);
    await home.fails(['key', 'remove', first, '--yes'], 'KEY_LAST', 2);
    await home.fails(['key', 'remove', 'ffffffffffffffff', '--yes'], 'KEY_UNKNOWN', 3);
    assert.deepEqual(await untrailed(), before, 'nothing was written but what was refused');
    const removed = await home.json<{ state: string }>(['key', 'remove', first, '--yes', '--also-key', escrow]);
    assert.equal(removed.state, 'removed');
    await home.fails(['list', '--key', keyFile], 'KEY_REFUSED', 5);
    assert.deepEqual(await home.json(['list', '--key', escrow]), []);
  });

  it('never writes a key into the vault, over a file, or for an add that fails', async () => {
    await home.init();
    await writeFile(home.file('mine'), 'precious');
    await home.fails(['key', 'add', '--type', 'key-file', '--new-key', home.file('mine')], 'KEY_EXISTS', 2);
    await home.fails(['key', 'add', '--type', 'key-file', '--new-key', join(home.vault, 'a.key')], 'KEY_IN_VAULT', 2);
    await home.fails(['key', 'add', '--type', 'key-file'], 'USAGE', 2);
    await home.fails(['key', 'add', '--type', 'rot13'], 'USAGE', 2);
    await home.fails(['key', 'add'], 'USAGE', 2);
    assert.equal(await readFile(home.file('mine'), 'utf8'), 'precious');
    const other = await home.json<{ keyFile: string }>(['init', '--vault', home.file('open'), '--no-encryption']);
    assert.equal(other.keyFile, null);
    await home.fails(['key', 'add', '--type', 'key-file', '--new-key', home.file('new.key'), '--vault', home.file('open')], 'VAULT_NOT_ENCRYPTED', 2);
    assert.ok(!existsSync(home.file('new.key')), 'a key that opens nothing is not left behind');
  });

  it('takes a passphrase from the environment or a file, for init and for every command that opens the vault', async () => {
    const init = await home.run(['init', '--passphrase', '--json'], { HOLDFAST_PASSPHRASE: words });
    assert.equal(init.code, 0, init.stderr);
    assert.equal((JSON.parse(init.stdout.toString()) as { keyType: string }).keyType, 'passphrase');
    assert.ok(!existsSync(home.file('config')), 'no key file was written');
    const disk = sampleDisk(3 * MIB);
    await home.json(['backup', await home.image('disk.img', disk)], { HOLDFAST_PASSPHRASE: words });
    await writeFile(home.file('words'), `${words}\r\n`);
    await home.json(['restore', 'latest', '--to', home.file('back.img'), '--passphrase-file', home.file('words')]);
    await home.assertSame('back.img', disk);
    for (const path of await home.objects('')) assert.ok(!(await readFile(path, 'latin1')).includes(words), 'the passphrase is not in the vault');
  });

  it('fault 37: a passphrase that is wrong, weak, missing or named twice makes and opens nothing, and is never repeated', async () => {
    await home.json(['init', '--passphrase'], { HOLDFAST_PASSPHRASE: words });
    await writeFile(home.file('words'), words);
    await home.fails(['list'], 'KEY_NOT_FOUND', 5);
    await home.fails(['list'], 'KEY_REFUSED', 5, { HOLDFAST_PASSPHRASE: 'something else entirely' });
    await home.fails(['list', '--passphrase'], 'PASSPHRASE_NOT_GIVEN', 5);
    await home.fails(['list', '--passphrase-file', home.file('none')], 'PASSPHRASE_NOT_GIVEN', 5);
    await home.fails(['list', '--passphrase-file', home.file('words'), '--key', home.file('x')], 'USAGE', 2);
    const weak = await home.fails(['init', '--vault', home.file('weak'), '--passphrase'], 'PASSPHRASE_WEAK', 2, { HOLDFAST_PASSPHRASE: 'hunter2' });
    assert.ok(!weak.stderr.includes('hunter2'));
  });

  it('rotates: the new key is proved, the old one goes only when told to', async () => {
    const { keyFile } = await home.init();
    const rotated = await home.json<{ keyId: string; oldKeyId: string; removed: null }>(['key', 'rotate', '--type', 'key-file', '--new-key', home.file('second.key')]);
    assert.equal(rotated.removed, null);
    assert.deepEqual((await list()).map(({ keyId }) => keyId).sort(), [rotated.keyId, rotated.oldKeyId].sort());
    await home.fails(['key', 'rotate', '--type', 'passphrase', '--remove-old'], 'CONFIRMATION_NEEDED', 2);
    const again = await home.json<{ keyId: string; removed: { keyId: string; state: string } }>(['key', 'rotate', '--type', 'passphrase', '--remove-old', '--yes', '--key', keyFile], { HOLDFAST_NEW_PASSPHRASE: words });
    assert.deepEqual([again.removed.keyId, again.removed.state], [rotated.oldKeyId, 'removed']);
    await home.fails(['list', '--key', keyFile], 'KEY_REFUSED', 5);
    for (const env of [{ HOLDFAST_KEY: home.file('second.key') }, { HOLDFAST_PASSPHRASE: words }]) {
      await rename(keyFile, `${keyFile}.away`).catch(() => undefined);
      assert.deepEqual(await home.json(['list'], env), []);
    }
  });

  it('says which keys could not be tried, and fails when one at hand opens nothing', async () => {
    await home.init();
    await home.json(['key', 'add', '--type', 'passphrase'], { HOLDFAST_NEW_PASSPHRASE: words });
    const { keyFile: foreign } = await home.json<{ keyFile: string }>(['init', '--vault', home.file('other')]);
    assert.deepEqual((await home.json<TestReport>(['key', 'test'])).keys.map(({ outcome }) => outcome).sort(), ['not-tried', 'opens']);
    const bad = await home.run(['key', 'test', '--also-key', foreign, '--json']);
    assert.equal(bad.code, 5, bad.stderr);
    assert.equal((JSON.parse(bad.stdout.toString()) as TestReport).ok, false);
  });

  it('lists keys without having any, damaged documents among them', async () => {
    const { keyFile } = await home.init();
    await rename(keyFile, home.file('elsewhere'));
    await writeFile(join(home.vault, 'keys', 'ffffffffffffffff.json'), '{');
    await chmod(join(home.vault, 'keys', 'ffffffffffffffff.json'), 0o600);
    assert.deepEqual((await list()).map(({ type }) => type), ['key-file', 'unknown']);
    assert.equal((await readdir(join(home.vault, 'keys'))).length, 2);
  });
});

describe('holdfast with Azure Key Vault', () => {
  let home: CliHome;
  let service: FakeKeyVault;
  beforeEach(async () => {
    home = await CliHome.make();
    service = await startFakeKeyVault();
  });
  afterEach(async () => {
    await service.close();
    await home.remove();
  });

  it('fault 37: makes a vault, backs up, restores after a rotation, and names the cause when the key is disabled or gone, as the machine\'s managed identity', async () => {
    const first = service.rotate('backup');
    const key = `${service.origin}/keys/backup`;
    const env = { ...service.env, HOLDFAST_KEY_VAULT: key };
    await home.json(['init', '--key-vault', key], service.env);
    const disk = sampleDisk(3 * MIB);
    await home.json(['backup', await home.image('disk.img', disk)], env);
    const second = service.rotate('backup');
    const [listed] = await home.json<readonly ListedKey[]>(['key', 'list']);
    assert.deepEqual([listed?.type, listed?.keyVaultKey], ['key-vault', first], 'the version is pinned');
    const rotated = await home.json<{ keyVaultKey: string; removed: { state: string } }>(['key', 'rotate', '--type', 'key-vault', '--new-key-vault', key, '--remove-old', '--yes'], env);
    assert.deepEqual([rotated.keyVaultKey, rotated.removed.state], [second, 'removed']);
    await home.json(['restore', 'latest', '--to', home.file('back.img')], env);
    await home.assertSame('back.img', disk);
    await home.fails(['list', '--key-vault', first], 'KEY_REFUSED', 5, service.env);
    const before = await home.objects('');
    service.disable(second);
    await home.fails(['backup', home.file('disk.img')], 'KEY_VAULT_KEY_UNUSABLE', 5, env);
    service.remove('backup');
    await home.fails(['list'], 'KEY_VAULT_KEY_GONE', 5, env);
    await home.fails(['list', '--key-vault', 'https://example.com/keys/a'], 'KEY_VAULT_ID', 2, service.env);
    assert.deepEqual(await home.objects(''), before, 'fault 37: nothing was written');
  });
});
