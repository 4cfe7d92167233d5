import { HoldfastError } from '../errors/holdfast-error';
import { addKey, factsOf, type KeyTestReport, removeKey, type RemovedKey, testKeys } from '../vault/keys/key-ring';
import type { Store } from '../vault/store/store';
import type { VaultAccess } from '../vault/format/tree';
import type { KeyProvider } from '../vault/keys/key-providers';
import { readKeyDocuments, unlock } from '../vault/keys/unlock';
import { openVaultBy, readVaultInfo } from '../vault/vault';
import { appNamed } from './app-client';
import { keysOfApp, keyTestOfApp } from './app-vault';
import type { CommonOptions } from './command-options';
import { removeKeyFile } from './key-file';
import { keysAtHand, openingProvider } from './keys-at-hand';
import { makeNewKey, type NewKey } from './new-key';
import { namedVault, withStore } from './open-vault';
import type { Output } from './output';
import { table } from './sizes';
import { recordedChange } from './trail-entry';

export interface KeyAddOptions extends CommonOptions {
  readonly type: NewKey['type'];
  readonly newKey?: string;
  readonly newPassphraseFile?: string;
  readonly newKeyVault?: string;
  readonly label?: string;
  readonly escrow?: boolean;
}
export interface KeyRotateOptions extends KeyAddOptions { readonly removeOld?: boolean; readonly yes?: boolean }
export interface KeyTestOptions extends CommonOptions { readonly alsoKey?: readonly string[] }
export interface KeyRemoveOptions extends KeyTestOptions { readonly yes?: boolean }

/** Lists the key documents. Needs no key: it is what a person looks at who does not know which one to fetch. */
export async function runKeyList(options: CommonOptions, out: Output): Promise<number> {
  const app = appNamed(options);
  const keys = app ? await keysOfApp(app) : await withStore(options, 'read', async (store) => {
    await readVaultInfo(store);
    return (await readKeyDocuments(store)).map(factsOf);
  });
  out.answer(keys, () => table([
    ['KEY', 'TYPE', 'LABEL', 'CREATED', 'WHERE'],
    ...keys.map((one) => [one.keyId, one.type, one.label, one.createdAt, one.problem ?? one.keyVaultKey ?? '']),
  ]));
  return 0;
}

/** Wraps the master key once more. The vault is opened with the key it has; the new key is proved before its document is stored. */
export async function runKeyAdd(options: KeyAddOptions, out: Output): Promise<number> {
  const made = await withStore(options, 'write', async (store) => {
    const { vault } = await openVaultBy(store, await openingProvider(store, options));
    return recordedAdd(vault, options, out);
  });
  out.result(made, () => madeLines(made));
  return 0;
}

interface MadeKey { readonly keyId: string; readonly type: string; readonly label: string; readonly keyFile: string | null; readonly keyVaultKey: string | null }

const recordedAdd = (vault: VaultAccess, options: KeyAddOptions, out: Output): Promise<MadeKey> =>
  recordedChange(vault, { action: 'key.add', target: null, details: { type: options.type, label: options.label ?? null } }, out, () => addNew(vault, options), ({ keyId }) => ({ keyId }));

const recordedRemoval = (vault: VaultAccess, keyId: string, proved: ReadonlySet<string>, out: Output): Promise<RemovedKey> =>
  recordedChange(vault, { action: 'key.remove', target: keyId }, out, () => removeKey(vault, keyId, proved, Date.now()), ({ state }) => ({ state }));

/** Adds the key and proves it once more, from what the vault now holds. */
async function addNew(vault: VaultAccess, options: KeyAddOptions): Promise<MadeKey> {
  const label = options.label ?? (options.escrow === true ? 'escrow' : { 'key-file': 'key file', passphrase: 'passphrase', 'key-vault': 'Azure Key Vault' }[options.type]);
  const fresh = await makeNewKey({
    type: options.type, file: options.newKey, passphraseFile: options.newPassphraseFile, passphrase: process.env['HOLDFAST_NEW_PASSPHRASE'], keyVault: options.newKeyVault,
  }, vault.keys.vaultId, namedVault(options));
  try {
    const keyId = await addKey(vault, fresh.provider, label, Date.now());
    const test = (await testKeys(vault, [fresh.provider])).keys.find((one) => one.keyId === keyId);
    if (test?.outcome !== 'opens') throw new HoldfastError('KEY_TEST_FAILED', `The new key ${keyId} was stored and does not open the vault: ${test?.message ?? 'its document is gone'}`, { data: { keyId } });
    return { keyId, type: fresh.type, label, keyFile: fresh.keyFile, keyVaultKey: test.keyVaultKey };
  } catch (error) {
    if (fresh.keyFile !== null && await opensNothing(vault.store, fresh.provider)) await removeKeyFile(fresh.keyFile);
    throw error;
  }
}

/** True only when the vault was read and no document opens with the key; in doubt its file stays. */
async function opensNothing(store: Store, provider: KeyProvider): Promise<boolean> {
  try {
    return 'refused' in await unlock(store, await readVaultInfo(store), provider);
  } catch {
    // The vault cannot be read just now, so the document may be there.
    return false;
  }
}

