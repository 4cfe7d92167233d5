import { fstatSync, write } from 'node:fs';
import { Writable } from 'node:stream';
import { promisify } from 'node:util';

/**
 * Writes in records of one size, as tape devices want them, into standard output: each is one call of the system. What does not fill a
 * record waits for `endRecords`; whoever fails before that leaves an output without its end.
 */
export class RecordStream extends Writable {
  private readonly record: Buffer;
  private used = 0;

  constructor(recordBytes: number, private readonly put: (record: Buffer) => Promise<void>) {
    super({ highWaterMark: 1, decodeStrings: true });
    this.record = Buffer.alloc(recordBytes);
    // Whoever writes is told of a failure by the callback of the write.
    this.on('error', () => undefined);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.fill(chunk).then(() => done(), (error: unknown) => done(error instanceof Error ? error : new Error(String(error))));
  }

  /** Fills the last record up with zeros and writes it. */
  async endRecords(): Promise<void> {
    if (this.used === 0) return;
    this.record.fill(0, this.used);
    this.used = 0;
    await this.put(this.record);
  }

  /** Writes what there is as a record that is too short: a reader finds the end of the output within a file. */
  async breakOff(): Promise<void> {
    const rest = this.record.subarray(0, this.used);
    this.used = 0;
    if (rest.length > 0) await this.put(rest);
  }

  private async fill(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length;) {
      const part = Math.min(this.record.length - this.used, chunk.length - at);
      chunk.copy(this.record, this.used, at, at + part);
      this.used += part;
      at += part;
      if (this.used < this.record.length) continue;
      this.used = 0;
      await this.put(this.record);
    }
  }
}

const writeTo = promisify(write);

/** Puts records to standard output: straight to a file or a device, so that a record is one write; through the stream to a pipe or a socket. */
export function stdoutPut(): (record: Buffer) => Promise<void> {
  const found = fstatSync(1);
  if (found.isFile() || found.isCharacterDevice() || found.isBlockDevice()) return putWhole;
  return (record) => new Promise((resolve, reject) => void process.stdout.write(record, (error) => (error ? reject(error) : resolve())));
}

async function putWhole(record: Buffer): Promise<void> {
  for (let done = 0; done < record.length;) done += (await writeTo(1, record, done, record.length - done, null)).bytesWritten;
}
