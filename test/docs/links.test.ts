import assert from 'node:assert/strict';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fromRoot, isThere, proseLines, readText, rooms, root, textFiles } from './repository';

const pages = textFiles().filter(({ path }) => path.endsWith('.md'));

/** The anchor that GitHub makes of a heading. */
const anchorOf = (heading: string): string => heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-');

const anchorsOf = (text: string): string[] => [
  ...proseLines(text).flatMap((line) => /^#{1,6} (.*)$/.exec(line)?.[1] ?? []).map(anchorOf),
  ...[...text.matchAll(/<a id="([^"]+)">/g)].map((match) => match[1] ?? ''),
];

describe('links in the documents', () => {
  it('finds the documents', () => {
    const paths = pages.map(({ path }) => path);
    for (const path of ['README.md', 'CHANGELOG.md', 'docs/architecture.md', 'docs/vault-format.md', 'docs/decisions/batches.md']) assert.ok(paths.includes(path), `${path} is not among ${paths.join(', ')}`);
  });

  it('lead to files that are there, and to headings in them', () => {
    const broken: string[] = [];
    let links = 0;
    for (const { path, text } of pages) {
      for (const [, target = ''] of proseLines(text).join('\n').matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        links++;
        const [file = '', anchor] = target.split('#');
        const wanted = file === '' ? path : fromRoot(join(root, dirname(path), file));
        if (!isThere(wanted)) broken.push(`${path}: ${target}`);
        else if (anchor !== undefined && !anchorsOf(readText(wanted)).includes(anchor)) broken.push(`${path}: ${target} (no such heading)`);
      }
    }
    assert.deepEqual(broken, []);
    assert.ok(links > 20, `only ${links} links were found`);
  });

  it('that name a file or folder of a room name one that is there', () => {
    const known = rooms();
    const broken: string[] = [];
    let named = 0;
    for (const { path, text } of pages) {
      for (const [, name = ''] of proseLines(text).join('\n').matchAll(/`([\w.@-]+\/[\w./-]*)`/g)) {
        if (!known.includes(name.split('/')[0] ?? '') || !/(\/|\.\w+)$/.test(name)) continue;
        named++;
        if (!isThere(name)) broken.push(`${path}: ${name}`);
      }
    }
    assert.deepEqual(broken, []);
    assert.ok(named > 20, `only ${named} names were found`);
  });

  it('are there for every page and every decision: from the README, or from the page that lists them', () => {
    const readme = readText('README.md');
    for (const { path } of pages) {
      if (!/^docs\/[^/]+\.md$/.test(path)) continue;
      assert.ok(readme.includes(`(${path})`), `the README has no link to ${path}`);
    }
  });
});

describe('text that is committed', () => {
  it('has no path of a machine', () => {
    // Written in parts, so that this file is not its own finding. Examples are allowed: the homes of "you" and of "app".
    const personal = new RegExp(`${'/'}(home|Users)${'/'}(?!you\\b|app\\b)[A-Za-z0-9._-]+|${'/'}root${'/'}`);
    // A place such as /app is too short to tell from a part of another path.
    const here = [root, homedir()].filter((path) => path.split('/').length > 2);
    const found: string[] = [];
    for (const { path, text } of textFiles()) {
      text.split('\n').forEach((line, index) => {
        if (personal.test(line) || here.some((place) => line.includes(`${place}/`))) found.push(`${path}:${index + 1}: ${line.trim().slice(0, 160)}`);
      });
    }
    assert.deepEqual(found, []);
  });

  it('fetches packages from the public registry only', () => {
    const lock = readText('package-lock.json');
    assert.ok((lock.match(/"integrity": "sha512-/g) ?? []).length > 100, 'the lock file names what it expects');
    const hosts = [...lock.matchAll(/"resolved": "([a-z+]+:\/\/[^/"]+)/g)].map((match) => match[1]);
    assert.deepEqual([...new Set(hosts)].filter((host) => host !== 'https://registry.npmjs.org'), []);
  });
});
