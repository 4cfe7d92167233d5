import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Compiled tests lie in dist/test/docs. */
export const root = join(__dirname, '../../..');

/** What is made and not written, and never committed. */
const MADE = new Set(['.git', 'node_modules', 'dist', '.holdfast', '.bench', '.bicep', '.package', '.azurite', 'package-lock.json', 'local.settings.json']);
const TEXT = /(\.(ts|js|mjs|json|md|txt|yml|yaml|sh|bicep|html|css)|\/run|\/\.[a-z]+ignore|\/LICENSE)$/;
const MAX_TEXT_BYTES = 2 * 1024 * 1024;

export interface TextFile { readonly path: string; readonly text: string }

/** Every text file that somebody wrote, by its path from the root, with forward slashes. */
export function textFiles(under = ''): TextFile[] {
  const files: TextFile[] = [];
  for (const entry of readdirSync(join(root, under), { withFileTypes: true })) {
    const path = under === '' ? entry.name : `${under}/${entry.name}`;
    if (MADE.has(entry.name)) continue;
    if (entry.isDirectory()) files.push(...textFiles(path));
    else if (entry.isFile() && TEXT.test(`/${path}`) && statSync(join(root, path)).size <= MAX_TEXT_BYTES) files.push({ path, text: readFileSync(join(root, path), 'utf8') });
  }
  return files;
}

/** The titles of tests and suites in a test's source. */
export const testTitles = (text: string): string[] => [...text.matchAll(/\b(?:it|describe)\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1/g)].map(([, , title = '']) => title);

export const readText = (path: string): string => readFileSync(join(root, path), 'utf8');

export const isThere = (path: string): boolean => statSync(join(root, path), { throwIfNoEntry: false }) !== undefined;

/** The folders at the top: the rooms. */
export const rooms = (): string[] => readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory() && !MADE.has(entry.name)).map(({ name }) => name);

export const fromRoot = (path: string): string => relative(root, path).replaceAll('\\', '/');

/** Lines of a Markdown file outside its code blocks. */
export function proseLines(text: string): string[] {
  let fenced = false;
  return text.split('\n').filter((line) => {
    if (/^\s*```/.test(line)) {
      fenced = !fenced;
      return false;
    }
    return !fenced;
  });
}
