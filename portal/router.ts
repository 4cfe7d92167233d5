/** Addresses within the page: `#/items/ID?tab=jobs`. */
import { useEffect, useState } from 'preact/hooks';

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

export const go = (href: string): void => { location.hash = href; };

/** Writes the choices of a view into the address, so that it can be shared and survives a reload, without a step in the history. */
export function keepInAddress(choices: Readonly<Record<string, string>>): void {
  const { parts } = readPlace();
  const query = new URLSearchParams(Object.entries(choices).filter(([, value]) => value !== '')).toString();
  history.replaceState(null, '', `${to(...parts)}${query === '' ? '' : `?${query}`}`);
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
