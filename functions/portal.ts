import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { app, type HttpHandler, type HttpRequest, type HttpResponseInit } from '@azure/functions';
import { HoldfastError } from '../errors/holdfast-error';
import { guarded } from './problem';

/** Compiled, this file lies in dist/functions/, and `npm run build` puts the portal's files into dist/portal/files/ (portal/build.mjs). */
const FOLDER = path.join(__dirname, '..', 'portal', 'files');
const INDEX = 'index.html';

interface PortalFile {
  readonly type: string;
  readonly etag: string;
  /** True when the name changes with the content, so that a copy of it is good for ever. */
  readonly isHashed: boolean;
  /** By content coding, the smallest first. */
  readonly bodies: readonly (readonly [coding: 'br' | 'gzip' | 'identity', bytes: Buffer])[];
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.txt': 'text/plain; charset=utf-8',
};

/**
 * What the page may do: load its own script, style and icon, and ask its own app. Nothing inline, nothing made out of text (Trusted Types, with no policy that could), no frame around it,
 * no address of it told to others. So a name with markup in it stays a name, even where somebody forgot that it might have some.
 */
export const PORTAL_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    "require-trusted-types-for 'script'", "trusted-types 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=(), payment=(), usb=()',
};

let files: ReadonlyMap<string, PortalFile> | undefined;

/** The files by name, read once; a request never names a path. */
function portalFiles(): ReadonlyMap<string, PortalFile> {
  files ??= new Map((existsSync(FOLDER) ? readdirSync(FOLDER) : []).flatMap((name): [string, PortalFile][] => {
    const type = TYPES[path.extname(name)];
    if (type === undefined) return [];
    const plain = readFileSync(path.join(FOLDER, name));
    return [[name, {
      type, etag: `W/"${createHash('sha256').update(plain).digest('hex').slice(0, 24)}"`, isHashed: /-[0-9a-f]{12}\.\w+$/.test(name),
      bodies: [['br', readFileSync(path.join(FOLDER, `${name}.br`))], ['gzip', readFileSync(path.join(FOLDER, `${name}.gz`))], ['identity', plain]],
    }]];
  }));
  return files;
}

/**
 * The portal: one page at the root of the app, and its files below portal/. It holds nothing of the vault, so it asks for no key and no sign-in; all that it shows comes from the API, which does.
 * The constraint of the first route is how a route of Azure Functions says "the root and nothing else".
 */
export function registerPortal(): void {
  app.http('portal', { methods: ['GET'], route: '{ignored:maxlength(0)?}', authLevel: 'anonymous', handler: guarded((request) => reply(request, INDEX)) });
  app.http('portalFile', { methods: ['GET'], route: 'portal/{file}', authLevel: 'anonymous', handler: guarded((request) => reply(request, request.params['file'] ?? '')) });
}

const reply = (request: HttpRequest, name: string): ReturnType<HttpHandler> => answer(request, name, portalFiles().get(name));

function answer(request: HttpRequest, name: string, file: PortalFile | undefined): HttpResponseInit {
  if (!file) throw new HoldfastError('PORTAL_FILE_NOT_FOUND', `There is no file ${JSON.stringify(name.slice(0, 80))} of the portal`);
  const headers = {
    ...PORTAL_HEADERS, etag: file.etag, vary: 'accept-encoding', 'cache-control': file.isHashed ? 'public, max-age=31536000, immutable' : 'no-cache',
  };
  if (matches(request.headers.get('if-none-match'), file.etag)) return { status: 304, headers };
  const accepted = codings(request.headers.get('accept-encoding') ?? '');
  const [coding, bytes] = file.bodies.find(([one]) => one === 'identity' || accepted.has(one)) as PortalFile['bodies'][number];
  return { status: 200, headers: { ...headers, 'content-type': file.type, ...(coding === 'identity' ? {} : { 'content-encoding': coding }) }, body: bytes };
}

/** Weak comparison (RFC 9110 §13.1.2): the codings of a file are one to a cache that asks. */
const matches = (header: string | null, etag: string): boolean => (header ?? '').split(',').map((one) => one.trim().replace(/^W\//, '')).some((one) => one === '*' || one === etag.replace(/^W\//, ''));

/** The content codings that a client takes: those with a weight of 0 are refused. */
function codings(header: string): ReadonlySet<string> {
  return new Set(header.toLowerCase().split(',').flatMap((part) => {
    const [name = '', ...parameters] = part.split(';').map((one) => one.trim());
    return parameters.some((one) => /^q=0(\.0*)?$/.test(one)) ? [] : [name];
  }));
}
