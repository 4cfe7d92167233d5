/** What survives: kill -9, a restart, a stop in the middle, a second host, a taken port. */
import assert from 'node:assert/strict';
import { app } from '@azure/functions';
import * as df from 'durable-functions';
import type { OrchestrationHandler } from 'durable-functions';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { VirtualClock } from '../../../local/host/clock';
import { createHost, type HostOptions } from '../../../local/host/host';

const oneActivity = (handler: (input: unknown) => unknown) => (): void => {
  df.app.activity('work', { handler });
  df.app.orchestration('flow', function* (c) { return yield c.df.callActivity('work', c.df.getInput()); } as OrchestrationHandler);
};

describe('embedded host: durability', () => {
  let folder: string;
  beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'holdfast-host-')); });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs the child until it prints `until`, then kills it; the last line when it ended by itself. */
  async function runChild(until: RegExp | undefined, whileRunning: () => Promise<void> = () => Promise.resolve()): Promise<string> {
    const child = spawn(process.execPath, [join(__dirname, 'kill-child.js'), join(folder, 'state'), join(folder, 'effects')], { stdio: ['ignore', 'pipe', 'inherit'] });
    let last = '';
    for await (const line of createInterface({ input: child.stdout })) {
      last = line;
      if (!until?.test(line)) continue;
      await whileRunning();
      child.kill('SIGKILL');
      break;
    }
    if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once('exit', resolve));
    return last;
  }

  it('goes on after kill -9 at any step, and every step takes effect', async () => {
    for (const moment of [/effect first/, /effect b/, /effect kid/, /effect last/]) await runChild(moment);
    const line = await runChild(undefined);
    assert.equal(line, 'completed ["FIRST",["A","B","C","D"],"KID","went","LAST"]');
    const effects = readFileSync(join(folder, 'effects'), 'utf8').trim().split('\n');
    assert.deepEqual([...new Set(effects)].sort(), ['a', 'b', 'c', 'd', 'first', 'kid', 'last']);
    assert.ok(effects.length > 7, 'a step that was killed while it ran must run again');
  });

  it('refuses a state folder that another process uses, at once', async () => {
    let refused: unknown;
    await runChild(/effect first/, async () => {
      refused = await createHost({ stateFolder: join(folder, 'state'), load: oneActivity(() => 1) }).catch((error: unknown) => error);
    });
    assert.ok(isHoldfastError(refused, 'HOST_STATE_LOCKED'), String(refused));
    assert.ok(refused.message.includes(folder));
  });

  it('refuses a state folder that another host of this process uses, and takes it when that one stopped', async () => {
    const options: HostOptions = { stateFolder: folder, load: oneActivity(() => 1) };
    const first = await createHost(options);
    await assert.rejects(createHost(options), (error: unknown) => isHoldfastError(error, 'HOST_STATE_LOCKED'));
    await first.stop();
    await (await createHost(options)).stop();
  });

  it('keeps the journal from other users', async () => {
    const host = await createHost({ stateFolder: folder, load: oneActivity(() => 1) });
    assert.equal(statSync(join(folder, 'journal.sqlite')).mode & 0o077, 0);
    await host.stop();
  });

  it('says so when the port is taken', async () => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => blocker.once('listening', resolve));
    const { port } = blocker.address() as AddressInfo;
    const host = await createHost({ stateFolder: ':memory:', port, load: oneActivity(() => 1) });
    await assert.rejects(host.start(), (error: unknown) => isHoldfastError(error, 'PORT_IN_USE') && error.message.includes(String(port)));
    await host.stop();
    await new Promise((resolve) => blocker.close(resolve));
  });

  it('discards what has not ended when it stops, and runs it again', async () => {
    let finish: () => void = () => undefined;
    const hanging = new Promise<void>((resolve) => { finish = resolve; });
    let started: () => void = () => undefined;
    const running = new Promise<void>((resolve) => { started = resolve; });
    const first = await createHost({ stateFolder: folder, load: oneActivity(async () => { started(); await hanging; return 'from the stopped host'; }) });
    await first.start();
    first.client.startNew('flow', { instanceId: 'one' });
    await running;
    await first.stop({ graceMs: 1 });
    const second = await createHost({ stateFolder: folder, load: oneActivity(() => 'from the second') });
    finish();
    await second.start();
    assert.equal((await second.waitFor('one')).output, 'from the second');
    await second.stop();
  });

  it('notices a timer run that was missed while it was down', async () => {
    const runs: { at: string; isPastDue: boolean }[] = [];
    const hostAt = (startMs: number): ReturnType<typeof createHost> => {
      const clock = new VirtualClock(startMs);
      return createHost({ stateFolder: folder, clock, load: () => app.timer('daily', { schedule: '0 0 3 * * *', handler: (timer) => void runs.push({ at: new Date(clock.now()).toISOString(), isPastDue: timer.isPastDue }) }) });
    };
    const first = await hostAt(Date.UTC(2026, 0, 1));
    await first.start();
    await first.advanceTo(Date.UTC(2026, 0, 1, 4));
    await first.stop();
    const second = await hostAt(Date.UTC(2026, 0, 3, 12));
    await second.start();
    await second.advanceTo(Date.UTC(2026, 0, 4, 4));
    await second.stop();
    assert.deepEqual(runs, [
      { at: '2026-01-01T03:00:00.000Z', isPastDue: false },
      { at: '2026-01-03T12:00:00.000Z', isPastDue: true },
      { at: '2026-01-04T03:00:00.000Z', isPastDue: false },
    ]);
  });
});
