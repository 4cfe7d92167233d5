// What transfer threads open in tests: a folder vault, and files that fail, die or need a new access as the spec says.
import { open } from 'node:fs/promises';
import { HoldfastError } from '../../errors/holdfast-error';
import type { BlockSource } from '../../vault/transfer/block-source';
import { openFolderStore } from '../../vault/store/folder-store';
import type { Spec, TransferFactory } from '../../vault/transfer/transfer-factory';

/**
 * `path`; `at`: the offset from which on `trouble` happens: `exit` ends the thread, `throw` throws outside of any promise, `code` fails
 * with an error of a code and data, `plain` with any other; `token`: only 'fresh' reads, everything else asks for a new spec first.
 */
async function openFile(spec: Spec, renew: () => Promise<Spec>): Promise<BlockSource> {
  if (spec.refuse) throw new HoldfastError('IMAGE_NOT_FOUND', 'There is no such source', { data: { path: 'nowhere' } });
  const file = await open(String(spec.path));
  let token: unknown = spec.token ?? 'fresh';
  return {
    sizeBytes: (await file.stat()).size,
    async readInto(buffer, offset) {
      if (token !== 'fresh') token = (await renew()).token;
      if (token !== 'fresh') throw new Error('still no access');
      if (typeof spec.at === 'number' && offset >= spec.at) trouble(spec.trouble);
      await file.read(buffer, 0, buffer.length, offset);
    },
    verifyUnchanged: () => Promise.resolve(),
    close: () => file.close(),
  };
}

function trouble(kind: unknown): void {
  if (kind === 'exit') process.exit(7);
  if (kind === 'throw') setImmediate(() => { throw new Error('thrown in the thread'); });
  if (kind === 'code') throw new HoldfastError('SOURCE_UNREADABLE', 'A sector cannot be read', { data: { offset: 4096, path: 'disk' } });
  if (kind === 'plain') throw new TypeError('not an error of ours');
}

export const transferFactory: TransferFactory = {
  openStore: (spec) => openFolderStore(String(spec.path)),
  openSource: openFile,
  async openSink(spec, renew) {
    const file = await open(String(spec.path), 'r+');
    let token: unknown = spec.token ?? 'fresh';
    return {
      async write(data, offset) {
        if (token !== 'fresh') token = (await renew()).token;
        if (token !== 'fresh') throw new Error('still no access');
        await file.write(data, 0, data.length, offset);
      },
      async close() {
        await file.close();
        if (spec.failClose) throw new HoldfastError('TARGET_WRITE_FAILED', 'The target did not take the last bytes', { data: { path: 'target' } });
      },
    };
  },
};
