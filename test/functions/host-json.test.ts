import assert from 'node:assert/strict';
import { readText } from '../docs/repository';

/** Every value of host.json by its path. */
function valuesOf(value: unknown, path: string): [string, string][] {
  return typeof value === 'object' && value !== null ? Object.entries(value).flatMap(([key, item]) => valuesOf(item, path === '' ? key : `${path}.${key}`)) : [[path, String(value)]];
}

describe('host.json', () => {
  it('is explained in docs/host-json.md, every value and nothing else', () => {
    const explained = [...readText('docs/host-json.md').matchAll(/^\| `([\w.]+)` \| `([^`]+)` \| (.+) \|$/gm)].map(([, key = '', value = '']) => [key, value === '""' ? '' : value]);
    assert.deepEqual(Object.fromEntries(explained), Object.fromEntries(valuesOf(JSON.parse(readText('host.json')), '')));
  });
});
