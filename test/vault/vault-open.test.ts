import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { ErrorCode } from '../../errors/catalogue';
import { isHoldfastError } from '../../errors/holdfast-error';
import { createDocument, findDocument } from '../../vault/format/documents';
import { keyFileProvider, type KeyProvider, newKeyFile, openKeyProvider, parseKeyFile } from '../../vault/keys/key-providers';
import { createMemoryStore } from '../../vault/store/memory-store';
import type { Store } from '../../vault/store/store';
import { drawVault, initVault, opensWithoutKey, openVault, readVaultInfo } from '../../vault/vault';
import { z } from 'zod';
import { createFaultStore } from '../support/fault-store';
import { START_MS } from '../support/vault-kit';

const code = (...wanted: ErrorCode[]) => (error: unknown): boolean => isHoldfastError(error) && wanted.includes(error.code);
const secret = Buffer.alloc(32, 5);
const provider = keyFileProvider(secret);
const anySchema = z.object({ a: z.number() });

async function keyDocuments(store: Store): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of store.list('keys/')) found.push(name);
  return found;
}

/** The same objects, with one changed. */
async function copyWith(store: Store, name: string, change: (text: string) => string): Promise<Store> {
  const copy = createMemoryStore();
  for await (const object of store.list('')) {
    const bytes = await store.read(object.name);
    await copy.create(object.name, object.name === name ? Buffer.from(change(bytes.toString('utf8'))) : bytes);
  }
  return copy;
}

