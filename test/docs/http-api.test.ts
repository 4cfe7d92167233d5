import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { routes } from '../../functions/routes';
import { readText, root } from './repository';

const PAGE = 'docs/http-api.md';
const [BEGIN, END] = ['<!-- operations: made from the table of routes by `npm run docs:errors` -->\n', '<!-- end of operations -->'];

describe(PAGE, () => {
  it('has every operation that there is, with its role', () => {
    const rows = routes.map(({ method, path, role, summary }) => `| \`${method} /api/${path}\` | ${role === 'public' ? 'anybody' : [role].flat().join(', ')} | ${summary.replaceAll('|', '\\|')} |\n`);
    const table = `\n| operation | role | does |\n|---|---|---|\n${rows.join('')}\n`;
    const text = readText(PAGE);
    const [before = '', rest = ''] = text.split(BEGIN);
    const [shown, after] = rest.split(END);
    if (process.env['HOLDFAST_WRITE_DOCS'] === '1') return writeFileSync(join(root, PAGE), `${before}${BEGIN}${table}${END}${after ?? ''}`);
    assert.equal(shown, table, 'run `npm run docs:errors`');
  });
});
