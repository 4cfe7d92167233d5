import { redact } from '../../errors/redact';

/**
 * Members of the VM's JSON that hold secrets or may hold them. customData and userData are scripts that people put
 * passwords into; additionalUnattendContent holds the logon password of a Windows set-up; protectedSettings are an
 * extension's. References to a key vault and public SSH keys stay: they open nothing by themselves.
 */
const secretMembers = new Set(['adminpassword', 'customdata', 'userdata', 'additionalunattendcontent', 'protectedsettings', 'accesssas', 'protectedparameters', 'runaspassword']);
const secretPattern = /password|secretvalue|connectionstring|storageaccountkey|sastoken/i;
/** Deeper than any resource is; a model that goes on and on is cut, not followed. */
const deepest = 32;

/** A copy of the service's JSON without its secrets and without access URLs. */
export function withoutSecrets(model: unknown): Record<string, unknown> {
  const copy = strip(model, 0);
  return typeof copy === 'object' && copy !== null && !Array.isArray(copy) ? (copy as Record<string, unknown>) : {};
}

function strip(value: unknown, depth: number): unknown {
  if (depth > deepest) return null;
  if (typeof value === 'string') return redact(value);
  if (Array.isArray(value)) return value.map((item) => strip(item, depth + 1));
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([name, member]) => !isSecret(name, member));
  return Object.fromEntries(kept.map(([name, member]) => [name, strip(member, depth + 1)]));
}

/** A flag such as disablePasswordAuthentication is needed to make the machine anew and tells nothing. */
function isSecret(name: string, member: unknown): boolean {
  return secretMembers.has(name.toLowerCase()) || (secretPattern.test(name) && typeof member !== 'boolean');
}
