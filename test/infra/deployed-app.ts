// A process of its own: the app in the embedded host, with nothing but the environment to go by. It says where it listens, and ends when its input closes.
import path from 'node:path';
import { createHost } from '../../local/host/host';

async function main(): Promise<void> {
  const host = await createHost({
    entry: path.join(__dirname, '../../functions/register.js'), hostJsonPath: path.join(__dirname, '../../../host.json'), stateFolder: ':memory:', port: 0, hostname: '127.0.0.1',
    log: (level, message) => { if (level !== 'information') process.stderr.write(`${level}: ${message}\n`); },
  });
  await host.start();
  process.stdout.write(`${JSON.stringify({ url: host.url })}\n`);
  process.stdin.on('close', () => { void host.stop().finally(() => process.exit(0)); }).resume();
}

main().catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exit(1);
});
