import assert from 'node:assert/strict';
import fc from 'fast-check';
import { activity, isTransient, reportOfFailedTask } from '../../activities/outcome';
import { redact } from '../../errors/redact';
import { HoldfastError } from '../../errors/holdfast-error';

/** How a failed activity reaches an orchestration: its message between the host's words, and again, escaped, in the details (test/fixtures/durable, 05). */
const asTask = (error: unknown): Error => {
  const message = (error as Error).message;
  return new Error(`Activity function 'x' failed:  ${message} \n ${JSON.stringify({ $type: 'System.Exception', Message: ` ${message}`, InnerException: { Message: `Result: Failure\nException: ${message}` } })}`);
};

describe('outcomes of activities', () => {
  it('are values where the failure was foreseen and for good', async () => {
    const error = new HoldfastError('STORE_FULL', 'full', { data: { bytes: 7 } });
    assert.deepEqual(await activity(() => Promise.reject(error))(null), { ok: false, error: error.toJSON() });
    assert.deepEqual(await activity((n: number) => Promise.resolve(n + 1))(1), { ok: true, value: 2 });
  });

  it('bring the report of a transient failure back, whatever is in it', async () => {
    await fc.assert(fc.asyncProperty(
      fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.array(fc.constantFrom(':END', 'HOLDFAST_ERROR:', '"', '\\', '}', '\n', '\\u003aEND', ':', 'END')).map((parts) => parts.join(''))),
      fc.string(), async (message, value) => {
        const error = new HoldfastError('CLOUD_THROTTLED', message, { data: { value } });
        const thrown: unknown = await activity(() => Promise.reject(error))(null).then(() => assert.fail('it was not thrown'), (reason: unknown) => reason);
        assert.deepEqual(reportOfFailedTask(asTask(thrown)), error.toJSON());
      }));
  });

  it('make INTERNAL of everything else, with its first line', async () => {
    const thrown: unknown = await activity(() => Promise.reject(new TypeError('x is not a function\nsecond line')))(null).catch((reason: unknown) => reason);
    assert.equal(reportOfFailedTask(asTask(thrown)).code, 'INTERNAL');
    assert.match(reportOfFailedTask(asTask(thrown)).message, /x is not a function$/);
    for (const cut of ['HOLDFAST_ERROR:{"code":', 'HOLDFAST_ERROR:{"code":"STORE_FULL"', 'HOLDFAST_ERROR:nonsense:END', '', 'x'.repeat(5000)]) {
      const report = reportOfFailedTask(new Error(cut));
      assert.equal(report.code, 'INTERNAL');
      assert.ok(report.message.length <= 500);
    }
  });

  it('carry no signature of an access URL, also of a bug (I7)', async () => {
    const url = 'https://md-x.blob.storage.azure.net/abc/abcd?sv=2018-03-28&sr=b&si=1&sig=AbC%2Fdef%3D';
    const thrown = await activity(() => Promise.reject(new TypeError(`fetch failed: ${url} 'again'`)))(null).then(() => assert.fail(), (reason: unknown) => reason as Error);
    assert.doesNotMatch(`${thrown.message}${thrown.stack}`, /AbC|def/);
    assert.match(thrown.message, /fetch failed.*'again'$/);
    for (const loose of ['sig=AbC%2Fdef%3D', 'Signature=AbC', 'Authorization: Bearer AbC.d-e', 'client_secret=AbC']) assert.doesNotMatch(redact(`it said ${loose} and more`), /AbC/, loose);
    assert.equal(redact('nothing here, and no signature'), 'nothing here, and no signature');
  });

  it('tell what may be gone in a minute from what stays', () => {
    for (const code of ['STORE_UNREACHABLE', 'CLOUD_THROTTLED', 'CLOUD_CONFLICT', 'INTERNAL'] as const) assert.ok(isTransient(new HoldfastError(code, '').toJSON()), code);
    for (const code of ['STORE_FULL', 'STORE_ACCESS_DENIED', 'CLOUD_ACCESS_DENIED', 'CANCELLED', 'RUN_ABANDONED'] as const) assert.ok(!isTransient(new HoldfastError(code, '').toJSON()), code);
  });
});
