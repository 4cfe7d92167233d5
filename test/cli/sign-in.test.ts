import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { tokenSourceFor } from '../../cli/sign-in';
import { isHoldfastError } from '../../errors/holdfast-error';
import { CLIENT, TENANT } from '../support/issuer';
import { makeTempFolder, type TempFolder } from '../support/temp-folder';

const HERE = new URL('http://127.0.0.1:7071');
const THERE = new URL('https://acme.azurewebsites.net');

describe('how the command line signs in to an app', () => {
  let temp: TempFolder;
  beforeEach(async () => {
    temp = await makeTempFolder();
    await mkdir(path.join(temp.path, 'access'));
    await writeFile(path.join(temp.path, 'access', 'token'), 'the-token\n');
    await writeFile(path.join(temp.path, 'access', 'url'), 'http://localhost:7071\n');
  });
  afterEach(() => temp.remove());
  const refused = (message: RegExp, work: () => unknown, code: 'UNAUTHENTICATED' | 'USAGE' = 'UNAUTHENTICATED'): void => assert.throws(work, (error) => isHoldfastError(error, code) && message.test(error.message));

  it('takes the token that it is given, and the one of the home on this machine', async () => {
    assert.equal(await tokenSourceFor(THERE, { HOLDFAST_TOKEN: 'given' }, undefined)(), 'given');
    assert.equal(await tokenSourceFor(HERE, {}, temp.path)(), 'the-token');
    assert.equal(await tokenSourceFor(HERE, { HOLDFAST_STATE: temp.path }, undefined)(), 'the-token');
  });

  it('shows a home\'s token to its own address alone, and to no address elsewhere', async () => {
    refused(/is for http:\/\/localhost:7071, and not for http:\/\/127\.0\.0\.1:7072/, () => tokenSourceFor(new URL('http://127.0.0.1:7072'), {}, temp.path));
    refused(/There is no token for http:\/\/127/, () => tokenSourceFor(HERE, {}, path.join(temp.path, 'nothing')));
    refused(/set HOLDFAST_AUTH_CLIENT_ID/, () => tokenSourceFor(THERE, { HOLDFAST_STATE: temp.path }, temp.path));
    await writeFile(path.join(temp.path, 'access', 'url'), 'https://evil.example:7071\n');
    refused(/is for https:\/\/evil/, () => tokenSourceFor(HERE, {}, temp.path));
  });

  it('asks Entra ID for tokens of the app registration that the person named, and says what is missing', async () => {
    refused(/no client id: "api:\/\/x"/, () => tokenSourceFor(THERE, { HOLDFAST_AUTH_CLIENT_ID: 'api://x' }, undefined));
    refused(/no tenant id/, () => tokenSourceFor(THERE, { HOLDFAST_AUTH_CLIENT_ID: CLIENT, HOLDFAST_AUTH_TENANT: 'common' }, undefined));
    refused(/default or device-code/, () => tokenSourceFor(THERE, { HOLDFAST_AUTH_CLIENT_ID: CLIENT, HOLDFAST_SIGN_IN: 'magic' }, undefined), 'USAGE');
    tokenSourceFor(THERE, { HOLDFAST_AUTH_CLIENT_ID: CLIENT, HOLDFAST_AUTH_TENANT: TENANT, HOLDFAST_SIGN_IN: 'device-code' }, undefined);
  });
});
