import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openFileSink } from '../../../cli/file-sink';
import { ImageFile } from '../../../local/images/image-file';
import { alignedBuffer, alignedPart, cachedReadBuffer, isAligned, isDirectRefused, openDirect } from '../../../vault/transfer/direct-io';
import { openFolderStore } from '../../../vault/store/folder-store';
import { makeTempFolder, type TempFolder } from '../../support/temp-folder';

const MIB = 1024 * 1024;

/** Random bytes in memory that direct transfers can use. */
function alignedRandom(bytes: number): Buffer {
  const buffer = alignedBuffer(bytes);
  randomBytes(bytes).copy(buffer);
  return buffer;
}

describe('transfers past the page cache', () => {
  let temporary: TempFolder;
  const folder = (): string => temporary.path;
  beforeEach(async () => { temporary = await makeTempFolder(); });
  afterEach(() => temporary.remove());

  it('needs memory, offset and length on the grid', () => {
    const buffer = alignedBuffer(3 * 4096);
    assert.equal(buffer.length, 3 * 4096);
    assert.ok(buffer.every((byte) => byte === 0));
    assert.ok(isAligned(buffer, 8192));
    assert.ok(isAligned(buffer.subarray(4096), 0));
    assert.ok(!isAligned(buffer.subarray(512), 0), 'memory off the grid');
    assert.ok(!isAligned(buffer, 512), 'offset off the grid');
    assert.ok(!isAligned(buffer.subarray(0, 5000), 0), 'length off the grid');
    assert.ok(isAligned(buffer.subarray(0, 5000), 0, alignedPart(5000)));
    assert.ok(!isAligned(Buffer.alloc(4096), 0), 'ordinary memory');
  });

  it('leaves memory for cached reads to the page cache, on a cache line of its own', () => {
    const buffer = cachedReadBuffer(2 * MIB);
    assert.deepEqual([buffer.length, buffer.byteOffset, buffer.every((byte) => byte === 0)], [2 * MIB, 64, true]);
    assert.ok(!isAligned(buffer, 0));
  });

  it('reads what was written, where the file system offers it', async function () {
    const path = join(folder(), 'both');
    const data = alignedRandom(MIB);
    await writeFile(path, '');
    const writer = await openDirect(path, constants.O_WRONLY);
    if (!writer) {
      console.log('      skipped: this file system has no direct transfers');
      this.skip();
      return;
    }
    assert.equal((await writer.write(data, 0, MIB, 0)).bytesWritten, MIB);
    await writer.close();
    assert.ok((await readFile(path)).equals(data));
    const reader = await openDirect(path, constants.O_RDONLY);
    assert.ok(reader);
    const back = alignedBuffer(MIB);
    assert.equal((await reader.read(back, 0, MIB, 0)).bytesRead, MIB);
    assert.ok(back.equals(data));
    // What a system says to memory that is off the grid is the answer that sends everything the ordinary way.
    await assert.rejects(reader.read(back, 1, 4096, 0), isDirectRefused);
    await reader.close();
  });

  it('answers null for what cannot be opened', async () => {
    await mkdir(join(folder(), 'a-folder'));
    assert.equal(await openDirect(join(folder(), 'a-folder'), constants.O_WRONLY), null);
    assert.equal(await openDirect(join(folder(), 'missing'), constants.O_RDONLY), null);
  });

  it('reads an image of an odd size as it is, whichever way a piece of it goes', async () => {
    const path = join(folder(), 'odd.img');
    const content = randomBytes(5 * MIB + 512 * 3);
    await writeFile(path, content);
    const image = await ImageFile.open(path);
    try {
      const pieces = [[0, MIB], [MIB, MIB], [4096, 2 * MIB], [512, MIB], [4 * MIB, MIB], [5 * MIB, 512 * 3], [4 * MIB + 512 * 3, MIB]] as const;
      await Promise.all(pieces.map(async ([offset, length]) => {
        const buffer = alignedBuffer(length);
        await image.readFully(buffer, offset);
        assert.ok(buffer.equals(content.subarray(offset, offset + length)), `${length} bytes at ${offset}`);
      }));
      await assert.rejects(image.readFully(alignedBuffer(MIB), 5 * MIB), { code: 'SOURCE_SHRANK' });
    } finally {
      await image.close();
    }
  });

  it('writes a restored file from pieces that go either way', async () => {
    const path = join(folder(), 'restored.img');
    const content = Buffer.alloc(4 * MIB + 1000);
    await writeFile(path, '');
    await truncate(path, content.length);
    const sink = await openFileSink(path);
    const put = async (data: Buffer, offset: number): Promise<void> => {
      data.copy(content, offset);
      await sink.write(data, offset);
    };
    await put(alignedRandom(MIB), 0);
    await put(randomBytes(MIB), MIB);
    await put(alignedRandom(4096), 2 * MIB);
    await put(alignedRandom(1000), 4 * MIB);
    await put(alignedRandom(8192), 3 * MIB + 512);
    await sink.close();
    assert.ok((await readFile(path)).equals(content));
  });

  it('stores an object whose end is off the grid', async () => {
    const root = join(folder(), 'vault');
    const store = await openFolderStore(root, { create: true });
    const whole = alignedRandom(2 * MIB);
    for (const bytes of [2 * MIB, 2 * MIB - 1, MIB + 4097, 300_000, 4096, 1, 0]) {
      const data = whole.subarray(0, bytes);
      assert.equal(await store.create(`packs/${bytes}`, data), 'created');
      assert.ok((await store.read(`packs/${bytes}`)).equals(data), `${bytes} bytes`);
      assert.equal((await store.stat(`packs/${bytes}`))?.sizeBytes, bytes);
    }
    await store.close();
  });

  it('closes its files: as many are open after a restore as before', async () => {
    const openFiles = async (): Promise<number> => (await import('node:fs/promises')).readdir('/proc/self/fd').then((all) => all.length, () => 0);
    const path = join(folder(), 'closed.img');
    await writeFile(path, '');
    await truncate(path, MIB);
    const before = await openFiles();
    for (let round = 0; round < 5; round++) {
      const sink = await openFileSink(path);
      await sink.write(alignedRandom(MIB), 0);
      await sink.close();
      const image = await ImageFile.open(path);
      await image.close();
      const file = await open(path);
      await file.close();
    }
    assert.equal(await openFiles(), before);
  });
});
