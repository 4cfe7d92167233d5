import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { gunzipSync } from 'node:zlib';

/** One record as Application Insights takes it in. */
export interface Envelope {
  readonly sampleRate?: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly data: { readonly baseType: string; readonly baseData: BaseData };
}

export interface BaseData {
  readonly id?: string;
  readonly name?: string;
  readonly type?: string;
  readonly target?: string;
  readonly data?: string;
  readonly resultCode?: string;
  readonly success?: boolean;
  readonly message?: string;
  readonly properties?: Readonly<Record<string, string>>;
  readonly measurements?: Readonly<Record<string, number>>;
  readonly exceptions?: readonly { readonly typeName: string; readonly message: string; readonly stack?: string }[];
  readonly metrics?: readonly { readonly name: string; readonly value: number; readonly count?: number; readonly min?: number; readonly max?: number }[];
}

/** The table of the workspace that a record comes to lie in. Source: Azure Monitor, workspace-based Application Insights resources. */
export const TABLES: Readonly<Record<string, string>> = {
  RequestData: 'AppRequests', RemoteDependencyData: 'AppDependencies', MessageData: 'AppTraces', ExceptionData: 'AppExceptions', EventData: 'AppEvents', MetricData: 'AppMetrics',
};

/** Stands for the ingestion endpoint of Application Insights, over a socket: what the genuine exporter sends is kept, as it came. */
export interface Ingestion {
  readonly connectionString: string;
  readonly envelopes: readonly Envelope[];
  /** Everything that came, as text. */
  readonly raw: () => string;
  of(table: string): readonly Envelope[];
  close(): Promise<void>;
}

const files = path.join(__dirname, '..', '..', '..', 'test', 'fixtures', 'tls');

export async function startIngestion(): Promise<Ingestion> {
  const envelopes: Envelope[] = [];
  let raw = '';
  const cert = readFileSync(path.join(files, 'localhost.crt'), 'utf8');
  // The exporter speaks TLS only, and has no setting for whom it trusts.
  tls.setDefaultCACertificates([...new Set([...tls.getCACertificates('default'), cert])]);
  const server = createServer({ cert, key: readFileSync(path.join(files, 'localhost.key')) }, (request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts);
      const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString('utf8');
      const sent = text.startsWith('[') ? JSON.parse(text) as Envelope[] : text.split('\n').filter(Boolean).map((line) => JSON.parse(line) as Envelope);
      raw += text;
      envelopes.push(...sent);
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ itemsReceived: sent.length, itemsAccepted: sent.length, errors: [] }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    connectionString: `InstrumentationKey=00000000-1111-2222-3333-444444444444;IngestionEndpoint=https://localhost:${(server.address() as AddressInfo).port}/`,
    envelopes, raw: () => raw,
    of: (table) => envelopes.filter(({ data }) => TABLES[data.baseType] === table),
    close: () => new Promise((resolve) => { server.closeAllConnections(); server.close(() => resolve()); }),
  };
}
