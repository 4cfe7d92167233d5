import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** restic reaches an emulator at this port and no other. */
export const AZURITE_PORT = 10_000;

const START_TIMEOUT_MS = 60_000;

/** Loaded in front of Azurite, so that it ends when the bench is killed: the pipe to it closes by itself. */
const END_WITH_PARENT = `data:text/javascript,${encodeURIComponent('process.stdin.on("close", () => process.exit(0)).resume(); process.stdin.unref();')}`;

/** Why Azurite cannot be started on its port, or null when it can. */
export async function azuriteObstacle(): Promise<string | null> {
  const probe = createServer();
  try {
    probe.listen(AZURITE_PORT, '127.0.0.1');
    await once(probe, 'listening');
    return null;
  } catch (error) {
    return `port ${AZURITE_PORT} cannot be used (${(error as NodeJS.ErrnoException).code ?? String(error)}), and restic reaches an emulator only there`;
  } finally {
    if (probe.listening) await new Promise((resolve) => probe.close(resolve));
  }
}

/** Runs `use` beside a fresh Azurite in memory, and ends it whatever happens. */
export async function withAzurite<T>(use: () => Promise<T>): Promise<T> {
  const main = require.resolve('azurite/dist/src/blob/main.js');
  const flags = ['--inMemoryPersistence', '--disableTelemetry', '--skipApiVersionCheck', '--silent', '--blobHost', '127.0.0.1', '--blobPort', String(AZURITE_PORT)];
  const child = spawn(process.execPath, ['--import', END_WITH_PARENT, main, ...flags], { stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  try {
    await listening(child);
    return await use();
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
}

function listening(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = '';
    const timer = setTimeout(() => reject(new Error(`Azurite did not listen within ${START_TIMEOUT_MS} ms: ${output}`)), START_TIMEOUT_MS);
    const read = (text: Buffer): void => {
      output = (output + text.toString()).slice(-4_000);
      if (/listens on http/.test(output)) {
        clearTimeout(timer);
        resolve();
      }
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('error', reject);
    child.once('exit', (code) => { clearTimeout(timer); reject(new Error(`Azurite ended with ${code}: ${output}`)); });
  });
}
