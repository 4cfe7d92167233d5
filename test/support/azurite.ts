import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { emulatorKey } from '../../azure/blob/blob-access';

export interface Azurite {
  /** http://127.0.0.1:PORT/devstoreaccount1 */
  readonly accountUrl: string;
  readonly accountName: string;
  readonly accountKey: string;
  /** The address of a container of the caller's own, which is not made yet. */
  newContainerUrl(): string;
}

const startTimeoutMs = 45_000;

let shared: Promise<Azurite> | undefined;
let child: ChildProcess | undefined;

/**
 * The real Azurite of this test process, in memory, started on first use. It is ended by its own process object: after
 * the last test, or when this process exits, or, if this process is killed, by itself when its input closes.
 */
export function startAzurite(): Promise<Azurite> {
  shared ??= start();
  return shared;
}

/** Loaded in front of Azurite: a killed parent cannot clean up, but the pipe to it closes by itself. */
const endWithParent = `data:text/javascript,${encodeURIComponent('process.stdin.on("close", () => process.exit(0)).resume(); process.stdin.unref();')}`;

async function start(): Promise<Azurite> {
  const main = require.resolve('azurite/dist/src/blob/main.js');
  const flags = ['--inMemoryPersistence', '--disableTelemetry', '--skipApiVersionCheck', '--silent', '--blobHost', '127.0.0.1', '--blobPort', '0'];
  const started = spawn(process.execPath, ['--import', endWithParent, main, ...flags], { stdio: ['pipe', 'pipe', 'pipe'] });
  child = started;
  process.once('exit', () => started.kill('SIGKILL'));
  const address = await listeningAddress(started);
  // Neither the process nor its pipes may keep a finished test run waiting.
  started.unref();
  for (const stream of [started.stdin, started.stdout, started.stderr]) if ('unref' in stream && typeof stream.unref === 'function') stream.unref();
  const accountUrl = `${address}/devstoreaccount1`;
  return { accountUrl, accountName: 'devstoreaccount1', accountKey: emulatorKey, newContainerUrl: () => `${accountUrl}/test-${randomUUID()}` };
}

function listeningAddress(started: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    const timer = setTimeout(() => fail(`did not listen within ${startTimeoutMs} ms`), startTimeoutMs);
    const fail = (why: string) => {
      clearTimeout(timer);
      started.kill('SIGKILL');
      reject(new Error(`Azurite ${why}: ${output}`));
    };
    const read = (text: Buffer) => {
      output += text.toString();
      const address = /listens on (http:\/\/\S+)/.exec(output)?.[1];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    };
    started.stdout?.on('data', read);
    started.stderr?.on('data', read);
    started.once('error', (error) => fail(error.message));
    started.once('exit', (code) => fail(`ended with code ${code}`));
  });
}

/** A root hook of mocha, and nothing where this module is used without mocha. */
if (typeof after === 'function') after(async () => {
  if (child === undefined || child.exitCode !== null) return;
  const ended = new Promise((resolve) => child?.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
});
