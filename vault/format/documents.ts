import type { z } from 'zod';
import { HoldfastError, isHoldfastError } from '../../errors/holdfast-error';
import { openDocument, sealDocument } from './sealed-document';
import type { Store } from '../store/store';
import type { VaultAccess } from './tree';

/** Stores a sealed document. 'exists' when the name is taken; the caller decides what that means. */
export const createDocument = (vault: VaultAccess, name: string, value: unknown): Promise<'created' | 'exists'> =>
  vault.store.create(name, sealDocument(vault.keys, name, value));

/** A sealed document checked against its schema, or undefined when it is definitely not there. */
export async function findDocument<T>(vault: VaultAccess, name: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const bytes = await readObject(vault, name);
  return bytes && parseDocument(vault, name, bytes, schema);
}

export async function readObject(vault: { readonly store: Store }, name: string): Promise<Buffer | undefined> {
  try {
    return await vault.store.read(name);
  } catch (error) {
    if (isHoldfastError(error, 'STORE_OBJECT_NOT_FOUND')) return undefined;
    throw error;
  }
}

/** True for an object that is there and cannot be read as what it should be: damaged, or of a newer version. */
export const isUnreadable = (error: unknown): error is HoldfastError => isHoldfastError(error, 'DOCUMENT_DAMAGED') || isHoldfastError(error, 'VAULT_NEWER_FORMAT');

export function parseDocument<T>(vault: VaultAccess, name: string, bytes: Buffer, schema: z.ZodType<T>): T {
  const value = openDocument(vault.keys, name, bytes);
  const version = typeof value === 'object' && value !== null && 'version' in value ? value.version : undefined;
  if (typeof version === 'number' && version > 1) {
    throw new HoldfastError('VAULT_NEWER_FORMAT', `The document ${name} has version ${version}`, { data: { name, version } });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).slice(0, 3).join('; ');
  throw new HoldfastError('DOCUMENT_DAMAGED', `The document ${name} is not what it should be: ${where}`, { data: { name } });
}
