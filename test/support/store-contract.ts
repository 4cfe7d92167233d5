import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { isHoldfastError } from '../../errors/holdfast-error';
import { listNames } from '../../vault/store/list-names';
import type { Store } from '../../vault/store/store';

export interface ContractSubject {
  /** Empty when it is handed over. */
  readonly store: Store;
  /** A second store on the same place, as another process would open it; absent where nothing outlives the store. */
  reopen?(): Promise<Store>;
  /** For a store under a WORM policy: moves its clock past everything that is held, so that what was written may be deleted. */
  expire?(): void;
  dispose(): Promise<void>;
}

export interface ContractOptions {
  /** Names of the long list: more than one page of a store that lists by pages. */
  readonly manyNames?: number;
  /** Nothing outlives the store, so there is nothing that another could open: such a test is not one that was skipped. */
  readonly inMemory?: boolean;
  /** The store is under a WORM policy for each object: it has `retention`, and new objects are held. */
  readonly worm?: boolean;
}

const mebibyte = 1024 * 1024;

/** The contract of Store, as one suite that every implementation passes. */
export function storeContract(name: string, open: () => Promise<ContractSubject>, options: ContractOptions = {}): void {
  describe(`store contract: ${name}`, () => {
    let subject: ContractSubject;
    let store: Store;

    beforeEach(async () => {
      subject = await open();
      store = subject.store;
    });
    afterEach(() => subject.dispose());

    describe('create', () => {
      it('lets exactly one of many concurrent creators win, with its whole content', async () => {
        const contents = Array.from({ length: 24 }, () => randomBytes(70_000));
        const outcomes = await Promise.all(contents.map((data) => store.create('runs/r1/manifest', data)));
        assert.equal(outcomes.filter((outcome) => outcome === 'created').length, 1);
        const winner = contents[outcomes.indexOf('created')];
        assert.deepEqual(await store.read('runs/r1/manifest'), winner);
      });

      it('leaves a taken name as it was', async () => {
        assert.equal(await store.create('a', Buffer.from('first')), 'created');
        assert.equal(await store.create('a', Buffer.from('second')), 'exists');
        assert.equal(await store.create('a', Buffer.from('first')), 'exists', 'also for the same content: it was not this write that made it');
        assert.equal((await store.read('a')).toString(), 'first');
      });

      it('may create a deleted name again', async () => {
        await store.create('bin/a', Buffer.from('first'));
        subject.expire?.();
        await store.delete('bin/a');
        assert.equal(await store.create('bin/a', Buffer.from('second')), 'created');
        assert.equal((await store.read('bin/a')).toString(), 'second');
      });

      it('keeps an empty object, which is not a missing one', async () => {
        assert.equal(await store.create('empty', new Uint8Array(0)), 'created');
        assert.equal(await store.create('empty', Buffer.from('x')), 'exists');
        assert.equal((await store.read('empty')).length, 0);
        assert.equal((await store.read('empty', { offset: 0, length: 0 })).length, 0);
        assert.equal((await store.stat('empty'))?.sizeBytes, 0);
      });

      it('takes a view into a larger buffer for exactly its bytes', async () => {
        const backing = randomBytes(4096);
        await store.create('view', new Uint8Array(backing.buffer, backing.byteOffset + 100, 500));
        assert.deepEqual(await store.read('view'), Buffer.from(backing.subarray(100, 600)));
      });

      it('keeps 33 MiB, whole and in ranges', async () => {
        const data = randomBytes(33 * mebibyte);
        assert.equal(await store.create('packs/big', data), 'created');
        const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
        assert.equal(digest(await store.read('packs/big')), digest(data));
        const middle = { offset: 17 * mebibyte - 3, length: 5 * mebibyte + 1 };
        assert.equal(digest(await store.read('packs/big', middle)), digest(data.subarray(middle.offset, middle.offset + middle.length)));
        assert.equal((await store.stat('packs/big'))?.sizeBytes, data.length);
      });
    });

    describe('names', () => {
      const refused = ['', '/', '/a', 'a/', 'a//b', '.', '..', '../a', 'a/../b', 'a/./b', 'a\\b', 'a b', 'ä', 'a\0b', 'a%2Fb', 'a?b', 'a#b', 'end.', 'a./b', 'x'.repeat(121), '.tmp/a', '.tmp', Array(10).fill('y'.repeat(100)).join('/')];
      for (const bad of refused) {
        it(`refuses ${JSON.stringify(bad.slice(0, 30))} (${bad.length})`, async () => {
          const refusal = (error: unknown) => isHoldfastError(error, 'STORE_NAME');
          await assert.rejects(store.create(bad, Buffer.from('x')), refusal);
          await assert.rejects(store.read(bad), refusal);
          await assert.rejects(store.stat(bad), refusal);
          await assert.rejects(store.delete(bad), refusal);
          assert.deepEqual(await names(store), []);
        });
      }

      for (const bad of ['/', '../', 'a//', 'a b', '.tmp/', 'a/../b']) {
        it(`refuses the prefix ${JSON.stringify(bad)}`, async () => {
          await assert.rejects(collect(store.list(bad)), (error) => isHoldfastError(error, 'STORE_NAME'));
        });
      }

      it('keeps odd names apart', async () => {
        const odd = ['-', '_', '...x', '.hidden', 'a-b', 'a.b', 'a_b', 'a/b', 'x'.repeat(120), Array(8).fill('y'.repeat(100)).join('/'), '0/1/2/3/4/5/6/7/8/9', 'part', 'Z9'];
        for (const each of odd) assert.equal(await store.create(each, Buffer.from(each)), 'created', each);
        for (const each of odd) assert.equal((await store.read(each)).toString(), each);
        assert.deepEqual(await names(store), odd.toSorted(byCodeUnit));
      });
    });

    describe('read', () => {
      it('reads exactly the range, for any range within', async () => {
        const data = randomBytes(5000);
        await store.create('data', data);
        const anyRange = fc.tuple(fc.nat(5000), fc.nat(5000)).map(([a, b]) => ({ offset: Math.min(a, b), length: Math.abs(a - b) }));
        await fc.assert(
          fc.asyncProperty(anyRange, async (range) => {
            assert.deepEqual(await store.read('data', range), Buffer.from(data.subarray(range.offset, range.offset + range.length)));
          }),
          { numRuns: 40 },
        );
      });

      it('refuses a range that ends after the object, even by one byte', async () => {
        await store.create('data', randomBytes(100));
        for (const range of [{ offset: 0, length: 101 }, { offset: 99, length: 2 }, { offset: 100, length: 1 }, { offset: 101, length: 0 }, { offset: 5000, length: 10 }]) {
          await assert.rejects(store.read('data', range), (error) => isHoldfastError(error, 'STORE_RANGE'), JSON.stringify(range));
        }
        assert.equal((await store.read('data', { offset: 100, length: 0 })).length, 0);
      });

      it('refuses a range of an empty object', async () => {
        await store.create('empty', new Uint8Array(0));
        await assert.rejects(store.read('empty', { offset: 0, length: 1 }), (error) => isHoldfastError(error, 'STORE_RANGE'));
      });

      it('calls a range that makes no sense a bug', async () => {
        await store.create('data', randomBytes(10));
        for (const range of [{ offset: -1, length: 1 }, { offset: 0, length: -1 }, { offset: 0.5, length: 1 }, { offset: 0, length: Number.NaN }]) {
          await assert.rejects(store.read('data', range), RangeError);
        }
      });

      it('hands out a buffer of the caller', async () => {
        await store.create('data', Buffer.from('good'));
        (await store.read('data')).fill(0);
        assert.equal((await store.read('data')).toString(), 'good');
      });

      it('says that a missing object is missing, with a range and without', async () => {
        await store.create('there/one', Buffer.from('x'));
        for (const missing of ['missing', 'there/two', 'there/not/at/all', 'there/one/below', 'there']) {
          await assert.rejects(store.read(missing), (error) => isHoldfastError(error, 'STORE_OBJECT_NOT_FOUND'), missing);
          await assert.rejects(store.read(missing, { offset: 0, length: 1 }), (error) => isHoldfastError(error, 'STORE_OBJECT_NOT_FOUND'), missing);
          await assert.rejects(store.read(missing, { offset: 0, length: 0 }), (error) => isHoldfastError(error, 'STORE_OBJECT_NOT_FOUND'), missing);
        }
      });
    });

    describe('stat', () => {
      it('answers size and time, and undefined for what is not there', async () => {
        await store.create('a/b', Buffer.from('12345'));
        const info = await store.stat('a/b');
        assert.ok(info);
        assert.equal(info.name, 'a/b');
        assert.equal(info.sizeBytes, 5);
        assert.ok(Number.isSafeInteger(info.modifiedAtMs) && info.modifiedAtMs > Date.UTC(2020), String(info.modifiedAtMs));
        for (const missing of ['a', 'a/c', 'b', 'a/b/c', 'x/y/z']) assert.equal(await store.stat(missing), undefined, missing);
      });

      it('agrees with the list', async () => {
        await store.create('a/b', Buffer.from('12345'));
        assert.deepEqual(await collect(store.list('')), [await store.stat('a/b')]);
      });
    });

    describe('list', () => {
      it('is empty for an empty store and for a prefix without objects', async () => {
        assert.deepEqual(await names(store), []);
        assert.deepEqual(await names(store, 'none/'), []);
        await store.create('a', Buffer.from('x'));
        assert.deepEqual(await names(store, 'a/'), []);
        assert.deepEqual(await names(store, 'b'), []);
      });

      it('is in order of the whole name, where folders and files mix', async () => {
        const mixed = ['a/1', 'a-b', 'a.b', 'a0', 'aa/z', 'a/0/x', 'B', 'Z/a', '_', 'a_b/c', '0'];
        for (const each of mixed) await store.create(each, Buffer.from(each));
        assert.deepEqual(await names(store), mixed.toSorted(byCodeUnit));
        assert.deepEqual(await collect(listNames(store, '')), mixed.toSorted(byCodeUnit));
      });

      it('takes the prefix as plain text', async () => {
        for (const each of ['ab/c', 'ab/cd/e', 'ab-x', 'abc', 'b', 'ab/b']) await store.create(each, Buffer.from(each));
        assert.deepEqual(await names(store, 'ab'), ['ab-x', 'ab/b', 'ab/c', 'ab/cd/e', 'abc']);
        assert.deepEqual(await names(store, 'ab/'), ['ab/b', 'ab/c', 'ab/cd/e']);
        assert.deepEqual(await names(store, 'ab/c'), ['ab/c', 'ab/cd/e']);
        assert.deepEqual(await names(store, 'ab/cd/'), ['ab/cd/e']);
        assert.deepEqual(await names(store, '.'), []);
      });

      it('agrees with a model, for any names and prefix', async () => {
        const anyPart = fc.string({ unit: fc.constantFrom('a', 'b', 'C', '-', '_', '0'), minLength: 1, maxLength: 3 });
        // Parts at an even depth end in 'd', the last in 'f', so that no name is the folder of another.
        const anyName = fc.array(anyPart, { minLength: 1, maxLength: 3 }).map((parts) => parts.map((each, i) => each + (i === parts.length - 1 ? '.f' : '.d')).join('/'));
        const seed = Date.now() & 0xffff;
        const samples = fc.sample(fc.uniqueArray(anyName, { minLength: 25, maxLength: 25, comparator: (a, b) => a.toLowerCase() === b.toLowerCase() }), { seed, numRuns: 1 })[0] ?? [];
        await Promise.all(samples.map((each) => store.create(each, Buffer.from(each))));
        const sorted = samples.toSorted(byCodeUnit);
        for (const prefix of ['', 'a', 'b', 'C', 'a.d/', ...sorted.slice(0, 8).map((each) => each.slice(0, -2))]) {
          const wanted = sorted.filter((each) => each.startsWith(prefix));
          assert.deepEqual(await names(store, prefix), wanted, `seed ${seed}, prefix '${prefix}'`);
          assert.deepEqual(await collect(listNames(store, prefix)), wanted, `the names alone, seed ${seed}, prefix '${prefix}'`);
        }
      });

      it('lists many names, each once', async () => {
        const count = options.manyNames ?? 5200;
        const all = Array.from({ length: count }, (_, i) => `packs/${createHash('md5').update(String(i)).digest('hex')}`);
        await inParallel(all, 16, (each) => store.create(each, Buffer.from('x')));
        await store.create('other', Buffer.from('x'));
        assert.deepEqual(await names(store, 'packs/'), all.toSorted(byCodeUnit));
        assert.equal((await names(store)).length, count + 1);
      });

      it('lists all that was there, while others write and delete', async () => {
        const steady = Array.from({ length: 40 }, (_, i) => `s/${String(i).padStart(3, '0')}`);
        await inParallel(steady, 8, (each) => store.create(each, Buffer.from('x')));
        let listing = true;
        const meddle = async () => {
          for (let i = 0; listing; i += 1) {
            await store.create(`s/${String(i % 40).padStart(3, '0')}-x`, Buffer.from('y'));
            subject.expire?.();
            await store.delete(`s/${String((i * 7) % 40).padStart(3, '0')}-x`);
          }
        };
        const meddling = meddle();
        for (let round = 0; round < 5; round += 1) {
          const seen = await names(store, 's/');
          assert.deepEqual(seen.filter((each) => !each.endsWith('-x')), steady);
          assert.deepEqual(seen, seen.toSorted(byCodeUnit));
          assert.equal(new Set(seen).size, seen.length);
        }
        listing = false;
        await meddling;
      });

      it('may be left early', async () => {
        for (const each of ['a', 'b', 'c']) await store.create(each, Buffer.from(each));
        for await (const info of store.list('')) {
          assert.equal(info.name, 'a');
          break;
        }
        assert.equal((await names(store)).length, 3);
      });
    });

    describe('delete', () => {
      it('removes, once', async () => {
        await store.create('a/b', Buffer.from('x'));
        subject.expire?.();
        assert.equal(await store.delete('a/b'), 'deleted');
        assert.equal(await store.delete('a/b'), 'absent');
        assert.equal(await store.stat('a/b'), undefined);
        assert.deepEqual(await names(store), []);
        await assert.rejects(store.read('a/b'), (error) => isHoldfastError(error, 'STORE_OBJECT_NOT_FOUND'));
      });

      it('is absent for what was never there, and touches nothing else', async () => {
        await store.create('a/b', Buffer.from('x'));
        for (const missing of ['a', 'a/c', 'a/b/c', 'z']) assert.equal(await store.delete(missing), 'absent', missing);
        assert.deepEqual(await names(store), ['a/b']);
      });

      it('lets one of many concurrent deleters say that it removed the object', async () => {
        await store.create('a', Buffer.from('x'));
        subject.expire?.();
        const outcomes = await Promise.all(Array.from({ length: 8 }, () => store.delete('a')));
        assert.equal(outcomes.filter((outcome) => outcome === 'deleted').length, 1);
      });
    });

    if (options.worm === true) {
      describe('retention', () => {
        const retention = () => store.retention ?? assert.fail('the store has no retention');
        const held = (error: unknown) => isHoldfastError(error, 'STORE_IMMUTABLE');

        it('fault 39: refuses a delete before the time is over, says until when, and leaves the object as it was', async () => {
          await store.create('packs/a', Buffer.from('first'));
          const untilMs = await retention().until('packs/a');
          assert.ok(untilMs !== null && untilMs > await store.serverTimeMs());
          await assert.rejects(store.delete('packs/a'), (error) => isHoldfastError(error, 'STORE_IMMUTABLE') && error.data['untilMs'] === untilMs);
          assert.equal(await store.create('packs/a', Buffer.from('second')), 'exists');
          assert.equal((await store.read('packs/a')).toString(), 'first');
          subject.expire?.();
          assert.equal(await store.create('packs/a', Buffer.from('second')), 'exists', 'what is no longer held is not overwritten either');
          assert.equal(await store.delete('packs/a'), 'deleted');
          assert.equal(await store.delete('packs/a'), 'absent');
        });

        it('holds an object longer, never shorter', async () => {
          await store.create('packs/a', Buffer.from('x'));
          const untilMs = await retention().until('packs/a') ?? 0;
          const laterMs = untilMs + 86_400_000;
          assert.equal(await retention().extend('packs/a', untilMs - 10_000), untilMs);
          assert.equal(await retention().extend('packs/a', laterMs), laterMs);
          assert.equal(await retention().extend('packs/a', laterMs), laterMs);
          assert.equal(await retention().extend('packs/a', untilMs), laterMs);
          assert.equal(await retention().until('packs/a'), laterMs);
          await assert.rejects(store.delete('packs/a'), held);
        });

        it('may hold an object again whose time is over', async () => {
          await store.create('packs/a', Buffer.from('x'));
          subject.expire?.();
          const untilMs = await store.serverTimeMs() + 3_600_000;
          assert.equal(await retention().extend('packs/a', untilMs), untilMs);
          await assert.rejects(store.delete('packs/a'), held);
        });

        it('lists what the list lists, each with its time', async () => {
          for (const each of ['a', 'b/c', 'b/d']) await store.create(each, Buffer.from(each));
          const laterMs = await store.serverTimeMs() + 400 * 86_400_000;
          await retention().extend('b/d', laterMs);
          for (const prefix of ['', 'b/']) {
            const listed = await collect(retention().list(prefix));
            assert.deepEqual(listed.map(({ name: each, sizeBytes, modifiedAtMs }) => ({ name: each, sizeBytes, modifiedAtMs })), await collect(store.list(prefix)));
            assert.equal((listed.at(-1) as { untilMs?: number } | undefined)?.untilMs, laterMs);
          }
        });

        it('says that a missing object is missing', async () => {
          const missing = (error: unknown) => isHoldfastError(error, 'STORE_OBJECT_NOT_FOUND');
          await assert.rejects(retention().until('none'), missing);
          await assert.rejects(retention().extend('none', Date.now() + 1e9), missing);
        });
      });
    }

    it('tells the time by the clock of its objects, and leaves nothing behind', async () => {
      await store.create('a', Buffer.from('x'));
      const { modifiedAtMs } = await store.stat('a') ?? { modifiedAtMs: 0 };
      const nowMs = await store.serverTimeMs();
      // Services tell whole seconds.
      assert.ok(Number.isSafeInteger(nowMs) && nowMs >= modifiedAtMs - 1000 && nowMs < modifiedAtMs + 60_000, `${nowMs} after ${modifiedAtMs}`);
      assert.deepEqual(await names(store), ['a']);
    });

    if (!options.inMemory) it('is seen whole by another that opens the same place', async () => {
      const other = await subject.reopen?.();
      assert.ok(other, 'the subject says how another opens it');
      await store.create('a/b', Buffer.from('from the first'));
      assert.equal(await other.create('a/b', Buffer.from('from the second')), 'exists');
      assert.equal(await other.create('c', Buffer.from('c')), 'created');
      assert.equal((await other.read('a/b')).toString(), 'from the first');
      await store.close();
      assert.deepEqual(await collect(other.list('')), [await other.stat('a/b'), await other.stat('c')]);
      await other.close();
    });
  });
}

export async function collect<T>(list: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of list) all.push(one);
  return all;
}

async function names(store: Store, prefix = ''): Promise<string[]> {
  return (await collect(store.list(prefix))).map((info) => info.name);
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

async function inParallel<T>(items: readonly T[], width: number, run: (item: T) => Promise<unknown>): Promise<void> {
  const queue = items.values();
  await Promise.all(Array.from({ length: width }, async () => {
    for (const item of queue) await run(item);
  }));
}
