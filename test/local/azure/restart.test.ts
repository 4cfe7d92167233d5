import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { spawn, type ChildProcess } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { createAzureStandIn } from '../../../local/azure/stand-in';
import { Bench, blobClient, mib, noise } from './bench';

const mainPath = resolve(__dirname, '../../../local/azure-main.js');

describe('stand-in: restarts', () => {
  it('knows its snapshots, its access and a running operation after a restart', async () => {
    const image = noise(mib, 1);
    const bench = await Bench.start({ 'web/os.img': image });
    try {
      await bench.snapshot('s1', 'web_os');
      const url = await bench.grant('s1');
      await bench.standIn.stop();
      await bench.open({ operationPolls: 1 });
      const put = await bench.arm('PUT', bench.id('rg', 'snapshots/s2'), { location: 'local', properties: { incremental: true, creationData: { createOption: 'Copy', sourceResourceId: bench.diskId('web_os') } } });
      const operationUrl = put.headers.get('azure-asyncoperation') ?? '';
      const family = (await bench.compute.snapshots.get('rg', 's1')).incrementalSnapshotFamilyId;
      await bench.standIn.stop();
      await bench.open();
      assert.ok((await blobClient(url).downloadToBuffer(0, mib)).equals(image), 'the port and the access are the same');
      const states = [];
      for (let poll = 0; poll < 2; poll++) states.push(((await (await fetch(operationUrl)).json()) as { status: string }).status);
      assert.deepEqual(states, ['InProgress', 'Succeeded']);
      assert.equal((await bench.compute.snapshots.get('rg', 's2')).incrementalSnapshotFamilyId, family);
    } finally {
      await bench.stop();
    }
  });

  it('finishes a copy that kill -9 broke off, and leaves no half of it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-kill-'));
    const children: ChildProcess[] = [];
    try {
      await mkdir(join(folder, 'disks/web'), { recursive: true });
      await writeFile(join(folder, 'disks/web/os.img'), randomBytes(96 * mib));
      const start = async (): Promise<{ url: string; subscription: string }> => {
        const child = spawn(process.execPath, [mainPath, '--disks', join(folder, 'disks'), '--state', join(folder, 'state'), '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
        children.push(child);
        let text = '';
        for await (const part of child.stdout) {
          text += String(part);
          const match = /HOLDFAST_ARM_ENDPOINT=(\S+)\nAZURE_SUBSCRIPTION_IDS=(\S+)\n/.exec(text);
          if (match !== null) return { url: match[1] ?? '', subscription: match[2] ?? '' };
        }
        throw new Error(`it never said where it listens: ${text}`);
      };
      const first = await start();
      const compute = `/subscriptions/${first.subscription}/resourceGroups`;
      const snapshot = `${compute}/rg/providers/Microsoft.Compute/snapshots/s1?api-version=2026-03-02`;
      const body = JSON.stringify({ location: 'local', properties: { incremental: true, creationData: { createOption: 'Copy', sourceResourceId: `${compute}/local/providers/Microsoft.Compute/disks/web_os` } } });
      const put = fetch(`${first.url}${snapshot}`, { method: 'PUT', body }).catch(() => undefined);
      const content = join(folder, 'state/content');
      while ((await readdir(content)).length === 0) await new Promise((next) => setImmediate(next));
      children[0]?.kill('SIGKILL');
      await put;
      const second = await start();
      assert.equal(second.subscription, first.subscription);
      let state = '';
      while (state !== 'Succeeded') {
        const answer = await (await fetch(`${second.url}${snapshot}`)).json() as { properties: { provisioningState: string } };
        state = answer.properties.provisioningState;
        assert.notEqual(state, 'Failed');
      }
      assert.equal((await readdir(content)).length, 1);
      const child = children[1];
      const ended = new Promise((done) => child?.once('exit', done));
      child?.kill('SIGINT');
      assert.equal(await ended, 0);
    } finally {
      for (const child of children) child.kill('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('refuses a state folder that another one holds, one inside the images, and folders that are none', async () => {
    const bench = await Bench.start({ 'web/os.img': noise(mib, 1) });
    try {
      const create = (disksFolder: string, stateFolder: string) => () => createAzureStandIn({ disksFolder, stateFolder, port: 0 });
      assert.throws(create(bench.disksFolder, bench.stateFolder), (error) => isHoldfastError(error, 'STANDIN_STATE_IN_USE'));
      assert.throws(create(bench.disksFolder, join(bench.disksFolder, 'state')), (error) => isHoldfastError(error, 'STANDIN_FOLDER'));
      assert.throws(create(join(bench.folder, 'none'), join(bench.folder, 'state2')), (error) => isHoldfastError(error, 'STANDIN_FOLDER'));
      assert.throws(create(join(bench.disksFolder, 'web/os.img'), join(bench.folder, 'state2')), (error) => isHoldfastError(error, 'STANDIN_FOLDER'));
      await mkdir(join(bench.folder, 'state3'), { recursive: true });
      await writeFile(join(bench.folder, 'state3/state.json'), '{"version":9}');
      assert.throws(create(bench.disksFolder, join(bench.folder, 'state3')), (error) => isHoldfastError(error, 'STANDIN_STATE_BROKEN'));
    } finally {
      await bench.stop();
    }
  });

  it('says in one line that the port is taken, and exits with 1', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await new Promise((done) => holder.once('listening', done));
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-port-'));
    try {
      const { port } = holder.address() as AddressInfo;
      const child = spawn(process.execPath, [mainPath, '--disks', folder, '--state', `${folder}-state`, '--port', String(port)], { stdio: ['ignore', 'ignore', 'pipe'] });
      let said = '';
      child.stderr.on('data', (part) => { said += String(part); });
      assert.equal(await new Promise((done) => child.once('close', done)), 1);
      assert.match(said, new RegExp(`Port ${port} on 127.0.0.1 is taken`));
      assert.doesNotMatch(said, /at .*\.js/);
    } finally {
      holder.close();
      await rm(folder, { recursive: true, force: true });
      await rm(`${folder}-state`, { recursive: true, force: true });
    }
  });
});
