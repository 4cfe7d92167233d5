import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createTestKeys } from '../../../activities/test-keys';
import type { ErrorCode } from '../../../errors/catalogue';
import { HoldfastError, isHoldfastError } from '../../../errors/holdfast-error';
import { addKey, readRemovals, removeKey, testKeys } from '../../../vault/keys/key-ring';
import { keyFileProvider, type KeyProvider, openKeyProvider } from '../../../vault/keys/key-providers';
import { passphraseProvider } from '../../../vault/keys/passphrase';
import { createMemoryStore } from '../../../vault/store/memory-store';
import type { Store } from '../../../vault/store/store';
import type { VaultAccess } from '../../../vault/format/tree';
import { drawVault, initVault, openVault, openVaultBy } from '../../../vault/vault';
import { createFaultStore } from '../../support/fault-store';
import { START_MS } from '../../support/vault-kit';

const code = (...wanted: ErrorCode[]) => (error: unknown): boolean => isHoldfastError(error) && wanted.includes(error.code);
const file = (fill: number): KeyProvider => keyFileProvider(Buffer.alloc(32, fill));
const spoken = passphraseProvider('correct horse battery staple', { logN: 14, r: 8, p: 1 });

async function ring(store: Store = createMemoryStore()): Promise<{ vault: VaultAccess; first: string; second: string }> {
  await initVault(store, drawVault(), file(1), 'key file', START_MS);
  const { vault, keyId: first } = await openVaultBy(store, file(1));
  return { vault, first, second: await addKey(vault, file(2), 'escrow', START_MS) };
}

const proved = async (vault: VaultAccess, ...providers: KeyProvider[]): Promise<Set<string>> =>
  new Set((await testKeys(vault, providers)).keys.filter(({ outcome, removed }) => outcome === 'opens' && !removed).map(({ keyId }) => keyId));

