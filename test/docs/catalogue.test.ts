import assert from 'node:assert/strict';
import { catalogue, type CatalogueEntry, type ErrorCode, helpPage } from '../../errors/catalogue';
import { isThere, textFiles } from './repository';

const entries = Object.entries(catalogue as Readonly<Record<string, CatalogueEntry>>);

describe('the catalogue of errors', () => {
  it('has a title that is one sentence without its full stop, and a remedy that ends with one', () => {
    for (const [code, { title, remedy }] of entries) {
      assert.match(title, /^[A-Z].*[^.\s]$/, `the title of ${code}: ${title}`);
      assert.match(remedy, /^[A-Z0-9`].*\.$/, `the remedy of ${code}: ${remedy}`);
    }
  });

  it('has statuses of HTTP failures and the exit codes that the command line documents', () => {
    for (const [code, { status, exitCode }] of entries) {
      assert.ok(Number.isInteger(status) && status >= 400 && status < 600, `the status of ${code}: ${status}`);
      assert.ok([1, 2, 3, 4, 5, 6].includes(exitCode), `the exit code of ${code}: ${exitCode}`);
    }
  });

  it('names documents that are there', () => {
    let named = 0;
    for (const [code, { remedy }] of entries) {
      for (const [path] of remedy.matchAll(/\b(docs|infra)\/[\w./-]*\w/g)) {
        named++;
        assert.ok(isThere(path), `the remedy of ${code} names ${path}, which is not there`);
      }
    }
    assert.ok(named >= 2, `only ${named} documents were named`);
  });

  it('has every code that is raised, and a place in the documentation for each', () => {
    const page = textFiles().find(({ path }) => path === 'docs/troubleshooting.md')?.text ?? '';
    const raised = new Set(textFiles().filter(({ path }) => path.endsWith('.ts')).flatMap(({ text }) => [...text.matchAll(/\bnew HoldfastError\(\s*'([A-Z][A-Z0-9_]+)'/g)].map(([, code]) => String(code))));
    assert.ok(raised.size > 60);
    assert.deepEqual([...raised].filter((code) => !(code in catalogue)), []);
    for (const [code] of entries) {
      const [file, anchor] = helpPage(code as ErrorCode).split('#');
      assert.equal(file, 'docs/troubleshooting.md');
      assert.ok(page.includes(`<a id="${anchor}"></a>`), `${code} has no place in ${file}`);
    }
  });

  it('has the typical failures of the field by name', () => {
    const field: Record<string, ErrorCode> = {
      'guest agent not ready': 'GUEST_AGENT_NOT_READY', 'VSS writer failed': 'GUEST_VSS_FAILED', 'snapshot limit reached': 'SNAPSHOT_LIMIT', 'disk encryption not supported': 'DISK_ENCRYPTION_UNSUPPORTED',
      'vault unreachable': 'STORE_UNREACHABLE', 'key refused': 'KEY_REFUSED', throttled: 'CLOUD_THROTTLED', quota: 'CLOUD_QUOTA', 'disk larger than supported': 'SOURCE_TOO_LARGE',
      'access expired': 'CLOUD_ACCESS_EXPIRED', 'clock wrong': 'CLOCK_WRONG',
    };
    for (const code of Object.values(field)) assert.ok(catalogue[code].remedy.length > 40, `the remedy of ${code} says what to do`);
  });

  it('has no code that nothing uses', () => {
    const code = textFiles().filter(({ path }) => path.endsWith('.ts') && !path.startsWith('test/') && path !== 'errors/catalogue.ts').map(({ text }) => text).join('\n');
    assert.deepEqual(entries.map(([name]) => name).filter((name) => !code.includes(`'${name}'`)), []);
  });
});
