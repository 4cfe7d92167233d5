import type { ErrorCode } from '../../errors/catalogue';
import { HoldfastError, isHoldfastError, messageOf } from '../../errors/holdfast-error';

/** The code of a failed system call, such as ENOENT, or undefined for any other error. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** True when the path was definitely not there: it, or a folder above it, is missing or is a file. */
export function isMissing(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/**
 * What a failed system call on the vault folder means to a user. Nothing here means "not there": whoever can
 * prove an absence does so before it asks for an error.
 */
export function folderError(error: unknown, action: string, description: string): HoldfastError {
  if (isHoldfastError(error)) return error;
  const systemError = systemCode(error) ?? 'none';
  return new HoldfastError(codeOf(systemError), `Could not ${action} in ${description}: ${messageOf(error)}`, { data: { systemError }, cause: error });
}

function codeOf(systemError: string): ErrorCode {
  switch (systemError) {
    case 'ENOSPC':
    case 'EDQUOT':
      return 'STORE_FULL';
    case 'EROFS':
      return 'STORE_READ_ONLY';
    case 'EACCES':
    case 'EPERM':
      return 'STORE_ACCESS_DENIED';
    // A network mount that went away, or a folder that vanished while it was in use.
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ENODEV':
    case 'ENXIO':
    case 'ENOTCONN':
    case 'ESTALE':
    case 'ETIMEDOUT':
    case 'EHOSTDOWN':
    case 'EHOSTUNREACH':
      return 'STORE_UNREACHABLE';
    default:
      return 'STORE_FAILED';
  }
}
