import assert from 'node:assert/strict';
import { chmod, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { keyFileProvider, parseKeyFile } from '../../vault/keys/key-providers';
import { loadManifest } from '../../vault/format/manifest';
import { sealDocument } from '../../vault/format/sealed-document';
import { openFolderStore } from '../../vault/store/folder-store';
import { openVault } from '../../vault/vault';
import { type BackupReport, CliHome, fresh, MIB, noise, sampleDisk } from './cli-home';

interface Report {
  readonly ok: boolean;
  readonly recoveryPoints: readonly {
    readonly id: string; readonly ok: boolean; readonly problems: readonly { readonly code: string; readonly message: string }[];
    readonly disks: readonly { readonly name: string; readonly damage: readonly { readonly code: string; readonly pack: string | null; readonly windows: number; readonly message: string }[] }[];
  }[];
  readonly lost: readonly { readonly code: string; readonly message: string }[];
  readonly plainBytes: number;
}

describe('holdfast check', () => {
  let home: CliHome;
  let first: BackupReport;
  let second: BackupReport;
  let image: string;
  let keyFile: string;
  const disk = sampleDisk(66 * MIB, 21);

  /** Two recovery points of one disk: the second changed its first window only, and shares the other. */
  beforeEach(async () => {
    home = await CliHome.make();
    ({ keyFile } = await home.init());
    image = await home.image('web.img', disk);
    first = await home.json<BackupReport>(['backup', image, '--threads', '1']);
    const changed = Buffer.from(disk);
    noise(4096, 99).copy(changed, 4096);
    await writeFile(image, changed);
    second = await home.json<BackupReport>(['backup', image]);
  });
  afterEach(() => home.remove());

  const damagedReport = async (...args: string[]): Promise<Report> => {
    const { code, stdout, stderr } = await home.run(['check', ...args, '--json']);
    assert.equal(code, 4, stderr);
    assert.match(stderr, /^holdfast: the check found damage\nWhat to do: keep what is left/m);
    const report = JSON.parse(stdout.toString()) as Report;
    assert.equal(report.ok, false);
    return report;
  };

  const flip = async (path: string, at: number): Promise<void> => {
    const bytes = await readFile(path);
    bytes.writeUInt8(bytes.readUInt8(at) ^ 0x40, at);
    await chmod(path, 0o600);
    await writeFile(path, bytes);
  };

  /** The packs by size: the largest data pack is the first backup's. */
  const largest = async (prefix: string): Promise<string> => {
    const sized = await Promise.all((await home.objects(prefix)).map(async (path) => ({ path, size: (await stat(path)).size })));
    return sized.sort((a, b) => b.size - a.size)[0]?.path ?? '';
  };

  it('proves everything once, whatever shares it, and names scopes', async () => {
    const all = await home.json<Report>(['check']);
    assert.deepEqual([all.ok, all.recoveryPoints.map(({ id }) => id), all.lost], [true, [first.recoveryPoint, second.recoveryPoint], []]);
    const one = await home.json<Report>(['check', first.recoveryPoint]);
    assert.deepEqual(one.recoveryPoints.map(({ id }) => id), [first.recoveryPoint]);
    assert.ok(all.plainBytes > one.plainBytes && all.plainBytes < 2 * one.plainBytes, `${all.plainBytes} of ${one.plainBytes}: the shared window was read once`);
    assert.deepEqual((await home.json<Report>(['check', 'latest'])).recoveryPoints.map(({ id }) => id), [second.recoveryPoint]);
    assert.deepEqual((await home.json<Report>(['check', 'web'])).recoveryPoints.length, 2);
    assert.deepEqual((await home.json<Report>(['check', 'all', '--item', 'web'])).recoveryPoints.length, 2);
  });

  it('finds one flipped byte in a pack and names recovery point, disk and pack', async () => {
    const path = await largest('packs/data');
    await flip(path, Math.floor((await stat(path)).size / 2));
    const report = await damagedReport();
    for (const { ok, disks: [found] } of report.recoveryPoints) {
      assert.equal(ok, false);
      assert.deepEqual(found && { name: found.name, damage: found.damage.map(({ code, pack, windows }) => ({ code, pack, windows })) },
        { name: 'web', damage: [{ code: 'PACK_DAMAGED', pack: basename(path), windows: 1 }] });
    }
    const text = await home.run(['check', '--quiet']);
    assert.match(text.stdout.toString(), new RegExp(`DAMAGED {2}${first.recoveryPoint}\n.*disk web: .*${basename(path)}`));
    await home.fails(['restore', 'latest', '--to', home.file('x.img')], 'RESTORE_DAMAGED', 4);
    await assert.rejects(stat(home.file('x.img')));
  });

  it('names every recovery point that shares a damaged window, though it reads the window once', async () => {
    const path = await largest('packs/data');
    // The last chunk of the pack is of the second window, and the footer behind it is smaller than this.
    await flip(path, (await stat(path)).size - 8192);
    const report = await damagedReport();
    assert.deepEqual(report.recoveryPoints.map(({ id, disks: [found] }) => [id, found?.damage.map(({ pack, windows }) => [pack, windows])]),
      [first, second].map(({ recoveryPoint }) => [recoveryPoint, [[basename(path), 1]]]));
  });

  it('finds a missing pack, says who needs it, and --full makes a whole recovery point again', async () => {
    const path = await largest('packs/data');
    await unlink(path);
    const report = await damagedReport();
    assert.deepEqual(report.recoveryPoints.map(({ disks: [found] }) => found?.damage.map(({ code, pack }) => [code, pack])), [[['PACK_MISSING', basename(path)]], [['PACK_MISSING', basename(path)]]]);
    const refused = await home.fails(['restore', first.recoveryPoint, '--to', home.file('x.img')], 'RESTORE_DAMAGED', 4);
    assert.deepEqual(refused.data, { recoveryPoint: first.recoveryPoint, packs: [basename(path)], others: [] });
    const piped = await home.run(['export', 'latest', '--format', 'raw']);
    assert.equal(piped.code, 4);
    const again = await home.json<BackupReport>(['backup', image, '--full']);
    assert.equal((await home.json<Report>(['check', again.recoveryPoint])).ok, true);
    const { message } = await home.fails(['restore', first.recoveryPoint, '--to', home.file('x.img')], 'RESTORE_DAMAGED', 4);
    assert.ok(message.includes(again.recoveryPoint), `it names the one that does without the pack: ${message}`);
  });

  it('finds a lost tree, and fault 36: the next backup stores everything anew by itself, says so, and the one after builds on that', async () => {
    for (const path of await home.objects('packs/meta')) await rm(path);
    const report = await damagedReport();
    assert.deepEqual(report.recoveryPoints.map(({ disks: [found] }) => found?.damage.map(({ code, windows }) => [code, windows])), [[['PACK_MISSING', 0]], [['PACK_MISSING', 0]]]);
    const { code, stderr } = await home.run(['backup', image]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /The tree of disk web was damaged in the recovery point before; the disk was read whole/);
    await home.json(['restore', 'latest', '--to', home.file('x.img')]);
    await home.assertSame('x.img', await readFile(image));
    assert.equal((await home.json<Report>(['check', 'latest'])).ok, true);
    const third = await home.json<BackupReport & { readonly disks: readonly { readonly mode: string }[]; readonly warnings: readonly string[] }>(['backup', image]);
    assert.deepEqual([third.disks.map(({ mode }) => mode), third.warnings], [['compared'], []]);
  });

  it('36: a manifest that does not open is no reason to have no backup: the next one goes on from the one before, says so, and believes no list of changes', async () => {
    const path = (await home.objects('recovery-points')).find((name) => name.endsWith(second.recoveryPoint.slice('web.'.length))) ?? '';
    const whole = await readFile(path);
    await flip(path, 40);
    const disk = await readFile(image);
    fresh(4096).copy(disk, 8192);
    await home.image('web.img', disk);
    await writeFile(home.file('changed.json'), '[]');
    const { code, stdout, stderr } = await home.run(['backup', image, '--changed', home.file('changed.json'), '--json']);
    assert.equal(code, 0, stderr);
    const third = JSON.parse(stdout.toString()) as BackupReport;
    assert.deepEqual([third.parent, third.disks[0]?.mode], [first.recoveryPoint, 'compared']);
    assert.match(third.warnings.join(), new RegExp(`${second.recoveryPoint} is damaged and cannot be restored \\(DOCUMENT_DAMAGED: .*goes on from ${first.recoveryPoint}`));
    assert.match(stderr, new RegExp(`--changed is not used, everything is read: it may count from ${second.recoveryPoint}, which is damaged`));
    await home.json(['restore', 'latest', '--to', home.file('back.img')]);
    await home.assertSame('back.img', disk);
    const report = await damagedReport();
    assert.deepEqual(report.recoveryPoints.map(({ id, ok }) => [id, ok]), [[first.recoveryPoint, true], [second.recoveryPoint, false], [third.recoveryPoint, true]]);
    // Brought back, it is no gap in the history of the one that passed it over.
    await chmod(path, 0o600);
    await writeFile(path, whole);
    assert.equal((await home.json<Report>(['check'])).ok, true);
    const fourth = await home.json<BackupReport>(['backup', image]);
    assert.deepEqual([fourth.parent, fourth.warnings], [third.recoveryPoint, []]);
  });

  it('fault 36: what a check finds damaged is in the ledger, the next backup heals it without being asked, and items say when they were proved', async () => {
    const proved = async (): Promise<unknown> => (await home.json<{ proved: { recoveryPoint: string; ok: boolean } | null }[]>(['items'])).map(({ proved: last }) => last && [last.recoveryPoint, last.ok]);
    assert.deepEqual(await proved(), [null]);
    assert.match((await home.run(['items'])).stdout.toString(), /never/);
    await home.json(['check']);
    assert.deepEqual(await proved(), [[second.recoveryPoint, true]]);
    const path = await largest('packs/data');
    await unlink(path);
    await damagedReport();
    assert.deepEqual(await proved(), [[second.recoveryPoint, false]]);
    assert.deepEqual((await home.objects('damage')).map((one) => basename(one)), [basename(path)]);
    const { stdout, stderr } = await home.run(['backup', image, '--json']);
    assert.match(stderr, /of 64 MiB of disk web needed damaged packs of the vault/);
    const third = JSON.parse(stdout.toString()) as BackupReport & { readonly warnings: readonly string[] };
    assert.equal(third.warnings.length, 1);
    assert.equal((await home.json<Report>(['check', third.recoveryPoint])).ok, true);
    assert.deepEqual((await damagedReport()).recoveryPoints.map(({ id, ok }) => [id, ok]), [[first.recoveryPoint, false], [second.recoveryPoint, false], [third.recoveryPoint, true]]);
    await home.json(['restore', 'latest', '--to', home.file('x.img')]);
    await home.assertSame('x.img', await readFile(image));
  });

  it('of a vault that cannot be written to answers all the same, and says that it could not write down what it proved', async () => {
    // A file where the folder of proofs would be keeps everybody from writing one, also those whom permissions do not stop.
    await writeFile(join(home.vault, 'proofs'), 'in the way');
    const { code, stdout, stderr } = await home.run(['check', '--json']);
    assert.equal(code, 0, stderr);
    assert.equal((JSON.parse(stdout.toString()) as Report).ok, true);
    assert.match(stderr, /what was proved could not be written down/);
    await unlink(join(home.vault, 'proofs'));
    assert.deepEqual((await home.json<{ proved: unknown }[]>(['items'])).map(({ proved }) => proved), [null]);
  });

  it('proves a share at a time with scrub, and says what is left', async () => {
    const all = await home.json<{ ok: boolean; recoveryPoints: { id: string; state: string }[]; itemsLeft: number; shareBytes: number | null }>(['scrub', '--all']);
    assert.deepEqual([all.ok, all.recoveryPoints.map(({ id, state }) => [id, state]), all.itemsLeft, all.shareBytes], [true, [[second.recoveryPoint, 'whole'], [first.recoveryPoint, 'whole']], 0, null]);
    const again = await home.json<{ recoveryPoints: unknown[]; plainBytes: number }>(['scrub']);
    assert.deepEqual([again.recoveryPoints, again.plainBytes], [[], 0], 'nothing is left in this round');
    await home.fails(['scrub', '--days', '0'], 'USAGE', 2);
    await unlink(await largest('packs/data'));
    assert.equal((await home.run(['scrub'])).code, 0, 'a round proves each thing once');
  });

  it('finds a damaged manifest, still lists the others, and never passes an older one off as the latest', async () => {
    const path = join(home.vault, 'recovery-points', 'web', second.recoveryPoint.slice(4));
    await flip(path, 60);
    const report = await damagedReport();
    assert.deepEqual(report.recoveryPoints.map(({ id, ok, problems }) => [id, ok, problems.map(({ code }) => code)]), [[first.recoveryPoint, true, []], [second.recoveryPoint, false, ['DOCUMENT_DAMAGED']]]);
    const listed = await home.run(['list', '--json']);
    assert.equal(listed.code, 4);
    assert.deepEqual((JSON.parse(listed.stdout.toString()) as { id: string }[]).map(({ id }) => id), [first.recoveryPoint]);
    assert.ok(listed.stderr.includes(second.recoveryPoint), listed.stderr);
    assert.equal((await home.run(['items'])).code, 4);
    await home.fails(['restore', 'latest', '--to', home.file('x.img')], 'DOCUMENT_DAMAGED', 4);
    await home.json(['restore', first.recoveryPoint, '--to', home.file('x.img')]);
    await home.assertSame('x.img', disk);
    assert.equal((await damagedReport(second.recoveryPoint)).recoveryPoints.length, 1);
  });

  it('finds a recovery point that was removed, and one whose parent is gone', async () => {
    const path = (id: string): string => join(home.vault, 'recovery-points', 'web', id.slice(4));
    await rename(path(second.recoveryPoint), home.file('kept'));
    assert.match((await damagedReport()).lost.map(({ message }) => message).join(), new RegExp(`${second.recoveryPoint}, which is no longer in the vault`));
    await rename(home.file('kept'), path(second.recoveryPoint));
    assert.equal((await home.run(['check'])).code, 0);
    await unlink(path(first.recoveryPoint));
    const report = await damagedReport();
    assert.deepEqual(report.recoveryPoints.map(({ problems }) => problems.map(({ code }) => code)), [['HISTORY_BROKEN']]);
    assert.deepEqual(report.lost.map(({ code }) => code), ['HISTORY_BROKEN']);
  });

  it('finds a manifest that was replaced, even by one that says the same', async () => {
    const store = await openFolderStore(home.vault);
    const { vault, name } = { vault: await openVault(store, keyFileProvider(parseKeyFile(await readFile(keyFile, 'utf8'), keyFile))), name: `recovery-points/web/${first.recoveryPoint.slice(4)}` };
    const { manifest } = await loadManifest(vault, first.recoveryPoint);
    await chmod(join(home.vault, name), 0o600);
    await writeFile(join(home.vault, name), sealDocument(vault.keys, name, manifest));
    const report = await damagedReport();
    assert.deepEqual(report.recoveryPoints.map(({ ok, problems }) => [ok, problems.map(({ code }) => code)]), [[true, []], [false, ['HISTORY_BROKEN']]]);
    assert.match(report.recoveryPoints[1]?.problems[0]?.message ?? '', /was replaced/);
    await writeFile(join(home.vault, name), sealDocument(vault.keys, name, { ...manifest, createdAt: '2020-01-01T00:00:00.000Z' }));
    assert.match((await damagedReport(first.recoveryPoint)).recoveryPoints[0]?.problems[0]?.message ?? '', /is not what its run 1 sealed/);
  });

  it('finds a history whose runs were removed', async () => {
    await rm(join(home.vault, 'runs', 'web', '0000000001'), { recursive: true });
    const report = await damagedReport();
    assert.deepEqual(report.recoveryPoints.map(({ ok, problems }) => [ok, problems.length]), [[false, 1], [true, 0]]);
    assert.match(report.recoveryPoints[0]?.problems[0]?.message ?? '', /has no sealed run 1/);
  });
});
