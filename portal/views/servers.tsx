import type { JSX } from 'preact';
import { bytes, count, counted } from '../format';
import { useList } from '../live';
import type { Server } from '../model';
import { Badge, Empty, Head, ItemLink, Loaded, More, Table, Time, type Tone } from '../parts/basics';

const OUTCOME: Readonly<Record<NonNullable<Server['lastRun']>['outcome'], readonly [Tone, string]>> = {
  succeeded: ['plain', 'Succeeded'], failed: ['bad', 'Failed'], cancelled: ['off', 'Cancelled'], running: ['busy', 'Running'], unknown: ['warn', 'Its record does not open'],
};

/** What the command line backs up from outside Azure into the same vault. */
export function Servers(): JSX.Element {
  const servers = useList<Server>('/api/servers?limit=200', 30_000);
  return (
    <>
      <Head title="Servers" kicker="What the command line backs up from outside Azure, into the same vault" />
      <Loaded live={servers}>{(page) => (page.value.length === 0
        ? <Empty title="No server yet"><p>On the server, <code>holdfast backup IMAGE --vault VAULT --item NAME</code> puts an image of a disk into this vault. It is shown here from then on, with its recovery points.</p></Empty>
        : (
          <>
            <Table label="Servers">
              <thead><tr><th scope="col">Server</th><th scope="col">Last run</th><th scope="col">Latest recovery point</th><th scope="col" class="number">Points</th><th scope="col" class="number">Disks</th><th scope="col" class="number">Stored</th></tr></thead>
              <tbody>{page.value.map((server) => <Row key={server.itemId} server={server} />)}</tbody>
            </Table>
            <p class="dim small-text">{counted(page.value.length, 'server')}. No policy says how often they are to be backed up, so nothing tells when a backup of them is missing.</p>
            <More page={page} label="Load more servers" />
          </>
        ))}</Loaded>
    </>
  );
}

function Row({ server: { itemId, name, host, lastRun, latest, recoveryPoints, storedBytes } }: { server: Server }): JSX.Element {
  return (
    <tr>
      <th scope="row"><ItemLink id={itemId} name={name} />{host !== null && <span class="sub">run on {host}</span>}</th>
      <td>{lastRun === null ? <span class="dim">none</span> : <><Badge tone={OUTCOME[lastRun.outcome][0]}>{OUTCOME[lastRun.outcome][1]}</Badge><span class="sub"><Time at={lastRun.startedAt} /></span>{lastRun.message !== null && <span class="sub wrap"><code>{lastRun.code}</code> {lastRun.message}</span>}</>}</td>
      <td>{latest === null ? <span class="dim">none</span> : <Time at={latest.createdAt} />}</td>
      <td class="number">{count(recoveryPoints)}</td>
      <td class="number">{latest === null ? '—' : bytes(latest.sizeBytes)}</td>
      <td class="number">{bytes(storedBytes)}</td>
    </tr>
  );
}
