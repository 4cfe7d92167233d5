import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compose } from '../../functions/compose';
import { readSettings, settingNames } from '../../functions/settings';
import { isHoldfastError } from '../../errors/holdfast-error';

/** Compiled tests lie in dist/test/functions. */
const text = readFileSync(join(__dirname, '../../../docs/settings.md'), 'utf8');
const rows = [...text.matchAll(/^\| `([A-Z_]+)` \| (.+?) \| (.+?) \| `(.+?)` \|$/gm)].map(([, name = '', , fallback = '', example = '']) => ({ name, fallback, example }));

const needed = { HOLDFAST_VAULT: '/vault', AZURE_SUBSCRIPTION_IDS: '0f0e0d0c-1111-2222-3333-444455556666' };
const refused = (env: NodeJS.ProcessEnv): string => {
  try {
    readSettings(env);
  } catch (error) {
    assert.ok(isHoldfastError(error, 'SETTING_INVALID'));
    return error.message;
  }
  return assert.fail(`${JSON.stringify(env)} was taken`);
};

describe('settings', () => {
  it('are each in docs/settings.md, and nothing else is', () => {
    assert.deepEqual(rows.map(({ name }) => name).sort(), [...settingNames].sort());
  });

  it('take every example of docs/settings.md', () => {
    const keys = ['HOLDFAST_KEY', 'HOLDFAST_PASSPHRASE', 'HOLDFAST_KEY_VAULT'];
    for (const key of keys) readSettings(Object.fromEntries(rows.filter(({ name }) => name === key || !keys.includes(name)).map(({ name, example }) => [name, example])));
  });

  it('have the defaults that docs/settings.md states', () => {
    const settings = readSettings(needed);
    const stated = new Map(rows.map(({ name, fallback }) => [name, /^`(.+)`$/.exec(fallback)?.[1]]));
    assert.equal(stated.get('HOLDFAST_SCHEDULER_CRON'), settings.schedulerCron);
    assert.equal(stated.get('HOLDFAST_REQUESTS_PER_MINUTE'), String(settings.requestsPerMinute));
    assert.equal(stated.get('HOLDFAST_AUTH'), undefined);
    assert.equal(settings.auth, undefined, 'nobody is let in unless it is said how');
    assert.equal(stated.get('HOLDFAST_AZURE_CREDENTIAL'), settings.credential);
    assert.deepEqual([settings.keyFile, settings.armEndpoint, settings.transferThreads], ['', undefined, undefined]);
  });

  it('are refused without the access signature that an address may hold', () => {
    const message = refused({ ...needed, HOLDFAST_RESTORE_CONTAINERS: 'https://a.blob.core.windows.net/c, http://x/y?sig=TopSecret' });
    assert.match(message, /HOLDFAST_RESTORE_CONTAINERS: expects addresses of blob containers.*http:\/\/x\/y\?…/);
    assert.doesNotMatch(message, /TopSecret/);
  });

  it('are refused all at once, each with its name and what it expects', () => {
    const message = refused({ AZURE_SUBSCRIPTION_IDS: 'mine', HOLDFAST_TRANSFER_THREADS: '99', HOLDFAST_AUTH: 'none', HOLDFAST_ARM_ENDPOINT: 'azure' });
    assert.match(message, /HOLDFAST_VAULT: expects the address of the vault: .*; it is missing/);
    assert.match(message, /AZURE_SUBSCRIPTION_IDS: expects subscription ids such as .*; it is "mine"/);
    assert.match(message, /HOLDFAST_TRANSFER_THREADS: expects 0 to 16; it is "99"/);
    assert.match(message, /HOLDFAST_AUTH: expects platform, bearer or local; it is "none"/);
    assert.match(message, /HOLDFAST_ARM_ENDPOINT: .*; it is "azure"/);
  });

  it('name one key at most, and a passphrase is never repeated in a message', () => {
    assert.match(refused({ ...needed, HOLDFAST_KEY: '/k', HOLDFAST_PASSPHRASE: 'correct horse' }), /HOLDFAST_KEY and HOLDFAST_PASSPHRASE each name a key/);
    assert.ok(!refused({ ...needed, HOLDFAST_PASSPHRASE: 'correct horse', HOLDFAST_KEY_VAULT: 'https://a.vault.azure.net/keys/b' }).includes('correct horse'));
    refused({ ...needed, HOLDFAST_KEY_VAULT: 'backup-key' });
    assert.throws(() => compose({ ...needed, HOLDFAST_KEY_VAULT: 'https://example.com/keys/b' }), (error) => isHoldfastError(error, 'SETTING_INVALID') && /HOLDFAST_KEY_VAULT: .* is not the id of a key/.test(error.message));
    compose({ ...needed, HOLDFAST_KEY_VAULT: 'https://acme.vault.azure.net/keys/b' });
  });

  it('are refused by what only Azure knows in the same breath: every line names its setting, what it is and where it is documented', () => {
    const wrong = {
      HOLDFAST_VAULT: 'ftp://somewhere', AZURE_SUBSCRIPTION_IDS: '', HOLDFAST_KEY_VAULT: 'https://example.com/keys/b', HOLDFAST_PASSPHRASE: 'correct horse', HOLDFAST_ARM_ENDPOINT: 'http://example.com',
      HOLDFAST_AZURE_CREDENTIAL: 'me', HOLDFAST_RESTORE_CREDENTIAL: 'managed-identity:me', HOLDFAST_SWEEP_CRON: '0 3 * * *', HOLDFAST_SCRUB_CRON: '0 0 25 * * *', HOLDFAST_MAINTAIN_CRON: '0 0 0 L * *', HOLDFAST_LOOK_CRON: 'hourly', HOLDFAST_NOTIFY_CRON: 'often', HOLDFAST_WEBHOOK_SECRETS: '{"ops":"correct horse"}', HOLDFAST_LOCK_DAYS: '0',
    };
    assert.throws(() => compose(wrong), (error) => {
      assert.ok(isHoldfastError(error, 'SETTING_INVALID'));
      const lines = error.message.split('\n').slice(1);
      assert.deepEqual(lines.map((line) => /^ {2}(\w+)/.exec(line)?.[1]).sort(), Object.keys(wrong).filter((name) => name !== 'HOLDFAST_PASSPHRASE').sort().concat('HOLDFAST_PASSPHRASE').sort());
      for (const line of lines) assert.match(line, /^ {2}\w+(: .+; it is (missing|".*")| and \w+ each name a key of the vault; the app takes one) \(docs\/settings\.md\)$/);
      assert.deepEqual(error.data['settings'], lines.map((line) => line.trim()));
      assert.ok(!error.message.includes('correct horse'));
      return true;
    });
  });

  it('that contradict each other are refused: locks on a vault in a folder', () => {
    assert.match(refused({ ...needed, HOLDFAST_LOCK_DAYS: '30' }), /HOLDFAST_LOCK_DAYS expects a vault in a container, .* HOLDFAST_VAULT is the folder "\/vault"/);
    readSettings({ ...needed, HOLDFAST_VAULT: 'https://acme.blob.core.windows.net/vault', HOLDFAST_LOCK_DAYS: '30' });
  });

  it('that are empty count as not given', () => {
    const settings = readSettings({ ...needed, HOLDFAST_TRANSFER_THREADS: '', HOLDFAST_ARM_ENDPOINT: '', HOLDFAST_SCHEDULER_CRON: '', HOLDFAST_KEY: '' });
    assert.deepEqual([settings.transferThreads, settings.armEndpoint, settings.schedulerCron], [undefined, undefined, '0 * * * * *']);
    assert.match(refused({ ...needed, HOLDFAST_VAULT: '' }), /HOLDFAST_VAULT: .*; it is missing/);
  });

  it('take several subscriptions, with spaces or a comma too many', () => {
    const id = needed.AZURE_SUBSCRIPTION_IDS;
    assert.deepEqual(readSettings({ ...needed, AZURE_SUBSCRIPTION_IDS: ` ${id} , ${id.toUpperCase()},` }).subscriptionIds, [id, id.toUpperCase()]);
    refused({ ...needed, AZURE_SUBSCRIPTION_IDS: ',' });
  });
});
