// `npm run package`: what is deployed, in .package/: the compiled app and the packages that it needs in operation, for Linux, built here. Nothing is built in Azure.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

// Compiled, this file lies in dist/infra/.
const root = path.resolve(__dirname, '../..');
const target = path.join(root, '.package');
/** Rooms of dist/ that the app does not use in Azure. */
const leftOut = ['bench', 'infra', 'local', 'test'].map((room) => path.join(root, 'dist', room));

rmSync(target, { recursive: true, force: true });
mkdirSync(target);
cpSync(path.join(root, 'dist'), path.join(target, 'dist'), { recursive: true, filter: (file) => !leftOut.includes(file) && !/\.(map|tsbuildinfo)$/.test(file) });
for (const file of ['host.json', 'LICENSE', 'package.json', 'package-lock.json']) cpSync(path.join(root, file), path.join(target, file));
// Scripts stay off: the app's own would build it again, and no package that it needs in operation has one.
const installed = spawnSync('npm', ['ci', '--omit=dev', '--omit=optional', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: target, stdio: 'inherit' });
if (installed.status !== 0) {
  console.error(`npm ci ended with ${String(installed.status ?? installed.error)}: the package is not whole`);
  process.exit(1);
}
// What is left of package.json cannot make a tool that installs or builds again change anything.
const { name, version, license, type, main, engines, dependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as Record<string, unknown>;
writeFileSync(path.join(target, 'package.json'), `${JSON.stringify({ name, version, license, private: true, type, main, engines, dependencies }, null, 2)}\n`);
rmSync(path.join(target, 'package-lock.json'));
console.log('The package is in .package/');
