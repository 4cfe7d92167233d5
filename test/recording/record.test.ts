import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Running } from '../cli/cli-home';
import { root } from '../docs/repository';
import { inputsByInstance } from '../local/host/conformance-stories';
import { type OrchestratorInput, readRecording, type Recording } from '../local/host/recordings';
import { type GoldenStory } from '../orchestrations/golden/fixture';
import { makeTempFolder } from '../support/temp-folder';
import { normalised } from './pattern';

/**
 * In the place of Core Tools: the embedded host, started as `func start --port N` is, on the app in the current folder. So everything but `func` itself is run:
 * the app's main that writes down its calls, the calls over HTTP, statuses, files.
 */
const FUNC = `#!/usr/bin/env node
const { createHost } = require(${JSON.stringify(path.join(root, 'dist', 'local', 'host', 'host.js'))});
const { main } = require(process.cwd() + '/package.json');
const options = { entry: process.cwd() + '/' + main, hostJsonPath: process.cwd() + '/host.json', stateFolder: ':memory:', port: Number(process.argv.at(-1)), hostname: '127.0.0.1', onLargePayload: () => {} };
createHost(options).then((host) => {
  process.on('SIGINT', () => host.stop().then(() => process.exit(0)));
  return host.start();
}).catch((error) => { console.error(error); process.exit(1); });
`;

describe('npm run record:func', () => {
  const run = (args: readonly string[], env: NodeJS.ProcessEnv): Running =>
    new Running(spawn(process.execPath, [path.join(__dirname, 'record.js'), ...args], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] }));

  it('says in one line that Core Tools are missing, and how to get them', async () => {
    const { code, stderr } = await run([], { PATH: '/nowhere' }).ended;
    assert.equal(code, 2, stderr);
    assert.match(stderr, /^record:func: Azure Functions Core Tools are not on this machine: .*Install them.*\n$/);
  });

  it('records patterns and the app over what a host offers, in the form of the recordings', async () => {
    const temp = await makeTempFolder();
    const func = path.join(temp.path, 'tools', 'func');
    await mkdir(path.dirname(func));
    await writeFile(func, FUNC);
    await chmod(func, 0o755);
    const to = path.join(temp.path, 'recordings');
    const env = { PATH: `${path.dirname(func)}${path.delimiter}${process.env['PATH'] ?? ''}` };
    const { code, stderr } = await run(['--to', to, '--port', '7098', '02-sequence', '07-sub-orchestration', 'app'], env).ended;
    assert.equal(code, 0, stderr);
    for (const name of ['02-sequence', '07-sub-orchestration']) {
      const [own, theirs] = [JSON.parse(await readFile(path.join(to, `${name}.json`), 'utf8')) as Recording, readRecording(name)];
      const inputs = ({ events }: Recording): unknown => inputsByInstance(events.flatMap((event) => (event.trigger === 'orchestrationTrigger' ? [{ function: event.function ?? '', input: event.input as OrchestratorInput }] : [])), (id) => id === 'p07-sub');
      assert.deepEqual(inputs(own), inputs(theirs), name);
      assert.deepEqual(Object.keys(own.finalStatus).filter((id) => id.startsWith('p0')).sort(), Object.keys(theirs.finalStatus).filter((id) => id.startsWith('p0')).sort());
      for (const [id, { httpStatus, body }] of Object.entries(own.finalStatus)) {
        if (id in theirs.finalStatus) assert.equal(httpStatus, theirs.finalStatus[id]?.httpStatus, id);
        assert.ok((body as { historyEvents: object[] }).historyEvents.length > 0, id);
      }
      assert.doesNotMatch(JSON.stringify(own), new RegExp(`code=(?!<systemKey>)|${root}`));
    }
    const { executions } = JSON.parse(await readFile(path.join(to, 'holdfast.json'), 'utf8')) as GoldenStory;
    assert.deepEqual([...new Set(executions.map(({ name }) => name))].sort(), ['backupDisk', 'backupRegion', 'backupVm', 'policyLane', 'restore', 'restoreDisk', 'restoreRegion', 'runPolicy']);
    await temp.remove();
  });

  it('refuses a pattern that there is not, naming those that there are', async () => {
    const temp = await makeTempFolder();
    const func = path.join(temp.path, 'func');
    await writeFile(func, FUNC);
    await chmod(func, 0o755);
    const { code, stderr } = await run(['03-fun'], { PATH: temp.path }).ended;
    assert.equal(code, 2, stderr);
    assert.match(stderr, /No such pattern: 03-fun\. There are: 01-single-activity, .*app/);
    await temp.remove();
  });

  it('replaces keys, paths, long stacks and long texts', () => {
    const text = `http://127.0.0.1:7071/x?code=abc-_D&a=1 /srv/app/node_modules/durable-functions/lib/x.js /srv/app/dist/test/y.js`;
    assert.equal(normalised(text, ''), 'http://127.0.0.1:7071/x?code=<systemKey>&a=1 <node_modules>/durable-functions/lib/x.js <app>/test/y.js');
    assert.deepEqual(normalised({ stack: 'Error: x\n    at a (1)\n    at b (2)\n    at c (3)\n    at d (4)' }, ''), { stack: 'Error: x\n    at a (1)\n    at b (2)\n   ...<2 more frames>' });
    assert.match(normalised('y'.repeat(7000), '') as string, /^y{100}\.\.\.<7000 chars in total>\.\.\.y{100}$/);
    assert.deepEqual(normalised(['the key s3cret'], 's3cret'), ['the key <systemKey>']);
  });
});
