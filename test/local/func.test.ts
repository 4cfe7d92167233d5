import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { isHoldfastError } from '../../errors/holdfast-error';
import { compose } from '../../functions/compose';
import { findCoreTools } from '../../local/func';
import { noise } from '../support/home';
import { LocalHome } from '../support/local-home';
import { makeTempFolder } from '../support/temp-folder';

/** In the place of Core Tools, which cannot be had everywhere: it writes down how it was called and what it was told, asks the task hub's account, and stays. */
const FUNC = `#!/usr/bin/env node
const { writeFileSync } = require('node:fs');
const blobs = /BlobEndpoint=([^;]+)/.exec(process.env.AzureWebJobsStorage)[1];
fetch(blobs + '?comp=list').then(({ status }) => {
  writeFileSync(process.env.FUNC_SAID, JSON.stringify({ args: process.argv.slice(2), cwd: process.cwd(), env: process.env, status }));
  process.on('SIGINT', () => process.exit(0));
  setInterval(() => {}, 1000);
});
`;

describe('npm run start:func', () => {
  it('finds the program itself, and never the shim of a package whose download was left out', async () => {
    const temp = await makeTempFolder();
    const put = async (...parts: string[]): Promise<string> => {
      const file = path.join(temp.path, ...parts);
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, FUNC);
      await chmod(file, 0o755);
      return file;
    };
    const shim = path.dirname(await put('node_modules', '.bin', 'func'));
    await mkdir(path.join(temp.path, 'node_modules', 'azure-functions-core-tools', 'lib'), { recursive: true });
    assert.throws(() => findCoreTools({ PATH: shim }, temp.path), (error) => isHoldfastError(error, 'CORE_TOOLS_MISSING') && /npm start/.test(error.remedy));
    const onPath = await put('tools', 'func');
    assert.equal(findCoreTools({ PATH: [shim, path.dirname(onPath)].join(path.delimiter) }, temp.path), onPath);
    const own = await put('node_modules', 'azure-functions-core-tools', 'bin', 'func');
    assert.equal(findCoreTools({ PATH: path.dirname(onPath) }, temp.path), own);
    await temp.remove();
  });

  it('tells func by its environment alone all that the app and the host need, and ends with it', async () => {
    const home = await LocalHome.make();
    try {
      await home.addDisk('web', 'os.img', noise(65536, 1));
      const func = home.cli.file('tools/func');
      await mkdir(path.dirname(func), { recursive: true });
      await writeFile(func, FUNC);
      await chmod(func, 0o755);
      const said = home.cli.file('said.json');
      const app = home.spawnApp(['--func', '--port', '7099'], { PATH: `${path.dirname(func)}${path.delimiter}${process.env['PATH'] ?? ''}`, FUNC_SAID: said });
      await app.untilFile(said);
      await app.until('func had said all', async () => (await readFile(said, 'utf8')).endsWith('}'));
      const { args, cwd, env, status } = JSON.parse(await readFile(said, 'utf8')) as { args: string[]; cwd: string; env: NodeJS.ProcessEnv; status: number };
      assert.deepEqual(args, ['start', '--port', '7099']);
      assert.equal((JSON.parse(await readFile(path.join(cwd, 'host.json'), 'utf8')) as { version: string }).version, '2.0');
      assert.equal(env['FUNCTIONS_WORKER_RUNTIME'], 'node');
      assert.ok(status >= 400, 'Azurite answers, and wants a signature');
      for (const service of ['Blob', 'Queue', 'Table']) assert.match(env['AzureWebJobsStorage'] ?? '', new RegExp(`${service}Endpoint=http://127`));
      compose(env);
      const { code } = await app.interrupt();
      assert.equal(code, 0, app.output);
    } finally {
      await home.dispose();
    }
  });

  it('says what is missing and what to do where Core Tools are not there', async () => {
    const home = await LocalHome.make();
    try {
      const app = home.spawnApp(['--func'], { PATH: '/nowhere' });
      const { code, stderr } = await app.ended;
      assert.equal(code, 2, stderr);
      assert.match(stderr, /^holdfast: Azure Functions Core Tools are not on this machine: .*\nWhat to do: Install them .*npm start/);
    } finally {
      await home.dispose();
    }
  });
});
