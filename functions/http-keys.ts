import { z } from 'zod';
import { DUTIES } from '../activities/deps';
import { factsOf, testKeys } from '../vault/keys/key-ring';
import { readKeyDocuments } from '../vault/keys/unlock';
import { json } from './problem';
import { route } from './route';

const facts = {
  keyId: z.string(), type: z.string(), label: z.string(), createdAt: z.string(), keyVaultKey: z.string().nullable().meta({ description: 'The full id of the key in Key Vault, version included' }),
  problem: z.string().nullable().meta({ description: 'Why its document cannot be used' }),
};
const keyList = z.strictObject({ value: z.array(z.strictObject(facts)), nextLink: z.null() }).meta({ id: 'KeyList' });

const keyTests = z.strictObject({
  ok: z.boolean().meta({ description: 'Each of the app\'s identities opens the vault with its own key' }),
  tests: z.array(z.strictObject({
    identityOf: z.array(z.enum(DUTIES)), ok: z.boolean(),
    keys: z.array(z.strictObject({ ...facts, outcome: z.enum(['opens', 'refused', 'failed', 'not-tried', 'damaged']), message: z.string().nullable(), removed: z.boolean() })),
  })),
}).meta({ id: 'KeyTests' });

const listKeys = route({
  id: 'listKeys', method: 'GET', path: 'vault/keys', role: 'Reader', responses: { 200: keyList },
  summary: 'The keys that open the vault: what they are and where, never a key itself',
  async handler({ services: { deps } }) {
    return json({ value: (await readKeyDocuments((await deps.vault()).store)).map(factsOf), nextLink: null });
  },
});

/** Changes nothing; the keys of people, such as an escrow key, are not the app's to try: `not-tried`. */
const testVaultKeys = route({
  id: 'testVaultKeys', method: 'POST', path: 'vault/keys/test', role: 'Operator', responses: { 200: keyTests },
  summary: 'Has each identity of the app open the vault anew with its key',
  async handler({ services: { others: { maintenance } } }) {
    const vault = await maintenance.vault();
    const tests = [];
    for (const { provider, identityOf } of await maintenance.keys()) tests.push({ identityOf, ...await testKeys(vault, [provider]) });
    return json({ ok: tests.length > 0 && tests.every(({ ok }) => ok), tests });
  },
});

export const keyRoutes = [listKeys, testVaultKeys];
