import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { registerApp } from '../../functions/app';
import type { Services } from '../../functions/services';
import { stateOfFailure } from '../../local/host/actions';
import { collectRegistrations } from '../../local/host/core-module';
import { HttpFunctions } from '../../local/host/http-functions';
import { Invoker } from '../../local/host/invoke';
import { durableClientBinding } from '../../local/host/links';
import { FunctionRegistry, type RegisteredFunction, type TypedData } from '../../local/host/registration';
import { HostTraces } from '../../local/host/traces';
import { workerError } from '../../local/host/wire-values';
import { readText } from '../docs/repository';
import { HOME_TOKEN } from '../support/home';
import { GoldenRecorder } from '../orchestrations/golden/fixture';

/** What the extension serves to clients in other processes; its own default. */
const RPC_URL = 'http://127.0.0.1:17071/durabletask/';
const KEYS = { system: 'none', master: 'none', function: 'none' };
const HUB = 'Genuine';

/**
 * The genuine Durable extension in a .NET process, with the Azure Storage provider on Azurite, and this process in the place of the language worker:
 * orchestrators and activities are called over HTTP with what the extension sends a worker, and the app's HTTP functions reach it through its own endpoint.
 */
export class GenuineHost {
  /** What passed between the extension and the orchestrators. */
  readonly recorder = new GoldenRecorder();
  private child: ChildProcess | undefined;

  private constructor(
    private readonly registry: FunctionRegistry, private readonly invoker: Invoker, private readonly http: HttpFunctions, private readonly server: Server, private readonly storage: string,
    /** What both processes logged. */
    readonly said: string[],
  ) {}

  static async start(services: Services, storage: string, program: string): Promise<GenuineHost> {
    const registrations = collectRegistrations(() => registerApp(services), () => undefined);
    const registry = new FunctionRegistry(registrations.functions);
    const said: string[] = [];
    const log = (level: string, message: string): void => { said.push(`${level} ${message}`); };
    const invoker = new Invoker(registrations.hooks, log);
    const server = createServer((request, response) => { host.answer(request, response).catch((error: unknown) => { response.writeHead(500).end(String(error)); }); });
    const host: GenuineHost = new GenuineHost(registry, invoker, new HttpFunctions(registry, '', KEYS, invoker, binding, log, new HostTraces({ trace: () => undefined, saveTrace: () => undefined }, undefined)), server, storage, said);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    await host.launch(program);
    // The extension listens before its task hub is made.
    while ((await host.json('/api/jobs')).status !== 200) await delay(500);
    return host;
  }

  private async launch(program: string): Promise<void> {
    const child = spawn('dotnet', [program], { cwd: path.dirname(program), env: { ...process.env, HOLDFAST_BRIDGE: `http://127.0.0.1:${(this.server.address() as AddressInfo).port}` }, stdio: ['pipe', 'pipe', 'pipe'] });
    this.child = child;
    await new Promise<void>((resolve, reject) => {
      const listen = (part: Buffer): void => {
        this.said.push(part.toString());
        if (part.toString().includes('READY')) resolve();
      };
      child.stdout.on('data', listen);
      child.stderr.on('data', listen);
      child.once('exit', (code) => reject(new Error(`the .NET host ended with ${String(code)}: ${this.said.join('').slice(-4000)}`)));
    });
  }

  /** Calls an HTTP function of the app. */
  async json(address: string, init: RequestInit = {}): Promise<{ status: number; body: unknown }> {
    const request = new Request(new URL(address, 'http://localhost'), { ...init, headers: { authorization: `Bearer ${HOME_TOKEN}`, ...init.headers as Record<string, string> } });
    const response = await this.http.handle({ method: request.method, url: new URL(request.url), headers: request.headers, body: new Uint8Array(await request.arrayBuffer()) });
    assert.ok(response, `no function has ${address}`);
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) as unknown };
  }

  /** Runs a timer function: the host that would fire it is not here. */
  async runTimer(name: string): Promise<void> {
    const target = this.registry.find('timerTrigger', name);
    assert.ok(target, name);
    await this.invoker.invoke(target, { data: { json: JSON.stringify({ Schedule: { AdjustForDST: true }, ScheduleStatus: null, IsPastDue: false }) }, durableClient: () => binding('http://localhost') });
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const [, kind, name] = (request.url ?? '').split('/');
    const send = (value: object): void => { response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value)); };
    if (kind === 'app') {
      const names = (trigger: 'orchestrationTrigger' | 'activityTrigger'): string[] => this.registry.ofKind(trigger).map((one) => one.name);
      const { extensions } = JSON.parse(readText('host.json')) as { extensions: { durableTask: { storageProvider: object } } };
      // The app's own host.json; only that it looks for messages more often, for the sake of whoever waits.
      const durableTask = { ...extensions.durableTask, hubName: HUB, storageProvider: { ...extensions.durableTask.storageProvider, maxQueuePollingInterval: '00:00:00.500' } };
      return send({ storage: this.storage, durableTask, orchestrations: names('orchestrationTrigger'), activities: names('activityTrigger') });
    }
    const target = this.registry.find(kind === 'orchestrations' ? 'orchestrationTrigger' : 'activityTrigger', decodeURIComponent(name ?? ''));
    assert.ok(target, `unknown: ${request.url ?? ''}`);
    const text = Buffer.concat(parts).toString();
    const answer = await this.invoke(target, parts.length === 0 ? null : { string: text });
    if (kind === 'orchestrations') this.record(target.name, text, answer);
    return send(answer);
  }

  private record(name: string, text: string, answer: { value?: unknown; error?: { message: string } }): void {
    const input = JSON.parse(text) as { instanceId: string };
    this.recorder.onInvocation({ kind: 'orchestration', function: name, instanceId: input.instanceId, input, output: answer.error ? stateOfFailure(answer.error.message) : answer.value });
  }

  private async invoke(target: RegisteredFunction, data: TypedData | null): Promise<{ value?: unknown; error?: { message: string; stackTrace: string } }> {
    try {
      const { response } = await this.invoker.invoke(target, { data, durableClient: () => binding('http://localhost') });
      const { returnValue } = await response();
      return { value: returnValue?.json !== undefined ? JSON.parse(returnValue.json) as unknown : returnValue?.string ?? returnValue?.int ?? returnValue?.double ?? null };
    } catch (error) {
      return { error: workerError(error) };
    }
  }

  async stop(): Promise<void> {
    const { child } = this;
    if (child && child.exitCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.stdin?.end();
      const late = setTimeout(() => child.kill('SIGKILL'), 15_000);
      await ended;
      clearTimeout(late);
    }
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

const binding = (origin: string): unknown => durableClientBinding(origin, RPC_URL, HUB, KEYS.system);
