import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { bin, CliHome, type ErrorDocument, MIB, noise } from './cli-home';

const isRoot = process.getuid?.() === 0;
/** A mount namespace of the command's own: what it mounts is gone with it, whatever becomes of the test. */
const ownMounts = ['--mount', ...(isRoot ? [] : ['--user', '--map-root-user'])];

describe('holdfast: a full disk, a read-only disk', () => {
  let home: CliHome;
  const disk = noise(8 * MIB, 13);

  beforeEach(async () => {
    home = await CliHome.make();
    await mkdir(home.file('mounted'));
  });
  afterEach(() => home.remove());

  const canMount = (): boolean => {
    const probe = spawnSync('unshare', [...ownMounts, 'mount', '-t', 'tmpfs', 'tmpfs', home.file('mounted')]);
    if (probe.status !== 0) process.stderr.write('storage faults: they need a mount of their own, which this system does not allow\n');
    return probe.status === 0;
  };

  /** Runs lines of shell with mounts of their own; `holdfast` there prints its JSON and its exit code on a line each. */
  const inNamespace = (lines: readonly string[], vault: string): { code: number; value: unknown }[] => {
    const script = ['set -e', `holdfast() { set +e; out=$('${process.execPath}' '${bin}' "$@" --json 2>/dev/null); echo "$?"; echo "$out" | tr -d '\\n'; echo; set -e; }`, ...lines].join('\n');
    const { status, stdout, stderr } = spawnSync('unshare', [...ownMounts, 'bash', '-c', script], { cwd: home.path, env: home.env({ HOLDFAST_VAULT: vault }), encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const printed = stdout.trimEnd().split('\n');
    return Array.from({ length: printed.length / 2 }, (_, index) => ({ code: Number(printed[2 * index]), value: JSON.parse(printed[2 * index + 1] ?? '') as unknown }));
  };

  const codeOf = (value: unknown): string => (value as ErrorDocument).error.code;

  it('fails a backup on a full disk with that cause, shows nothing half-done, and works when there is room', async function () {
    if (!canMount()) return this.skip();
    await writeFile(home.file('big.img'), disk);
    const [init, full, list, check, later, checkLater] = inNamespace([
      'mount -t tmpfs -o size=6m tmpfs mounted', 'holdfast init', 'holdfast backup big.img', 'holdfast list', 'holdfast check',
      'mount -o remount,size=64m mounted', 'holdfast backup big.img', 'holdfast check',
    ], home.file('mounted/vault'));
    assert.equal(init?.code, 0);
    assert.deepEqual([full?.code, codeOf(full?.value)], [1, 'STORE_FULL']);
    assert.deepEqual([list?.code, list?.value], [0, []]);
    assert.equal(check?.code, 0);
    assert.deepEqual([later?.code, checkLater?.code], [0, 0]);
  });

  it('leaves no key behind for a vault that had no room', async function () {
    if (!canMount()) return this.skip();
    const [init, empty] = inNamespace(['mount -t tmpfs -o size=4k tmpfs mounted', 'holdfast init', 'mount -o remount,size=1m mounted', 'holdfast list'], home.file('mounted/vault'));
    assert.deepEqual([init?.code, codeOf(init?.value), codeOf(empty?.value)], [1, 'STORE_FULL', 'VAULT_NOT_FOUND']);
    assert.deepEqual(await readdir(home.file('config/holdfast')), []);
  });

  it('refuses a restore that cannot fit before it writes, and cleans up when the disk fills on the way', async function () {
    if (!canMount()) return this.skip();
    await home.init();
    await home.json(['backup', await home.image('big.img', disk)]);
    const [refused, fits] = inNamespace([
      'mount -t tmpfs -o size=5m tmpfs mounted', 'holdfast restore latest --to mounted/x.img',
      'test -z "$(ls mounted)"', 'mount -o remount,size=20m mounted', 'holdfast restore latest --to mounted/x.img', 'cmp mounted/x.img big.img',
    ], home.vault);
    assert.deepEqual([refused?.code, codeOf(refused?.value)], [1, 'TARGET_NO_SPACE']);
    assert.equal(fits?.code, 0);
    // A limit on the size of files lets the space check pass and the writing fail.
    const limited = spawnSync('bash', ['-c', `trap '' XFSZ; ulimit -f 4096; exec '${process.execPath}' '${bin}' restore latest --to '${home.file('y.img')}' --json`], { env: home.env({ XDG_CACHE_HOME: home.file('cache') }), encoding: 'utf8' });
    assert.equal(limited.status, 1, limited.stderr);
    assert.equal(codeOf(JSON.parse(limited.stdout)), 'TARGET_WRITE_FAILED');
    assert.deepEqual((await readdir(home.path)).filter((name) => name.startsWith('y.img')), []);
  });

  it('lists, restores and checks a vault on a read-only disk, and says why a backup does not work there', async function () {
    if (!canMount()) return this.skip();
    await home.init();
    await home.json(['backup', await home.image('big.img', disk)]);
    const before = await home.objects('');
    const [list, show, restore, check, backup, dryRun] = inNamespace([
      'mount --bind vault vault', 'mount -o remount,bind,ro vault', 'holdfast list', 'holdfast show latest', 'holdfast restore latest --to back.img', 'holdfast check',
      'holdfast backup big.img', 'holdfast backup big.img --dry-run',
    ], home.vault);
    assert.deepEqual([list?.code, show?.code, restore?.code, check?.code, dryRun?.code], [0, 0, 0, 0, 0]);
    await home.assertSame('back.img', disk);
    assert.deepEqual([backup?.code, codeOf(backup?.value)], [1, 'STORE_READ_ONLY']);
    assert.deepEqual(await home.objects(''), before);
  });
});
