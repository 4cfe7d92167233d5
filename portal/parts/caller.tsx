import type { JSX } from 'preact';
import { dropToken, hasToken } from '../api';
import { forgetAll, useLive } from '../live';
import type { Caller } from '../model';

const EVERY_MS = 300_000;

export type Role = Caller['roles'][number];

/**
 * Whether the one who looks may do what takes one of these roles. The app decides anew each time; this only keeps what it would refuse from being offered. Until the app has said who
 * one is, everything is.
 */
export function useMay(): (...roles: readonly Role[]) => boolean {
  const { data } = useLive<Caller>('/api/me', EVERY_MS);
  return (...roles) => data === undefined || data.roles.includes('Admin') || roles.some((role) => data.roles.includes(role));
}

/** Who is signed in, and the way out. */
export function Who(): JSX.Element | null {
  const { data } = useLive<Caller>('/api/me', EVERY_MS);
  if (data === undefined) return null;
  return (
    <div class="who">
      <p class="who-name">{data.kind === 'local' ? 'This machine' : data.name}</p>
      <p class="sub">{data.roles.join(', ')}</p>
      {hasToken() ? <button type="button" class="quiet" onClick={() => { dropToken(); forgetAll(); }}>Sign out</button> : data.kind === 'user' && <a href="/.auth/logout">Sign out</a>}
    </div>
  );
}
