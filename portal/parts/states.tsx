import type { JSX } from 'preact';
import { ago, words } from '../format';
import type { Item, Job, JobState } from '../model';
import { Badge, type Tone } from './basics';

const JOB: Readonly<Record<JobState, readonly [Tone, string]>> = {
  queued: ['busy', 'Queued'], running: ['busy', 'Running'], succeeded: ['plain', 'Succeeded'], failed: ['bad', 'Failed'], cancelled: ['off', 'Cancelled'], skipped: ['off', 'Skipped'],
};

/** A scrub that ended well is green when it found everything whole: it has proved it. A backup that succeeded has proved nothing yet. */
export function JobBadge({ job }: { job: Job }): JSX.Element {
  const [tone, text] = JOB[job.state];
  if (job.kind === 'scrub' && job.state === 'succeeded') return job.ok === true ? <Badge tone="good">Proved</Badge> : <Badge tone="bad">Found damage</Badge>;
  if (job.state === 'succeeded' && (job.warnings?.length ?? 0) > 0) return <Badge tone="warn">Succeeded, with warnings</Badge>;
  return <Badge tone={tone}>{text}</Badge>;
}

export const isRunning = (job: Job): boolean => job.endedAt === null;

const ITEM: Readonly<Record<Item['state'], readonly [Tone, string]>> = {
  damaged: ['bad', 'Damaged'], overdue: ['bad', 'Overdue'], unprotected: ['warn', 'Unprotected'], waiting: ['warn', 'No backup yet'], gone: ['off', 'Machine is gone'], server: ['plain', 'Server'], protected: ['plain', 'Protected'],
};

/** How an item stands. Green only where its latest recovery point was itself read back and found whole. */
export function itemState(item: Item): { readonly tone: Tone; readonly text: string } {
  const [tone, text] = ITEM[item.state];
  if (item.state !== 'protected') return { tone, text };
  if (item.proved?.ok === true && item.proved.recoveryPoint === item.latest?.id) return { tone: 'good', text: 'Protected, latest proved' };
  return { tone, text: item.proved === null ? 'Protected, never proved' : 'Protected, latest not proved' };
}

export function ItemBadge({ item }: { item: Item }): JSX.Element {
  const { tone, text } = itemState(item);
  return <Badge tone={tone}>{text}</Badge>;
}

/** When something of the item was last read back and found whole. */
export function Proved({ proved, now = Date.now() }: { proved: Item['proved']; now?: number }): JSX.Element {
  if (proved === null) return <span class="dim">never</span>;
  return <Badge tone={proved.ok ? 'good' : 'bad'} title={proved.at}>{proved.ok ? ago(Date.parse(proved.at), now) : `damaged, ${ago(Date.parse(proved.at), now)}`}</Badge>;
}

export const KIND: Readonly<Record<Job['kind'], string>> = { backup: 'Backup', restore: 'Restore', scrub: 'Scrub' };
export const phaseText = (phase: string): string => words(phase);

export function Bar({ value, label }: { value: number; label: string }): JSX.Element {
  return <progress max={100} value={value} aria-label={label}>{value} %</progress>;
}
