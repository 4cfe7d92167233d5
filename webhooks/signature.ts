import { createHmac } from 'node:crypto';

/**
 * The headers of Standard Webhooks 1.0: over id, second and body, so that neither can be put to another message or played again later. One signature for each key.
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export function signatureHeaders(keys: readonly Buffer[], id: string, body: string, nowMs: number): Readonly<Record<string, string>> {
  const second = String(Math.floor(nowMs / 1000));
  const signed = `${id}.${second}.${body}`;
  return { 'webhook-id': id, 'webhook-timestamp': second, 'webhook-signature': keys.map((key) => `v1,${createHmac('sha256', key).update(signed, 'utf8').digest('base64')}`).join(' ') };
}
