import assert from 'node:assert/strict';
import { readText, testTitles, textFiles } from './repository';

const ROWS = 45;

/** The rows of the matrix that the titles of a test file name: `fault 28: …`, `faults 4, 7: …`, or bare numbers at the beginning. */
function rowsNamedIn(text: string): Set<number> {
  const named = new Set<number>();
  for (const title of testTitles(text)) {
    for (const [, list = ''] of [...title.matchAll(/\bfaults? (\d+(?:(?:, | and )\d+)*)/g), ...title.matchAll(/^(\d+(?:, \d+)*):/g)]) for (const [row] of list.matchAll(/\d+/g)) named.add(Number(row));
  }
  return named;
}

interface Row { readonly number: number; readonly shown: string }
const rows = (): Row[] => [...readText('docs/faults.md').matchAll(/^\| (\d+) \| [^|]+ \| [^|]+ \| ([^|]+) \|$/gm)].map(([, number, shown]) => ({ number: Number(number), shown: String(shown) }));

describe('docs/faults.md', () => {
  const named = new Map(textFiles('test').map(({ path, text }) => [path, rowsNamedIn(text)]));

  it('has every row of the matrix once, in order', () => {
    assert.deepEqual(rows().map(({ number }) => number), Array.from({ length: ROWS }, (_, index) => index + 1));
  });

  it('names for each row tests whose titles name it, or says why there is none yet', () => {
    const wrong: string[] = [];
    for (const { number, shown } of rows()) {
      const inTests = [...named].filter(([, numbers]) => numbers.has(number)).map(([path]) => path);
      if (shown.startsWith('not yet: ')) continue;
      for (const path of shown.split(', ')) if (!named.get(path)?.has(number)) wrong.push(`${number}: no title in ${path} names it${inTests.length > 0 ? `; ${inTests.join(', ')} does` : ''}`);
    }
    assert.deepEqual(wrong, []);
  });

  it('is not the only one to know the rows: no title names one that is not there', () => {
    assert.deepEqual([...named].filter(([, numbers]) => [...numbers].some((number) => number < 1 || number > ROWS)).map(([path]) => path), []);
  });
});
