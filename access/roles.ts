import { HoldfastError } from '../errors/holdfast-error';

/**
 * What people and programs may be, by the app roles of Entra ID. Reader sees; Operator also backs up, cancels and proves; RestoreOperator is no superset of that: Reader, and restores
 * and exports, since whoever restores a disk can read all that was on it; Admin may everything. Somebody may have several.
 */
export const ROLES = ['Reader', 'Operator', 'RestoreOperator', 'Admin'] as const;
export type Role = (typeof ROLES)[number];

/** Who is calling, as far as it was proved. */
export interface Caller {
  /** Stable, for records: the object id (`oid`) of Entra ID, or 'local' for whoever has the token of the local home. */
  readonly id: string;
  /** For people: the user principal name, or the name or client id of an app. */
  readonly name: string;
  readonly kind: 'user' | 'app' | 'local';
  readonly roles: readonly Role[];
  /** Address that the request came from, for the audit trail; null where it is not known. */
  readonly from: string | null;
}

/** Whether what takes `role` is allowed to the caller. Somebody without any role may nothing. */
export function allows(caller: Caller, role: Role): boolean {
  return caller.roles.includes('Admin') || caller.roles.includes(role) || (role === 'Reader' && caller.roles.length > 0);
}

/** Throws FORBIDDEN unless `allows`. */
export function demandRole(caller: Caller, role: Role): void {
  if (!allows(caller, role)) throw forbidden(caller, role);
}

/** FORBIDDEN, which names the role that is needed and those that the caller has. */
export function forbidden(caller: Caller, role: Role): HoldfastError {
  const has = caller.roles.length === 0 ? 'no role of this app' : `the ${caller.roles.length === 1 ? 'role' : 'roles'} ${caller.roles.join(' and ')}`;
  return new HoldfastError('FORBIDDEN', `This takes the role ${role}; ${caller.name.slice(0, 120)} has ${has}`, { data: { role, roles: [...caller.roles] } });
}

/** UNAUTHENTICATED: who is calling was not said, or not proved. `why` holds nothing of the token. */
export const unauthenticated = (why: string): HoldfastError => new HoldfastError('UNAUTHENTICATED', why);
