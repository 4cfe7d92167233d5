import type { IncomingMessage, ServerResponse } from 'node:http';

/** JSON as it comes over the wire: every use of a member looks at what it is first. */
export type Json = null | boolean | number | string | Json[] | { [member: string]: Json | undefined };
export type JsonObject = { [member: string]: Json | undefined };

export const maxBodyBytes = 1024 * 1024;

/** A refusal as Azure Resource Manager words it: {"error":{"code","message"}}. */
export class ArmError extends Error {
  constructor(readonly status: number, readonly code: string, message: string, readonly headers: Readonly<Record<string, string>> = {}) {
    super(message);
  }
}

/** A refusal as the blob service words it: XML with the code repeated in x-ms-error-code. */
export class BlobError extends Error {
  constructor(readonly status: number, readonly code: string, message: string, readonly headers: Readonly<Record<string, string>> = {}) {
    super(message);
  }
}

export interface ArmReply {
  readonly status: number;
  readonly body?: JsonObject;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The body of a request, refused with a 413 beyond `limitBytes`. */
export async function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    const bytes = part as Buffer;
    size += bytes.length;
    if (size > limitBytes) throw new ArmError(413, 'RequestContentTooLarge', `The body has more than ${limitBytes} bytes.`);
    parts.push(bytes);
  }
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}

/** The JSON object in a body; nothing at all counts as an empty object. */
export function parseJsonObject(body: Buffer): JsonObject {
  if (body.length === 0) return {};
  try {
    const parsed = JSON.parse(body.toString('utf8')) as Json;
    if (isObject(parsed)) return parsed;
  } catch (error) {
    throw new ArmError(400, 'InvalidRequestContent', `The request content was invalid and could not be deserialized: ${(error as Error).message}`);
  }
  throw new ArmError(400, 'InvalidRequestContent', 'The request content is no JSON object.');
}

export function sendJson(response: ServerResponse, reply: ArmReply): void {
  const payload = reply.body === undefined ? undefined : Buffer.from(JSON.stringify(reply.body));
  response.writeHead(reply.status, {
    ...(payload === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' }),
    'content-length': String(payload?.length ?? 0),
    ...reply.headers,
  });
  response.end(payload);
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A member that is an object, or an empty one. */
export function objectAt(value: JsonObject, member: string): JsonObject {
  const found = value[member];
  return isObject(found) ? found : {};
}

export function stringAt(value: JsonObject, member: string): string | undefined {
  const found = value[member];
  return typeof found === 'string' ? found : undefined;
}

export function numberAt(value: JsonObject, member: string): number | undefined {
  const found = value[member];
  return typeof found === 'number' ? found : undefined;
}

/** The one zone of a resource, or null. Azure takes no more than one for machines and locally redundant disks. */
export function zoneOf(value: JsonObject): string | null {
  const zones = value['zones'];
  if (zones === undefined || (Array.isArray(zones) && zones.length === 0)) return null;
  const [zone] = Array.isArray(zones) ? zones : [];
  if (!Array.isArray(zones) || zones.length !== 1 || typeof zone !== 'string') throw new ArmError(400, 'InvalidParameter', 'Exactly one zone can be given.');
  return zone;
}

/** The `tags` of a resource: only texts. */
export function tagsOf(value: JsonObject): Record<string, string> {
  return Object.fromEntries(Object.entries(objectAt(value, 'tags')).filter((pair): pair is [string, string] => typeof pair[1] === 'string'));
}

export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
