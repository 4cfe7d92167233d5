import { type ChildProcess, spawn } from 'node:child_process';
import { emulatorKey } from '../azure/blob/blob-access';

const ACCOUNT = 'devstoreaccount1';

/** Azurite with blobs, queues and tables, in memory, on ports of its own: what a task hub needs. */
export class AzuriteStorage {
  private constructor(private readonly child: ChildProcess, readonly connectionString: string) {}

  static async start(): Promise<AzuriteStorage> {
    const flags = ['--inMemoryPersistence', '--disableTelemetry', '--skipApiVersionCheck', '--silent', '--blobPort', '0', '--queuePort', '0', '--tablePort', '0'];
    const child = spawn(process.execPath, [require.resolve('azurite/dist/src/azurite.js'), ...flags], { stdio: ['ignore', 'pipe', 'pipe'] });
    process.once('exit', () => child.kill('SIGKILL'));
    let said = '';
    const endpoint = (service: string): string | undefined => new RegExp(`Azurite ${service} service is successfully listening at (http://\\S+)`).exec(said)?.[1];
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`Azurite ended with ${String(code)}: ${said}`)));
      const listen = (part: Buffer): void => {
        said += part.toString();
        if (['Blob', 'Queue', 'Table'].every((service) => endpoint(service))) resolve();
      };
      child.stdout.on('data', listen);
      child.stderr.on('data', listen);
    });
    const endpoints = ['Blob', 'Queue', 'Table'].map((service) => `${service}Endpoint=${endpoint(service) ?? ''}/${ACCOUNT};`).join('');
    return new AzuriteStorage(child, `DefaultEndpointsProtocol=http;AccountName=${ACCOUNT};AccountKey=${emulatorKey};${endpoints}`);
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill();
    await ended;
  }
}
