import { constants } from 'node:fs';
import { copyFile, link, mkdir, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export interface ContentFile {
  readonly source: string;
  /** Where it goes, with forward slashes and no slash at the start. */
  readonly path: string;
  readonly sizeBytes: number;
}

/** A very large file would take a budget alone; very many small ones take long to lay out and look alike. */
const maxFileBytes = 24 * 1024 * 1024;
const minFileBytes = 12 * 1024;
/** Small, but what a person looks for in a package. */
const alwaysTaken = ['package.json', 'README.md', 'LICENSE'];

/**
 * Ordinary files that are on every machine that runs this: the packages of this installation, in the order of their
 * names, starting behind `skipPackages` of them, up to `budgetBytes` in all.
 */
export async function collectContent(nodeModules: string, skipPackages: number, budgetBytes: number): Promise<ContentFile[]> {
  const packages = (await readdir(nodeModules).catch(() => [])).filter((name) => !name.startsWith('.')).sort();
  const files: ContentFile[] = [];
  let used = 0;
  for (const name of [...packages.slice(skipPackages), ...packages.slice(0, skipPackages)]) {
    for await (const file of walk(join(nodeModules, name), `usr/lib/node_modules/${name}`)) {
      if (file.sizeBytes < minFileBytes && !alwaysTaken.includes(basename(file.path))) continue;
      if (file.sizeBytes > maxFileBytes || file.sizeBytes > budgetBytes - used) continue;
      files.push(file);
      used += file.sizeBytes;
      if (budgetBytes - used < 4096) return files;
    }
  }
  return files;
}

/** The node_modules folder that this program was installed into, found from this file upwards. */
export async function findNodeModules(from: string): Promise<string> {
  for (let folder = from; dirname(folder) !== folder; folder = dirname(folder)) {
    if (basename(folder) === 'node_modules') return folder;
    const inside = join(folder, 'node_modules');
    if ((await stat(inside).catch(() => undefined))?.isDirectory() === true) return inside;
  }
  return join(from, 'node_modules');
}

/** Puts the files below `root`, to be read and deleted again: as links where they can be, else as copies. */
export async function placeContent(root: string, files: readonly ContentFile[]): Promise<void> {
  const made = new Set<string>();
  for (const file of files) {
    const target = join(root, file.path);
    const folder = dirname(target);
    if (!made.has(folder)) await mkdir(folder, { recursive: true });
    made.add(folder);
    if (!(await tryLink(file.source, target))) await copyFile(file.source, target, constants.COPYFILE_FICLONE);
  }
}

async function tryLink(source: string, target: string): Promise<boolean> {
  try {
    await link(source, target);
    return true;
  } catch (error) {
    // Another file system, or one that has no links or forbids them: copying works everywhere.
    if (['EXDEV', 'EPERM', 'ENOTSUP', 'EMLINK', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

async function* walk(folder: string, path: string): AsyncIterable<ContentFile> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries.sort((left, right) => (left.name < right.name ? -1 : 1))) {
    const source = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(source, `${path}/${entry.name}`);
    else if (entry.isFile()) yield { source, path: `${path}/${entry.name}`, sizeBytes: (await stat(source)).size };
  }
}
