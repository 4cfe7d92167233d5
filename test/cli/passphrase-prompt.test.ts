import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { bin, CliHome } from './cli-home';

/** util-linux's program that gives a command a terminal; its standard input is what a person types. */
const hasTerminal = spawnSync('script', ['--version']).status === 0;
const words = 'correct horse battery staple';

/** Runs a command in a terminal and types an answer at each of the prompts, in order. Answers the exit code and all that the terminal showed. */
async function typed(home: CliHome, args: readonly string[], answers: readonly (readonly [prompt: RegExp, text: string])[]): Promise<{ code: number | null; shown: string }> {
  const command = [process.execPath, bin, ...args].map((part) => `'${part}'`).join(' ');
  const child = spawn('script', ['-qefc', command, '/dev/null'], { cwd: home.path, env: home.env(), stdio: ['pipe', 'pipe', 'pipe'] });
  let shown = '';
  let seen = 0;
  const left = [...answers];
  child.stdout.on('data', (data: Buffer) => {
    shown += data.toString();
    const next = left[0];
    if (!next?.[0].test(shown.slice(seen))) return;
    seen = shown.length;
    left.shift();
    child.stdin.write(next[1]);
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  assert.deepEqual(left.map(([prompt]) => String(prompt)), [], `prompts that did not come: ${shown}`);
  return { code, shown };
}

describe('a passphrase that is asked for', () => {
  let home: CliHome;
  beforeEach(async function () {
    if (!hasTerminal) {
      process.stderr.write('passphrase prompt: there is no `script` (util-linux) here to make a terminal\n');
      return this.skip();
    }
    home = await CliHome.make();
  });
  afterEach(() => home?.remove());

  it('is asked twice for a new vault and once to open it, and is never shown', async () => {
    const made = await typed(home, ['init', '--passphrase'], [[/New passphrase: /, `${words}\r`], [/The same again: /, `${words}\r`]]);
    assert.equal(made.code, 0, made.shown);
    const opened = await typed(home, ['list', '--passphrase'], [[/Passphrase: /, `wrong\u007f\u007f\u007f\u007f\u007f${words}\r`]]);
    assert.equal(opened.code, 0, opened.shown);
    const unasked = await typed(home, ['list'], [[/Passphrase of the vault .*: /, `${words}\n`]]);
    assert.equal(unasked.code, 0, unasked.shown);
    for (const { shown } of [made, opened, unasked]) assert.ok(!shown.includes('horse'), 'what was typed is not echoed');
  });

  it('makes nothing when the two differ or Ctrl-C is typed', async () => {
    const differ = await typed(home, ['init', '--passphrase'], [[/New passphrase: /, `${words}\r`], [/The same again: /, `${words}!\r`]]);
    assert.equal(differ.code, 5, differ.shown);
    const stopped = await typed(home, ['init', '--passphrase'], [[/New passphrase: /, '\u0003']]);
    assert.notEqual(stopped.code, 0);
    assert.ok(!existsSync(`${home.vault}/vault.json`));
  });
});
