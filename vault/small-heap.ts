import { setFlagsFromString } from 'node:v8';

let users = 0;

/**
 * Does work that makes much garbage of small objects and keeps little, such as opening every manifest of a vault. V8 lets its young generation grow for it from a few MiB to a hundred, which
 * saves no time here: under this flag it stays as large as it is (100 items with 1,000 recovery points each: 300 MiB and more without it). It goes for the whole process, so only for as long as the work takes. Where V8 does
 * not know the flag nothing happens.
 */
export async function withSmallHeap<T>(work: () => Promise<T>): Promise<T> {
  if (users++ === 0) setFlagsFromString('--semi-space-growth-factor=1');
  try {
    return await work();
  } finally {
    // V8's own value.
    if (--users === 0) setFlagsFromString('--semi-space-growth-factor=2');
  }
}
