import { useEffect, useState } from 'preact/hooks';

export type Theme = 'light' | 'dark';
const KEY = 'holdfast.theme';
const CHANGED = 'holdfast-theme';

const dark = window.matchMedia('(prefers-color-scheme: dark)');

const chosen = (): Theme | null => {
  const stored = localStorage.getItem(KEY);
  return stored === 'light' || stored === 'dark' ? stored : null;
};

const current = (): Theme => chosen() ?? (dark.matches ? 'dark' : 'light');

/** Puts the theme in force: the one that was chosen here, or the system's. */
export function applyTheme(): void {
  document.documentElement.dataset['theme'] = current();
}

export function toggleTheme(): void {
  localStorage.setItem(KEY, current() === 'dark' ? 'light' : 'dark');
  applyTheme();
  window.dispatchEvent(new Event(CHANGED));
}

/** The theme in force, for what is drawn and not styled. */
export function useTheme(): Theme {
  const [theme, setTheme] = useState(current);
  useEffect(() => {
    const changed = (): void => {
      applyTheme();
      setTheme(current());
    };
    dark.addEventListener('change', changed);
    window.addEventListener(CHANGED, changed);
    return () => {
      dark.removeEventListener('change', changed);
      window.removeEventListener(CHANGED, changed);
    };
  }, []);
  return theme;
}
