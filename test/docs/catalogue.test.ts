import assert from 'node:assert/strict';
import { catalogue, type CatalogueEntry } from '../../errors/catalogue';
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

  it('has no code that nothing uses', () => {
    const code = textFiles().filter(({ path }) => path.endsWith('.ts') && !path.startsWith('test/') && path !== 'errors/catalogue.ts').map(({ text }) => text).join('\n');
    assert.deepEqual(entries.map(([name]) => name).filter((name) => !code.includes(`'${name}'`)), []);
  });
});
