import { z } from 'zod';
import { guestOutcomes } from './guest';

const matching = {
  /** HTTP method, any when left out. */
  method: z.string().optional(),
  /** Regular expression over the path, or over the id of the resource that a data-plane request reads. */
  path: z.string().optional(),
  /** How often it happens; 1 when left out. */
  times: z.int().min(1).optional(),
  /** How many matching requests pass before the first one that is hit. */
  skip: z.int().min(0).optional(),
};

export const faultSchema = z.discriminatedUnion('kind', [
  /** The request is refused without being looked at. */
  z.strictObject({ kind: z.literal('respond'), status: z.int().min(400).max(599), code: z.string().optional(), message: z.string().optional(), retryAfterSeconds: z.number().optional(), ...matching }),
  /** The request is carried out and its connection is reset instead of an answer. */
  z.strictObject({ kind: z.literal('loseAnswer'), ...matching }),
  /** The connection is reset and nothing is carried out. */
  z.strictObject({ kind: z.literal('reset'), ...matching }),
  z.strictObject({ kind: z.literal('delay'), ms: z.int().min(0), ...matching }),
  /** A read of disk data breaks off after that many bytes of its body. */
  z.strictObject({ kind: z.literal('cutBody'), afterBytes: z.int().min(0), ...matching }),
  /** An operation that was accepted fails; `path` matches the id of what it creates, deletes or opens. */
  z.strictObject({ kind: z.literal('failOperation'), code: z.string(), message: z.string(), ...matching }),
  /** A snapshot or disk restore point stays at `percent` for `looks` looks at it; `path` matches its id. */
  z.strictObject({ kind: z.literal('stallCopy'), percent: z.int().min(0).max(99), looks: z.int().min(1), ...matching }),
  /** Access expires just before a matching data-plane request is served. */
  z.strictObject({ kind: z.literal('expireAccess'), ...matching }),
  /** A page-range diff leaves its first `count` ranges out, as a service that lies would. */
  z.strictObject({ kind: z.literal('omitRanges'), count: z.int().min(1), ...matching }),
  /** A list of the ranges that hold data leaves its first `count` ranges out. */
  z.strictObject({ kind: z.literal('omitData'), count: z.int().min(1), ...matching }),
  /** Pages are not copied from where they are to be copied from, as a service does that cannot or may not read there; `path` matches the disk that is written. */
  z.strictObject({ kind: z.literal('refuseCopy'), code: z.string(), ...matching }),
  /** A snapshot by the extension goes wrong inside of the guest; `path` matches the extension's id. */
  z.strictObject({ kind: z.literal('guest'), outcome: z.enum(guestOutcomes), ...matching }),
  /** At once: the VM of that folder is gone, its images stay. */
  z.strictObject({ kind: z.literal('deleteVm'), vm: z.string() }),
  /** At once: the disk in that file (name inside the VM's folder) gets a new unique id, as a replaced disk has. */
  z.strictObject({ kind: z.literal('replaceDisk'), vm: z.string(), disk: z.string() }),
  /** At once: every access that is open expires. */
  z.strictObject({ kind: z.literal('expireAllAccess') }),
]);

export type Fault = z.infer<typeof faultSchema>;
export type FaultKind = Fault['kind'];
type FaultOf<Kind extends FaultKind> = Extract<Fault, { kind: Kind }>;

export interface FaultReport {
  readonly id: string;
  readonly fault: Fault;
  readonly fired: number;
}

interface Planned {
  readonly id: string;
  readonly fault: Fault;
  readonly method: string | undefined;
  readonly pattern: RegExp | undefined;
  skipLeft: number;
  left: number;
  fired: number;
}

/** The faults that are planned, and how often each one really happened: a planned fault that never fired proves nothing. */
export class FaultPlan {
  private planned: Planned[] = [];
  private nextId = 1;

  /** `immediate` carries out the kinds that happen at once and says whether they hit something. */
  constructor(private readonly immediate: (fault: Fault) => boolean) {}

  /** Throws a SyntaxError when `path` is no regular expression. Returns the fault's id. */
  add(fault: Fault): string {
    const id = String(this.nextId++);
    const planned: Planned = {
      id, fault,
      method: 'method' in fault ? fault.method?.toUpperCase() : undefined,
      pattern: 'path' in fault && fault.path !== undefined ? new RegExp(fault.path, 'i') : undefined,
      skipLeft: 'skip' in fault ? (fault.skip ?? 0) : 0,
      left: 'times' in fault ? (fault.times ?? 1) : 1,
      fired: 0,
    };
    this.planned.push(planned);
    if (this.immediate(fault)) {
      planned.fired = 1;
      planned.left = 0;
    }
    return id;
  }

  /** The next fault of that kind for something named by any of `subjects`; counts it as fired. */
  take<Kind extends FaultKind>(kind: Kind, method: string, subjects: readonly string[]): FaultOf<Kind> | undefined {
    for (const planned of this.planned) {
      if (planned.fault.kind !== kind || planned.left === 0) continue;
      if (planned.method !== undefined && planned.method !== method) continue;
      const { pattern } = planned;
      if (pattern !== undefined && !subjects.some((subject) => pattern.test(subject))) continue;
      if (planned.skipLeft > 0) {
        planned.skipLeft--;
        continue;
      }
      planned.left--;
      planned.fired++;
      return planned.fault as FaultOf<Kind>;
    }
    return undefined;
  }

  list(): readonly FaultReport[] {
    return this.planned.map(({ id, fault, fired }) => ({ id, fault, fired }));
  }

  fired(id: string): number {
    return this.planned.find((planned) => planned.id === id)?.fired ?? 0;
  }

  /** Those that did not happen as often as planned. */
  unfired(): readonly FaultReport[] {
    return this.planned.filter((planned) => planned.left > 0).map(({ id, fault, fired }) => ({ id, fault, fired }));
  }

  clear(): void {
    this.planned = [];
  }
}
