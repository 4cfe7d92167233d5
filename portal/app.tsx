import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { forgetAll, useStanding } from './live';
import { Who } from './parts/caller';
import { Announcer } from './parts/say';
import { Empty, Time } from './parts/basics';
import { SignIn } from './parts/sign-in';
import { toggleTheme, useTheme } from './parts/theme';
import { type Place, to, usePlace } from './router';
import { Approvals } from './views/approvals';
import { Audit } from './views/audit';
import { Help } from './views/help';
import { ItemView } from './views/item';
import { Items } from './views/items';
import { JobView } from './views/job';
import { Jobs } from './views/jobs';
import { Overview } from './views/overview';
import { Policies } from './views/policies';
import { PolicyEditor } from './views/policy-editor';
import { RecoveryPointView } from './views/recovery-point';
import { Restore } from './views/restore';
import { Servers } from './views/servers';
import { VaultView } from './views/vault';

interface View { readonly name: string; readonly label: string; readonly icon: string }

/** Paths of 20 by 20, drawn with a line. */
const NAV: readonly View[] = [
  { name: '', label: 'Overview', icon: 'M3 9.5 10 4l7 5.5V16H3z M8 16v-4h4v4' },
  { name: 'items', label: 'Items', icon: 'M3 4h14v5H3z M3 11h14v5H3z M6 6.5h.01 M6 13.5h.01' },
  { name: 'jobs', label: 'Jobs', icon: 'M10 3a7 7 0 1 1-6.2 3.8 M10 6v4l3 2 M3 3v4h4' },
  { name: 'policies', label: 'Policies', icon: 'M4 5h12v12H4z M4 9h12 M7 3v4 M13 3v4' },
  { name: 'vault', label: 'Vault', icon: 'M3 4h14v12H3z M10 7.5a2.5 2.5 0 1 0 .01 0 M10 10v3 M5 16v1.5 M15 16v1.5' },
  { name: 'servers', label: 'Servers', icon: 'M4 4h12v9H4z M7 17h6 M10 13v4' },
  { name: 'approvals', label: 'Approvals', icon: 'M4 10.5 8 14.5 16 5.5' },
  { name: 'audit', label: 'Audit', icon: 'M5 3h10v14H5z M8 7h4 M8 10h4 M8 13h2' },
];

function viewOf({ parts, query }: Place): JSX.Element {
  const [name = '', id] = parts;
  switch (name) {
    case '': return <Overview />;
    case 'items': return id === undefined ? <Items query={query} /> : <ItemView id={id} key={id} />;
    case 'recovery-points': return id === undefined ? <Items query={query} /> : <RecoveryPointView id={id} key={id} />;
    case 'restore': return id === undefined ? <Items query={query} /> : <Restore point={id} key={id} />;
    case 'jobs': return id === undefined ? <Jobs query={query} /> : <JobView id={id} key={id} />;
    case 'policies': return id === undefined ? <Policies /> : <PolicyEditor name={id === 'new' ? null : id} key={id} query={query} />;
    case 'vault': return <VaultView />;
    case 'servers': return <Servers />;
    case 'approvals': return <Approvals />;
    case 'audit': return <Audit query={query} />;
    case 'help': return <Help code={id ?? ''} key={id} />;
    default: return <Empty title="There is no such page"><p><a href="#/">Go to the overview</a></p></Empty>;
  }
}

/** Which entry of the navigation a place belongs to. */
const sectionOf = ({ parts: [name = ''] }: Place): string => (name === 'recovery-points' || name === 'restore' ? 'items' : name);

export function App(): JSX.Element {
  const place = usePlace();
  const { isSignedOut, trouble } = useStanding();
  const [open, setOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  useEffect(() => {
    setOpen(false);
    window.scrollTo(0, 0);
  }, [place.hash.split('?')[0]]);
  const section = sectionOf(place);
  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>Skip to the content</a>
      <div class="side">
        <header class="brand">
          <a href="#/" class="logo"><Logo />Holdfast</a>
          <button type="button" class="menu quiet" aria-expanded={open} aria-controls="nav" onClick={() => setOpen(!open)}>Menu</button>
        </header>
        <nav id="nav" aria-label="Views" class={open ? 'open' : ''}>
          <ul>{NAV.map(({ name, label, icon }) => (
            <li key={name}><a href={name === '' ? '#/' : to(name)} aria-current={section === name ? 'page' : undefined}><Icon path={icon} />{label}</a></li>
          ))}</ul>
          <ThemeButton />
          {!isSignedOut && <Who />}
        </nav>
      </div>
      <main ref={main} id="main" tabIndex={-1} data-place={place.hash.split('?')[0]}>
        {trouble !== null && (
          <p class="trouble" role="status"><strong>{trouble.error.title}.</strong> {trouble.atMs === null ? 'Nothing was loaded yet.' : <>What is shown is as of <Time at={trouble.atMs} />.</>} Trying again.</p>
        )}
        {isSignedOut ? <SignIn onDone={forgetAll} /> : viewOf(place)}
      </main>
      <Announcer />
    </div>
  );
}

const Icon = ({ path }: { path: string }): JSX.Element => <svg class="icon" viewBox="0 0 20 20" width="18" height="18" aria-hidden="true"><path d={path} /></svg>;

const Logo = (): JSX.Element => (
  <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true" class="mark"><rect width="32" height="32" rx="7" /><path d="M9 8v16M23 8v16M9 16h14" /><circle cx="16" cy="16" r="3.6" /></svg>
);

function ThemeButton(): JSX.Element {
  const theme = useTheme();
  return <button type="button" class="quiet theme" onClick={toggleTheme}>{theme === 'dark' ? 'Light theme' : 'Dark theme'}</button>;
}