function madeLines(made: MadeKey): readonly string[] {
  return [
    `Added the key ${made.keyId} (${made.type}, ${made.label}). It was proved to open the vault.`,
    ...(made.keyFile === null ? [] : [`It is ${made.keyFile}: keep it apart from the vault, and from the other keys.`]),
    ...(made.keyVaultKey === null ? [] : [`It is wrapped by ${made.keyVaultKey}; deleting that version locks this key out.`]),
  ];
}

/** A new key in place of the one that opens the vault now. The master key stays the same, so nothing else has to be written again. */
export async function runKeyRotate(options: KeyRotateOptions, out: Output): Promise<number> {
  if (options.removeOld === true && options.yes !== true) throw new HoldfastError('CONFIRMATION_NEEDED', '--remove-old removes the key that opens the vault now');
  const done = await withStore(options, 'write', async (store) => {
    const { vault, keyId: oldKeyId } = await openVaultBy(store, await openingProvider(store, options));
    const made = await recordedAdd(vault, options, out);
    const removed = options.removeOld === true ? await recordedRemoval(vault, oldKeyId, new Set([made.keyId]), out) : null;
    return { made, oldKeyId, removed };
  });
  out.result({ ...done.made, oldKeyId: done.oldKeyId, removed: done.removed && removedJson(done.removed) }, () => [
    ...madeLines(done.made),
    ...(done.removed ? removedLines(done.removed) : [`The old key ${done.oldKeyId} opens the vault, too, until: holdfast key remove ${done.oldKeyId} --yes`]),
  ]);
  return 0;
}

/** Removes keys, one after another, each time proving that another one at hand opens the vault. */
export async function runKeyRemove(keyId: string, options: KeyRemoveOptions, out: Output): Promise<number> {
  const removed = await withStore(options, options.yes === true ? 'write' : 'read', async (store) => {
    const { report, vault } = await proveKeys(store, options);
    const target = report.keys.find((one) => one.keyId === keyId);
    if (target === undefined) throw new HoldfastError('KEY_UNKNOWN', `The vault in ${store.description} has no key ${keyId.slice(0, 40)}`, { data: { keyId: keyId.slice(0, 40) } });
    if (options.yes !== true) throw new HoldfastError('CONFIRMATION_NEEDED', `This would remove the key ${keyId} (${target.type}, ${target.label || 'no label'}) for good`, { data: { keyId } });
    const proved = new Set(report.keys.filter(({ outcome, removed: isGone }) => outcome === 'opens' && !isGone).map((one) => one.keyId));
    return recordedRemoval(vault, keyId, proved, out);
  });
  out.result(removedJson(removed), () => removedLines(removed));
  return 0;
}

const removedJson = ({ keyId, state, untilMs }: RemovedKey): object => ({ keyId, state, until: untilMs === null ? null : new Date(untilMs).toISOString() });

const removedLines = ({ keyId, state, untilMs }: RemovedKey): readonly string[] => (state === 'removed'
  ? [`Removed the key ${keyId}.`]
  : [`The removal of the key ${keyId} is decided, but the vault's WORM policy holds its document${untilMs === null ? '' : ` until ${new Date(untilMs).toISOString()}`}: until then, and until this command is run again, the key opens the vault.`]);

/** Proves every key at hand, and says of the others that they could not be tried. 5 when one at hand does not open the vault. */
export async function runKeyTest(options: KeyTestOptions, out: Output): Promise<number> {
  const app = appNamed(options);
  if (app && options.alsoKey !== undefined) throw new HoldfastError('USAGE', 'An app tries its own key; --also-key is for the vault itself (--vault)');
  const report = app ? await keyTestOfApp(app) : (await withStore(options, 'read', (store) => proveKeys(store, options))).report;
  out.answer(report, () => table([
    ['KEY', 'TYPE', 'LABEL', 'RESULT', ''],
    ...report.keys.map((one) => [one.keyId, one.type, one.label, one.removed ? `${one.outcome} (removed, not yet deleted)` : one.outcome, one.message ?? (one.outcome === 'not-tried' ? 'no key of this type is at hand' : '')]),
  ]));
  if (report.ok) return 0;
  out.warn('a key at hand opens nothing in this vault', 'Look at the lines above; docs/keys.md says what to do for each kind of key.');
  return 5;
}

/** Opens the vault with the first key at hand that does, and tries them all on every document. Throws what the first one said when none opens it. */
async function proveKeys(store: Store, options: KeyTestOptions): Promise<{ readonly vault: VaultAccess; readonly report: KeyTestReport }> {
  const providers = await keysAtHand(store, options, options.alsoKey);
  let refused: unknown;
  for (const provider of providers) {
    try {
      const { vault } = await openVaultBy(store, provider);
      return { vault, report: await testKeys(vault, providers) };
    } catch (error) {
      refused ??= error;
    }
  }
  throw refused;
}
