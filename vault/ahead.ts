/**
 * Each of a list with what `work` makes of it, in order, while the next one is under way already: what waits for the store and what computes then do not wait for each other.
 * Throws what `work` throws, when it is that one's turn. Whoever stops in between waits for the one under way.
 */
export async function* ahead<T, R>(list: readonly T[], work: (one: T, index: number) => Promise<R>): AsyncGenerator<readonly [T, R]> {
  const start = (index: number): Promise<R> | undefined => {
    const one = list[index];
    const started = one === undefined ? undefined : work(one, index);
    // Its failure is told at its turn.
    started?.catch(() => undefined);
    return started;
  };
  let next = start(0);
  try {
    for (const [index, one] of list.entries()) {
      const made = await next as R;
      next = start(index + 1);
      yield [one, made];
    }
  } finally {
    await next?.catch(() => undefined);
  }
}
