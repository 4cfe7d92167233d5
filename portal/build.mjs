// Bundles the portal into dist/portal/files: hashed names, compressed beforehand, nothing that is fetched from anywhere else.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const here = import.meta.dirname;
const root = path.resolve(here, '..');
const target = path.join(root, 'dist', 'portal', 'files');
/** Packages whose code is in the bundle: their licences go with it. */
const BUNDLED = ['preact', 'uplot'];

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });

const bundle = await build({
  entryPoints: [path.join(here, 'main.tsx')], bundle: true, minify: true, format: 'esm', target: ['es2022'], jsx: 'automatic', jsxImportSource: 'preact',
  charset: 'utf8', legalComments: 'none', write: false, outdir: target, logLevel: 'warning', tsconfig: path.join(here, 'tsconfig.json'),
});

/** Stores a file as it is, with gzip and with brotli: the app only hands them out. */
function store(name, content) {
  const bytes = Buffer.from(content);
  writeFileSync(path.join(target, name), bytes);
  writeFileSync(path.join(target, `${name}.gz`), gzipSync(bytes, { level: 9 }));
  writeFileSync(path.join(target, `${name}.br`), brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }));
}

/** Stores a file under a name that changes with its content, so that it can be cached for ever. Returns the name. */
function storeHashed(stem, extension, content) {
  const name = `${stem}-${createHash('sha256').update(content).digest('hex').slice(0, 12)}.${extension}`;
  store(name, content);
  return name;
}

const output = (extension) => bundle.outputFiles.find((file) => file.path.endsWith(extension)).contents;
const names = { SCRIPT: storeHashed('portal', 'js', output('.js')), STYLE: storeHashed('portal', 'css', output('.css')), ICON: storeHashed('icon', 'svg', readFileSync(path.join(here, 'icon.svg'))) };
store('index.html', readFileSync(path.join(here, 'index.html'), 'utf8').replace(/%(\w+)%/g, (_, name) => names[name]));
store('licences.txt', BUNDLED.map((name) => {
  const folder = path.join(root, 'node_modules', name);
  const { version } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
  return `${name} ${version}\n\n${readFileSync(path.join(folder, 'LICENSE'), 'utf8').trim()}\n`;
}).join('\n----\n\n'));
