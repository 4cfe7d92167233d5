import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { bin, CliHome, noise } from '../cli/cli-home';
import { readText } from './repository';

const page = readText('docs/recovery-handbook.md');

/** The commands that stand under the mark of a drill, as a person would paste them. */
function drill(name: string): string {
  const commands = new RegExp(`<!-- drill: ${name} -->\n\`\`\`sh\n(.*?)\`\`\``, 's').exec(page)?.[1];
  assert.ok(commands, `no drill ${name}`);
  return commands;
}

/** Runs commands in a shell that stops at the first one that fails. `npx holdfast` is the command line that was built. */
async function practise(home: CliHome, commands: string, env: NodeJS.ProcessEnv): Promise<string> {
  const script = `set -euo pipefail\nnpx() { shift; "${process.execPath}" "${bin}" "$@"; }\nnode() { "${process.execPath}" "$@"; }\n${commands}`;
  const child = spawn('bash', ['-c', script], { cwd: home.path, env: home.env(env), stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (data: string) => { text += data; });
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
  assert.equal(code, 0, text);
  return text;
}

describe('the recovery handbook, its commands typed as they stand', () => {
  let home: CliHome;
  let escrow: string;
  let points: string[];
  let contents: Buffer[];
  const vars = (more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({ HOLDFAST_KEY: escrow, ITEM: 'web01', DISK: 'os', COPY: home.file('copy'), ...more });

  before(async () => {
    home = await CliHome.make();
    escrow = home.file('escrow.key');
    points = [];
    contents = [];
    await home.json(['init', '--key', home.file('daily.key')]);
    await home.json(['key', 'add', '--type', 'key-file', '--new-key', escrow, '--escrow', '--key', home.file('daily.key')]);
    const image = home.file('os.img');
    for (const fill of [1, 2]) {
      contents.push(Buffer.concat([noise(3 * 1024 * 1024, fill), Buffer.alloc(1024 * 1024)]));
      await writeFile(image, contents.at(-1) ?? '');
      const made = await home.json<{ recoveryPoint: string }>(['backup', image, '--item', 'web01', '--key', home.file('daily.key')]);
      points.push(made.recoveryPoint);
    }
    // From here on there is the vault and the escrow key, and nothing else.
    await rm(home.file('daily.key'));
    await rm(image);
  });

  after(() => home.remove());

  it('the function app is gone: a disk comes back with the vault and the escrow key', async () => {
    const text = await practise(home, drill('app-gone'), vars());
    assert.match(text, /escrow/);
    assert.ok(text.includes(points[1] ?? '?'), text);
    assert.ok((await readFile(home.file('os.img'))).equals(contents[1] ?? Buffer.alloc(0)));
  });

  it('the subscription is gone: a copy is proved and restores', async () => {
    await practise(home, drill('copy'), vars());
    assert.ok((await readFile(home.file('os.from-copy.img'))).equals(contents[1] ?? Buffer.alloc(0)));
  });

  it('the key vault was deleted: the escrow key lets another key in, which alone opens the vault', async () => {
    const passphrase = 'a horse that was stapled correctly';
    const text = await practise(home, drill('key-gone'), vars({ HOLDFAST_NEW_PASSPHRASE: passphrase }));
    assert.match(text, /opens/);
    await home.json(['restore', 'latest', '--item', 'web01', '--to', home.file('by-passphrase.img')], { HOLDFAST_PASSPHRASE: passphrase });
    assert.ok((await readFile(home.file('by-passphrase.img'))).equals(contents[1] ?? Buffer.alloc(0)));
  });

  it('ransomware: the last clean recovery point is held, proved and restored', async () => {
    await practise(home, drill('ransom'), vars({ POINT: points[0] }));
    assert.ok((await readFile(home.file('os.clean.img'))).equals(contents[0] ?? Buffer.alloc(0)));
    const refused = await home.run(['delete', points[0] ?? '', '--json'], vars());
    assert.match(refused.stdout.toString(), /RECOVERY_POINT_HELD/);
  });

  it('the vault is damaged: check names the pack, and the copy\'s object heals it', async () => {
    const pack = (await home.objects('packs/data')).at(0);
    assert.ok(pack);
    const bytes = await readFile(pack);
    await rm(pack);
    await writeFile(pack, bytes.fill(0, 100, 120));
    const before = await home.run(['check', '--json'], vars());
    assert.equal(before.code, 4);
    const name = pack.split('/').at(-1) ?? '?';
    assert.ok(before.stdout.toString().includes(name), 'the check names the pack');
    const text = await practise(home, drill('heal'), vars({ PACK: relative(home.vault, pack) }));
    assert.match(text, new RegExp(name));
    assert.equal((await home.run(['check', '--json'], vars())).code, 0);
  });

  it('has no drill that is not practised here', () => {
    const named = [...page.matchAll(/<!-- drill: ([a-z-]+) -->/g)].map((match) => match[1]);
    assert.deepEqual(named.sort(), ['app-gone', 'copy', 'heal', 'key-gone', 'ransom']);
  });
});
