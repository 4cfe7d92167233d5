import assert from 'node:assert/strict';
import fc from 'fast-check';
import { z } from 'zod';
import { isHoldfastError } from '../../../errors/holdfast-error';
import type { ErrorCode } from '../../../errors/catalogue';
import { createDocument, findDocument } from '../../../vault/format/documents';
import { findManifest, loadManifest, manifestName, parseRecoveryPointId } from '../../../vault/format/manifest';
import { openDocument, sealDocument } from '../../../vault/format/sealed-document';
import type { VaultAccess } from '../../../vault/format/tree';
import { createFaultStore } from '../../support/fault-store';
import { makeManifest, STAMP_A, STAMP_B } from '../../support/vault-manifests';
import { makeVault, testKeys } from '../../support/vault-kit';

const code = (...wanted: ErrorCode[]) => (error: unknown): boolean => isHoldfastError(error) && wanted.includes(error.code);
const damaged = code('DOCUMENT_DAMAGED');

describe('sealed documents', () => {
  const [keys, name] = [testKeys(), 'items/web01'];

  it('open to any JSON that was sealed', () => {
    fc.assert(fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      const json: unknown = JSON.parse(JSON.stringify(value));
      assert.deepEqual(openDocument(keys, name, sealDocument(keys, name, json)), json);
    }));
    const large = { text: 'line '.repeat(100_000) };
    assert.deepEqual(openDocument(keys, name, sealDocument(keys, name, large)), large);
  });

  it('refuse every flipped bit and every truncation', () => {
    for (const value of [{ a: 1 }, { a: 'long '.repeat(80) }]) {
      const sealed = sealDocument(keys, name, value);
      for (let at = 0; at < sealed.length; at++) {
        const bytes = Buffer.from(sealed);
        bytes[at] = (bytes[at] as number) ^ (1 << (at % 8));
        assert.throws(() => openDocument(keys, name, bytes), at === 4 ? code('VAULT_NEWER_FORMAT') : damaged, `byte ${at}`);
        assert.throws(() => openDocument(keys, name, sealed.subarray(0, at)), damaged, `cut to ${at}`);
      }
    }
  });

  it('threat 8: do not open under another name, in another vault, with another key', () => {
    const sealed = sealDocument(keys, name, { a: 1 });
    assert.throws(() => openDocument(keys, 'items/web02', sealed), damaged);
    assert.throws(() => openDocument({ ...testKeys(20), masterKey: keys.masterKey }, name, sealed), damaged);
    assert.throws(() => openDocument({ ...keys, masterKey: Buffer.alloc(32) }, name, sealed), damaged);
  });

  it('refuse random bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, magic) => {
      assert.throws(() => openDocument(keys, name, Buffer.concat([Buffer.from(magic ? 'HFDC\x01' : '', 'latin1'), bytes])), code('DOCUMENT_DAMAGED', 'VAULT_NEWER_FORMAT'));
    }));
  });
});

describe('documents of a vault', () => {
  let vault: VaultAccess;
  const schema = z.object({ version: z.literal(1), a: z.number() });
  beforeEach(() => { vault = makeVault(); });

  it('are absent only when they definitely are', async () => {
    assert.equal(await findDocument(vault, 'items/a', schema), undefined);
    await createDocument(vault, 'items/a', { version: 1, a: 2 });
    const store = createFaultStore(vault.store);
    store.plan({ operation: 'read', matching: /items/, fault: { kind: 'fail', code: 'STORE_UNREACHABLE', when: 'before' } });
    await assert.rejects(findDocument({ ...vault, store }, 'items/a', schema), code('STORE_UNREACHABLE'));
    store.plan({ operation: 'read', matching: /items/, fault: { kind: 'truncate', length: 0 } });
    await assert.rejects(findDocument({ ...vault, store }, 'items/a', schema), damaged);
    store.assertAllFired();
  });

  it('of a newer version are called newer, of a wrong shape damaged, naming the field', async () => {
    await createDocument(vault, 'items/newer', { version: 2, b: 1 });
    await createDocument(vault, 'items/wrong', { version: 1, a: 'x' });
    await assert.rejects(findDocument(vault, 'items/newer', schema), code('VAULT_NEWER_FORMAT'));
    await assert.rejects(findDocument(vault, 'items/wrong', schema), (error) => damaged(error) && /a: /.test((error as Error).message));
  });

  it('threat 8: a manifest that was moved to another item, another stamp or another vault does not open', async () => {
    const run = { itemId: 'item', sequence: 1, stamp: STAMP_A };
    await createDocument(vault, manifestName('item', STAMP_A), makeManifest(run, 'x'));
    const bytes = await vault.store.read(manifestName('item', STAMP_A));
    assert.equal((await findManifest(vault, 'item', STAMP_A))?.manifest.sequence, 1);
    await vault.store.create(manifestName('item', STAMP_B), bytes);
    await vault.store.create(manifestName('other', STAMP_A), bytes);
    await assert.rejects(findManifest(vault, 'item', STAMP_B), damaged);
    await assert.rejects(findManifest(vault, 'other', STAMP_A), damaged);
    const second = makeVault(undefined, testKeys(40));
    await second.store.create(manifestName('item', STAMP_A), bytes);
    await assert.rejects(findManifest(second, 'item', STAMP_A), damaged);
  });

  it('a manifest sealed under a name that it does not bear is refused', async () => {
    for (const wrong of [{ itemId: 'other' }, { stamp: STAMP_B }, { id: 'item.x' }]) {
      const one = makeVault();
      await createDocument(one, manifestName('item', STAMP_A), { ...makeManifest({ itemId: 'item', sequence: 1, stamp: STAMP_A }, 'x'), ...wrong });
      await assert.rejects(findManifest(one, 'item', STAMP_A), damaged);
    }
  });

  it('a manifest with fields out of range is refused', async () => {
    const good = makeManifest({ itemId: 'item', sequence: 1, stamp: STAMP_A }, 'x');
    const disk = good.disks[0] as (typeof good.disks)[number];
    const wrongs = [{ disks: [] }, { sequence: 0 }, { disks: [{ ...disk, sizeBytes: 2 ** 47 }] }, { disks: [{ ...disk, sizeBytes: 1.5 }] }, { consistency: 'perfect' },
      { disks: [{ ...disk, root: { id: 'xx', pack: 'ab'.repeat(16), offset: 1, length: 1 } }] }, { disks: [{ ...disk, root: { id: 'ab'.repeat(32), pack: '../..', offset: 1, length: 1 } }] }];
    for (const wrong of wrongs) {
      const one = makeVault();
      await createDocument(one, manifestName('item', STAMP_A), { ...good, ...wrong });
      await assert.rejects(findManifest(one, 'item', STAMP_A), damaged, JSON.stringify(wrong));
    }
  });

  it('ids of recovery points are parsed strictly', async () => {
    assert.deepEqual(parseRecoveryPointId('web-01.20261123T010000123Z'), { itemId: 'web-01', stamp: '20261123T010000123Z' });
    for (const id of ['', '.', 'a', 'a.', '.20261123T010000Z', '../x.20261123T010000Z', 'A.20261123T010000Z', 'a.20261123', `${'a'.repeat(49)}.20261123T010000Z`, 'a.20261123T010000Z\n']) {
      assert.throws(() => parseRecoveryPointId(id), code('RECOVERY_POINT_NOT_FOUND'), id);
    }
    await assert.rejects(loadManifest(vault, 'a.20261123T010000Z'), code('RECOVERY_POINT_NOT_FOUND'));
  });
});
