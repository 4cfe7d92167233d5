import assert from 'node:assert/strict';
import { readText, testTitles, textFiles } from './repository';

const ROWS = 18;

/** The threats that the titles of a test file name: `threat 2: …`, `threats 10, 11 and 14`. */
function threatsNamedIn(text: string): Set<number> {
  const lists = testTitles(text).flatMap((title) => [...title.matchAll(/\bthreats? (\d+(?:(?:, | and )\d+)*)/g)].map(([, list = '']) => list));
  return new Set(lists.flatMap((list) => [...list.matchAll(/\d+/g)].map(([row]) => Number(row))));
}

/** The table of docs/security-model.md: number, threat, what stands against it, tests. */
const rows = [...readText('docs/security-model.md').matchAll(/^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)].map(([, number, threat = '', against = '', shown = '']) => ({ number: Number(number), threat, against, shown }));

describe('the threats in docs/security-model.md', () => {
  const named = new Map(textFiles('test').map(({ path, text }) => [path, threatsNamedIn(text)]));

  it('are all there, once and in order, each with what stands against it', () => {
    assert.deepEqual(rows.map(({ number }) => number), Array.from({ length: ROWS }, (_, index) => index + 1));
    for (const { number, against } of rows) assert.ok(against.trim().length > 20, `threat ${number}`);
  });

  it('name tests whose titles name them', () => {
    const wrong = rows.flatMap(({ number, shown }) => shown.split(', ').filter((path) => !named.get(path)?.has(number)).map((path) => `${number}: no title in ${path} names it`));
    assert.deepEqual(wrong, []);
  });

  it('are all that tests name: no title names one that is not there', () => {
    assert.deepEqual([...named].filter(([, numbers]) => [...numbers].some((number) => number < 1 || number > ROWS)).map(([path]) => path), []);
  });
});
