/** Addresses within the page: `#/items/ID?tab=jobs`. */
import { useEffect, useLayoutEffect, useState } from 'preact/hooks';

export interface Place {
  readonly parts: readonly string[];
  readonly query: URLSearchParams;
  readonly hash: string;
}

/** True once a view was gone to within the page: then its title takes the focus. A page that was just loaded begins at its beginning. */
export let hasMoved = false;
window.addEventListener('hashchange', () => { hasMoved = true; });

function readPlace(): Place {
  const hash = location.hash.replace(/^#\/?/, '');
  const [path = '', query = ''] = hash.split('?', 2);
  return { parts: path.split('/').filter((part) => part !== '').map(decoded), query: new URLSearchParams(query), hash };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a view, each part encoded. */
export function to(...parts: readonly string[]): string {
  return `#/${parts.map(encodeURIComponent).join('/')}`;
}

function keepInAddress(choices: Readonly<Record<string, string>>): void {
  const { parts } = readPlace();
  const query = new URLSearchParams(Object.entries(choices).filter(([, value]) => value !== '')).toString();
  history.replaceState(null, '', `${to(...parts)}${query === '' ? '' : `?${query}`}`);
}

/**
 * Keeps the choices of a view in the address, so that it can be shared and survives a reload, without a step in the history. Before anything of them is seen: whoever copies the address
 * at once has what is on the screen, and nobody has gone to another view meanwhile.
 */
export function useInAddress(choices: Readonly<Record<string, string>>): void {
  useLayoutEffect(() => keepInAddress(choices), Object.values(choices));
}

export function usePlace(): Place {
  const [place, setPlace] = useState(readPlace);
  useEffect(() => {
    const moved = (): void => setPlace(readPlace());
    window.addEventListener('hashchange', moved);
    return () => window.removeEventListener('hashchange', moved);
  }, []);
  return place;
}
