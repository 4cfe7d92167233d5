/** The management API and the durable client's calls against recordings 20 and 21: statuses, headers that matter, bodies. */
import assert from 'node:assert/strict';
import { recordedHost, runStory, type Reply } from './conformance-stories';
import { normalise, readRecording, type RecordedEvent } from './recordings';

const text = (event: RecordedEvent): string => JSON.stringify([event.op, event.args, event.request?.url]);

/** Not supported: entities and versions. Not comparable: the list of all instances of the genuine host's life. */
const notCompared = /entit|Entity|@counter|version|getStatusAll|"getStatusBy",\[\{"runtimeStatus":\["Running"/;
/** Lists without a prefix show whatever else is there. */
const wholeLists = /instances\/?\?code=<systemKey>(&top=2|&runtimeStatus=Nope)?"/;

function comparableHeaders(headers: Readonly<Record<string, string>>): unknown {
  const kept = ['location', 'retry-after', 'www-authenticate'];
  return normalise(Object.fromEntries(Object.entries(headers).filter(([name]) => kept.includes(name))));
}

/** The parser that complains about broken JSON is another one; that it complains is the same. */
const otherWords = ['ExceptionMessage', 'StackTrace', 'historyEvents', 'ctor'];

function assertReply({ event, status, headers, body }: Reply): void {
  const label = `${String(event.n)} ${event.note ?? ''} ${text(event)}`;
  if (event.kind === 'clientCall') {
    assert.equal(status, 200, label);
    assert.deepEqual(comparableBody(body), comparableBody(event.outcome), label);
    return;
  }
  assert.equal(status, event.response?.status, label);
  assert.deepEqual(comparableHeaders(headers), comparableHeaders(event.response?.headers ?? {}), label);
  assert.deepEqual(comparableBody(body), comparableBody(event.response?.body), label);
}

function comparableBody(body: unknown): unknown {
  const plain = typeof body === 'object' && body !== null && 'message' in body ? { ...body, message: String(body.message).replace(/Details: \{.*$/s, 'Details: <details>') } : body;
  return normalise(plain, otherWords);
}

function starts(event: RecordedEvent): RecordedEvent {
  return event.kind === 'clientHttp' && event.op === 'startNew' ? { ...event, kind: 'clientCall' } : event;
}

describe('embedded host: management API', () => {
  it('answers every recorded management call alike (20)', async () => {
    const recording = readRecording('20-management-api');
    // In this story the starts were recorded as the calls that the client made.
    const events = recording.events.map(starts).map((event) => {
      const match = /orchestrators\/(\w+)\/([\w-]+)/.exec(String((event as { url?: string }).url ?? ''));
      const input = JSON.parse(String((event as { body?: string }).body ?? '""') || '""') as unknown;
      return event.kind === 'clientCall' && match ? { ...event, args: [match[1], { instanceId: match[2], ...(input === '' ? {} : { input }) }], outcome: { ok: true, result: match[2] } } : event;
    });
    await runStory({ ...recording, events }, ({ replies }) => {
      const compared = replies.filter(({ event }) => !wholeLists.test(text(event)));
      compared.forEach(assertReply);
      assert.ok(compared.length > 60, `${String(compared.length)} replies`);
    }, (event) => !notCompared.test(text(event)));
  });

  it('answers the durable client alike (21)', async () => {
    await runStory(readRecording('21-client-rpc'), ({ replies }) => {
      // What the polling helpers return is timing; the client's own calls are compared.
      const compared = replies.filter(({ event }) => event.kind === 'clientCall' && !/waitForCompletion|c-w2|c-w3/.test(text(event)));
      compared.forEach(assertReply);
      assert.ok(compared.length > 30, `${String(compared.length)} replies`);
    }, (event) => !notCompared.test(text(event)) && !/api\/wait|waitForCompletion|doesNotExist|c-w2|c-w3/.test(text(event)));
  });

  it('gives functions the same durableClient object (21)', async () => {
    const recorded = readRecording('21-client-rpc').events.find((event) => event.request?.url === '/api/clientRaw');
    const host = await recordedHost();
    try {
      const found = (await (await host.fetch('/api/clientRaw')).json()) as Record<string, unknown>;
      const comparable = (body: unknown): unknown => normalise(JSON.parse(JSON.stringify(body).replace(/[0-9a-f]{32}\/durabletask/, 'durabletask')));
      assert.deepEqual(comparable(found), comparable(recorded?.response?.body));
    } finally {
      await host.stop();
    }
  });

  it('pages a list by token', async () => {
    const host = await recordedHost();
    try {
      for (const id of ['l-1', 'l-2', 'l-3']) host.client.startNew('o_string', { instanceId: id });
      await host.runUntilIdle();
      const seen: string[] = [];
      let token = '';
      let pages = 0;
      do {
        const response = await host.fetch(`/runtime/webhooks/durabletask/instances?top=2&code=${host.keys.system}`, { headers: { 'x-ms-continuation-token': token } });
        seen.push(...((await response.json()) as { instanceId: string }[]).map(({ instanceId }) => instanceId));
        token = response.headers.get('x-ms-continuation-token') ?? '';
        pages++;
      } while (token !== '');
      assert.deepEqual([seen, pages], [['l-1', 'l-2', 'l-3'], 2]);
    } finally {
      await host.stop();
    }
  });

  it('shows the same history in a status (02, 05, 06, 07, 08, 11, 12)', async () => {
    for (const name of ['02-sequence', '05-activity-failure', '06-retry', '07-sub-orchestration', '08-external-events', '11-terminate-suspend-rewind-purge-restart', '12-long-timer']) {
      const recording = readRecording(name);
      await runStory(recording, ({ host }) => {
        for (const [instanceId, { httpStatus, body }] of Object.entries(recording.finalStatus)) {
          // p07-sub: two children end in another order; p08-burst and p11-rewind as in conformance.test.ts.
          if (httpStatus === 404 || /^[0-9a-f]{8}|p07-sub$|p08-burst|p11-rewind/.test(instanceId)) continue;
          const own = host.client.getStatus(instanceId, { showHistory: true, showHistoryOutput: true });
          assert.deepEqual(normalise(own.historyEvents), normalise((body as { historyEvents: unknown }).historyEvents), instanceId);
        }
      }, (event) => !/p11-rewind/.test(text(event)));
    }
  });
});

describe('embedded host: the durable client\'s own port', () => {
  async function rpcUrl(fetchRaw: () => Promise<Response>): Promise<string> {
    return ((await (await fetchRaw()).json()) as { rpcBaseUrl: string }).rpcBaseUrl;
  }

  it('refuses a page in a browser, a foreign host name and a guessed path', async () => {
    const host = await recordedHost();
    try {
      const base = await rpcUrl(() => host.fetch('/api/clientRaw'));
      assert.equal((await fetch(`${base}instances/`)).status, 200);
      assert.equal((await fetch(`${base}instances/`, { headers: { origin: 'http://evil.example' } })).status, 403);
      assert.equal((await fetch(`${base}orchestrators/o_single`, { method: 'POST', headers: { origin: 'null' } })).status, 403);
      assert.equal(await statusWithHost(base, 'evil.example'), 403);
      assert.equal((await fetch(`${new URL(base).origin}/durabletask/instances/`)).status, 404);
    } finally {
      await host.stop();
    }
  });

  async function statusWithHost(base: string, hostHeader: string): Promise<number | undefined> {
    const { request } = await import('node:http');
    return new Promise((resolve, reject) => {
      request(`${base}instances/`, { headers: { host: hostHeader } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on('error', reject).end();
    });
  }
});
