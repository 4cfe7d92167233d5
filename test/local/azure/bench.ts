import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ComputeManagementClient } from '@azure/arm-compute';
import { AnonymousCredential, PageBlobClient } from '@azure/storage-blob';
import { createAzureStandIn, type AzureStandIn, type StandInOptions } from '../../../local/azure/stand-in';

/** The pipeline policy that refuses bearer tokens over plain HTTP: the stand-in has neither TLS nor tokens. */
const bearerPolicy = 'bearerTokenAuthenticationPolicy';

const freshSockets = new Agent({ keepAlive: false });

export const mib = 1024 * 1024;

/** A stand-in on a folder of its own under the system's temporary folder, with the genuine clients to talk to it. */
export class Bench {
  standIn!: AzureStandIn;
  compute!: ComputeManagementClient;
  readonly logged: string[] = [];
  nowMs = Date.UTC(2026, 0, 15, 12);

  private constructor(readonly folder: string, private readonly options: Partial<StandInOptions>) {}

  static async start(images: Readonly<Record<string, Buffer | string>>, options: Partial<StandInOptions> = {}): Promise<Bench> {
    const bench = new Bench(await mkdtemp(join(tmpdir(), 'holdfast-azure-')), options);
    await mkdir(bench.disksFolder);
    for (const [path, content] of Object.entries(images)) await bench.put(path, content);
    await bench.open();
    return bench;
  }

  get disksFolder(): string {
    return join(this.folder, 'disks');
  }

  get stateFolder(): string {
    return join(this.folder, 'state');
  }

  async open(limits: StandInOptions['limits'] = this.options.limits): Promise<void> {
    this.standIn = createAzureStandIn({
      disksFolder: this.disksFolder, stateFolder: this.stateFolder, port: 0, clock: () => this.nowMs,
      log: (message) => { this.logged.push(message); }, ...this.options, ...(limits === undefined ? {} : { limits }),
    });
    await this.standIn.start();
    this.compute = new ComputeManagementClient({ getToken: async () => ({ token: 'none', expiresOnTimestamp: Date.now() + 3_600_000 }) }, this.standIn.subscriptionId, {
      endpoint: this.standIn.url, allowInsecureConnection: true, retryOptions: { maxRetries: 0 },
    });
    this.compute.pipeline.removePolicy({ name: bearerPolicy });
    // A socket kept from before a restart on the same port is dead, which a pool finds out only by using it.
    this.compute.pipeline.addPolicy({
      name: 'noKeepAlive',
      sendRequest: (request, next) => {
        request.agent = freshSockets;
        return next(request);
      },
    });
  }

  async put(path: string, content: Buffer | string): Promise<void> {
    const [vm] = path.split('/');
    await mkdir(join(this.disksFolder, vm ?? ''), { recursive: true });
    await writeFile(join(this.disksFolder, path), content);
  }

  vmId(name: string): string {
    return this.id('local', `virtualMachines/${name}`);
  }

  diskId(name: string): string {
    return this.id('local', `disks/${name}`);
  }

  id(group: string, rest: string): string {
    return `/subscriptions/${this.standIn.subscriptionId}/resourceGroups/${group}/providers/Microsoft.Compute/${rest}`;
  }

  /** A plain request to Resource Manager; `path` begins with / or is a resource id. */
  async arm(method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly headers: Headers; readonly body: { [member: string]: unknown; readonly error?: { readonly code: string; readonly message: string } } }> {
    const separator = path.includes('?') ? '&' : '?';
    const response = await fetch(`${this.standIn.url}${path}${separator}api-version=2026-04-01`, {
      method, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === '' ? {} : JSON.parse(text) };
  }

  /** An incremental snapshot of a disk, finished. */
  async snapshot(name: string, disk: string): Promise<string> {
    const made = await this.compute.snapshots.createOrUpdate('rg', name, {
      location: 'local', incremental: true, creationData: { createOption: 'Copy', sourceResourceId: this.diskId(disk) },
    });
    return made.id ?? '';
  }

  async grant(snapshotName: string, durationInSeconds = 3600): Promise<string> {
    return (await this.compute.snapshots.grantAccess('rg', snapshotName, { access: 'Read', durationInSeconds })).accessSAS ?? '';
  }

  async stop(): Promise<void> {
    await this.standIn.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

export function blobClient(url: string): PageBlobClient {
  return new PageBlobClient(url, new AnonymousCredential(), { retryOptions: { maxTries: 1 }, keepAliveOptions: { enable: false } });
}

/** Ranges of a page list or diff, read from the answer's XML. */
export interface PageListAnswer {
  readonly status: number;
  readonly code: string | null;
  readonly pages: readonly (readonly [number, number])[];
  readonly clears: readonly (readonly [number, number])[];
  readonly marker: string;
}

export async function pageList(url: string, options: { readonly base?: string; readonly range?: string; readonly marker?: string; readonly maxResults?: number; readonly version?: string } = {}): Promise<PageListAnswer> {
  const asked = new URL(url);
  asked.searchParams.set('comp', 'pagelist');
  if (options.marker !== undefined) asked.searchParams.set('marker', options.marker);
  if (options.maxResults !== undefined) asked.searchParams.set('maxresults', String(options.maxResults));
  const response = await fetch(asked, {
    headers: {
      'x-ms-version': options.version ?? '2026-04-06',
      ...(options.base === undefined ? {} : { 'x-ms-previous-snapshot-url': options.base }),
      ...(options.range === undefined ? {} : { 'x-ms-range': options.range }),
    },
  });
  const xml = await response.text();
  const ranges = (element: string): [number, number][] => [...xml.matchAll(new RegExp(`<${element}><Start>(\\d+)</Start><End>(\\d+)</End></${element}>`, 'g'))].map((match) => [Number(match[1]), Number(match[2])]);
  return { status: response.status, code: response.headers.get('x-ms-error-code'), pages: ranges('PageRange'), clears: ranges('ClearRange'), marker: /<NextMarker>([^<]+)<\/NextMarker>/.exec(xml)?.[1] ?? '' };
}

/** Ordinary-looking bytes that differ with the seed and hold no run of zeros. */
export function noise(length: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = (state >>> 24) | 1;
  }
  return bytes;
}
