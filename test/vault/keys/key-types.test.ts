import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { ErrorCode } from '../../../errors/catalogue';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { createKeyVaultKeys } from '../../../azure/keyvault/remote-keys';
import { createDocument, findDocument } from '../../../vault/format/documents';
import { keyFileProvider, type KeyProvider, openKeyProvider } from '../../../vault/keys/key-providers';
import { parseKeyDocument, wrapContext } from '../../../vault/keys/key-document';
import { assertGoodPassphrase, passphraseProvider } from '../../../vault/keys/passphrase';
import { remoteKeyProvider } from '../../../vault/keys/remote-key';
import { openFolderStore } from '../../../vault/store/folder-store';
import { createMemoryStore } from '../../../vault/store/memory-store';
import type { Store } from '../../../vault/store/store';
import { drawVault, initVault, openVault, readVaultInfo, storeKeyDocument } from '../../../vault/vault';
import { z } from 'zod';
import { type FakeKeyVault, startFakeKeyVault } from '../../support/fake-key-vault';
import { createFaultStore } from '../../support/fault-store';
import { makeTempFolder } from '../../support/temp-folder';
import { IndependentReader, type IndependentKey } from '../../support/vault-independent-reader';
import { makeVault, START_MS, testKeys } from '../../support/vault-kit';
import { recordedWaiting } from '../../support/wire-server';

const code = (...wanted: ErrorCode[]) => (error: unknown): boolean => isHoldfastError(error) && wanted.includes(error.code);
/** The least that a reader takes, so that tests are quick. */
const CHEAP = { logN: 14, r: 8, p: 1 };
const words = 'correct horse battery staple';
const context = wrapContext(Buffer.alloc(16, 1), Buffer.from('{}'));

async function onlyDocument(store: Store): Promise<{ name: string; document: Record<string, unknown> }> {
  for await (const { name } of store.list('keys/')) return { name, document: JSON.parse((await store.read(name)).toString()) as Record<string, unknown> };
  return assert.fail('no key document');
}

/** The vault with its key document replaced by another: what someone with write access can do to a store without WORM. */
async function withDocument(store: Store, change: (document: Record<string, unknown>) => unknown): Promise<Store> {
  const copy = createMemoryStore();
  const only = await onlyDocument(store);
  for await (const { name } of store.list('')) await copy.create(name, name === only.name ? Buffer.from(JSON.stringify(change(only.document))) : await store.read(name));
  return copy;
}

