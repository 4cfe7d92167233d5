import { readFile } from 'node:fs/promises';
import { findPolicy } from '../activities/policy-store';
import { HoldfastError } from '../errors/holdfast-error';
import { parsePolicyText, type PolicyDocument } from '../policy/schema';
import type { VaultAccess } from '../vault/format/tree';

/** A policy of the vault by its name, or a document in a file. Throws POLICY_NOT_FOUND, POLICY_INVALID. */
export async function askedPolicy(vault: VaultAccess, asked: string): Promise<{ readonly document: PolicyDocument; readonly isFile: boolean }> {
  const stored = await findPolicy(vault.store, asked);
  if (stored) return { document: stored.document, isFile: false };
  return { document: await policyInFile(asked), isFile: true };
}

/** The document in a file, for what is not the name of a policy. Throws POLICY_NOT_FOUND, POLICY_INVALID. */
export async function policyInFile(asked: string): Promise<PolicyDocument> {
  let text: string;
  try {
    text = await readFile(asked, 'utf8');
  } catch (cause) {
    throw new HoldfastError('POLICY_NOT_FOUND', `${JSON.stringify(asked.slice(0, 120))} is neither the name of a policy in the vault nor a file that can be read`, { cause });
  }
  return parsePolicyText(text);
}
