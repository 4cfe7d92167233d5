import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { api, call, type Problem, toProblem } from '../api';
import { bytes, count, counted, money } from '../format';
import type { Forecast, PolicyChange, PolicyDocument } from '../model';
import { Card, Figure, ItemLink, ProblemBox, Time } from '../parts/basics';
import { Chart } from '../parts/chart';

/** How long the form has to be still before the app is asked. */
const STILL_MS = 500;

interface Seen { readonly forecast: Forecast; readonly change: PolicyChange }

/** What the policy in the form would do: nothing is stored for it. */
export function PolicyPreview({ draft }: { draft: PolicyDocument }): JSX.Element {
  const [seen, see] = useState<Seen | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(true);
  const key = JSON.stringify(draft);
  useEffect(() => {
    const ending = new AbortController();
    setBusy(true);
    const timer = window.setTimeout(() => {
      // A new one has no name yet; what it would do does not depend on it.
      const name = /^[a-z0-9-]{1,40}$/.test(draft.name) ? draft.name : 'preview';
      const ask = <T,>(what: string): Promise<T> => call<T>('POST', api('policies', name, what), { body: { ...draft, name }, signal: ending.signal }).then(({ body }) => body);
      Promise.all([ask<Forecast>('cost-forecast'), ask<PolicyChange>('retention-preview')]).then(([forecast, change]) => {
        see({ forecast, change });
        setProblem(null);
        setBusy(false);
      }, (error: unknown) => {
        if (ending.signal.aborted) return;
        setProblem(toProblem(error));
        setBusy(false);
      });
    }, STILL_MS);
    return () => {
      window.clearTimeout(timer);
      ending.abort();
    };
  }, [key]);
  return (
    <section class="stack preview" aria-label="Preview" aria-busy={busy}>
      {problem && <ProblemBox problem={problem} />}
      {seen && <Shown seen={seen} old={busy || problem !== null} draft={draft} />}
      {!seen && !problem && <p class="loading" role="status"><span class="spinner" aria-hidden="true" />Working out what it would do …</p>}
    </section>
  );
}

function Shown({ seen: { forecast, change }, old, draft }: { seen: Seen; old: boolean; draft: PolicyDocument }): JSX.Element {
  const last = forecast.months.at(-1);
  const goes = change.items.reduce((sum, item) => sum + item.goes.length, 0);
  const currency = last?.cost.currency ?? '';
  const each = forecast.items === 0 ? 0 : Math.round((last?.recoveryPoints ?? 0) / forecast.items);
  return (
    <div class={`stack${old ? ' old' : ''}`}>
      {goes > 0 && (
        <div class="notice warn">
          <p><strong>{counted(goes, 'recovery point')} of {counted(change.items.length, 'item')} would go that stay under the policy as it is</strong></p>
          {change.less.length > 0 && <p>Rules that promise less: {change.less.join(', ')}</p>}
          <ul>{change.items.slice(0, 8).map((item) => <li key={item.itemId}><ItemLink id={item.itemId} name={item.itemId} />: {count(item.goes.length)} go, {count(item.kept)} stay</li>)}{change.items.length > 8 && <li>and {count(change.items.length - 8)} more items</li>}</ul>
        </div>
      )}
      <div class="figures">
        <Figure label="Machines covered" value={count(forecast.items)} tone={forecast.items === 0 ? 'warn' : 'plain'} note={forecast.assumed > 0 ? `${count(forecast.assumed)} assumed: too little was measured yet` : 'as they were measured'} />
        <Figure label="Kept after a year" value={count(each)} note="recovery points of a machine" />
        <Figure label="Stored after a year" value={bytes(last?.storedBytes ?? 0)} />
        <Figure label="Cost a month by then" value={money(last?.cost.total ?? 0, currency)} note={`prices of ${forecast.prices.asOf}${forecast.prices.checked ? '' : ', not checked'}`} />
      </div>
      <Card title="Next runs">
        {!draft.enabled ? <p class="pad dim">The policy is off: none.</p> : <ul class="times pad">{forecast.nextSlots.map((slot) => <li key={slot}><Time at={slot} /></li>)}</ul>}
      </Card>
      <Card title="What would be kept over the next year" aside={<span class="dim small-text">recovery points of all machines</span>}>
        <Chart label="Recovery points kept at the end of each month" kind="bars" height={140} of="Month ends" show={(value) => count(value)} series={[{ label: 'Recovery points', dots: forecast.months.map(({ endsAt, recoveryPoints }) => ({ atMs: Date.parse(endsAt), value: recoveryPoints })) }]} />
        {forecast.keptAt.length > 0 && (
          <details class="inset">
            <summary>Which recovery points a machine would have in a year</summary>
            <ul class="times">{[...forecast.keptAt].reverse().map((at) => <li key={at}><Time at={at} /></li>)}</ul>
          </details>
        )}
      </Card>
      <Card title="Cost a month" aside={<span class="dim small-text">{forecast.prices.redundancy}, {forecast.prices.region}</span>}>
        <Chart label="Cost of each month" kind="bars" height={140} of="Month ends" show={(value) => money(value, currency)} series={[{ label: 'Cost', dots: forecast.months.map(({ endsAt, cost }) => ({ atMs: Date.parse(endsAt), value: cost.total })) }]} />
      </Card>
    </div>
  );
}
