import { z } from 'zod';
import { type ErrorReport, isHoldfastError } from '../errors/holdfast-error';
import { findDocument } from './documents';
import { type Manifest, manifestSchema } from './manifest';
import type { VaultAccess } from './tree';

/** A run that says it made a recovery point. */
export interface CommittedRun {
  readonly itemId: string;
  readonly sequence: number;
  readonly recoveryPoint: string;
}

// The same documents that run.ts writes (format §9), read as a reader of history does: what it does not need may be anything.
const endSchema = z.looseObject({ version: z.literal(1), outcome: z.enum(['committed', 'abandoned']), recoveryPoint: z.string().nullable() });
const verdictSchema = z.discriminatedUnion('verdict', [
  z.object({ version: z.literal(1), verdict: z.literal('sealed'), manifest: manifestSchema }),
  z.object({ version: z.literal(1), verdict: z.literal('abandoned') }),
]);

const END = /^runs\/([^/]+)\/(\d{10})\/end$/;

/** The runs of the vault or of one item that ended as committed, and the ends that do not open. */
export async function readRuns(vault: VaultAccess, itemId?: string): Promise<{ committed: CommittedRun[]; damaged: ErrorReport[] }> {
  const committed: CommittedRun[] = [];
  const damaged: ErrorReport[] = [];
  for await (const { name } of vault.store.list(itemId === undefined ? 'runs/' : `runs/${itemId}/`)) {
    const [, item, number] = END.exec(name) ?? [];
    if (item === undefined) continue;
    try {
      const end = await findDocument(vault, name, endSchema);
      if (end?.outcome === 'committed' && end.recoveryPoint !== null) committed.push({ itemId: item, sequence: Number(number), recoveryPoint: end.recoveryPoint });
    } catch (error) {
      if (!isHoldfastError(error, 'DOCUMENT_DAMAGED')) throw error;
      damaged.push(error.toJSON());
    }
  }
  return { committed, damaged };
}

/** The manifest that a run sealed, or undefined when the run is not there or was given up. */
export async function readSealed(vault: VaultAccess, itemId: string, sequence: number): Promise<Manifest | undefined> {
  const verdict = await findDocument(vault, `runs/${itemId}/${String(sequence).padStart(10, '0')}/verdict`, verdictSchema);
  return verdict?.verdict === 'sealed' ? verdict.manifest : undefined;
}
