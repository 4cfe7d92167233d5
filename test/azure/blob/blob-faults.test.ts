import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { openBlobStore } from '../../../azure/blob/blob-store';
import type { RetryPolicy } from '../../../azure/blob/retry';
import type { ErrorCode } from '../../../errors/catalogue';
import { isHoldfastError } from '../../../errors/holdfast-error';
import type { Store } from '../../../vault/store/store';
import { startAzurite } from '../../support/azurite';
import { collect } from '../../support/store-contract';
import { type Exchange, type ScriptedProxy, startScriptedProxy, type Step } from './scripted-proxy';

const some = Buffer.from('some');
const tries = 4;
const hasCode = (code: ErrorCode) => (error: unknown) => isHoldfastError(error, code) || assert.fail(`${code} was expected, not ${String(error)}`);

const resetBefore = (exchange: Exchange) => exchange.reset();
const resetAfter = async (exchange: Exchange) => {
  await exchange.forward();
  exchange.reset();
};
const answering = (status: number, code?: string, headers: Record<string, string> = {}) => (exchange: Exchange) =>
  exchange.reply({ status, headers: { 'content-length': '0', ...(code !== undefined && { 'x-ms-error-code': code }), ...headers }, body: Buffer.alloc(0) });
const times = (count: number, step: Step) => Array.from({ length: count }, () => step);

