import assert from 'node:assert/strict';
import { createHash, createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { blobId, writeBlob } from '../../../vault/format/blob';
import { BLOB_OVERHEAD_BYTES, BlobKind } from '../../../vault/format/format';
import { openDocument, sealDocument } from '../../../vault/format/sealed-document';
import { deriveVaultKeys, documentKey, packKey } from '../../../vault/keys/keys';
import { noise, testKeys } from '../../support/vault-kit';

describe('what is stored', () => {
  const keys = testKeys();
  const plain = noise(8192, 3);
  const sealed = (key: KeyObject): Buffer => {
    const target = Buffer.alloc(plain.length + BLOB_OVERHEAD_BYTES);
    return target.subarray(0, writeBlob(target, 0, key, keys, BlobKind.chunk, blobId(keys, plain), plain, 1));
  };

  it('threat 6: takes a nonce of its own each time, though key and content are the same', () => {
    const key = createSecretKey(randomBytes(32));
    const blobs = Array.from({ length: 1_000 }, () => sealed(key));
    assert.equal(new Set(blobs.map((blob) => blob.subarray(1, 13).toString('hex'))).size, blobs.length);
    const documents = Array.from({ length: 200 }, () => sealDocument(keys, 'items/a', { a: 1 }));
    assert.equal(new Set(documents.map((document) => document.subarray(8, 20).toString('hex'))).size, documents.length);
    assert.deepEqual(openDocument(keys, 'items/a', documents[0] as Buffer), { a: 1 });
  });

  it('threat 6: has a key for each pack and each document, none of them made from what is encrypted', () => {
    const [one, two] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)];
    const bytesOf = (key: KeyObject): string => key.export().toString('hex');
    const all = [packKey(keys, one), packKey(keys, two), documentKey(keys, 'items/a'), documentKey(keys, 'items/b')].map(bytesOf);
    assert.equal(new Set(all).size, all.length);
    assert.equal(bytesOf(packKey(keys, one)), all[0], 'and the same one again for the same pack');
  });

  it('threat 7: has ids that only the vault\'s secret leads to: another vault has others for the same content, and no plain hash is one', () => {
    const other = deriveVaultKeys(keys.vaultId, randomBytes(32));
    const elsewhere = deriveVaultKeys(randomBytes(16), keys.masterKey);
    const id = blobId(keys, plain);
    assert.deepEqual(blobId(testKeys(), plain), id);
    for (const guess of [blobId(other, plain), blobId(elsewhere, plain), createHash('sha256').update(plain).digest(), createHmac('sha256', keys.vaultId).update(plain).digest()]) assert.ok(!guess.equals(id));
  });
});
