import assert from 'node:assert/strict';
import { parse } from 'yaml';
import { isThere, readText, textFiles } from './repository';

interface Step { readonly uses?: string; readonly run?: string; readonly with?: Readonly<Record<string, unknown>> }
interface Workflow { readonly permissions?: unknown; readonly jobs: Readonly<Record<string, { readonly 'timeout-minutes'?: number; readonly steps: readonly Step[] }>> }

const path = '.github/workflows/ci.yml';
const workflow = parse(readText(path)) as Workflow;
const steps = Object.values(workflow.jobs).flatMap((job) => job.steps);
const { scripts } = JSON.parse(readText('package.json')) as { scripts: Readonly<Record<string, string>> };

/** The names of npm scripts that a text runs: npm run [--options] NAME, npm test, npm start. */
const scriptsOf = (text: string): string[] => [...text.matchAll(/\bnpm (?:run(?: --?[\w-]+)* ([\w:-]+)|(test|start)\b)/g)].map((match) => match[1] ?? match[2] ?? '');

describe('the workflow for continuous integration', () => {
  it('runs npm scripts that there are, and all that a change has to pass', () => {
    const run = steps.flatMap((step) => scriptsOf(step.run ?? ''));
    assert.deepEqual(run.filter((name) => !(name in scripts)), []);
    for (const name of ['lint', 'typecheck', 'test', 'infra:check', 'bench', 'sbom', 'audit']) assert.ok(run.includes(name), `nothing runs ${name}`);
    assert.ok(steps.some((step) => /npm run bench -- --smoke\b/.test(step.run ?? '')), 'the benchmark runs small');
  });

  it('takes actions by commit, with the version beside it for people and for Dependabot', () => {
    const lines = readText(path).split('\n').filter((line) => /\buses:/.test(line));
    assert.equal(lines.length, steps.filter((step) => step.uses !== undefined).length);
    for (const line of lines) assert.match(line, /uses: [\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    const versions = new Map<string, Set<string>>();
    for (const [, action = '', version = ''] of lines.map((line) => /uses: ([^@]+)@(.+)$/.exec(line) ?? [])) versions.set(action, (versions.get(action) ?? new Set()).add(version));
    assert.deepEqual([...versions].filter(([, found]) => found.size > 1).map(([action]) => action), [], 'one action in two versions');
  });

  it('threat 17: installs what the lock file names, each package by its hash, and no version is a range', () => {
    const declared = JSON.parse(readText('package.json')) as Readonly<Record<'dependencies' | 'devDependencies' | 'optionalDependencies', Readonly<Record<string, string>>>>;
    for (const group of ['dependencies', 'devDependencies', 'optionalDependencies'] as const) {
      for (const [name, version] of Object.entries(declared[group])) assert.match(version, /^\d+\.\d+\.\d+(-[\w.]+)?$/, `${group}: ${name}`);
    }
    const { packages } = JSON.parse(readText('package-lock.json')) as { packages: Readonly<Record<string, { readonly integrity?: string; readonly link?: boolean; readonly inBundle?: boolean }>> };
    const loose = Object.entries(packages).filter(([name, { integrity, inBundle }]) => name !== '' && !inBundle && !/^sha512-/.test(integrity ?? '')).map(([name]) => name);
    assert.deepEqual(loose, []);
    const installs = steps.map((step) => step.run ?? '').filter((run) => /\bnpm (?:ci|i|install|add)\b/.test(run));
    assert.ok(installs.length > 0);
    for (const run of installs) assert.doesNotMatch(run, /\bnpm (?:i|install|add)\b(?! --global azure)/, run);
    assert.ok(Object.keys(declared.dependencies).length <= 30, 'few of them are deployed');
  });

  it('may only read, keeps no token in the checkout, and ends', () => {
    assert.deepEqual(workflow.permissions, { contents: 'read' });
    for (const [name, job] of Object.entries(workflow.jobs)) assert.ok((job['timeout-minutes'] ?? 999) <= 45, `${name} has a time limit`);
    for (const step of steps.filter(({ uses }) => uses?.startsWith('actions/checkout@'))) assert.equal(step.with?.['persist-credentials'], false);
  });
});

describe('the rest of what GitHub reads', () => {
  it('keeps packages and actions up to date', () => {
    const { updates } = parse(readText('.github/dependabot.yml')) as { updates: { 'package-ecosystem': string; directory: string }[] };
    const kept = updates.map((update) => `${update['package-ecosystem']} ${update.directory}`);
    for (const wanted of ['npm /', 'github-actions /', ...(isThere('infra/bicep.csproj') ? ['nuget /infra'] : [])]) assert.ok(kept.includes(wanted), `Dependabot does not look after ${wanted}`);
  });

  it('asks whoever opens an issue in forms that GitHub takes', () => {
    const forms = textFiles('.github/ISSUE_TEMPLATE').filter((file) => !file.path.endsWith('config.yml'));
    assert.ok(forms.length >= 2);
    for (const form of forms) {
      const { name, description, body } = parse(form.text) as { name: string; description: string; body: { type: string; id?: string; attributes: { label?: string; value?: string; options?: string[] } }[] };
      assert.ok(name && description && body.length > 0, form.path);
      const ids = body.flatMap(({ id }) => id ?? []);
      assert.equal(new Set(ids).size, ids.length, `${form.path}: two questions with one id`);
      for (const { type, attributes } of body) {
        assert.ok(['markdown', 'input', 'textarea', 'dropdown', 'checkboxes'].includes(type), `${form.path}: ${type}`);
        assert.ok(type === 'markdown' ? attributes.value : attributes.label, `${form.path}: a question without words`);
        if (type === 'dropdown') assert.ok((attributes.options ?? []).length > 1, form.path);
      }
    }
  });

  it('names npm scripts and documents that there are', () => {
    const files = [...textFiles('.github'), { path: 'SECURITY.md', text: readText('SECURITY.md') }, { path: 'CONTRIBUTING.md', text: readText('CONTRIBUTING.md') }];
    for (const { path: file, text } of files) {
      assert.deepEqual(scriptsOf(text).filter((name) => !(name in scripts)), [], file);
      for (const [name] of text.matchAll(/\b(docs|infra|test)\/[\w./-]*\w/g)) assert.ok(isThere(name), `${file} names ${name}`);
    }
  });
});
