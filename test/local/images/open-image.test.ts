import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, open, rename, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import type { ErrorCode } from '../../../errors/catalogue';
import { isHoldfastError } from '../../../errors/holdfast-error';
import { copyImage } from '../../../local/images/copy-image';
import { openImage } from '../../../local/images/open-image';
import { buildFixedFooter, parseFooter } from '../../../vault/format/vhd-footer';
import { dynamicVhd } from './dynamic-vhd-builder';

const identity = { uniqueId: '00112233-4455-6677-8899-aabbccddeeff', createdAt: Date.UTC(2026, 0, 1) };
const halfMib = 512 * 1024;

describe('disk images', () => {
  let folder: string;
  before(async () => { folder = await mkdtemp(join(tmpdir(), 'holdfast-images-')); });
  after(() => rm(folder, { recursive: true, force: true }));

  /** A file whose last write is long enough ago that its time stamp is final. */
  async function file(name: string, content: Buffer | string): Promise<string> {
    const path = join(folder, name);
    await writeFile(path, content);
    await utimes(path, new Date(2025, 0, 1), new Date(2025, 0, 1));
    return path;
  }

  async function readAll(path: string): Promise<Buffer> {
    const image = await openImage(path);
    try {
      const bytes = Buffer.alloc(image.sizeBytes);
      await image.readInto(bytes, 0);
      await image.verifyUnchanged();
      return bytes;
    } finally {
      await image.close();
    }
  }

  const refusal = (path: string, code: ErrorCode) => assert.rejects(openImage(path), (error) => isHoldfastError(error, code) && error.message.includes(path));

  it('reads a raw image, whole and in parts', async () => {
    const content = randomBytes(10 * 512);
    const path = await file('disk.img', content);
    assert.ok((await readAll(path)).equals(content));
    const image = await openImage(path);
    assert.equal(image.format, 'raw');
    const part = Buffer.alloc(700);
    await image.readInto(part, 1000);
    assert.ok(part.equals(content.subarray(1000, 1700)));
    await assert.rejects(image.readInto(part, 5000), (error) => isHoldfastError(error, 'INTERNAL'));
    await image.close();
  });

  it('reads a fixed VHD as its data alone, whatever it is called', async () => {
    const content = randomBytes(6 * 512);
    const vhd = Buffer.concat([content, buildFixedFooter(content.length, identity)]);
    for (const name of ['fixed.vhd', 'fixed.img']) {
      const path = await file(name, vhd);
      assert.ok((await readAll(path)).equals(content));
      const image = await openImage(path);
      assert.equal(image.format, 'fixed-vhd');
      await image.close();
    }
  });

  it('reads a dynamic VHD: unallocated blocks and unwritten sectors are zeros', async () => {
    const first = randomBytes(halfMib);
    const last = randomBytes(1024);
    const vhd = dynamicVhd({ sizeBytes: 3 * halfMib - halfMib / 2, blockBytes: halfMib, blocks: new Map([[2, { content: last, written: () => true }], [0, { content: first, written: (sector: number) => sector % 3 !== 0 }]]) });
    const expected = Buffer.alloc(3 * halfMib - halfMib / 2);
    first.copy(expected);
    for (let sector = 0; sector < halfMib / 512; sector += 3) expected.fill(0, sector * 512, sector * 512 + 512);
    last.copy(expected, 2 * halfMib);
    const path = await file('dynamic.vhd', vhd);
    assert.ok((await readAll(path)).equals(expected));
    const image = await openImage(path);
    assert.equal(image.format, 'dynamic-vhd');
    for (const [offset, length] of [[halfMib - 100, 300], [2 * halfMib - 1, 700], [5, 1]] as const) {
      const part = Buffer.alloc(length);
      await image.readInto(part, offset);
      assert.ok(part.equals(expected.subarray(offset, offset + length)));
    }
    await copyImage(image, join(folder, 'flat.img'));
    assert.ok((await readAll(join(folder, 'flat.img'))).equals(expected));
    await image.close();
  });

  it('refuses what is no disk, each with what it is', async () => {
    await mkdir(join(folder, 'directory'));
    await refusal(join(folder, 'directory'), 'IMAGE_NOT_A_DISK');
    await refusal(join(folder, 'missing.img'), 'IMAGE_NOT_FOUND');
    await refusal(await file('empty.img', ''), 'IMAGE_NOT_A_DISK');
    await refusal(await file('odd.img', randomBytes(1000)), 'IMAGE_NOT_A_DISK');
    await refusal(await file('disk.img.gz', gzipSync(randomBytes(4096))), 'IMAGE_NOT_A_DISK');
    await refusal(await file('disk.zip', Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(508)])), 'IMAGE_NOT_A_DISK');
    await refusal(await file('disk.xz', Buffer.concat([Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]), Buffer.alloc(506)])), 'IMAGE_NOT_A_DISK');
    await refusal(await file('notes', 'hello '.repeat(1024).slice(0, 4096)), 'IMAGE_NOT_A_DISK');
    await refusal('/dev/null', 'IMAGE_NOT_A_DISK');
    assert.equal((await readAll(await file('text.img', 'x'.repeat(1024)))).length, 1024, 'a file that is called .img is a disk, whatever it holds');
  });

  it('refuses disk formats it does not read, and says what to do', async () => {
    const start = (text: string, offset = 0): Buffer => {
      const bytes = Buffer.alloc(4096);
      bytes.write(text, offset, 'latin1');
      return bytes;
    };
    for (const [name, content] of [['a.vhdx', start('vhdxfile')], ['a.qcow2', start('QFI\xfb')], ['a.vmdk', start('KDMV')], ['a.vdi', start('\x7f\x10\xda\xbe', 64)], ['b.vmdk', Buffer.from('# Disk DescriptorFile\nversion=1\n')]] as const) {
      await refusal(await file(name, content), 'IMAGE_FORMAT_UNSUPPORTED');
    }
    const differencing = dynamicVhd({ sizeBytes: halfMib, blockBytes: halfMib, blocks: new Map() });
    for (const at of [0, differencing.length - 512]) {
      differencing.writeUInt32BE(4, at + 60);
      differencing.writeUInt32BE(differencing.readUInt32BE(at + 64) - 1, at + 64);
    }
    await assert.rejects(openImage(await file('child.vhd', differencing)), (error) => isHoldfastError(error, 'IMAGE_FORMAT_UNSUPPORTED') && /qemu-img convert -O raw/.test(error.remedy));
  });

  it('refuses a VHD whose footer is broken, but takes a raw image that merely has none', async () => {
    const vhd = Buffer.concat([randomBytes(1024), buildFixedFooter(1024, identity)]);
    vhd[1024 + 200] = 1;
    await refusal(await file('broken.vhd', vhd), 'IMAGE_VHD_BROKEN');
    await refusal(await file('bare.vhd', randomBytes(1024)), 'IMAGE_VHD_BROKEN');
    await refusal(await file('short.vhd', Buffer.concat([randomBytes(512), buildFixedFooter(1024, identity)])), 'IMAGE_VHD_BROKEN');
    const cut = dynamicVhd({ sizeBytes: halfMib, blockBytes: halfMib, blocks: new Map([[0, { content: randomBytes(512) }]]) });
    await refusal(await file('cut.img', cut.subarray(0, cut.length - 1024)), 'IMAGE_VHD_BROKEN');
    assert.equal((await readAll(await file('bare.img', vhd))).length, vhd.length);
  });

  it('sees that an image was written to, grew, shrank or was replaced', async () => {
    const changes: [string, (path: string) => Promise<void>][] = [
      ['written', async (path) => { const handle = await open(path, 'r+'); await handle.write(Buffer.from([1]), 0, 1, 0); await handle.close(); }],
      ['grew', (path) => truncate(path, 8192)],
      ['replaced', async (path) => { await writeFile(`${path}.new`, randomBytes(4096)); await rename(`${path}.new`, path); }],
      ['deleted', (path) => rm(path)],
    ];
    for (const [name, change] of changes) {
      const path = await file(`${name}.img`, randomBytes(4096));
      const image = await openImage(path);
      await image.verifyUnchanged();
      await change(path);
      await assert.rejects(image.verifyUnchanged(), (error) => isHoldfastError(error, 'SOURCE_CHANGED'), name);
      await image.close();
    }
  });

  it('sees a write that follows the last one within a tick of the clock', async () => {
    const path = join(folder, 'tick.img');
    for (let n = 0; n < 5; n++) {
      await writeFile(path, randomBytes(4096));
      const image = await openImage(path);
      const handle = await open(path, 'r+');
      await handle.write(Buffer.from([n]), 0, 1, 0);
      await handle.close();
      await assert.rejects(image.verifyUnchanged(), (error) => isHoldfastError(error, 'SOURCE_CHANGED'));
      await image.close();
    }
  });

  it('fails a read of an image that became shorter, rather than fill in zeros', async () => {
    const path = await file('shrinks.img', randomBytes(8192));
    const image = await openImage(path);
    await truncate(path, 4096);
    await assert.rejects(image.readInto(Buffer.alloc(1024), 3584), (error) => isHoldfastError(error, 'SOURCE_SHRANK'));
    await image.close();
  });

  it('opens in a worker thread from its path alone', async () => {
    const path = await file('worker.img', Buffer.alloc(512, 7));
    const worker = new Worker(`
      const { parentPort, workerData } = require('node:worker_threads');
      const { openImage } = require(workerData.module);
      openImage(workerData.path).then(async (image) => {
        const bytes = Buffer.alloc(image.sizeBytes);
        await image.readInto(bytes, 0);
        await image.close();
        parentPort.postMessage(bytes[511]);
      });`, { eval: true, workerData: { module: require.resolve('../../../local/images/open-image'), path } });
    assert.equal(await new Promise((done, fail) => { worker.once('message', done); worker.once('error', fail); }), 7);
    await worker.terminate();
  });

  it('never does worse than refuse, however a VHD is damaged', async () => {
    const whole = dynamicVhd({ sizeBytes: 2 * halfMib, blockBytes: halfMib, blocks: new Map([[1, { content: randomBytes(halfMib) }], [0, { content: randomBytes(2048) }]]) });
    const interesting = fc.oneof(fc.nat(2200), fc.integer({ min: whole.length - 512, max: whole.length - 1 }));
    let opened = 0;
    await fc.assert(fc.asyncProperty(fc.array(fc.tuple(interesting, fc.nat(255)), { minLength: 1, maxLength: 6 }), fc.boolean(), fc.option(fc.nat(whole.length)), async (hits, repairChecksums, cutAt) => {
      const bytes = Buffer.from(whole);
      for (const [at, value] of hits) bytes[at] = value;
      if (repairChecksums) repair(bytes);
      const path = join(folder, 'fuzz.vhd');
      await writeFile(path, cutAt === null ? bytes : bytes.subarray(0, cutAt));
      await utimes(path, new Date(2025, 0, 1), new Date(2025, 0, 1));
      try {
        const image = await openImage(path);
        opened++;
        try {
          assert.ok(image.sizeBytes % 512 === 0 && image.sizeBytes > 0);
          for (const offset of [0, Math.max(0, image.sizeBytes - 4096)]) await image.readInto(Buffer.alloc(Math.min(4096, image.sizeBytes)), offset);
        } finally {
          await image.close();
        }
      } catch (error) {
        assert.ok(isHoldfastError(error) && error.code !== 'INTERNAL', String(error));
      }
    }), { numRuns: 300 });
    assert.ok(opened > 0, 'some damage is harmless, or the test reaches nothing');
  });

  it('parses no footer out of noise and never throws', () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 0, maxLength: 600 }), (bytes) => 'problem' in parseFooter(Buffer.from(bytes))));
  });

  it('reads back every footer that it builds', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 2 ** 36 }), fc.uuid(), fc.integer({ min: 0, max: 2 ** 31 }), (sectors, uniqueId, seconds) => {
      const createdAt = Date.UTC(2000, 0, 1) + seconds * 1000;
      assert.deepEqual(parseFooter(buildFixedFooter(sectors * 512, { uniqueId, createdAt })), {
        footer: { diskType: 'fixed', currentSizeBytes: sectors * 512, dataOffset: null, uniqueId, createdAtMs: createdAt },
      });
    }));
    for (const bytes of [0, -512, 100, 2 ** 60]) assert.throws(() => buildFixedFooter(bytes, identity), RangeError);
    assert.throws(() => buildFixedFooter(512, { ...identity, uniqueId: 'x' }), RangeError);
  });
});

/** Makes the checksums right again, so that damage gets past them to the checks behind. */
function repair(bytes: Buffer): void {
  const sum = (start: number, length: number, field: number): void => {
    let total = 0;
    for (let at = 0; at < length; at++) if (at < field || at >= field + 4) total += bytes[start + at] ?? 0;
    bytes.writeUInt32BE(~total >>> 0, start + field);
  };
  sum(0, 512, 64);
  sum(512, 1024, 36);
  sum(bytes.length - 512, 512, 64);
}
