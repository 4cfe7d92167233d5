import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Journal } from '../local/host/journal';
import { backupInstanceId, diskInstanceId, ORCHESTRATIONS } from '../orchestrations/names';
import { formatStamp } from '../policy/slot';
import { WORK_FOLDER } from './cases';
import { type FleetPlaces, type FleetSize, makeFleet } from './fleet-vault';
import { MIB, ROOT } from './options';
import { run } from './process';
import { type Machine, machineText, table } from './report';
import { median } from './targets';

/** The vault that the targets are about. */
const SIZE: FleetSize = { items: 1_000, points: 100 };
const JOB_DAYS = 7;
const AT_ONCE = 50;
const REQUESTS = 500;
const TARGET = { medianMs: 200, p99Ms: 1_000, indexMiB: 100 };
const DAY_MS = 86_400_000;

/** A view of the portal and the address that its data comes from. */
const VIEWS: readonly (readonly [name: string, address: string])[] = [
  ['overview', '/api/overview'], ['items', '/api/items?limit=1000'], ['items, a page of those with a name', '/api/items?name=vm-05'], ['item', '/api/items/vm-0500'],
  ['item: calendar and time line', '/api/items/vm-0500/history?days=90'], ['item: recovery points', '/api/items/vm-0500/recovery-points?state=all&limit=200'], ['recovery points of the vault', '/api/recovery-points'],
  ['jobs', '/api/jobs?limit=200'], ['jobs that failed', '/api/jobs?state=failed'], ['vault', '/api/vault'], ['charts of 90 days', '/api/vault/history?days=90'], ['policies', '/api/policies'], ['health', '/api/vault/health'], ['cost', '/api/cost'], ['servers', '/api/servers'],
];

interface Measured { readonly view: string; readonly medianMs: number; readonly p99Ms: number; readonly longestMs: number; readonly bytes: number }

/** How quickly the app answers what the portal asks for, with 50 requests at once, over a vault with 100,000 recovery points. `missed` names what was not reached. */
export async function measureApi(machine: Machine, say: (line: string) => void, made?: FleetPlaces): Promise<{ readonly text: string; readonly missed: readonly string[] }> {
  const folder = path.join(WORK_FOLDER, 'fleet');
  const places = made ?? { vault: path.join(folder, 'vault'), disks: path.join(folder, 'disks'), state: path.join(folder, 'state') };
  if (!made) {
    rmSync(folder, { recursive: true, force: true });
    say(`Making a vault of ${SIZE.items} items with ${SIZE.points} recovery points each …`);
    await makeFleet(places, SIZE, say);
    makeJobs(path.join(places.state, 'host'), SIZE.items);
  }
  say('First start: every manifest is read');
  const first = await AppUnderLoad.start(places);
  const firstSeconds = await first.firstAnswer();
  await first.summarized();
  await first.stop();
  say(`  first answer after ${firstSeconds.toFixed(1)} s`);
  say('Second start: from the summaries that the first one wrote');
  const app = await AppUnderLoad.start(places);
  try {
    const startSeconds = await app.firstAnswer();
    say(`  first answer after ${startSeconds.toFixed(1)} s`);
    await app.settled();
    const results: Measured[] = [];
    for (const [view, address] of VIEWS) {
      const one = await app.load(view, address);
      results.push(one);
      say(`  ${view}: median ${one.medianMs.toFixed(0)} ms, 99th percentile ${one.p99Ms.toFixed(0)} ms`);
    }
    const { rss, peak } = app.memory();
    const index = JSON.parse(await run({ program: process.execPath, args: ['--expose-gc', path.join(ROOT, 'dist', 'bench', 'api-run.js'), '--vault', places.vault] })) as { points: number; heapBytes: number; loadSeconds: number };
    return report(machine, results, { firstSeconds, startSeconds, rss, peak, index });
  } finally {
    await app.stop();
  }
}

interface Around { readonly firstSeconds: number; readonly startSeconds: number; readonly rss: number; readonly peak: number; readonly index: { readonly points: number; readonly heapBytes: number } }

