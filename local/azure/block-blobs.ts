import type { IncomingMessage, ServerResponse } from 'node:http';
import { header, requestedRange } from './blob-http';
import { type BlockBlobRecord, guestState } from './guest-state';
import { checkSignature } from './storage-access';
import { BlobError, escapeXml, readBody } from './wire';
import type { World } from './world';

const maxBytes = 10 * 1024 * 1024;

/** Small block blobs, kept in the state: what the snapshot extension writes its status and log into. */
export class BlockBlobs {
  constructor(private readonly world: World) {}

  items(container: string, prefix: string): string[] {
    return Object.values(guestState(this.world.state).blockBlobs).filter((blob) => blob.container === container && blob.name.startsWith(prefix)).sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, text, modifiedAtMs }) => `<Blob><Name>${escapeXml(name)}</Name><Properties><BlobType>BlockBlob</BlobType><Content-Length>${Buffer.byteLength(text)}</Content-Length><Etag>0x1</Etag><Last-Modified>${new Date(modifiedAtMs).toUTCString()}</Last-Modified></Properties></Blob>`);
  }

  async handle(request: IncomingMessage, response: ServerResponse, url: URL, container: string, name: string): Promise<void> {
    const state = guestState(this.world.state);
    const key = `${container}/${name}`;
    if (!state.containers.includes(container)) throw new BlobError(404, 'ContainerNotFound', 'The specified container does not exist.');
    const method = request.method ?? 'GET';
    if (method === 'PUT' && !url.searchParams.has('comp')) {
      const before = state.blockBlobs[key];
      checkSignature(this.world, url, container, name, before === undefined ? ['w', 'c'] : ['w']);
      const body = await readBody(request, maxBytes);
      if (header(request, 'if-none-match') === '*' && state.blockBlobs[key] !== undefined) throw new BlobError(409, 'BlobAlreadyExists', 'The specified blob already exists.');
      const record: BlockBlobRecord = { container, name, text: body.toString('utf8'), version: (before?.version ?? 0) + 1, modifiedAtMs: this.world.now() };
      state.blockBlobs[key] = record;
      this.world.store.save();
      response.writeHead(201, { ...headersOf(record), 'content-length': '0' });
      response.end();
      return;
    }
    request.resume();
    const found = state.blockBlobs[key];
    if (method === 'DELETE') {
      checkSignature(this.world, url, container, name, ['d']);
      if (found === undefined) throw absent();
      delete state.blockBlobs[key];
      this.world.store.save();
      response.writeHead(202, { 'content-length': '0' });
      response.end();
      return;
    }
    if (method !== 'GET' && method !== 'HEAD') throw new BlobError(400, 'UnsupportedQueryParameter', 'The stand-in does not know this operation.');
    checkSignature(this.world, url, container, name, ['r']);
    if (found === undefined) throw absent();
    const bytes = Buffer.from(found.text);
    const range = bytes.length === 0 ? undefined : requestedRange(request, bytes.length);
    const part = range === undefined ? bytes : bytes.subarray(range.start, range.end);
    response.writeHead(range === undefined ? 200 : 206, {
      ...headersOf(found), 'content-type': 'application/octet-stream', 'content-length': String(part.length),
      ...(range === undefined ? {} : { 'content-range': `bytes ${range.start}-${range.end - 1}/${bytes.length}` }),
    });
    response.end(method === 'HEAD' ? undefined : part);
  }
}

const absent = (): BlobError => new BlobError(404, 'BlobNotFound', 'The specified blob does not exist.');

const headersOf = (blob: BlockBlobRecord): Record<string, string> =>
  ({ etag: `"0x${blob.version.toString(16).toUpperCase()}"`, 'last-modified': new Date(blob.modifiedAtMs).toUTCString(), 'x-ms-blob-type': 'BlockBlob' });
