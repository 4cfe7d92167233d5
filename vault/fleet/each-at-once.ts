/** Does `work` on each of a list as it comes, some at once. The first failure stops it, and is thrown when those under way have ended. */
export async function eachAtOnce<T>(list: AsyncIterable<T> | Iterable<T>, atOnce: number, work: (one: T) => Promise<void>): Promise<void> {
  const iterator = Symbol.asyncIterator in list ? list[Symbol.asyncIterator]() : list[Symbol.iterator]();
  const failures: unknown[] = [];
  let ended = false;
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (!ended && failures.length === 0) {
      try {
        const next = await iterator.next();
        if (next.done) ended = true;
        else await work(next.value);
      } catch (error) {
        failures.push(error);
      }
    }
  }));
  if (failures.length === 0) return;
  await iterator.return?.();
  throw failures[0];
}