function report(machine: Machine, results: readonly Measured[], { firstSeconds, startSeconds, rss, peak, index }: Around): { text: string; missed: string[] } {
  const missed = results.filter(({ medianMs, p99Ms }) => medianMs > TARGET.medianMs || p99Ms > TARGET.p99Ms).map(({ view }) => view);
  const indexMiB = index.heapBytes / MIB;
  if (indexMiB > TARGET.indexMiB) missed.push('memory of the index');
  return {
    missed,
    text: [
      machineText(machine), `${AT_ONCE} requests at once, ${REQUESTS} for each view; ${index.points} recovery points of ${SIZE.items} items, ${SIZE.items * JOB_DAYS} jobs. Wanted: ${TARGET.medianMs} ms at the median, ${TARGET.p99Ms} ms at the 99th percentile.`,
      table(['view', 'median ms', '99th ms', 'longest ms', 'KiB', 'outcome'], results.map(({ view, medianMs, p99Ms, longestMs, bytes }) =>
        [view, medianMs.toFixed(0), p99Ms.toFixed(0), longestMs.toFixed(0), (bytes / 1024).toFixed(0), missed.includes(view) ? 'MISSED' : 'reached'])),
      table(['what', 'measured'], [
        ['first answer of the first start ever, s', firstSeconds.toFixed(1)], ['first answer after a start from summaries, s', startSeconds.toFixed(1)],
        [`heap of the index, MiB (wanted: at most ${TARGET.indexMiB})`, indexMiB.toFixed(0)], ['memory of the app under load, MiB', (rss / MIB).toFixed(0)], ['its peak, MiB', (peak / MIB).toFixed(0)],
      ]),
    ].join('\n\n'),
  };
}

/** A week of finished backups in the engine's journal, each with two disks, as if the app had made them. */
export function makeJobs(stateFolder: string, items: number): void {
  mkdirSync(stateFolder, { recursive: true });
  const journal = Journal.open(stateFolder);
  const stats = { windows: 1, readBytes: 1, changedBytes: 1, newChunks: 1, newBytes: 1, reusedChunks: 0, reusedBytes: 0, storedBytes: 1, healedWindows: 0, forwardedChunks: 0, forwardedBytes: 0 };
  const nowMs = Date.now();
  journal.transaction(() => {
    for (let day = 0; day < JOB_DAYS; day++) for (let item = 0; item < items; item++) {
      const atMs = nowMs - day * DAY_MS - item * 1_000 - 60_000;
      const [itemId, stamp] = [`vm-${String(item).padStart(4, '0')}-0a1b2c3d`, formatStamp(atMs)];
      const instanceId = backupInstanceId(itemId, stamp);
      const common = { executionId: `${day}-${item}`, generation: 0, createdAtMs: atMs, updatedAtMs: atMs + 600_000, parent: null, status: 'Completed' as const };
      const failed = item % 100 === 50 ? { code: 'CLOUD_THROTTLED', message: 'Azure asked to wait', remedy: 'Wait', data: {} } : null;
      journal.saveInstance({
        ...common, instanceId, name: ORCHESTRATIONS.backupVm, input: JSON.stringify({ itemId, vmId: `/subscriptions/x/${itemId}`, stamp, slot: null, policy: 'daily' }),
        customStatus: JSON.stringify({ phase: 'done', sequence: day + 1, vmName: itemId, disks: [{ name: 'os', sizeBytes: 2 ** 35 }, { name: '0', sizeBytes: 2 ** 35 }], warnings: [] }),
        output: JSON.stringify({ outcome: failed ? 'failed' : 'committed', recoveryPoint: failed ? null : `${itemId}.${stamp}`, committed: failed ? null : { recoveryPoint: `${itemId}.${stamp}`, consistency: 'application', stats, warnings: [], audit: { samples: 8, mismatches: 0 } }, error: failed, warnings: [] }),
      });
      for (const disk of [0, 1]) journal.saveInstance({ ...common, instanceId: diskInstanceId(instanceId, disk, 0), name: ORCHESTRATIONS.backupDisk, input: JSON.stringify({ itemId, disk }), customStatus: JSON.stringify({ done: 2 ** 35 }), output: JSON.stringify({ ok: true }) });
    }
  });
  journal.close();
}

