import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { parseContainerUrl, parseVaultAddress, redactSpec } from '../../../vault/store/store-spec';

describe('vault address', () => {
  it('is a folder where it has no scheme, made absolute', () => {
    for (const text of ['vault', './vault', '../vault', '/srv/vault', 'a b/ü', 'C:vault', 'my.blob/vault']) {
      assert.deepEqual(parseVaultAddress(text), { kind: 'folder', path: resolve(text) });
    }
  });

  it('is a folder of this machine as a file address', () => {
    assert.deepEqual(parseVaultAddress('file:///srv/my%20vault'), { kind: 'folder', path: '/srv/my vault' });
    assert.deepEqual(parseVaultAddress('file://localhost/srv/vault'), { kind: 'folder', path: '/srv/vault' });
  });

  it('is a container, of Azure or of an emulator, kept as it was written', () => {
    for (const containerUrl of [
      'https://acme.blob.core.windows.net/vault',
      'https://acme.blob.core.windows.net/vault/',
      'https://acme.blob.core.windows.net/vault?sv=2024-11-04&sig=a%2Bb%3D',
      'https://acme.blob.core.usgovcloudapi.net/vault',
      'https://acme.z12.blob.storage.azure.net/vault-1',
      'http://127.0.0.1:10000/devstoreaccount1/vault',
      'http://localhost:10000/devstoreaccount1/vault',
      'http://azurite:10000/devstoreaccount1/vault',
    ]) assert.deepEqual(parseVaultAddress(containerUrl), { kind: 'blob', containerUrl });
  });

  it('is refused with a reason where it is neither', () => {
    const refused: Record<string, RegExp> = {
      '': /empty/,
      '  ': /empty/,
      's3://bucket/vault': /s3:\/\//,
      'ftp://host/vault': /ftp:\/\//,
      'acme.blob.core.windows.net/vault': /starts with https/,
      'https://acme.blob.core.windows.net': /container is missing/,
      'https://acme.blob.core.windows.net/': /container is missing/,
      'http://127.0.0.1:10000/devstoreaccount1': /container is missing/,
      'https://acme.blob.core.windows.net/vault/folder': /whole container/,
      'https://acme.blob.core.windows.net/Vault': /"Vault" is not a container name/,
      'https://acme.blob.core.windows.net/v': /not a container name/,
      'https://acme.blob.core.windows.net/va--ult': /not a container name/,
      'https://acme.dfs.core.windows.net/vault': /blob endpoint/,
      'https://acme.blob.core.windows.net/vault#x': /# part/,
      'https://acme.blob.core.windows.net/vault?comp=list': /not a shared access signature/,
      'http://acme.blob.core.windows.net/vault': /without https/,
      'https://user:word@acme.blob.core.windows.net/vault': /password/,
      'https://': /not an http address/,
      'file://server/share': /this machine|name a folder/,
      'file:///srv/vault?x': /no \? or # part/,
      'vault\0': /zero byte/,
    };
    for (const [text, why] of Object.entries(refused)) {
      assert.throws(() => parseVaultAddress(text), (error) => isHoldfastError(error, 'VAULT_ADDRESS') && why.test(error.message) || assert.fail(`${text}: ${String(error)}`), text);
    }
  });

  it('never shows its secret in a refusal', () => {
    for (const text of ['https://acme.blob.core.windows.net/vault/x?sv=1&sig=TOPSECRET', 'https://me:TOPSECRET@acme.blob.core.windows.net/vault', 's3://me:TOPSECRET@bucket/x?sig=TOPSECRET', 'file:///x?sig=TOPSECRET']) {
      assert.throws(() => parseVaultAddress(text), (error) => isHoldfastError(error, 'VAULT_ADDRESS') && !/TOPSECRET/.test(JSON.stringify(error) + String(error)), text);
    }
  });

  it('survives JSON, and redaction takes the signature alone', () => {
    const spec = parseVaultAddress('https://acme.blob.core.windows.net/vault?sv=1&sig=TOPSECRET');
    assert.deepEqual(JSON.parse(JSON.stringify(spec)), spec);
    assert.deepEqual(redactSpec(spec), { kind: 'blob', containerUrl: 'https://acme.blob.core.windows.net/vault' });
    assert.deepEqual(redactSpec({ kind: 'folder', path: '/a?b' }), { kind: 'folder', path: '/a?b' });
  });

  it('is taken apart into account and container', () => {
    assert.deepEqual(parseContainerUrl('https://acme.blob.core.windows.net/vault/?sig=x'), {
      account: 'acme', container: 'vault', publicUrl: 'https://acme.blob.core.windows.net/vault', hasSignature: true, isLoopback: false,
    });
    assert.deepEqual(parseContainerUrl('http://127.0.0.1:10000/devstoreaccount1/vault'), {
      account: 'devstoreaccount1', container: 'vault', publicUrl: 'http://127.0.0.1:10000/devstoreaccount1/vault', hasSignature: false, isLoopback: true,
    });
  });
});
