import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { backUp } from '../act';
import { api, call } from '../api';
import { bytes, consistency, count, counted } from '../format';
import { refresh, useList } from '../live';
import type { Item, Policy, Page } from '../model';
import { Confirm } from '../parts/dialog';
import { Empty, Field, Head, ItemLink, Loaded, More, ProblemBox, Table, Time, useAction } from '../parts/basics';
import { useMay } from '../parts/caller';
import { ItemBadge, Proved } from '../parts/states';
import { say } from '../parts/say';
import { to, useInAddress } from '../router';

const STATES = { '': 'All states', protected: 'Protected', overdue: 'Overdue', damaged: 'Damaged', waiting: 'No backup yet', unprotected: 'Unprotected', server: 'Servers', gone: 'Machine is gone', unproved: 'Latest not proved' } as const;
/** Rows that are drawn at once: more than fit on a screen, and few enough to stay quick with thousands of machines. */
const ROWS = 100;

const tagsOf = (items: readonly Item[]): readonly string[] => [...new Set(items.flatMap(({ tags }) => Object.entries(tags).map(([name, value]) => `${name}=${value}`)))].sort();

function fits(item: Item, text: string, state: string, tag: string): boolean {
  const wanted = text.toLowerCase();
  return (wanted === '' || [item.name, item.id, item.resourceId ?? '', ...item.policies].some((one) => one.toLowerCase().includes(wanted)))
    && (state === '' || item.state === state || (state === 'unproved' && item.latest !== null && item.proved?.recoveryPoint !== item.latest.id))
    && (tag === '' || Object.entries(item.tags).some(([name, value]) => `${name}=${value}` === tag));
}

/** What can be protected, and what is in the vault. */
export function Items({ query }: { query: URLSearchParams }): JSX.Element {
  const items = useList<Item>('/api/items?limit=1000', 15_000);
  return (
    <>
      <Head title="Items" kicker="Machines that can be protected, and what the vault has of them"><a class="button" href={to('policies', 'new')}>New policy</a></Head>
      <Loaded live={items}>{(page) => <ItemList page={page} query={query} />}</Loaded>
    </>
  );
}

function ItemList({ page, query }: { page: Page<Item>; query: URLSearchParams }): JSX.Element {
  const [text, setText] = useState(query.get('q') ?? '');
  const [state, setState] = useState(query.get('state') ?? '');
  const [tag, setTag] = useState(query.get('tag') ?? '');
  const [shown, setShown] = useState(ROWS);
  const [protecting, protect] = useState<Item | null>(null);
  useInAddress({ q: text, state, tag });
  const found = page.value.filter((item) => fits(item, text, state, tag));
  if (page.value.length === 0) {
    return <Empty title="There is no machine yet"><p>The app sees no machine in its subscriptions. Give its identity the role of reading machines in them (infra/README.md), or name other subscriptions in AZURE_SUBSCRIPTION_IDS.</p></Empty>;
  }
  return (
    <>
      <div class="filters" role="search">
        <Field label="Search"><input type="search" value={text} placeholder="Name, id or policy" onInput={(event) => setText(event.currentTarget.value)} /></Field>
        <Field label="State"><select value={state} onChange={(event) => setState(event.currentTarget.value)}>{Object.entries(STATES).map(([key, label]) => <option key={key} value={key}>{label}</option>)}</select></Field>
        <Field label="Tag"><select value={tag} onChange={(event) => setTag(event.currentTarget.value)}><option value="">All tags</option>{tagsOf(page.value).map((one) => <option key={one} value={one}>{one}</option>)}</select></Field>
        <p class="filter-count" role="status">{found.length === page.value.length ? counted(found.length, 'item') : `${count(found.length)} of ${counted(page.value.length, 'item')}`}{page.nextLink !== null && ', and more'}</p>
      </div>
      {found.length === 0 ? <Empty title="No item fits"><p><button type="button" onClick={() => { setText(''); setState(''); setTag(''); }}>Show all of them</button></p></Empty> : (
        <Table label="Items">
          <thead><tr><th scope="col">Name</th><th scope="col">State</th><th scope="col">Policies</th><th scope="col">Latest recovery point</th><th scope="col">Last proved</th><th scope="col" class="number">Points</th><th scope="col" class="number">Disks</th><th scope="col"><span class="sr">Actions</span></th></tr></thead>
          <tbody>{found.slice(0, shown).map((item) => <Row key={item.id} item={item} onProtect={() => protect(item)} />)}</tbody>
        </Table>
      )}
      {found.length > shown && <p class="more"><button type="button" onClick={() => setShown(shown + ROWS)}>Show {count(Math.min(ROWS, found.length - shown))} more</button></p>}
      {found.length <= shown && <More page={page} label="Load more items" />}
      {protecting && <Protect item={protecting} onClose={() => protect(null)} />}
    </>
  );
}

