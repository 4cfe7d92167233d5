import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';

interface Said { readonly id: number; readonly text: string; readonly href: string | null }

let last = 0;
let show: ((said: Said) => void) | null = null;

/** Tells what was done, for the eye and for a screen reader; goes away by itself. */
export function say(text: string, href: string | null = null): void {
  show?.({ id: ++last, text, href });
}

const SHOWN_MS = 8_000;

export function Announcer(): JSX.Element {
  const [said, setSaid] = useState<readonly Said[]>([]);
  useEffect(() => {
    show = (one) => {
      setSaid((before) => [...before.slice(-2), one]);
      window.setTimeout(() => setSaid((before) => before.filter(({ id }) => id !== one.id)), SHOWN_MS);
    };
    return () => { show = null; };
  }, []);
  return <div class="said" role="status" aria-live="polite">{said.map(({ id, text, href }) => <p key={id}>{text}{href !== null && <> <a href={href}>Show</a></>}</p>)}</div>;
}
