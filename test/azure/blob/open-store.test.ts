import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ContainerSASPermissions, generateBlobSASQueryParameters, StorageSharedKeyCredential } from '@azure/storage-blob';
import { openStore } from '../../../azure/open-store';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { parseVaultAddress } from '../../../vault/store/store-spec';
import { startAzurite } from '../../support/azurite';
import { collect } from '../../support/store-contract';
import { makeTempFolder, type TempFolder } from '../../support/temp-folder';

const some = Buffer.from('some');

describe('open store', () => {
  let folder: TempFolder;
  beforeEach(async () => {
    folder = await makeTempFolder();
  });
  afterEach(() => folder.remove());

  it('opens a folder, and loads no Azure client for it', () => {
    const program = `
      const { openStore } = require(${JSON.stringify(join(__dirname, '../../../azure/open-store.js'))});
      openStore({ kind: 'folder', path: process.argv[1] }, {}, { create: true })
        .then((store) => store.create('a', Buffer.from('x')))
        .then((outcome) => console.log(JSON.stringify({ outcome, azure: Object.keys(require.cache).filter((path) => path.includes('@azure')) })));`;
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', program, folder.path], { encoding: 'utf8' });
    assert.deepEqual(JSON.parse(stdout || '{}'), { outcome: 'created', azure: [] }, stderr);
  });

  it('opens a folder for reading only', async () => {
    const spec = parseVaultAddress(folder.path);
    await (await openStore(spec, {}, { create: true })).create('a', some);
    const store = await openStore(spec, {}, { readOnly: true });
    await assert.rejects(store.create('b', some), (error) => isHoldfastError(error, 'STORE_READ_ONLY'));
  });

  it('opens a container of an emulator with nothing but its address', async () => {
    const { newContainerUrl } = await startAzurite();
    const spec = parseVaultAddress(newContainerUrl());
    const store = await openStore(spec, {}, { create: true });
    assert.equal(await store.create('a', some), 'created');
    await openStore(spec, {}, { create: true });
    assert.deepEqual(await (await openStore(spec, {})).read('a'), some);
  });

  it('opens a container by a signature, and may do what that allows', async () => {
    const { accountName, accountKey, newContainerUrl } = await startAzurite();
    const containerUrl = newContainerUrl();
    await openStore(parseVaultAddress(containerUrl), {}, { create: true });
    const containerName = new URL(containerUrl).pathname.split('/')[2] ?? '';
    const sign = (permissions: ContainerSASPermissions) =>
      generateBlobSASQueryParameters({ containerName, permissions, expiresOn: new Date(Date.now() + 3_600_000) }, new StorageSharedKeyCredential(accountName, accountKey)).toString();
    const store = await openStore(parseVaultAddress(`${containerUrl}?${sign(ContainerSASPermissions.parse('rcwdl'))}`), {});
    assert.equal(await store.create('a', some), 'created');
    assert.equal(await store.create('a', some), 'exists');
    assert.deepEqual(await store.read('a'), some);
    assert.equal((await collect(store.list(''))).length, 1);
    assert.equal(store.description, containerUrl);
    // A signature of a container can never make one: a new vault is made in what the deployment has made.
    const made = await openStore(parseVaultAddress(`${containerUrl}?${sign(ContainerSASPermissions.parse('rcl'))}`), {}, { create: true });
    assert.equal(await made.create('b', some), 'created');

    const reader = await openStore(parseVaultAddress(`${containerUrl}?${sign(ContainerSASPermissions.parse('rl'))}`), {});
    assert.deepEqual(await reader.read('a'), some);
    await assert.rejects(reader.create('b', some), (error) => isHoldfastError(error, 'STORE_ACCESS_DENIED'));
    await assert.rejects(reader.delete('a'), (error) => isHoldfastError(error, 'STORE_ACCESS_DENIED'));
    assert.equal(await store.delete('a'), 'deleted');
  });

  it('takes a token credential only over https', async () => {
    const { accountUrl } = await startAzurite();
    const containerUrl = `${accountUrl.replace('devstoreaccount1', 'acme')}/vault`;
    let asked = 0;
    const credential = { getToken: async () => ({ token: `TOKEN${(asked += 1)}`, expiresOnTimestamp: Date.now() + 3_600_000 }) };
    const store = await openStore(parseVaultAddress(containerUrl), {}, { credential, retry: { tries: 1 } });
    await assert.rejects(store.stat('a'), (error) => isHoldfastError(error));
    assert.equal(asked, 0, 'the token never went over the wire');
  });
});