function Row({ item, onProtect }: { item: Item; onProtect: () => void }): JSX.Element {
  const may = useMay();
  const start = useAction(async () => void await backUp(item.id, item.name));
  const tags = Object.entries(item.tags);
  return (
    <tr>
      <th scope="row">
        <ItemLink id={item.id} name={item.name} />
        {tags.length > 0 && <span class="tags">{tags.slice(0, 4).map(([name, value]) => <span class="tag" key={name}>{name}={value}</span>)}{tags.length > 4 && <span class="tag">+{tags.length - 4}</span>}</span>}
      </th>
      <td><ItemBadge item={item} /></td>
      <td>{item.policies.length === 0 ? <span class="dim">none</span> : item.policies.map((name, index) => <span key={name}>{index > 0 && ', '}<a href={to('policies', name)}>{name}</a></span>)}</td>
      <td>{item.latest === null ? <span class="dim">none</span> : <><Time at={item.latest.createdAt} /><span class="sub">{consistency(item.latest.consistency)}</span></>}</td>
      <td><Proved proved={item.proved} /></td>
      <td class="number">{count(item.recoveryPoints)}</td>
      <td class="number">{item.latest === null ? '—' : bytes(item.latest.sizeBytes)}</td>
      <td class="row-actions">
        {may('Admin') && item.resourceId !== null && item.policies.length === 0 && <button type="button" class="small" onClick={onProtect} aria-label={`Protect …: ${item.name}`}>Protect …</button>}
        {may('Operator') && item.resourceId !== null && <button type="button" class="small" disabled={start.busy} onClick={() => start.run()} aria-label={`Back up now: ${item.name}`}>Back up now</button>}
        {start.problem && <ProblemBox problem={start.problem} />}
      </td>
    </tr>
  );
}

/** Puts a machine under a policy that names its machines, or leads to a new one. */
export function Protect({ item, onClose }: { item: Item; onClose: () => void }): JSX.Element {
  const policies = useList<Policy>('/api/policies', 60_000);
  const [chosen, choose] = useState('');
  const usable = (policies.data?.value ?? []).filter((policy) => 'items' in policy && policy.items.all !== true);
  return (
    <Confirm title={`Protect ${item.name}`} verb="Protect" onClose={onClose} work={async () => {
      if (chosen === '') {
        location.hash = `${to('policies', 'new')}?machine=${encodeURIComponent(item.resourceId ?? '')}`;
        return;
      }
      await call('PUT', api('items', item.id, 'policies', chosen), { body: {} });
      say(`${item.name} is protected by ${chosen}.`);
      refresh('/api/items');
      refresh('/api/policies');
    }}>
      <p>No policy covers this machine: nothing backs it up, and nothing tells when a backup of it is missing.</p>
      <Field label="Policy" hint="Policies that cover machines by their tags take it up as soon as it has those tags.">
        <select value={chosen} onChange={(event) => choose(event.currentTarget.value)}>
          <option value="">A new policy …</option>
          {usable.map(({ name }) => <option key={name} value={name}>{name}</option>)}
        </select>
      </Field>
    </Confirm>
  );
}
