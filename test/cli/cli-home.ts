import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createCipheriv, randomFillSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { makeTempFolder } from '../support/temp-folder';

export const bin = join(__dirname, '..', '..', '..', 'bin', 'holdfast.js');

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface ErrorDocument {
  readonly error: { readonly code: string; readonly message: string; readonly remedy: string; readonly data: Readonly<Record<string, unknown>> };
}

/** A person's home for the real command line: a configuration folder, a vault and images, all of a test's own. */
export class CliHome {
  private constructor(readonly path: string, readonly remove: () => Promise<void>) {}

  static async make(): Promise<CliHome> {
    const folder = await makeTempFolder();
    return new CliHome(folder.path, () => folder.remove());
  }

  get vault(): string {
    return this.file('vault');
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** What every command of this test finds in its environment. */
  defaults: NodeJS.ProcessEnv = {};

  env(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    const kept = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(HOLDFAST|AZURE|XDG|NODE)_/.test(name)));
    // The cache of compiled code is shared by all tests, so that each command starts quickly.
    return { ...kept, HOME: this.path, XDG_CONFIG_HOME: this.file('config'), XDG_CACHE_HOME: join(tmpdir(), 'holdfast-test-cache'), HOLDFAST_VAULT: this.vault, ...this.defaults, ...more };
  }

  start(args: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
    return new Running(spawn(process.execPath, [bin, ...args], { cwd: this.path, env: this.env(env), stdio: ['ignore', 'pipe', 'pipe'] }));
  }

  run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
    return this.start(args, env).ended;
  }

  /** Runs a command whose standard output is an open file, as a shell's `>` does. */
  runInto(stdout: number, args: readonly string[]): Promise<Ended> {
    return new Running(spawn(process.execPath, [bin, ...args], { cwd: this.path, env: this.env(), stdio: ['ignore', stdout, 'pipe'] })).ended;
  }

  /** Runs a command that must succeed and answers its JSON document. */
  async json<T>(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<T> {
    const { code, stdout, stderr } = await this.run([...args, '--json'], env);
    assert.equal(code, 0, `holdfast ${args.join(' ')}: ${stderr}`);
    return JSON.parse(stdout.toString()) as T;
  }

  /** Runs a command that must fail in this way; answers what people and scripts are told. */
  async fails(args: readonly string[], code: string, exitCode: number, env: NodeJS.ProcessEnv = {}): Promise<ErrorDocument['error'] & { readonly stderr: string }> {
    const ended = await this.run([...args, '--json'], env);
    assert.equal(ended.code, exitCode, `holdfast ${args.join(' ')} ended with ${ended.code}: ${ended.stderr}`);
    const { error } = JSON.parse(ended.stdout.toString()) as ErrorDocument;
    assert.equal(error.code, code, ended.stderr);
    assert.ok(ended.stderr.includes(error.message) && ended.stderr.includes(`What to do: ${error.remedy}`), ended.stderr);
    assert.ok(!ended.stderr.includes('    at '), `no stack unless asked for: ${ended.stderr}`);
    return { ...error, stderr: ended.stderr };
  }

  async init(...args: string[]): Promise<{ readonly keyFile: string; readonly vaultId: string; readonly vault: string }> {
    return this.json(['init', ...args]);
  }

  /** Names of the files under a folder of the vault. */
  async objects(prefix: string): Promise<string[]> {
    const folder = join(this.vault, prefix);
    if (!existsSync(folder)) return [];
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)).sort();
  }

  async image(name: string, bytes: Buffer): Promise<string> {
    await writeFile(this.file(name), bytes);
    return this.file(name);
  }

  async assertSame(name: string, expected: Buffer): Promise<void> {
    const got = await readFile(this.file(name));
    assert.equal(got.length, expected.length, `${name} has the wrong size`);
    assert.ok(got.equals(expected), `${name} differs from the image that was backed up`);
  }
}

export class Running {
  readonly ended: Promise<Ended>;
  private hasEnded = false;

  constructor(readonly child: ChildProcess) {
    const parts: Buffer[] = [];
    let stderr = '';
    child.stdout?.on('data', (part: Buffer) => parts.push(part));
    child.stderr?.on('data', (part: Buffer) => { stderr += part.toString(); });
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        this.hasEnded = true;
        resolve({ code, signal, stdout: Buffer.concat(parts), stderr });
      });
    });
  }

  /** Waits until the condition holds, and fails if the command ends before. */
  async until(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
    while (!(await condition())) {
      if (this.hasEnded) assert.fail(`the command ended before ${what}: ${(await this.ended).stderr}`);
      await delay(2);
    }
  }

  /** Waits for the condition and holds the command there. */
  async holdAt(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
    await this.until(what, condition);
    this.child.kill('SIGSTOP');
  }

  resume(): void {
    this.child.kill('SIGCONT');
  }
}

/** Bytes that do not compress and never repeat, the same for the same seed. */
export function noise(bytes: number, seed: number): Buffer {
  const key = Buffer.alloc(16, seed & 0xff);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16, seed >>> 8)).update(Buffer.alloc(bytes));
}

/** Bytes unlike any other's, for changes. */
export const fresh = (bytes: number): Buffer => randomFillSync(Buffer.alloc(bytes));

export const KIB = 1024;
export const MIB = 1024 * 1024;

/** A disk with noise at its start, in its middle and at its end, and holes between. `sizeBytes` is 3 MiB at least. */
export function sampleDisk(sizeBytes: number, seed = 1): Buffer {
  const disk = Buffer.alloc(sizeBytes);
  noise(MIB, seed).copy(disk, 0);
  noise(200 * KIB, seed + 1).copy(disk, Math.floor(sizeBytes / 2 / MIB) * MIB + 4096);
  noise(300 * KIB + 512, seed + 2).copy(disk, sizeBytes - 300 * KIB - 512);
  return disk;
}

export interface BackupReport {
  readonly recoveryPoint: string;
  readonly itemId: string;
  readonly createdAt: string;
  readonly consistency: string;
  readonly parent: string | null;
  readonly dryRun: boolean;
  readonly seconds: number;
  readonly warnings: readonly string[];
  readonly disks: readonly { readonly name: string; readonly lun: string; readonly sizeBytes: number; readonly mode: string }[];
  readonly stats: { readonly readBytes: number; readonly changedBytes: number; readonly storedBytes: number; readonly reusedBytes: number };
}
