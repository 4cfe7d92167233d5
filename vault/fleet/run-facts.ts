import { z } from 'zod';
import { isUnreadable } from '../format/documents';
import type { VaultAccess } from '../format/tree';
import { findRunOpen, runEnd } from '../run';

const MAX_MESSAGE_CHARS = 300;

/** What a run's records say of it (format §9). One that has ended never changes. */
export const runFactsSchema = z.object({
  sequence: z.int(), stamp: z.string(), startedAt: z.string(), policy: z.string().nullable(), slot: z.string().nullable(),
  /** The orchestration's id, or `process:HOST:…` for a command line. */
  owner: z.string(), deadline: z.string(),
  /** 'unknown': a record does not open, so that nobody knows. */
  outcome: z.enum(['running', 'committed', 'abandoned', 'unknown']),
  endedAt: z.string().nullable(), recoveryPoint: z.string().nullable(), code: z.string().nullable(), message: z.string().nullable(), remedy: z.string().nullable(),
});
export type RunFacts = Readonly<z.infer<typeof runFactsSchema>>;

/** What is known of a run, or undefined when there is none of that number. Throws what the store throws. */
export async function readRun(vault: VaultAccess, itemId: string, sequence: number): Promise<RunFacts | undefined> {
  const nothing = { stamp: '', startedAt: '', policy: null, slot: null, owner: '', deadline: '', endedAt: null, recoveryPoint: null, remedy: null };
  let open: Awaited<ReturnType<typeof findRunOpen>>;
  try {
    open = await findRunOpen(vault, itemId, sequence);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return { ...nothing, sequence, outcome: 'unknown', code: error.code, message: error.message };
  }
  if (!open) return undefined;
  const { stamp, startedAt, policy, slot, owner, deadline } = open;
  return withEnd(vault, itemId, { ...nothing, sequence, stamp, startedAt, policy, slot, owner, deadline, outcome: 'running', code: null, message: null });
}

/** The same run with its end, where it has ended since. */
export async function withEnd(vault: VaultAccess, itemId: string, run: RunFacts): Promise<RunFacts> {
  try {
    const end = await runEnd(vault, { itemId, sequence: run.sequence, stamp: run.stamp });
    if (!end) return run;
    const { outcome, at, recoveryPoint, error } = end;
    return { ...run, outcome, endedAt: at, recoveryPoint, code: error?.code ?? null, message: error?.message.slice(0, MAX_MESSAGE_CHARS) ?? null, remedy: error?.remedy ?? null };
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return { ...run, outcome: 'unknown', code: error.code, message: error.message };
  }
}
