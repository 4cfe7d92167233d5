import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type RunningFunc, startFunc } from '../../local/func';
import { readText } from '../docs/repository';
import { type InvocationLine, readInvocations, RECORDING_SETTING } from './invocations';

const POLL_MS = 250;

/** An app that runs under `func start`, and what its functions were called with. */
export class FuncApp {
  private ended: number | undefined;

  private constructor(private readonly func: RunningFunc, readonly url: string, private readonly file: string, private readonly token: string | undefined) {
    void func.ended.then((code) => { this.ended = code; });
  }

  /**
   * @param program `func`
   * @param folder a new folder for the app that `func` is started in
   * @param entry the app's main file, whose functions write down their calls
   * @param hostJson the app's host.json; the extension bundle is the product's own
   * @param token shown with each request, where the app asks for one
   */
  static async start(program: string, folder: string, entry: string, hostJson: object, settings: Readonly<Record<string, string>>, port: number, token?: string): Promise<FuncApp> {
    await mkdir(folder, { recursive: true });
    const { extensionBundle } = JSON.parse(readText('host.json')) as { extensionBundle: object };
    await writeFile(path.join(folder, 'host.json'), JSON.stringify({ ...hostJson, extensionBundle }));
    await writeFile(path.join(folder, 'package.json'), JSON.stringify({ name: 'recording', main: 'main.js' }));
    await writeFile(path.join(folder, 'main.js'), `require(${JSON.stringify(entry)});\n`);
    const file = path.join(folder, 'invocations.jsonl');
    return new FuncApp(await startFunc(program, { ...settings, [RECORDING_SETTING]: file }, port, folder), `http://127.0.0.1:${port}`, file, token);
  }

  fetch(address: string, init?: RequestInit): Promise<Response> {
    const shown = this.token === undefined ? {} : { authorization: `Bearer ${this.token}` };
    return fetch(new URL(address, this.url), { ...init, headers: { ...shown, ...init?.headers as Record<string, string> } });
  }

  async json(address: string, init?: RequestInit): Promise<{ status: number; body: unknown }> {
    const response = await this.fetch(address, init);
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) as unknown };
  }

  /** Waits until the host answers this address with 200. Throws when it ends before. */
  async answers(address: string): Promise<void> {
    for (;;) {
      const status = await this.fetch(address).then((response) => response.status, () => 0);
      if (status === 200) return;
      if (this.ended !== undefined) throw new Error(`func ended with ${String(this.ended)} before it listened on ${this.url}: what it wrote stands above`);
      await delay(POLL_MS);
    }
  }

  invocations(): InvocationLine[] {
    return readInvocations(this.file);
  }

  stop(): Promise<void> {
    return this.func.stop();
  }
}