/** The app as `npm start` runs it, in a process of its own. */
class AppUnderLoad {
  private readonly lines: string[] = [];
  private readonly agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE });
  private url = '';
  private token = '';

  private constructor(private readonly child: ChildProcess, private readonly startMs: number, private readonly summaries: string) {}

  static async start({ vault, disks, state }: FleetPlaces): Promise<AppUnderLoad> {
    const child = spawn(process.execPath, [path.join(ROOT, 'dist', 'local', 'main.js'), '--vault', vault, '--disks', disks, '--state', state, '--port', '0'], {
      env: { ...process.env, HOLDFAST_REQUESTS_PER_MINUTE: '1000000' }, stdio: ['ignore', 'pipe', 'inherit'],
    });
    const app = new AppUnderLoad(child, Date.now(), path.join(vault, 'index'));
    createInterface({ input: child.stdout }).on('line', (line) => app.lines.push(line));
    const [, url, token] = await app.line(/(http:\/\/127\.0\.0\.1:\d+)\/#token=(\S+)/);
    [app.url, app.token] = [url ?? '', token ?? ''];
    return app;
  }

  /** Seconds from the start of the process until the overview is there. */
  async firstAnswer(): Promise<number> {
    await this.get('/api/overview');
    return (Date.now() - this.startMs) / 1000;
  }

  /** Waits until the look that `npm start` begins with has written its summaries: until their number has not changed for some seconds. */
  async summarized(): Promise<void> {
    for (let [last, same] = [-1, 0]; same < 4;) {
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      const now = existsSync(this.summaries) ? readdirSync(this.summaries).length : 0;
      same = now > 0 && now === last ? same + 1 : 0;
      last = now;
    }
  }

  /** Goes through all views until none of them takes long any more: `npm start` looks at the vault first, and code is compiled as it is used. */
  async settled(): Promise<void> {
    for (let round = 0; round < 20; round++) {
      const start = Date.now();
      for (const [, address] of VIEWS) await this.get(address);
      if (round > 3 && Date.now() - start < VIEWS.length * TARGET.medianMs) return;
    }
  }

  async load(view: string, address: string): Promise<Measured> {
    const times: number[] = [];
    let [bytes, left] = [0, REQUESTS];
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) {
        const start = process.hrtime.bigint();
        bytes = await this.get(address);
        times.push(Number(process.hrtime.bigint() - start) / 1e6);
      }
    }));
    const sorted = times.sort((a, b) => a - b);
    return { view, medianMs: median(sorted), p99Ms: sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN, longestMs: sorted.at(-1) ?? Number.NaN, bytes };
  }

  memory(): { rss: number; peak: number } {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8');
    const kib = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? Number.NaN) * 1024;
    return { rss: kib('VmRSS'), peak: kib('VmHWM') };
  }

  async stop(): Promise<void> {
    this.agent.destroy();
    if (this.child.exitCode !== null) return;
    this.child.kill('SIGTERM');
    await once(this.child, 'exit');
  }

  /** Bytes of the body. Throws an Error for anything but 200. */
  private get(address: string): Promise<number> {
    return new Promise((resolve, reject) => {
      http.get(`${this.url}${address}`, { agent: this.agent, headers: { authorization: `Bearer ${this.token}` } }, (response) => {
        let [bytes, text] = [0, ''];
        response.on('data', (part: Buffer) => {
          bytes += part.length;
          if (response.statusCode !== 200) text += part.toString();
        });
        response.on('end', () => (response.statusCode === 200 ? resolve(bytes) : reject(new Error(`GET ${address} answered ${response.statusCode}: ${text.slice(0, 500)}`))));
        response.on('error', reject);
      }).on('error', reject);
    });
  }

  private async line(wanted: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      for (const line of this.lines) {
        const found = wanted.exec(line);
        if (found) return found;
      }
      if (this.child.exitCode !== null) throw new Error(`The app ended with ${this.child.exitCode}:\n${this.lines.join('\n')}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
