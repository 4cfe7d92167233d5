import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { catalogue } from '../../errors/catalogue';
import { bin, CliHome } from './cli-home';

describe('docs/command-line.md', () => {
  it('speaks of every command, option and exit code that there is', async () => {
    const text = await readFile(join(bin, '..', '..', 'docs', 'command-line.md'), 'utf8');
    const home = await CliHome.make();
    try {
      const help = (await home.run(['--help'])).stdout.toString();
      const commands = [...help.slice(help.indexOf('Commands:')).matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name ?? '').filter((name) => name !== 'help');
      assert.ok(commands.length >= 8, help);
      for (const command of commands) {
        assert.ok(text.includes(command), command);
        const own = (await home.run(['help', command])).stdout.toString();
        for (const [option] of own.matchAll(/--[a-z-]+/g)) assert.ok(option === '--help' || option === '--version' || text.includes(option), `${command} ${option}`);
      }
      const codes = new Set(Object.values(catalogue).map(({ exitCode }) => exitCode));
      for (const code of codes) assert.match(text, new RegExp(`^\\| ${code} \\| `, 'm'), `exit code ${code}`);
    } finally {
      await home.remove();
    }
  });
});
