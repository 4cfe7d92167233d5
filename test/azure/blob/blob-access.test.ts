import assert from 'node:assert/strict';
import { emulatorKey, findBlobAccess } from '../../../azure/blob/blob-access';
import { isHoldfastError } from '../../../errors/holdfast-error';

const containerUrl = 'https://acme.blob.core.windows.net/vault';
const signed = `${containerUrl}?sv=1&sig=x`;
const local = 'http://127.0.0.1:10000/devstoreaccount1/vault';
const withKey = (accountKey: string) => ({ containerUrl, sharedKey: { accountName: 'acme', accountKey } });
const connection = (text: string) => ({ AZURE_STORAGE_CONNECTION_STRING: text });

describe('access to a container', () => {
  it('is by the signature in the address, before anything else', () => {
    assert.deepEqual(findBlobAccess(signed, { AZURE_STORAGE_KEY: 'QUJD', ...connection('AccountName=acme;AccountKey=REVG') }), { containerUrl: signed });
  });

  it('is by a connection string of the same account, before a key', () => {
    const text = 'DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=REVGRA==;EndpointSuffix=core.windows.net';
    assert.deepEqual(findBlobAccess(containerUrl, { AZURE_STORAGE_KEY: 'QUJD', ...connection(text) }), withKey('REVGRA=='));
    const signature = 'BlobEndpoint=https://acme.blob.core.windows.net/;SharedAccessSignature=?sv=1&sig=x';
    assert.deepEqual(findBlobAccess(containerUrl, connection(signature)), { containerUrl: signed });
  });

  it('is not by a connection string or key of another account', () => {
    assert.equal(findBlobAccess(containerUrl, connection('AccountName=other;AccountKey=REVG')), undefined);
    assert.equal(findBlobAccess(containerUrl, { AZURE_STORAGE_ACCOUNT: 'other', AZURE_STORAGE_KEY: 'QUJD' }), undefined);
  });

  it('is by the key of the environment', () => {
    assert.deepEqual(findBlobAccess(containerUrl, { AZURE_STORAGE_KEY: 'QUJD' }), withKey('QUJD'));
    assert.deepEqual(findBlobAccess(containerUrl, { AZURE_STORAGE_ACCOUNT: 'acme', AZURE_STORAGE_KEY: 'QUJD' }), withKey('QUJD'));
  });

  it('is by the published key for an emulator on this machine', () => {
    const published = { containerUrl: local, sharedKey: { accountName: 'devstoreaccount1', accountKey: emulatorKey } };
    assert.deepEqual(findBlobAccess(local, {}), published);
    assert.deepEqual(findBlobAccess(local, connection('UseDevelopmentStorage=true')), published);
    assert.equal(findBlobAccess('https://devstoreaccount1.example.com/vault', {}), undefined);
  });

  it('refuses a key that is cut off, without showing it', () => {
    for (const env of [{ AZURE_STORAGE_KEY: '"TOPSECRET=="' }, connection('AccountName=acme;AccountKey=TOPSECRET')]) {
      assert.throws(() => findBlobAccess(containerUrl, env), (error) => isHoldfastError(error, 'STORE_ACCESS_DENIED') && !/TOPSECRET/.test(String(error) + JSON.stringify(error)));
    }
  });

  it('is by nothing at all where a token is needed', () => {
    assert.equal(findBlobAccess(containerUrl, {}), undefined);
    assert.equal(findBlobAccess(containerUrl, { AZURE_STORAGE_KEY: '', AZURE_STORAGE_CONNECTION_STRING: '' }), undefined);
  });
});
