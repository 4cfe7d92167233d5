import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** A new token of the local home: 256 random bits. */
export const newLocalToken = (): string => randomBytes(32).toString('base64url');

/** Compares in a time that tells nothing of where two tokens differ, nor of their lengths. */
export function isLocalToken(given: string, token: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}
