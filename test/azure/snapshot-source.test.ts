import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { createSnapshotOpener, openSnapshotSource } from '../../azure/disk/snapshot-source';
import type { ErrorCode } from '../../errors/catalogue';
import { isHoldfastError } from '../../errors/holdfast-error';
import { recordedWaiting, startWireServer, type WireHandler, type WireReply, type WireRequest, type WireServer } from '../support/wire-server';

const mib = 1024 * 1024;

describe('reading a snapshot', () => {
  const disk = randomBytes(9 * mib + 4096);
  let server: WireServer;
  let handler: WireHandler;
  before(async () => {
    server = await startWireServer((request) => handler(request));
  });
  after(() => server.close());
  beforeEach(() => {
    handler = serve();
    server.requests.length = 0;
  });

  const accessOf = (grant = 1, blob = 'disk') => ({ url: `${server.url}/${blob}/abcd?sv=1&sig=secret${String(grant)}`, sizeBytes: disk.length });
  const noRenewal = () => Promise.reject(new Error('renewal was not expected'));

  /** The right answer, with a few things bent. */
  function serve(bend: (reply: WireReply, request: WireRequest) => WireReply | 'reset' = (reply) => reply): WireHandler {
    return (request) => {
      const asked = /^bytes=(\d+)-(\d+)$/.exec(String(request.headers.range));
      const [start, end] = [Number(asked?.[1]), Number(asked?.[2])];
      return bend({
        status: 206,
        headers: { 'content-range': `bytes ${String(start)}-${String(end)}/${String(disk.length + 512)}`, etag: '"0x1"' },
        body: disk.subarray(start, end + 1),
      }, request);
    };
  }
  /** Each request gets the next of the script, and the right answer when it has run out. */
  const scripted = (...script: ReturnType<typeof serve>[]): WireHandler => (request) => (script.shift() ?? serve())(request);
  const startOf = (request: WireRequest): number => Number(/^bytes=(\d+)-/.exec(String(request.headers.range))?.[1]);

  const failure = async (code: ErrorCode, renew: () => Promise<{ url: string; sizeBytes: number }> = noRenewal) => {
    const source = createSnapshotOpener({ waiting: recordedWaiting() })(accessOf(), renew);
    const error = await source.readInto(Buffer.alloc(512), 0).then(() => undefined, (reason: unknown) => reason);
    await source.close();
    assert.ok(isHoldfastError(error, code), `wanted ${code}, got ${inspect(error)}`);
    assert.doesNotMatch(inspect(error, { depth: 20, showHidden: true }), /sig=|secret\d/);
    return error;
  };

  it('fills the buffer with exactly the asked bytes, in pieces of 4 MiB', async () => {
    const source = openSnapshotSource(accessOf(), noRenewal);
    const buffer = Buffer.alloc(9 * mib);
    await source.readInto(buffer, 1234);
    assert.ok(buffer.equals(disk.subarray(1234, 1234 + buffer.length)));
    assert.deepEqual(server.requests.map(startOf).sort((left, right) => left - right), [1234, 1234 + 4 * mib, 1234 + 8 * mib]);
    await source.readInto(buffer.subarray(0, 512), disk.length - 512);
    assert.ok(buffer.subarray(0, 512).equals(disk.subarray(-512)));
    await source.readInto(Buffer.alloc(0), 0);
    assert.equal(server.requests.length, 4, 'an empty read asks nothing');
    await source.verifyUnchanged();
    await source.close();
  });

  it('does not read outside the snapshot, where the footer lies', async () => {
    const source = openSnapshotSource(accessOf(), noRenewal);
    for (const offset of [-1, 0.5, disk.length - 511, disk.length]) await assert.rejects(source.readInto(Buffer.alloc(512), offset), (error) => isHoldfastError(error, 'INTERNAL'), String(offset));
    assert.equal(server.requests.length, 0);
    await source.close();
  });

  it('asks every later piece with the ETag of the first', async () => {
    const source = openSnapshotSource(accessOf(), noRenewal);
    await source.readInto(Buffer.alloc(512), 0);
    await source.readInto(Buffer.alloc(512), 512);
    await source.close();
    assert.deepEqual(server.requests.map((request) => request.headers['if-match']), [undefined, '"0x1"']);
  });

  it('stops when the ETag changes, told by the answer or by 412', async () => {
    for (const changed of [serve((reply) => ({ ...reply, headers: { ...reply.headers, etag: '"0x2"' } })), () => ({ status: 412, headers: { 'x-ms-error-code': 'ConditionNotMet' } })]) {
      handler = scripted(serve(), changed);
      const source = createSnapshotOpener({ waiting: recordedWaiting() })(accessOf(), noRenewal);
      await source.readInto(Buffer.alloc(512), 0);
      await assert.rejects(source.readInto(Buffer.alloc(512), 512), (error) => isHoldfastError(error, 'CLOUD_SNAPSHOT_CHANGED'));
      await source.close();
    }
  });

  it('reads on after torn bodies, lost answers and 500', async () => {
    handler = scripted(serve((reply) => ({ ...reply, tornAfter: 100 })), serve(() => 'reset'), () => ({ status: 500 }), serve((reply) => ({ ...reply, body: (reply.body as Buffer).subarray(0, 500) })));
    const waiting = recordedWaiting();
    const source = createSnapshotOpener({ waiting })(accessOf(), noRenewal);
    const buffer = Buffer.alloc(512);
    await source.readInto(buffer, 4096);
    await source.close();
    assert.ok(buffer.equals(disk.subarray(4096, 4608)));
    assert.equal(waiting.pausesMs.length, 4);
  });

  it('takes no wrong Content-Range, no whole body and no 206 without a range', async () => {
    const bends: ((reply: WireReply) => WireReply)[] = [
      (reply) => ({ ...reply, headers: { ...reply.headers, 'content-range': `bytes 512-1023/${String(disk.length)}` } }),
      (reply) => ({ ...reply, headers: { etag: '"0x1"' } }),
      (reply) => ({ ...reply, status: 200, body: disk }),
    ];
    for (const bend of bends) {
      handler = serve(bend);
      await failure('CLOUD_FAILED');
    }
  });

  it('waits at least as long as Retry-After says, in seconds or as a date', async () => {
    const waiting = recordedWaiting(Date.UTC(2026, 0, 1));
    handler = scripted(() => ({ status: 429, headers: { 'retry-after': '7' } }), () => ({ status: 503, headers: { 'retry-after': 'Thu, 01 Jan 2026 00:00:09 GMT' } }));
    const source = createSnapshotOpener({ waiting })(accessOf(), noRenewal);
    await source.readInto(Buffer.alloc(512), 0);
    await source.close();
    assert.equal(waiting.pausesMs.length, 2);
    assert.ok((waiting.pausesMs[0] ?? 0) >= 7000 && (waiting.pausesMs[1] ?? 0) >= 9000, String(waiting.pausesMs));
  });

  it('ends a storm of 429 and 503 as throttled, after a bounded number of attempts', async () => {
    for (const status of [429, 503]) {
      server.requests.length = 0;
      handler = () => ({ status, headers: { 'x-ms-error-code': 'ServerBusy' } });
      const error = await failure('CLOUD_THROTTLED');
      assert.equal(error.data['serviceCode'], 'ServerBusy');
      assert.equal(server.requests.length, 8);
    }
  });

  it('does not sleep through a very long pause: it says how long', async () => {
    handler = () => ({ status: 429, headers: { 'retry-after': '1200' } });
    const error = await failure('CLOUD_THROTTLED');
    assert.equal(error.data['retryAfterMs'], 1_200_000);
    assert.equal(server.requests.length, 1);
  });

  it('says that the network is the cause when nothing answers', async () => {
    handler = () => 'reset';
    await failure('CLOUD_UNREACHABLE');
  });

  it('gives up on a socket that stays silent', async () => {
    handler = () => new Promise(() => undefined);
    const patience = { attempts: 2, baseMs: 1, capMs: 1, longestPauseMs: 1 };
    const source = createSnapshotOpener({ waiting: recordedWaiting(), idleTimeoutMs: 20, patience })(accessOf(), noRenewal);
    await assert.rejects(source.readInto(Buffer.alloc(512), 0), (error) => isHoldfastError(error, 'CLOUD_UNREACHABLE') && error.data['networkCode'] === 'ETIMEDOUT');
    await source.close();
  });

  describe('when access expires', () => {
    /** Accepts only the signature of the newest grant, and each grant for so many requests. */
    function expiring(requestsPerGrant: number): { handler: WireHandler; renew: () => Promise<{ url: string; sizeBytes: number }>; renewals: () => number } {
      let grant = 1;
      let left = requestsPerGrant;
      return {
        handler: (request) => {
          if (request.query.get('sig') !== `secret${String(grant)}` || left === 0) return { status: 403, headers: { 'x-ms-error-code': 'AuthenticationFailed' }, body: `<Error><Code>AuthenticationFailed</Code><Message>${request.target}</Message></Error>` };
          left -= 1;
          return serve()(request);
        },
        renew: () => {
          grant += 1;
          left = requestsPerGrant;
          return Promise.resolve(accessOf(grant));
        },
        renewals: () => grant - 1,
      };
    }

    it('renews and goes on where it was, as often as it takes', async () => {
      const service = expiring(1);
      handler = service.handler;
      const source = createSnapshotOpener({ waiting: recordedWaiting() })(accessOf(), service.renew);
      const buffer = Buffer.alloc(1024);
      for (let offset = 0; offset < 8 * 1024; offset += 1024) {
        await source.readInto(buffer, offset);
        assert.ok(buffer.equals(disk.subarray(offset, offset + 1024)));
      }
      await source.close();
      assert.equal(service.renewals(), 7, 'the grant lasts one request, so each read but the first needs one more');
    });

    it('renews once for all pieces that are under way', async () => {
      const service = expiring(Infinity);
      handler = (request) => (request.query.get('sig') === 'secret1' ? { status: 403 } : service.handler(request));
      const source = createSnapshotOpener({ waiting: recordedWaiting() })(accessOf(), service.renew);
      const buffer = Buffer.alloc(9 * mib);
      await source.readInto(buffer, 0);
      await source.close();
      assert.ok(buffer.equals(disk.subarray(0, 9 * mib)));
      assert.equal(service.renewals(), 1);
    });

    it('fails when a renewed URL is refused as well', async () => {
      handler = () => ({ status: 403, headers: { 'x-ms-error-code': 'AuthenticationFailed' } });
      let renewals = 0;
      const error = await failure('CLOUD_ACCESS_EXPIRED', () => {
        renewals += 1;
        return Promise.resolve(accessOf(2));
      });
      assert.equal(renewals, 1);
      assert.equal(error.data['serviceCode'], 'AuthenticationFailed');
    });

    it('fails when access is not renewed, without telling the URL', async () => {
      handler = () => ({ status: 403 });
      await failure('CLOUD_ACCESS_EXPIRED', () => Promise.reject(new Error(`no luck with ${accessOf().url}`)));
    });

    it('does not read on from a disk of another size', async () => {
      handler = () => ({ status: 403 });
      await failure('CLOUD_SNAPSHOT_CHANGED', () => Promise.resolve({ ...accessOf(2), sizeBytes: 512 }));
    });

    it('holds on to the ETag at the same address and takes the new one at another', async () => {
      const other = serve((reply) => ({ ...reply, headers: { ...reply.headers, etag: '"0x9"' } }));
      for (const blob of ['disk', 'moved']) {
        let isExpired = false;
        handler = (request) => {
          if (request.query.get('sig') === 'secret1') return isExpired ? { status: 403 } : serve()(request);
          return other(request);
        };
        const source = createSnapshotOpener({ waiting: recordedWaiting() })(accessOf(), () => Promise.resolve(accessOf(2, blob)));
        await source.readInto(Buffer.alloc(512), 0);
        isExpired = true;
        const again = source.readInto(Buffer.alloc(512), 0);
        if (blob === 'disk') await assert.rejects(again, (error) => isHoldfastError(error, 'CLOUD_SNAPSHOT_CHANGED'));
        else await again;
        await source.close();
      }
    });
  });

  it('writes nothing to the buffer after a failed read has been reported', async () => {
    let release: (() => void) | undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    handler = async (request) => {
      if (startOf(request) === 0) return { status: 404 };
      await held;
      return serve()(request);
    };
    const source = createSnapshotOpener({ waiting: recordedWaiting() })(accessOf(), noRenewal);
    const buffer = Buffer.alloc(8 * mib);
    let isReported = false;
    const read = assert.rejects(source.readInto(buffer, 0), (error) => isHoldfastError(error, 'CLOUD_NOT_FOUND')).then(() => {
      isReported = true;
    });
    while (server.requests.length < 2) await new Promise(setImmediate);
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    assert.equal(isReported, false, 'the other piece is still under way');
    release?.();
    await read;
    await source.close();
  });
});
