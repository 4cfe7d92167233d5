import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { JobView } from '../../functions/job-view';
import { savePolicy } from '../../activities/policy-store';
import { openStore } from '../../azure/open-store';
import { parsePolicy } from '../../policy/schema';
import { CliHome, type Ended, Running } from '../cli/cli-home';

const MAIN = path.join(__dirname, '..', '..', 'local', 'main.js');
const POLL_MS = 20;

/** What the stand-in for Azure still holds, as its state folder says. */
export interface CloudRemains {
  readonly snapshots: number;
  readonly restorePoints: number;
  /** Files with the bytes of disks. */
  readonly copies: number;
}

/**
 * A person's machine for the real processes: `npm start` and `holdfast`, with a home folder, disks, a vault and a state folder of a test's
 * own. No key can land in a real home, and every app listens on a port that the system chose.
 */
export class LocalHome {
  private readonly apps: RunningApp[] = [];

  private constructor(readonly cli: CliHome) {}

  static async make(): Promise<LocalHome> {
    const home = new LocalHome(await CliHome.make());
    // Where the command line finds the token of the app that runs.
    home.cli.defaults = { HOLDFAST_STATE: home.state };
    await mkdir(home.disks);
    return home;
  }

  get disks(): string {
    return this.cli.file('disks');
  }

  get state(): string {
    return this.cli.file('state');
  }

  /** Makes the vault with the command line, and a policy that is off in it: jobs then start only when the test asks for one. */
  async quietVault(...args: string[]): Promise<{ readonly vaultId: string; readonly keyFile: string }> {
    const made = await this.cli.init(...args);
    const store = await openStore({ kind: 'folder', path: this.cli.vault }, {});
    await savePolicy(store, parsePolicy({ name: 'manual', enabled: false, schedule: { daily: { at: ['00:00'] } }, items: { all: true } }), 0);
    await store.close();
    return made;
  }

  async addDisk(vm: string, fileName: string, bytes: Buffer): Promise<string> {
    const file = path.join(this.disks, vm, fileName);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, bytes);
    return file;
  }

  /** Starts the app and leaves it as it comes; later arguments override the home's own. */
  spawnApp(args: readonly string[] = [], more: NodeJS.ProcessEnv = {}): RunningApp {
    return this.spawnBare(['--disks', this.disks, '--vault', this.cli.vault, '--state', this.state, '--port', '0', ...args], more);
  }

  /** Starts the app with these arguments alone. */
  spawnBare(args: readonly string[], more: NodeJS.ProcessEnv = {}): RunningApp {
    const app = new RunningApp(new Running(spawn(process.execPath, [MAIN, ...args], { cwd: this.cli.path, env: this.cli.env({ HOLDFAST_VAULT: '', ...more }), stdio: ['ignore', 'pipe', 'pipe'] })));
    this.apps.push(app);
    return app;
  }

  /** Starts the app and waits until it says where it listens. */
  async startApp(args: readonly string[] = [], more: NodeJS.ProcessEnv = {}): Promise<RunningApp> {
    const app = this.spawnApp(args, more);
    await app.listening();
    return app;
  }

  /** Starts the app, which must refuse in this way, with what to do, and answers what it wrote. */
  async refused(args: readonly string[], exitCode: number, message: RegExp, remedy: RegExp): Promise<string> {
    const app = this.spawnApp(args);
    const started = app.listening().then(() => assert.fail(`the app was to refuse, and started: ${app.output}`), () => app.ended);
    const { code, stderr } = await Promise.race([app.ended, started]);
    assert.equal(code, exitCode, `the app ended with ${code}: ${stderr}`);
    assert.match(stderr, message);
    assert.match(stderr, /What to do: /);
    assert.match(stderr.slice(stderr.indexOf('What to do: ')), remedy);
    assert.ok(!stderr.includes('    at '), `no stack unless asked for: ${stderr}`);
    return stderr;
  }

  inVault(name: string): string {
    return path.join(this.cli.vault, name);
  }

  async cloudRemains(): Promise<CloudRemains> {
    const folder = path.join(this.state, 'azure');
    const { snapshots, restorePoints } = JSON.parse(await readFile(path.join(folder, 'state.json'), 'utf8')) as { snapshots: object; restorePoints: object };
    return { snapshots: Object.keys(snapshots).length, restorePoints: Object.keys(restorePoints).length, copies: (await readdir(path.join(folder, 'content'))).length };
  }

  /** Restores a disk with the command line, from the vault and its key alone, and proves it equal to `expected`. */
  async assertRestores(recoveryPoint: string, expected: Buffer, ...args: string[]): Promise<string> {
    const name = `restored-${recoveryPoint}${args.join('')}`.replace(/[^A-Za-z0-9.-]/g, '_');
    await this.cli.json(['restore', recoveryPoint, '--to', this.cli.file(name), '--force', ...args]);
    await this.cli.assertSame(name, expected);
    return this.cli.file(name);
  }

  /** Kills what still runs, each by its own id, and removes everything. */
  async dispose(): Promise<void> {
    for (const app of this.apps) await app.kill();
    await this.cli.remove();
  }
}