describe('the kinds of keys', () => {
  let service: FakeKeyVault;
  let keyVaultKey: string;
  const remote = (key: string): KeyProvider => remoteKeyProvider(createKeyVaultKeys({ key, credential: service.credential, ca: service.ca, waiting: recordedWaiting() }));

  before(async () => {
    service = await startFakeKeyVault();
    keyVaultKey = service.rotate('backup');
  });
  after(() => service.close());

  it('wrap and unwrap any master key for any vault, and no other vault\'s', async () => {
    const bytes = (length: number): fc.Arbitrary<Buffer> => fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array));
    const providers = [keyFileProvider(Buffer.alloc(32, 3)), openKeyProvider, passphraseProvider(words, CHEAP), remote(keyVaultKey)];
    await fc.assert(fc.asyncProperty(bytes(32), bytes(16), bytes(40), fc.constantFrom(...providers), async (master, vaultId, json, provider) => {
      const own = wrapContext(vaultId, json);
      const document = parseKeyDocument('keys/a.json', Buffer.from(JSON.stringify({ version: 1, keyId: '0'.repeat(16), type: provider.type, createdAt: '', label: '', ...await provider.wrap(master, own) })));
      assert.ok((await provider.unwrap(document, own)).equals(master));
      await assert.rejects(provider.unwrap(document, context), code('KEY_REFUSED'));
    }), { numRuns: 25 });
  });

  for (const [what, make, wrong, key] of [
    ['a passphrase', () => passphraseProvider(words, CHEAP), () => passphraseProvider(`${words}.`, CHEAP), (): IndependentKey => ({ passphrase: words })],
    ['Azure Key Vault', () => remote(keyVaultKey), () => remote(service.rotate('other')), (): IndependentKey => ({ keyVault: keyVaultKey, privateKey: service.privateKeyOf(keyVaultKey) })],
  ] as [string, () => KeyProvider, () => KeyProvider, () => IndependentKey][]) {
    it(`a vault with ${what} opens to the keys it was made with, also for a reader made from the format document alone`, async () => {
      const folder = await makeTempFolder();
      try {
        const store = await openFolderStore(folder.path, { create: true });
        await createDocument(await initVault(store, drawVault(), make(), 'label', START_MS), 'items/a', { a: 1 });
        assert.deepEqual(await findDocument(await openVault(store, make()), 'items/a', z.object({ a: z.number() })), { a: 1 });
        assert.deepEqual(new IndependentReader(folder.path, key()).document('items/a'), { a: 1 });
        await store.close();
      } finally {
        await folder.remove();
      }
    });

    it(`fault 37: a wrong key of ${what} fails before any write, and before anything but keys is read`, async () => {
      const inner = createMemoryStore();
      await initVault(inner, drawVault(), make(), 'label', START_MS);
      const store = createFaultStore(inner);
      await assert.rejects(openVault(store, wrong()), code('KEY_REFUSED'));
      for (const { operation, name } of store.calls) assert.ok((operation === 'read' || operation === 'list') && /^(vault.json|keys\/)/.test(name), `${operation} ${name}`);
    });

    it(`a key document of ${what} in which anything was changed opens to the same key or not at all`, async () => {
      const store = createMemoryStore();
      const made = await initVault(store, drawVault(), make(), 'label', START_MS);
      const { name } = await onlyDocument(store);
      const length = (await store.read(name)).length;
      await fc.assert(fc.asyncProperty(fc.nat(length - 1), fc.integer({ min: 1, max: 127 }), async (at, flip) => {
        const copy = createMemoryStore();
        for await (const object of store.list('')) {
          const bytes = await store.read(object.name);
          if (object.name === name) bytes[at] = (bytes[at] ?? 0) ^ flip;
          await copy.create(object.name, bytes);
        }
        try {
          assert.ok((await openVault(copy, make())).keys.masterKey.equals(made.keys.masterKey));
        } catch (error) {
          assert.ok(code('KEY_REFUSED', 'VAULT_DAMAGED', 'VAULT_NEWER_FORMAT', 'KEY_VAULT_KEY_GONE')(error), `byte ${at}: ${String(error)}`);
        }
      }), { numRuns: 60 });
    });
  }

  it('fault 37: an unwrap that Key Vault refuses fails with its cause before any write, and works again when the key is enabled', async () => {
    const inner = createMemoryStore();
    await initVault(inner, drawVault(), remote(keyVaultKey), 'label', START_MS);
    for (const [refuse, restore, expected] of [
      [() => service.disable(keyVaultKey), () => service.enable(keyVaultKey), 'KEY_VAULT_KEY_UNUSABLE'],
      [() => service.denyAll(true), () => service.denyAll(false), 'KEY_VAULT_DENIED'],
    ] as const) {
      refuse();
      const store = createFaultStore(inner);
      await assert.rejects(openVault(store, remote(keyVaultKey)), code(expected));
      assert.ok(store.calls.every(({ operation }) => operation === 'read' || operation === 'list'));
      restore();
      await openVault(inner, remote(keyVaultKey));
    }
  });

  it('threat 4: a key document that someone else wrapped with the public key, for a master key of theirs, is refused', async () => {
    const store = createMemoryStore();
    const fresh = drawVault();
    await store.create('keys/0000000000000000.json', Buffer.from('rubbish'));
    const made = await initVault(store, fresh, keyFileProvider(Buffer.alloc(32, 1)), 'label', START_MS);
    const { bytes } = await readVaultInfo(store);
    await storeKeyDocument(store, { vaultId: fresh.vaultId, masterKey: Buffer.alloc(32, 66) }, bytes, remote(keyVaultKey), 'forged', START_MS);
    await assert.rejects(openVault(store, remote(keyVaultKey)), code('KEY_REFUSED'));
    await storeKeyDocument(store, { vaultId: fresh.vaultId, masterKey: made.keys.masterKey }, bytes, remote(keyVaultKey), 'genuine', START_MS);
    assert.ok((await openVault(store, remote(keyVaultKey))).keys.masterKey.equals(made.keys.masterKey));
  });

  it('threat 4: a vault without a key check cannot be opened by a key that wraps for everybody', async () => {
    const store = createMemoryStore();
    const fresh = drawVault();
    const vaultJson = Buffer.from((await readVaultInfo(await madeWith(fresh))).bytes.toString().replace(/ *"keyCheck": "[0-9a-f]+",\n/, ''));
    await store.create('vault.json', vaultJson);
    await storeKeyDocument(store, fresh, vaultJson, keyFileProvider(Buffer.alloc(32, 1)), 'label', START_MS);
    await storeKeyDocument(store, fresh, vaultJson, remote(keyVaultKey), 'label', START_MS);
    assert.ok((await openVault(store, keyFileProvider(Buffer.alloc(32, 1)))).keys.masterKey.equals(fresh.masterKey), 'a vault made before key checks still opens with its key file');
    await assert.rejects(openVault(store, remote(keyVaultKey)), (error: Error) => code('KEY_REFUSED')(error) && /key check/.test(error.message));
  });

  it('threat 5: a document that asks for another algorithm, or for a key that was not named, is refused without asking Key Vault', async () => {
    const store = createMemoryStore();
    await initVault(store, drawVault(), remote(keyVaultKey), 'label', START_MS);
    const before = service.log.length;
    const withPart = (part: object) => withDocument(store, (document) => ({ ...document, keyVault: { ...document['keyVault'] as object, ...part } }));
    for (const algorithm of ['RSA-OAEP', 'RSA1_5', 'A256KW', '']) await assert.rejects(openVault(await withPart({ algorithm }), remote(keyVaultKey)), code('VAULT_DAMAGED'));
    for (const key of ['https://evil.vault.azure.net/keys/backup/' + '0'.repeat(32), keyVaultKey.replace(/\/[0-9a-f]+$/, ''), 'x']) await assert.rejects(openVault(await withPart({ key }), remote(keyVaultKey)), code('KEY_REFUSED'));
    await assert.rejects(openVault(await withDocument(store, (document) => ({ ...document, keyVault: undefined })), remote(keyVaultKey)), code('VAULT_DAMAGED'));
    assert.equal(service.log.length, before);
  });

  it('threat 16: a passphrase document that asks for more work than a reader has to spare is refused at once', async () => {
    const store = createMemoryStore();
    await initVault(store, drawVault(), passphraseProvider(words, CHEAP), 'label', START_MS);
    const genuine = (await onlyDocument(store)).document['scrypt'] as object;
    for (const part of [{ logN: 40 }, { logN: 19 }, { logN: 13 }, { logN: -1 }, { logN: 14.5 }, { logN: '14' }, { r: 1024 }, { r: 0 }, { p: 1_000_000 }, { p: 0 }, { salt: '' }, { salt: 'AAAA' }]) {
      const forged = await withDocument(store, (document) => ({ ...document, scrypt: { ...genuine, ...part } }));
      await assert.rejects(openVault(forged, passphraseProvider(words, CHEAP)), code('VAULT_DAMAGED'), JSON.stringify(part));
    }
    assert.throws(() => parseKeyDocument('keys/a.json', Buffer.alloc(20_000, ' ')), code('VAULT_DAMAGED'));
  });

  it('threat 16: forged passphrase documents cost a bounded number of tries and do not crowd out the older genuine one', async () => {
    let now = START_MS;
    const store = createMemoryStore({ clock: () => now });
    const made = await initVault(store, drawVault(), passphraseProvider(words, CHEAP), 'label', START_MS);
    const { document } = await onlyDocument(store);
    now += 1000;
    for (let forged = 0; forged < 40; forged++) {
      const keyId = forged.toString(16).padStart(16, '0');
      await store.create(`keys/${keyId}.json`, Buffer.from(JSON.stringify({ ...document, keyId, wrapped: Buffer.alloc(48, forged).toString('base64url') })));
    }
    assert.ok((await openVault(store, passphraseProvider(words, CHEAP))).keys.masterKey.equals(made.keys.masterKey));
    await assert.rejects(openVault(store, passphraseProvider('another one than that', CHEAP)), (error: Error) => code('KEY_REFUSED')(error));
  });

  it('fault 43: a key document of a newer version, or of a type that is not known, is passed over, and told when nothing else opens', async () => {
    const store = createMemoryStore();
    await store.create('keys/00000000000000aa.json', Buffer.from(JSON.stringify({ version: 2, keyId: '00000000000000aa', somethingNew: true })));
    await store.create('keys/00000000000000bb.json', Buffer.from(JSON.stringify({ version: 1, keyId: '00000000000000bb', type: 'post-quantum', createdAt: '', label: '', wrapped: 'AAAA' })));
    await initVault(store, drawVault(), keyFileProvider(Buffer.alloc(32, 1)), 'label', START_MS);
    await openVault(store, keyFileProvider(Buffer.alloc(32, 1)));
    const watched = createFaultStore(store);
    await assert.rejects(openVault(watched, passphraseProvider(words, CHEAP)), code('VAULT_NEWER_FORMAT'));
    assert.ok(watched.calls.every(({ operation }) => operation === 'read' || operation === 'list'), 'it never writes');
  });

  it('a passphrase is the same in either form of its letters, and a weak one makes no key', async () => {
    const store = createMemoryStore();
    await initVault(store, drawVault(), passphraseProvider('Zürich im März, früh'.normalize('NFD'), CHEAP), 'label', START_MS);
    await openVault(store, passphraseProvider('Zürich im März, früh'.normalize('NFC'), CHEAP));
    for (const weak of ['', 'short', 'aaaaaaaaaaaaaaaaaaaa', 'abababababab']) assert.throws(() => assertGoodPassphrase(weak), (error: Error) => code('PASSPHRASE_WEAK')(error) && (weak === '' || !error.message.includes(weak)));
    assertGoodPassphrase(words);
  });

  it('a name that is not the document\'s own, or any rubbish under keys/, never opens a vault and never keeps it shut', async () => {
    const vault = makeVault(createMemoryStore(), testKeys());
    await fc.assert(fc.asyncProperty(fc.oneof(fc.string(), fc.json(), fc.anything().map((value) => JSON.stringify(value) ?? '')), async (text) => {
      const store = createMemoryStore();
      await store.create('keys/0000000000000000.json', Buffer.from(text));
      await store.create('keys/README', Buffer.from('not a key'));
      await initVault(store, { vaultId: vault.keys.vaultId, masterKey: vault.keys.masterKey }, keyFileProvider(Buffer.alloc(32, 1)), 'label', START_MS);
      await openVault(store, keyFileProvider(Buffer.alloc(32, 1)));
      await assert.rejects(openVault(store, keyFileProvider(Buffer.alloc(32, 2))), code('KEY_REFUSED'));
    }), { numRuns: 60 });
  });
});

const madeWith = async (fresh: ReturnType<typeof drawVault>): Promise<Store> => {
  const store = createMemoryStore();
  await initVault(store, fresh, keyFileProvider(Buffer.alloc(32, 1)), 'label', START_MS);
  return store;
};