describe('several keys of one vault', () => {
  it('each open it to the same master key; a re-wrap changes nothing else', async () => {
    const store = createMemoryStore();
    const { vault } = await ring(store);
    await addKey(vault, spoken, 'passphrase', START_MS);
    for (const provider of [file(1), file(2), spoken]) assert.ok((await openVault(store, provider)).keys.masterKey.equals(vault.keys.masterKey));
    const report = await testKeys(vault, [file(2), spoken]);
    assert.ok(report.ok);
    assert.deepEqual(report.keys.map(({ label, outcome }) => [label, outcome]).sort(), [['escrow', 'opens'], ['key file', 'refused'], ['passphrase', 'opens']]);
    assert.deepEqual((await testKeys(vault, [spoken])).keys.map(({ outcome }) => outcome).sort(), ['not-tried', 'not-tried', 'opens']);
    assert.equal((await testKeys(vault, [file(9)])).ok, false);
    assert.equal((await testKeys(vault, [file(1), file(9)])).ok, false, 'a key at hand that opens nothing is told, though another opens the vault');
    assert.equal((await testKeys(vault, [])).ok, false);
  });

  it('a key is stored only when it was proved, and never for a vault without encryption', async () => {
    const store = createMemoryStore();
    const { vault } = await ring(store);
    const broken: KeyProvider = { ...file(3), wrap: (_key, context) => file(3).wrap(Buffer.alloc(32, 9), context) };
    await assert.rejects(addKey(vault, broken, 'broken', START_MS), code('WRITE_NOT_VERIFIED'));
    const unreachable: KeyProvider = { ...file(3), unwrap: () => Promise.reject(new HoldfastError('KEY_VAULT_UNREACHABLE', 'no network')) };
    await assert.rejects(addKey(vault, unreachable, 'broken', START_MS), code('KEY_VAULT_UNREACHABLE'));
    assert.equal((await testKeys(vault, [file(1)])).keys.length, 2);
    const open = createMemoryStore();
    await assert.rejects(addKey(await initVault(open, drawVault(), openKeyProvider, 'none', START_MS), file(1), 'label', START_MS), code('VAULT_NOT_ENCRYPTED'));
  });

  it('the last key, and the last that was proved, are never removed', async () => {
    const { vault, first, second } = await ring();
    await assert.rejects(removeKey(vault, first, await proved(vault, file(1)), START_MS), (error: Error) => code('KEY_LAST')(error) && error.message.includes(second));
    await assert.rejects(removeKey(vault, first, new Set(), START_MS), code('KEY_LAST'));
    await assert.rejects(removeKey(vault, 'ffffffffffffffff', await proved(vault, file(1)), START_MS), code('KEY_UNKNOWN'));
    assert.deepEqual(await removeKey(vault, first, await proved(vault, file(1), file(2)), START_MS), { keyId: first, state: 'removed', untilMs: null });
    await assert.rejects(openVault(vault.store, file(1)), code('KEY_REFUSED'));
    await assert.rejects(removeKey(vault, second, await proved(vault, file(2)), START_MS), (error: Error) => code('KEY_LAST')(error) && /only key/.test(error.message));
    await openVault(vault.store, file(2));
  });

  it('a removal that was decided and then interrupted is finished by doing it again, and a removed key proves nothing', async () => {
    const inner = createMemoryStore();
    const { vault, first, second } = await ring(inner);
    const store = createFaultStore(inner);
    store.plan({ operation: 'delete', matching: /^keys/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
    const both = await proved(vault, file(1), file(2));
    await assert.rejects(removeKey({ ...vault, store }, first, both, START_MS), code('STORE_UNREACHABLE'));
    store.assertAllFired();
    assert.ok((await testKeys(vault, [file(1)])).keys.find(({ keyId }) => keyId === first)?.removed);
    await assert.rejects(removeKey(vault, second, both, START_MS), code('KEY_LAST'));
    assert.equal((await removeKey(vault, first, both, START_MS)).state, 'removed');
    assert.equal((await readRemovals(vault)).length, 1);
  });

  it('fault 39: a key document that a WORM policy holds is said to go later, and is not tried again and again', async () => {
    const inner = createMemoryStore();
    const { vault, first } = await ring(inner);
    const watched = createFaultStore(inner);
    const store: Store = { ...bound(watched), delete: () => Promise.reject(new HoldfastError('STORE_IMMUTABLE', 'held', { data: { untilMs: START_MS + 5 } })) };
    const both = await proved(vault, file(1), file(2));
    assert.deepEqual(await removeKey({ ...vault, store }, first, both, START_MS), { keyId: first, state: 'later', untilMs: START_MS + 5 });
  });

  it('two admins who remove different keys at the same time never lock the vault, in any order of their steps', async () => {
    await fc.assert(fc.asyncProperty(fc.scheduler(), async (scheduler) => {
      const inner = createMemoryStore();
      const { vault, first, second } = await ring(inner);
      const both = await proved(vault, file(1), file(2));
      const store = { ...bound(inner), create: scheduler.scheduleFunction(inner.create.bind(inner)), read: scheduler.scheduleFunction(inner.read.bind(inner)), delete: scheduler.scheduleFunction(inner.delete.bind(inner)) };
      const outcomes = Promise.allSettled([first, second].map((keyId) => removeKey({ ...vault, store }, keyId, both, START_MS)));
      await scheduler.waitFor(outcomes);
      const results = await outcomes;
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
      assert.ok(results.every((one) => one.status === 'fulfilled' || code('KEY_LAST')(one.reason)), JSON.stringify(results));
      const opened = await Promise.allSettled([file(1), file(2)].map((provider) => openVault(inner, provider)));
      assert.equal(opened.filter(({ status }) => status === 'fulfilled').length, 1);
    }), { numRuns: 100 });
  });

  it('the scheduled test unwraps anew, names the keys, and fails with what is wrong', async () => {
    const { vault, second } = await ring();
    const run = (...keys: KeyProvider[]) => createTestKeys({ vault: () => Promise.resolve(vault), keys: () => Promise.resolve(keys.map((provider) => ({ provider, identityOf: ['backup' as const] }))) })({});
    assert.deepEqual(await run(file(2)), { ok: true, value: { opened: [second], notTried: 0 } });
    const lost = await run(file(9));
    assert.ok(!lost.ok && lost.error.code === 'KEY_TEST_FAILED');
    const gone: KeyProvider = { ...file(2), type: 'key-vault', provesOrigin: false, unwrap: () => Promise.reject(new HoldfastError('KEY_VAULT_KEY_GONE', 'no such key')) };
    const none = await run(gone);
    assert.ok(!none.ok && none.error.code === 'KEY_TEST_FAILED' && /none of its type/.test(none.error.message));
  });

  it('threat 4: the scheduled test fails when one of the identities can no longer use the key that the others still can, and says which', async () => {
    const { vault, second } = await ring();
    const denied: KeyProvider = { ...file(2), unwrap: () => Promise.reject(new HoldfastError('KEY_VAULT_DENIED', 'no right to unwrap')) };
    const run = (restore: KeyProvider) => createTestKeys({
      vault: () => Promise.resolve(vault), keys: () => Promise.resolve([{ provider: file(2), identityOf: ['backup', 'maintenance'] }, { provider: restore, identityOf: ['restore'] }]),
    })({});
    assert.deepEqual(await run(file(2)), { ok: true, value: { opened: [second], notTried: 0 } });
    const lost = await run(denied);
    assert.ok(!lost.ok && lost.error.code === 'KEY_TEST_FAILED');
    assert.match(lost.error.message, /used for restore, opens none .* no right to unwrap/);
  });
});

/** The store as a plain object, so that single operations can be replaced. */
const bound = (store: Store): Store => ({
  description: store.description, create: store.create.bind(store), read: store.read.bind(store), stat: store.stat.bind(store), list: store.list.bind(store), delete: store.delete.bind(store), serverTimeMs: store.serverTimeMs.bind(store), close: store.close.bind(store),
});