describe('blob store, when the service or the network fails', () => {
  let proxy: ScriptedProxy;
  let store: Store;
  /** The same container, not through the proxy. */
  let direct: Store;
  let slept: number[];
  let onSleep: () => Promise<unknown>;
  let retry: Partial<RetryPolicy>;
  let sharedKey: { accountName: string; accountKey: string };

  beforeEach(async () => {
    const azurite = await startAzurite();
    sharedKey = { accountName: azurite.accountName, accountKey: azurite.accountKey };
    const containerUrl = azurite.newContainerUrl();
    direct = await openBlobStore({ containerUrl, sharedKey, createContainer: true });
    proxy = await startScriptedProxy(containerUrl);
    slept = [];
    onSleep = async () => undefined;
    retry = { tries, random: () => 1, sleep: async (ms) => void (slept.push(ms), await onSleep()) };
    store = await openBlobStore({ containerUrl: proxy.containerUrl, sharedKey, retry, pageSize: 2 });
  });
  afterEach(async () => {
    await proxy.close();
  });
  const played = (...methods: string[]) => {
    proxy.assertAllPlayed();
    assert.deepEqual(proxy.methods, methods);
  };

  describe('create', () => {
    it("answers 'created' for a write that was applied but whose answer was lost", async () => {
      const data = randomBytes(100_000);
      proxy.plan({ method: 'PUT', act: resetAfter });
      assert.equal(await store.create('a', data), 'created');
      assert.deepEqual(await direct.read('a'), data);
      played('PUT', 'HEAD');
    });

    it("answers 'created' for a write that was applied but answered by a 500", async () => {
      proxy.plan({ method: 'PUT', act: async (exchange) => {
        await exchange.forward();
        answering(500, 'OperationTimedOut')(exchange);
      } });
      assert.equal(await store.create('a', some), 'created');
      played('PUT', 'HEAD');
    });

    it('sends again what was not applied', async () => {
      proxy.plan({ method: 'PUT', act: resetBefore });
      assert.equal(await store.create('a', some), 'created');
      played('PUT', 'HEAD', 'PUT');
    });

    it("answers 'exists' when another made the object meanwhile, even of the same content", async () => {
      proxy.plan({ method: 'PUT', act: resetBefore });
      onSleep = () => direct.create('a', some);
      assert.equal(await store.create('a', some), 'exists');
      played('PUT', 'HEAD');
    });

    it('knows its own write that is applied only after the look for it', async () => {
      let late: Exchange | undefined;
      const keepForLater = (exchange: Exchange) => {
        late = exchange;
        exchange.reset();
      };
      proxy.plan({ method: 'PUT', act: keepForLater }, { method: 'PUT', act: async (exchange) => {
        assert.equal((await late?.forward())?.status, 201);
        exchange.reply(await exchange.forward());
      } });
      assert.equal(await store.create('a', some), 'created');
      played('PUT', 'HEAD', 'PUT', 'HEAD');
    });

    it('goes on through a lost look for its write', async () => {
      proxy.plan({ method: 'PUT', act: resetAfter }, { method: 'HEAD', act: resetBefore });
      assert.equal(await store.create('a', some), 'created');
      played('PUT', 'HEAD', 'HEAD');
    });

    it('throws when the outcome stays unknown, and leaves all or nothing', async () => {
      proxy.plan({ method: 'PUT', act: resetAfter }, ...times(tries - 1, { method: 'HEAD', act: answering(500) }));
      await assert.rejects(store.create('a', some), hasCode('STORE_UNREACHABLE'));
      assert.deepEqual(await direct.read('a'), some);
      assert.equal(await store.create('a', some), 'exists', 'the caller, run again, hears that it is there');
      proxy.assertAllPlayed();
    });

    it('sends again a body that was changed on the way, which the service does not store', async () => {
      const data = randomBytes(1000);
      const change = async (exchange: Exchange) => {
        const answer = await exchange.forward(Buffer.alloc(1000));
        assert.equal(answer.status, 400);
        exchange.reply(answer);
      };
      proxy.plan({ method: 'PUT', act: change });
      assert.equal(await store.create('a', data), 'created');
      assert.deepEqual(await direct.read('a'), data);
      proxy.plan(...times(tries, { method: 'PUT', act: change }));
      await assert.rejects(store.create('b', data), hasCode('STORE_FAILED'));
      assert.equal(await direct.stat('b'), undefined);
      proxy.assertAllPlayed();
    });

    it('reads a WORM policy as taken where the object is there, and as read-only where it is not', async () => {
      await direct.create('a', some);
      proxy.plan(...times(2, { method: 'PUT', act: answering(409, 'BlobImmutableDueToPolicy') }));
      assert.equal(await store.create('a', some), 'exists');
      await assert.rejects(store.create('b', some), hasCode('STORE_READ_ONLY'));
    });

    it('reads a signature that may not overwrite as taken', async () => {
      await direct.create('a', some);
      proxy.plan({ method: 'PUT', act: answering(403, 'UnauthorizedBlobOverwrite') });
      assert.equal(await store.create('a', some), 'exists');
    });
  });

  describe('throttling', () => {
    it('waits as long as Retry-After asks, in seconds or as a date', async () => {
      const nowMs = Date.UTC(2030, 0, 1);
      const patient = await openBlobStore({ containerUrl: proxy.containerUrl, sharedKey, retry: { ...retry, clock: () => nowMs } });
      await direct.create('a', some);
      proxy.plan(
        { method: 'GET', act: answering(503, 'ServerBusy', { 'retry-after': '7' }) },
        { method: 'GET', act: answering(429, undefined, { 'retry-after': new Date(nowMs + 9000).toUTCString() }) },
        { method: 'GET', act: answering(503, 'ServerBusy', { 'retry-after': '86400' }) },
      );
      assert.deepEqual(await patient.read('a'), some);
      assert.deepEqual(slept, [7000, 9000, 60_000]);
      played('GET', 'GET', 'GET', 'GET');
    });

    it('doubles its delay where nothing is asked', async () => {
      await direct.create('a', some);
      proxy.plan(...times(3, { method: 'GET', act: answering(500) }));
      await store.read('a');
      assert.deepEqual(slept, [500, 1000, 2000]);
    });

    for (const status of [503, 429]) {
      it(`gives up with STORE_THROTTLED after ${tries} answers of ${status}`, async () => {
        proxy.plan(...times(tries, { method: 'PUT', act: answering(status, 'ServerBusy') }));
        await assert.rejects(store.create('a', some), hasCode('STORE_THROTTLED'));
        proxy.assertAllPlayed();
        assert.equal(proxy.methods.filter((method) => method === 'PUT').length, tries);
      });
    }
  });

  describe('read', () => {
    it('starts again when the body breaks off, whole or a range', async () => {
      const data = randomBytes(200_000);
      await direct.create('a', data);
      const torn = async (exchange: Exchange) => exchange.replyTorn(await exchange.forward(), 70_000);
      proxy.plan({ method: 'GET', act: torn });
      assert.deepEqual(await store.read('a'), data);
      proxy.plan({ method: 'GET', act: torn });
      assert.deepEqual(await store.read('a', { offset: 50_000, length: 100_000 }), data.subarray(50_000, 150_000));
      played('GET', 'GET', 'GET', 'GET');
    });

    it('never hands out a part', async () => {
      await direct.create('a', randomBytes(1000));
      const act = async (exchange: Exchange) => exchange.replyTorn(await exchange.forward(), 999);
      proxy.plan(...times(tries, { method: 'GET', act }));
      await assert.rejects(store.read('a'), hasCode('STORE_UNREACHABLE'));
    });

    it('refuses a range that is shorter, or another, than the one it asked for', async () => {
      const data = randomBytes(1000);
      await direct.create('a', data);
      const wrongs: Step['act'][] = [
        async (exchange) => {
          const answer = await exchange.forward();
          exchange.reply({ ...answer, headers: { ...answer.headers, 'content-length': '50' }, body: answer.body.subarray(0, 50) });
        },
        async (exchange) => {
          const answer = await exchange.forward();
          exchange.reply({ ...answer, headers: { ...answer.headers, 'content-range': 'bytes 0-99/1000' } });
        },
        async (exchange) => {
          const { headers } = await exchange.forward();
          exchange.reply({ status: 200, headers: { ...headers, 'content-range': undefined, 'content-length': '1000' }, body: data });
        },
      ];
      for (const act of wrongs) proxy.plan({ method: 'GET', act });
      assert.deepEqual(await store.read('a', { offset: 100, length: 100 }), data.subarray(100, 200));
      assert.equal(slept.length, 3);
      proxy.assertAllPlayed();
    });
  });

  describe('absence', () => {
    const everyWay = (subject: Store) => [() => subject.read('a'), () => subject.read('a', { offset: 0, length: 0 }), () => subject.stat('a'), () => subject.delete('a'), () => subject.create('a', some), () => collect(subject.list(''))];

    it('is not what a missing container means', async () => {
      const { newContainerUrl } = await startAzurite();
      const nowhere = await openBlobStore({ containerUrl: newContainerUrl(), sharedKey, retry });
      for (const attempt of everyWay(nowhere)) await assert.rejects(attempt(), hasCode('STORE_UNREACHABLE'), String(attempt));
    });

    it('is not what a 404 of somebody else means', async () => {
      await direct.create('a', some);
      proxy.plan({ method: 'HEAD', act: answering(404) }, { method: 'GET', act: answering(404) }, { method: 'DELETE', act: answering(404, 'ResourceNotFound') });
      await assert.rejects(store.stat('a'), hasCode('STORE_UNREACHABLE'));
      await assert.rejects(store.read('a'), hasCode('STORE_UNREACHABLE'));
      await assert.rejects(store.delete('a'), hasCode('STORE_UNREACHABLE'));
      proxy.assertAllPlayed();
    });

    it('is not what a dead network means', async () => {
      await proxy.close();
      for (const attempt of everyWay(store)) await assert.rejects(attempt(), hasCode('STORE_UNREACHABLE'), String(attempt));
      assert.equal(slept.length, 6 * (tries - 1));
    });

    it('is not what silence means', async () => {
      await direct.create('a', some);
      const brisk = await openBlobStore({ containerUrl: proxy.containerUrl, sharedKey, retry, tryTimeoutMs: 50 });
      proxy.plan(...times(tries, { method: 'HEAD', act: () => undefined }));
      await assert.rejects(brisk.stat('a'), hasCode('STORE_UNREACHABLE'));
      proxy.assertAllPlayed();
    });
  });

  describe('list', () => {
    const contents = ['a', 'b', 'c', 'd', 'e'];
    beforeEach(async () => {
      for (const name of contents) await direct.create(name, some);
    });
    const pass: Step = { method: 'GET', act: async (exchange) => exchange.reply(await exchange.forward()) };

    it('asks again for a page that was lost, and gives each name once', async () => {
      proxy.plan(pass, { method: 'GET', act: resetAfter });
      assert.deepEqual((await collect(store.list(''))).map(({ name }) => name), contents);
      played('GET', 'GET', 'GET', 'GET');
    });

    it('throws in the middle instead of ending there', async () => {
      proxy.plan(pass, ...times(tries, { method: 'GET', act: answering(500, 'InternalError') }));
      const seen: string[] = [];
      await assert.rejects(async () => {
        for await (const { name } of store.list('')) seen.push(name);
      }, hasCode('STORE_UNREACHABLE'));
      assert.deepEqual(seen, ['a', 'b']);
    });

    it('refuses a page that is cut short or is no listing at all', async () => {
      for (const cut of [(body: string) => body.slice(0, body.length / 2), () => '<html>Sign in to the network</html>', () => '']) {
        proxy.plan(...times(tries, { method: 'GET', act: async (exchange) => {
          const answer = await exchange.forward();
          const body = Buffer.from(cut(answer.body.toString()));
          exchange.reply({ ...answer, headers: { ...answer.headers, 'content-length': String(body.length) }, body });
        } }));
        await assert.rejects(collect(store.list('')), hasCode('STORE_FAILED'));
        proxy.assertAllPlayed();
      }
    });

    it('refuses names out of order', async () => {
      proxy.plan({ method: 'GET', act: async (exchange) => {
        const answer = await exchange.forward();
        const swapped = answer.body.toString().replace('<Name>a<', '<Name>z<');
        exchange.reply({ ...answer, body: Buffer.from(swapped) });
      } });
      await assert.rejects(collect(store.list('')), hasCode('STORE_FAILED'));
    });
  });

  describe('delete', () => {
    it("answers 'deleted' when the answer of an applied delete was lost", async () => {
      await direct.create('a', some);
      proxy.plan({ method: 'DELETE', act: resetAfter });
      assert.equal(await store.delete('a'), 'deleted');
      played('DELETE', 'DELETE');
    });

    it('answers STORE_IMMUTABLE under a WORM policy', async () => {
      proxy.plan({ method: 'DELETE', act: answering(409, 'BlobImmutableDueToPolicy') });
      await assert.rejects(store.delete('a'), hasCode('STORE_IMMUTABLE'));
    });
  });

  describe('secrets', () => {
    it('are in no error, whatever fails', async () => {
      const signed = `${proxy.containerUrl}?sv=2024-11-04&sr=c&sp=rcwdl&sig=TOPSECRET%3D`;
      const behind = await openBlobStore({ containerUrl: signed, retry });
      const check = (code: ErrorCode) => (error: unknown) => {
        assert.ok(isHoldfastError(error, code), String(error));
        assert.doesNotMatch(inspect(error, { depth: 20, showHidden: true }) + JSON.stringify(error), /TOPSECRET/);
        assert.deepEqual(textsWithin(error).filter((text) => text.includes('TOPSECRET')), [], 'also where printing does not show it');
        return true;
      };
      await assert.rejects(behind.stat('a'), check('STORE_ACCESS_DENIED'));
      assert.equal(proxy.methods.length, 1, 'a refusal is not asked for again');
      await assert.rejects(behind.create('a', some), check('STORE_ACCESS_DENIED'));
      await assert.rejects(collect(behind.list('')), check('STORE_ACCESS_DENIED'));
      await proxy.close();
      await assert.rejects(behind.read('a'), check('STORE_UNREACHABLE'));
      assert.equal(behind.description, proxy.containerUrl);
    });
  });
});

/** Every text that can be reached from a value, through hidden properties too. */
function textsWithin(value: unknown, seen = new Set<unknown>()): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null || seen.has(value)) return [];
  seen.add(value);
  return Reflect.ownKeys(value).flatMap((key) => textsWithin(Reflect.get(value, key), seen));
}