/** An app that was started as a process of its own. */
export class RunningApp {
  private said = '';
  private address = '';
  private secret = '';

  constructor(private readonly running: Running) {
    running.child.stdout?.on('data', (part: Buffer) => { this.said += part.toString(); });
  }

  get ended(): Promise<Ended> {
    return this.running.ended;
  }

  /** What it wrote on stdout until now. */
  get output(): string {
    return this.said;
  }

  get url(): string {
    return this.address;
  }

  /** What it lets callers in for. */
  get token(): string {
    return this.secret;
  }

  async listening(): Promise<void> {
    await this.until('it listened', () => /Holdfast listens on \S+\n/.test(this.said));
    await this.until('it said its token', () => /#token=\S+\n/.test(this.said));
    this.address = /Holdfast listens on (\S+)/.exec(this.said)?.[1] ?? '';
    this.secret = /#token=(\S+)/.exec(this.said)?.[1] ?? '';
  }

  /** Waits until the condition holds, and fails if the app ends before. */
  async until(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
    await this.running.until(what, async () => await condition() || delay(POLL_MS).then(() => false));
  }

  async untilFile(file: string): Promise<void> {
    await this.running.until(`${file} was there`, () => existsSync(file));
  }

  async json<T>(address: string, init?: RequestInit): Promise<{ readonly status: number; readonly headers: Headers; readonly body: T }> {
    const response = await fetch(new URL(address, this.url), { ...init, headers: { authorization: `Bearer ${this.token}`, ...init?.headers as Record<string, string> } });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: (text === '' ? undefined : JSON.parse(text)) as T };
  }

  /** Asks for a backup as a person would, and answers the job's id and its item's. */
  async backUp(item: string): Promise<{ readonly job: string; readonly itemId: string }> {
    const { status, headers, body } = await this.json<{ id: string; itemId: string }>(`/api/items/${item}/backups`, { method: 'POST' });
    assert.equal(status, 202, JSON.stringify(body));
    assert.equal(headers.get('location'), `/api/jobs/${body.id}`);
    return { job: body.id, itemId: body.itemId };
  }

  async job(id: string): Promise<JobView> {
    const { status, body } = await this.json<JobView>(`/api/jobs/${id}`);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  }

  /** Waits until the job has ended, and demands that it succeeded. */
  async succeeds(id: string): Promise<JobView & { readonly recoveryPoint: string; readonly figures: NonNullable<JobView['figures']> }> {
    let view = await this.job(id);
    await this.until(`the job ${id} ended`, async () => (view = await this.job(id)).endedAt !== null);
    assert.equal(view.state, 'succeeded', JSON.stringify(view));
    assert.ok(view.recoveryPoint !== null && view.figures !== null, JSON.stringify(view));
    return { ...view, recoveryPoint: view.recoveryPoint, figures: view.figures };
  }

  /** kill -9, and waits until the process is gone. */
  async kill(): Promise<void> {
    this.running.child.kill('SIGKILL');
    await this.ended;
  }

  /** Ctrl-C (or what a service manager sends), and waits for the end. */
  async interrupt(signal: 'SIGINT' | 'SIGTERM' = 'SIGINT'): Promise<Ended> {
    this.running.child.kill(signal);
    return this.ended;
  }
}
