import type { JSX } from 'preact';
import { counted } from '../format';
import { useList } from '../live';
import type { BrokenPolicy, Item, Policy, Retention, Schedule, Selection } from '../model';
import { Badge, Empty, Head, Loaded, Table, Time } from '../parts/basics';
import { to } from '../router';

export function Policies(): JSX.Element {
  const policies = useList<Policy | BrokenPolicy>('/api/policies', 30_000);
  const items = useList<Item>('/api/items?limit=1000', 60_000);
  return (
    <>
      <Head title="Policies" kicker="What is backed up when, and how long it is kept"><a class="button primary" href={to('policies', 'new')}>New policy</a></Head>
      <Loaded live={policies}>{({ value }) => (value.length === 0
        ? <Empty title="There is no policy yet"><p>Without one nothing is backed up by itself. <a href={to('policies', 'new')}>Make the first one</a>: it shows what it would do before it is stored.</p></Empty>
        : (
          <Table label="Policies">
            <thead><tr><th scope="col">Name</th><th scope="col">State</th><th scope="col">Covers</th><th scope="col">Runs</th><th scope="col">Keeps</th><th scope="col">Next run</th></tr></thead>
            <tbody>{value.map((policy) => ('damaged' in policy ? (
              <tr key={policy.name}><th scope="row">{policy.name}</th><td><Badge tone="bad">Cannot be read</Badge></td><td colSpan={4}>{policy.error.message} {policy.error.remedy}</td></tr>
            ) : (
              <tr key={policy.name}>
                <th scope="row"><a href={to('policies', policy.name)}>{policy.name}</a>{policy.description !== undefined && <span class="sub">{policy.description}</span>}</th>
                <td>{policy.enabled ? <Badge tone="plain">On</Badge> : <Badge tone="off">Off</Badge>}</td>
                <td>{selectionText(policy.items)}<span class="sub">{items.data === undefined ? '' : counted(items.data.value.filter(({ policies: names }) => names.includes(policy.name)).length, 'machine')}</span></td>
                <td>{scheduleText(policy.schedule)}</td>
                <td>{retentionText(policy.retention)}</td>
                <td>{policy.enabled ? <Time at={policy.nextSlots[0] ?? null} /> : <span class="dim">off</span>}</td>
              </tr>
            )))}</tbody>
          </Table>
        ))}</Loaded>
    </>
  );
}

const list = (values: readonly (string | number)[]): string => values.join(', ');

/** A schedule in a sentence. */
export function scheduleText({ daily, hourly, weekly, monthly, minutes, cron }: Schedule): string {
  if (daily) return `daily at ${list(daily.at)}`;
  if (hourly) return `every ${hourly.every === 1 ? 'hour' : `${hourly.every} hours`} at minute ${hourly.minute}`;
  if (weekly) return `${list(weekly.days)} at ${list(weekly.at)}`;
  if (monthly) return `day ${list(monthly.days)} of the month at ${list(monthly.at)}`;
  if (minutes) return `every ${minutes.every} minutes`;
  return `cron ${cron ?? ''}`;
}

export function retentionText(retention: Retention): string {
  const { keepLast, keepWithinDays, daily, weekly, monthly, yearly } = retention;
  return [
    keepLast === undefined ? '' : `last ${keepLast}`, keepWithinDays === undefined ? '' : `all of ${counted(keepWithinDays, 'day')}`, ...[[daily, 'day'], [weekly, 'week'], [monthly, 'month'], [yearly, 'year']]
      .map(([rule, unit]) => (rule === undefined ? '' : counted((rule as { count: number }).count, unit as string))),
  ].filter((part) => part !== '').join(', ');
}

export function selectionText({ all, resourceIds, tags, excludeResourceIds, excludeTags }: Selection): string {
  const tagText = Object.entries(tags ?? {}).map(([name, value]) => `${name}=${typeof value === 'string' ? value : value.join('|')}`);
  const without = (excludeResourceIds?.length ?? 0) + Object.keys(excludeTags ?? {}).length;
  return `${[all === true ? 'all machines' : '', tagText.length > 0 ? `tags ${list(tagText)}` : '', resourceIds ? counted(resourceIds.length, 'machine by id', 'machines by id') : ''].filter((one) => one !== '').join(' and ')}${without > 0 ? ', with exceptions' : ''}`;
}
