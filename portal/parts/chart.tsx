import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { utcDay } from '../format';
import { useTheme } from './theme';

/** A value at an instant (milliseconds since 1970), or for the day that begins then. */
export interface Dot { readonly atMs: number; readonly value: number }

export interface Series { readonly label: string; readonly dots: readonly Dot[] }

interface ChartProps {
  /** What is shown, in a sentence: the name of the picture for who does not see it. */
  readonly label: string;
  readonly kind: 'bars' | 'area' | 'dots';
  readonly series: readonly Series[];
  readonly show: (value: number) => string;
  /** What a row of the table is called. */
  readonly of?: string;
  readonly showAt?: (ms: number) => string;
  /** What the axis counts in: steps that are round in that unit. */
  readonly unit?: 'bytes' | 'seconds' | 'number';
  readonly height?: number;
}

const MAX_ROWS = 400;

/** A chart, and the same as a table: for screen readers, for copying, and where the eye is not sure. All series share their instants. */
export function Chart({ label, kind, series, show, of = 'Day (UTC)', showAt = utcDay, unit = 'number', height = 180 }: ChartProps): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const theme = useTheme();
  useEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const times = series[0]?.dots.map(({ atMs }) => atMs) ?? [];
  const key = JSON.stringify([kind, series]);
  useEffect(() => {
    const element = place.current;
    if (!element || width < 60 || times.length === 0) return undefined;
    const plot = draw(element, { width, height, kind, series, show, showAt, unit });
    return () => plot.destroy();
  }, [key, width, theme, height]);
  const largest = series.flatMap(({ dots }) => dots).reduce<Dot | null>((most, dot) => (most === null || dot.value > most.value ? dot : most), null);
  const summary = largest === null ? `${label}: nothing yet` : `${label}. ${times.length} values, the largest ${show(largest.value)} at ${showAt(largest.atMs)}. The table below has all of them.`;
  return (
    <figure class="chart">
      <div ref={place} role="img" aria-label={summary} class={`plot h${height}`} />
      <details>
        <summary>As a table</summary>
        <div class="table small" role="region" aria-label={`${label}, as a table`} tabIndex={0}>
          <table>
            <caption class="sr">{label}</caption>
            <thead><tr><th scope="col">{of}</th>{series.map((one) => <th scope="col" class="number" key={one.label}>{one.label}</th>)}</tr></thead>
            <tbody>{times.slice(-MAX_ROWS).map((atMs, index) => {
              const row = Math.max(0, times.length - MAX_ROWS) + index;
              return <tr key={`${atMs} ${row}`}><th scope="row">{showAt(atMs)}</th>{series.map((one) => <td class="number" key={one.label}>{show(one.dots[row]?.value ?? 0)}</td>)}</tr>;
            })}</tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}

/** Steps between the lines of an axis. */
const STEPS: Readonly<Record<NonNullable<ChartProps['unit']>, readonly number[] | undefined>> = {
  bytes: Array.from({ length: 56 }, (_, power) => 2 ** power), seconds: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400, 172_800, 432_000], number: undefined,
};

/** What bars stand for has at least a day: 1, 2, 7, 14, 30, 60, 90, 180, 365. */
const DAYS = [1, 2, 7, 14, 30, 60, 90, 180, 365].map((days) => days * 86_400);

/** An instant on the axis, as precise as the step from one to the next; UTC. */
function timeText(ms: number, stepSeconds: number): string {
  const text = new Date(ms).toISOString();
  if (stepSeconds >= 28 * 86_400) return text.slice(0, 7);
  return stepSeconds >= 86_400 || text.slice(11, 16) === '00:00' ? text.slice(5, 10) : text.slice(11, 16);
}

type Drawn = Required<Pick<ChartProps, 'height' | 'kind' | 'series' | 'show' | 'showAt' | 'unit'>> & { readonly width: number };

function draw(element: HTMLElement, { width, height, kind, series, show, showAt, unit }: Drawn): uPlot {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const font = `12px ${style.fontFamily}`;
  const axis = { stroke: colour('--dim'), font, grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false } };
  const data: uPlot.AlignedData = [series[0]?.dots.map(({ atMs }) => atMs / 1000) ?? [], ...series.map(({ dots }) => dots.map(({ value }) => value))];
  const steps = STEPS[unit];
  const bars = uPlot.paths.bars?.({ size: [0.7, 28], radius: 0.15 });
  return new uPlot({
    width, height, tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'), legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: { x: { time: true, range: () => padded(data[0][0] ?? 0, data[0].at(-1) ?? 0, kind) }, y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.08 : 1] } },
    axes: [{ ...axis, grid: { show: false }, space: 76, size: 28, ...(kind === 'bars' ? { incrs: DAYS } : {}), values: (_plot, ticks, _axis, _space, step) => ticks.map((tick) => timeText(tick * 1000, step)) }, { ...axis, size: 72, space: 36, ...(steps ? { incrs: [...steps] } : {}), values: (_plot, ticks) => ticks.map((tick) => (tick === 0 ? '0' : show(tick))) }],
    series: [{}, ...series.map(({ label }): uPlot.Series => {
      const line = colour('--accent');
      return { label, stroke: line, width: kind === 'bars' ? 0 : 2, fill: kind === 'dots' ? '' : kind === 'bars' ? line : `${line}26`, points: { show: kind === 'dots' || (kind === 'area' && (series[0]?.dots.length ?? 0) < 2), size: 7, fill: line }, ...(kind === 'bars' && bars ? { paths: bars } : kind === 'dots' ? { paths: () => null } : {}) };
    })],
    plugins: [hint(series, show, showAt)],
  }, data, element);
}

/** Room at both ends, so that the first and the last are whole, and at least an hour: a single day has room around it, too. */
function padded(min: number, max: number, kind: ChartProps['kind']): [number, number] {
  if (kind === 'area' && max > min) return [min, max];
  const pad = max - min < 3_600 ? (kind === 'bars' ? 43_200 : 1_800) : (max - min) * 0.03;
  return [min - pad, max + pad];
}

/** Says the values under the pointer. */
function hint(series: readonly Series[], show: (value: number) => string, showAt: (ms: number) => string): uPlot.Plugin {
  const box = document.createElement('div');
  box.className = 'plot-hint';
  box.hidden = true;
  box.setAttribute('aria-hidden', 'true');
  return {
    hooks: {
      init: (plot) => { plot.over.append(box); },
      setCursor: (plot) => {
        const { idx, left = 0 } = plot.cursor;
        box.hidden = idx === null || idx === undefined || left < 0;
        if (idx === null || idx === undefined) return;
        box.textContent = [showAt((plot.data[0][idx] ?? 0) * 1000), ...series.map(({ label, dots }) => `${series.length > 1 ? `${label} ` : ''}${show(dots[idx]?.value ?? 0)}`)].join(' · ');
        box.classList.toggle('to-left', left > plot.over.clientWidth / 2);
        box.style.left = `${left}px`;
      },
    },
  };
}
