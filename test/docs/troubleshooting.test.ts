import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { catalogue } from '../../errors/catalogue';
import { troubleshootingPage } from './troubleshooting';

/** Compiled tests lie in dist/test/docs. */
const path = join(__dirname, '../../../docs/troubleshooting.md');

describe('docs/troubleshooting.md', () => {
  it('is what the catalogue of errors says', () => {
    const page = troubleshootingPage();
    if (process.env['HOLDFAST_WRITE_DOCS'] === '1') writeFileSync(path, page);
    assert.ok(readFileSync(path, 'utf8') === page, 'docs/troubleshooting.md is stale: write it anew with `npm run docs:errors`');
  });

  it('has every code once, as a row', () => {
    const rows = [...troubleshootingPage().matchAll(/^\| <a id="\w+"><\/a>`([A-Z0-9_]+)` \|/gm)].map((match) => match[1]);
    assert.deepEqual(rows.sort(), Object.keys(catalogue).sort());
  });
});
