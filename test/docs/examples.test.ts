import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parsePolicy } from '../../policy/schema';
import { readSettings } from '../../functions/settings';
import { SubscriptionFolder } from '../../local/azure/subscription-folder';
import { makeTempFolder } from '../support/temp-folder';
import { readText } from './repository';

/** The code blocks of a language in a page. */
const blocks = (page: string, language: string): string[] =>
  [...readText(page).matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map((match) => match[1] ?? '');

describe('examples in docs/local-home.md', () => {
  const [vmJson = '', localSettings = ''] = blocks('docs/local-home.md', 'json');

  it('have a vm.json that the stand-in takes as it stands', async () => {
    const temp = await makeTempFolder();
    try {
      const folder = join(temp.path, 'db');
      await mkdir(folder);
      await writeFile(join(folder, 'vm.json'), vmJson);
      for (const image of ['data.img', 'system.raw']) await writeFile(join(folder, image), Buffer.alloc(4096, 1));
      const warnings: string[] = [];
      const [vm] = await new SubscriptionFolder({ folder: temp.path, seed: 'x', replacedDisks: {}, deletedVms: [], warn: (text) => warnings.push(text) }).list();
      assert.deepEqual(warnings, []);
      assert.equal(vm?.osType, 'Windows');
      assert.deepEqual(vm?.tags, { env: 'prod' });
      assert.equal(vm?.disks.find(({ fileName }) => fileName === 'data.img')?.sku, 'PremiumV2_LRS');
    } finally {
      await temp.remove();
    }
  });

  it('have local settings that the app takes as they stand', () => {
    const { Values } = JSON.parse(localSettings) as { Values: Record<string, string> };
    const settings = readSettings(Values);
    assert.equal(settings.armEndpoint, 'http://127.0.0.1:10044');
    assert.equal(settings.auth?.kind, 'local');
  });

  it('name every option of npm start', () => {
    const options = [...readText('local/main.ts').matchAll(/\.option\('(--[a-z-]+)/g)].map((match) => match[1] ?? '');
    assert.ok(options.length >= 5);
    for (const option of options) assert.match(readText('docs/local-home.md'), new RegExp(`^\\| \`${option}[ \`]`, 'm'));
  });
});

describe('the README', () => {
  it('names only npm scripts that package.json has', () => {
    const { scripts } = JSON.parse(readText('package.json')) as { scripts: Record<string, string> };
    for (const [, name = ''] of readText('README.md').matchAll(/npm run ([a-z]+)/g)) assert.ok(name in scripts, `npm run ${name}`);
    for (const name of ['start', 'test']) assert.ok(readText('README.md').includes(`npm ci && npm ${name}`) && name in scripts);
  });

  it('has a line for every room', () => {
    const readme = readText('README.md');
    for (const room of ['functions', 'orchestrations', 'activities', 'vault', 'policy', 'azure', 'local', 'cli', 'bin', 'errors', 'bench', 'infra', 'test', 'docs']) assert.match(readme, new RegExp(`^\\|.*\`${room}/\``, 'm'));
  });
});

describe('the table of terms in docs/migration-from-azure-backup.md', () => {
  it('has parts of policies that are taken as they stand', () => {
    const parts = [...readText('docs/migration-from-azure-backup.md').matchAll(/^ +\| [^|]+ \| `("[^`]+)`/gm)].map((match) => JSON.parse(`{${match[1]}}`) as Record<string, unknown>);
    assert.ok(parts.length >= 8, `only ${parts.length} parts were found`);
    const rules = ['daily', 'weekly', 'monthly', 'yearly'];
    for (const part of parts) {
      const whole = rules.some((rule) => rule in part) ? { retention: part } : part;
      const document = { name: 'nightly', schedule: { daily: { at: ['02:00'] } }, items: { all: true }, ...whole };
      assert.doesNotThrow(() => parsePolicy(document), JSON.stringify(part));
    }
  });
});

describe('docs/getting-started.md', () => {
  const page = readText('docs/getting-started.md');

  it('stores a policy that is taken as it stands', () => {
    const body = /<<'POLICY'\n(.*?)\nPOLICY/s.exec(page)?.[1];
    assert.ok(body);
    assert.doesNotThrow(() => parsePolicy({ name: 'nightly', ...JSON.parse(body) as object }));
  });

  it('takes from the deployment only what the deployment gives', () => {
    const outputs = [...readText('infra/main.bicep').matchAll(/^output ([A-Z_]+) /gm)].map((match) => match[1]);
    const taken = [...page.matchAll(/\$(HOLDFAST_(?!TOKEN)[A-Z_]+|AZURE_[A-Z_]+)/g)].map((match) => match[1]);
    assert.ok(taken.length >= 3);
    for (const name of [...taken, 'HOLDFAST_VAULT', 'HOLDFAST_KEY_VAULT', 'HOLDFAST_URL']) assert.ok(outputs.includes(name), `${name} is no output of infra/main.bicep`);
  });

  it('uses only commands and options that holdfast has', () => {
    const grammar = ['cli/main.ts', 'cli/key-grammar.ts', 'cli/restore-options.ts'].map(readText).join('\n');
    for (const [, command = '', rest = ''] of page.matchAll(/^npx holdfast ([a-z]+)([^#\n]*)/gm)) {
      assert.match(grammar, new RegExp(`command\\('${command}['\\s]`), command);
      for (const [option] of rest.matchAll(/--[a-z-]+/g)) assert.ok(grammar.includes(`'${option}`), `${command} ${option}`);
    }
  });
});