describe('init and open', () => {
  for (const [what, one] of [['a key file', provider], ['no key', openKeyProvider]] as [string, KeyProvider][]) {
    it(`a vault with ${what} opens to the keys that it was made with`, async () => {
      const store = createMemoryStore();
      const made = await initVault(store, drawVault(), one, 'label', START_MS);
      await createDocument(made, 'items/a', { a: 1 });
      assert.deepEqual(await findDocument(await openVault(store, one), 'items/a', anySchema), { a: 1 });
      assert.equal(await opensWithoutKey(store), one === openKeyProvider);
      await assert.rejects(initVault(store, drawVault(), one, 'label', START_MS), code('VAULT_EXISTS'));
    });

    it(`a vault with ${what} does not open when any byte of vault.json or of its key document was changed`, async () => {
      const store = createMemoryStore();
      const made = await initVault(store, drawVault(), one, 'label', START_MS);
      const key = (await keyDocuments(store))[0] as string;
      for (const name of ['vault.json', key]) {
        const length = (await store.read(name)).length;
        for (let at = 0; at < length; at++) {
          const copy = await copyWith(store, name, (text) => `${text.slice(0, at)}${String.fromCharCode(text.charCodeAt(at) ^ 1)}${text.slice(at + 1)}`);
          try {
            const opened = await openVault(copy, one);
            assert.ok(name === key && opened.keys.masterKey.equals(made.keys.masterKey), `byte ${at} of ${name} made no difference`);
          } catch (error) {
            assert.ok(code('KEY_REFUSED', 'VAULT_DAMAGED', 'VAULT_NEWER_FORMAT')(error), `byte ${at} of ${name}: ${String(error)}`);
          }
        }
      }
    });

    it(`an init with ${what} that fails at any call leaves no vault that opens to other keys, and can be done again`, async () => {
      for (const when of ['before', 'after'] as const) {
        for (const matching of [/^vault/, /^keys/]) {
          const inner = createMemoryStore();
          const store = createFaultStore(inner);
          store.plan({ operation: 'create', matching, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when } });
          await assert.rejects(initVault(store, drawVault(), one, 'label', START_MS), code('STORE_UNREACHABLE'));
          store.assertAllFired();
          if (await inner.stat('vault.json')) {
            await openVault(inner, one);
            continue;
          }
          // Several more attempts fail, so that their key documents lie in front of and behind the one that counts.
          for (let attempt = 0; attempt < 6; attempt++) {
            store.plan({ operation: 'create', matching: /^vault/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
            await assert.rejects(initVault(store, drawVault(), one, 'label', START_MS), code('STORE_UNREACHABLE'));
          }
          const made = await initVault(inner, drawVault(), one, 'label', START_MS);
          assert.ok((await openVault(inner, one)).keys.masterKey.equals(made.keys.masterKey), 'the keys are those of the vault that was made');
        }
      }
    });
  }

  it('a key document of an unfinished init without encryption does not make a vault with a key open', async () => {
    const inner = createMemoryStore();
    const store = createFaultStore(inner);
    store.plan({ operation: 'create', matching: /^vault/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
    await assert.rejects(initVault(store, drawVault(), openKeyProvider, 'label', START_MS), code('STORE_UNREACHABLE'));
    await initVault(inner, drawVault(), provider, 'label', START_MS);
    assert.equal(await opensWithoutKey(inner), false);
    await assert.rejects(openVault(inner, openKeyProvider), code('KEY_REFUSED'));
  });

  it('two inits at once make one vault, and the other is told', async () => {
    const store = createMemoryStore();
    const outcomes = await Promise.allSettled([1, 2].map(() => initVault(store, drawVault(), openKeyProvider, 'label', START_MS)));
    const made = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    assert.equal(made.length, 1);
    assert.ok(outcomes.some((one) => one.status === 'rejected' && code('VAULT_EXISTS')(one.reason)));
    assert.ok((await openVault(store, openKeyProvider)).keys.masterKey.equals((made[0] as { keys: { masterKey: Buffer } }).keys.masterKey));
  });

  it('a wrong key is refused before anything is written or any other object read', async () => {
    const inner = createMemoryStore();
    await initVault(inner, drawVault(), provider, 'label', START_MS);
    const store = createFaultStore(inner);
    await assert.rejects(openVault(store, keyFileProvider(Buffer.alloc(32, 6))), code('KEY_REFUSED'));
    await assert.rejects(openVault(store, openKeyProvider), code('KEY_REFUSED'));
    for (const { operation, name } of store.calls) assert.ok((operation === 'read' || operation === 'list') && /^(vault.json|keys\/)/.test(name), `${operation} ${name}`);
  });

  it('a second key document that is damaged does not keep the good one from opening the vault', async () => {
    for (const name of ['keys/0000000000000000.json', 'keys/ffffffffffffffff.json']) {
      const store = createMemoryStore();
      await initVault(store, drawVault(), provider, 'label', START_MS);
      await store.create(name, Buffer.from('{"version":1'));
      await openVault(store, provider);
      await assert.rejects(openVault(store, keyFileProvider(Buffer.alloc(32, 6))), code('KEY_REFUSED'));
    }
  });

  it('a provider that wraps what it cannot unwrap makes no vault', async () => {
    const store = createMemoryStore();
    const broken: KeyProvider = { ...provider, type: 'broken', wrap: (_key, context) => provider.wrap(Buffer.alloc(32, 9), context) };
    await assert.rejects(initVault(store, drawVault(), broken, 'label', START_MS), code('WRITE_NOT_VERIFIED'));
    assert.deepEqual(await keyDocuments(store), []);
    assert.equal(await store.stat('vault.json'), undefined);
  });

  it('a newer vault is refused and never written to; a store without a vault says so', async () => {
    const inner = createMemoryStore();
    await assert.rejects(openVault(inner, provider), code('VAULT_NOT_FOUND'));
    await inner.create('vault.json', Buffer.from(JSON.stringify({ format: 'holdfast-vault', version: 2, somethingNew: true })));
    const store = createFaultStore(inner);
    await assert.rejects(openVault(store, provider), code('VAULT_NEWER_FORMAT'));
    await assert.rejects(readVaultInfo(store), code('VAULT_NEWER_FORMAT'));
    await assert.rejects(opensWithoutKey(store), code('VAULT_NEWER_FORMAT'));
    await assert.rejects(initVault(store, drawVault(), provider, 'label', START_MS), code('VAULT_EXISTS'));
    assert.ok(store.calls.every(({ operation }) => operation !== 'create' && operation !== 'delete'));
  });

  it('a vault.json of other chunk sizes, or that is no object, is refused', async () => {
    const made = createMemoryStore();
    await initVault(made, drawVault(), provider, 'label', START_MS);
    for (const change of [(text: string) => text.replace('"maxBlocks": 64', '"maxBlocks": 128'), () => '[]', () => 'null', () => '{', () => '"x"', (text: string) => text.replace('"version": 1', '"version": "1"')]) {
      await assert.rejects(openVault(await copyWith(made, 'vault.json', change), provider), code('VAULT_DAMAGED'));
    }
  });
});

describe('key files', () => {
  it('hold the secret that they were made with, whatever the ends of lines', () => {
    const { text, secret: made } = newKeyFile(Buffer.alloc(16, 1));
    assert.ok(parseKeyFile(text, 'key').equals(made));
    assert.ok(parseKeyFile(text.replaceAll('\n', '\r\n'), 'key').equals(made));
    assert.ok(parseKeyFile(`\n  ${text.trim()}  `, 'key').equals(made));
  });

  it('that are anything else are refused, and what they hold is never told', () => {
    const { text } = newKeyFile(Buffer.alloc(16, 1));
    const line = text.split('\n')[2] as string;
    for (const wrong of ['', '# a remark', `${line}\n${line}`, line.slice(0, -1), `${line}A`, line.replace('v1', 'v2'), `x${line}`]) {
      assert.throws(() => parseKeyFile(wrong, 'key'), (error) => code('KEY_MALFORMED')(error) && !JSON.stringify(error).includes(line.slice(20, 40)));
    }
    fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), fc.base64String({ maxLength: 60 }).map((rest) => `holdfast-key-v1:${rest}`)), (junk) => {
      try {
        assert.equal(parseKeyFile(junk, 'key').length, 32);
      } catch (error) {
        assert.ok(code('KEY_MALFORMED')(error));
      }
    }));
  });
});
