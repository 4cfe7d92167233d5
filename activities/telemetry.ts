/**
 * What steps say of themselves while they run. The room telemetry/ implements this over OpenTelemetry; nothing here knows where it goes to.
 * Orchestrations never emit: what they know goes through the step reportJob, so a replay counts nothing twice.
 */
export interface Telemetry {
  /** Runs work as a named part of the trace that is active. What it throws is recorded there, without secrets, and thrown on. */
  span<T>(name: string, attributes: Attributes, work: (span: OpenSpan) => Promise<T>): Promise<T>;
  /** Adds to a counter, or a value to a histogram, or sets a gauge: METRICS says which it is. */
  measure(metric: MetricName, value: number, attributes?: Attributes): void;
  /** Something that happened once and that a person may be alerted to. Never sampled. */
  event(name: EventName, attributes: Attributes): void;
  /** What a transfer thread is told so that its requests count as this step's; empty where nobody listens. Goes into specs that are sent to threads. */
  carrier(): Readonly<Record<string, string>>;
}

export interface OpenSpan {
  set(attributes: Attributes): void;
  /** Marks the span as failed with a code of the catalogue. */
  fail(code: string, message: string): void;
}

export type Attributes = Readonly<Record<string, string | number | boolean>>;

interface MetricSpec {
  readonly kind: 'counter' | 'histogram' | 'gauge';
  /** UCUM, as OpenTelemetry has it. */
  readonly unit: 'By' | 's' | '1' | '{chunk}' | '{job}' | '{item}' | '{request}' | '{resource}' | '{object}' | '{currency}' | '{notification}';
  readonly description: string;
  readonly dimensions: readonly string[];
  /** Upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
}

const JOB_SECONDS = [10, 60, 300, 900, 1800, 3600, 7200, 21_600, 86_400];
const REQUEST_SECONDS = [0.005, 0.02, 0.1, 0.5, 1, 5, 30, 60];
const RATIOS = [1, 1.1, 1.25, 1.5, 2, 3, 5, 10];

/** Every metric that there is. Names, units and dimensions are stable: alert rules and the workbook go by them (docs/monitoring.md lists them). */
export const METRICS = {
  'holdfast.backup.read': { kind: 'counter', unit: 'By', description: 'Bytes that committed backups read from their sources', dimensions: ['item', 'policy'] },
  'holdfast.backup.changed': { kind: 'counter', unit: 'By', description: 'Plain bytes that differed from the recovery point before', dimensions: ['item', 'policy'] },
  'holdfast.backup.stored': { kind: 'counter', unit: 'By', description: 'Bytes that committed backups wrote to the vault', dimensions: ['item', 'policy'] },
  'holdfast.backup.chunks_new': { kind: 'counter', unit: '{chunk}', description: 'Chunks that were stored', dimensions: ['item', 'policy'] },
  'holdfast.backup.chunks_reused': { kind: 'counter', unit: '{chunk}', description: 'Changed chunks that the vault had already', dimensions: ['item', 'policy'] },
  'holdfast.backup.deduplication_ratio': { kind: 'histogram', unit: '1', description: 'Changed bytes for each byte of new chunks, of one backup', dimensions: ['item', 'policy'], buckets: RATIOS },
  'holdfast.backup.compression_ratio': { kind: 'histogram', unit: '1', description: 'Bytes of new chunks for each byte stored, of one backup', dimensions: ['item', 'policy'], buckets: RATIOS },
  'holdfast.jobs': { kind: 'counter', unit: '{job}', description: 'Jobs that ended', dimensions: ['kind', 'outcome', 'code'] },
  'holdfast.job.duration': { kind: 'histogram', unit: 's', description: 'Time that a job spent in a phase; the phase "all" is the whole job', dimensions: ['kind', 'phase', 'outcome'], buckets: JOB_SECONDS },
  'holdfast.transfer.read': { kind: 'counter', unit: 'By', description: 'Bytes read by transfer steps as they end, repeated work included', dimensions: ['item'] },
  'holdfast.transfer.stored': { kind: 'counter', unit: 'By', description: 'Bytes stored by transfer steps as they end, repeated work included', dimensions: ['item'] },
  'holdfast.requests': { kind: 'counter', unit: '{request}', description: 'Requests to Azure, each try by itself', dimensions: ['service', 'result'] },
  'holdfast.throttles': { kind: 'counter', unit: '{request}', description: 'Requests that a service answered with 429 or 503', dimensions: ['service'] },
  'holdfast.request.duration': { kind: 'histogram', unit: 's', description: 'From the first byte sent to the last byte received', dimensions: ['service'], buckets: REQUEST_SECONDS },
  'holdfast.recovery_point.age': { kind: 'gauge', unit: 's', description: 'Age of the newest recovery point of an item', dimensions: ['item', 'policy'] },
  'holdfast.recovery_point.objective': { kind: 'gauge', unit: 's', description: 'The age above which the item is overdue under its policy', dimensions: ['item', 'policy'] },
  'holdfast.items': { kind: 'gauge', unit: '{item}', description: 'Items by state: protected, overdue, damaged, unprotected (no policy covers the machine), gone (the machine is)', dimensions: ['state'] },
  'holdfast.item.proved_age': { kind: 'gauge', unit: 's', description: 'Time since a recovery point of the item was last proved by reading it back; since its oldest one where none ever was', dimensions: ['item'] },
  'holdfast.vault.stored': { kind: 'gauge', unit: 'By', description: 'Bytes of the vault: in packs, and of these in packs that nothing needs any more', dimensions: ['state'] },
  'holdfast.vault.packs': { kind: 'gauge', unit: '{object}', description: 'Packs of the vault, by the same states', dimensions: ['state'] },
  'holdfast.orphans': { kind: 'gauge', unit: '{resource}', description: 'Snapshots, restore points and disks that the last sweep found left behind', dimensions: ['state'] },
  'holdfast.notifications': { kind: 'counter', unit: '{notification}', description: 'Events that people were told of: delivered, dead (given up at a target), unwanted (by every target)', dimensions: ['type', 'outcome'] },
  'holdfast.cost.month': { kind: 'gauge', unit: '{currency}', description: 'What a month of the vault costs as it is, by part of the bill; the part "all" is the sum', dimensions: ['part', 'currency'] },
  'holdfast.cost.azure_backup_month': { kind: 'gauge', unit: '{currency}', description: 'What a month of the same machines and recovery points would cost under Azure Backup', dimensions: ['currency'] },
} as const satisfies Record<string, MetricSpec>;

export type MetricName = keyof typeof METRICS;
export const metricSpec = (name: MetricName): MetricSpec => METRICS[name];

/** Custom events. `holdfast.job`: a job ended. `holdfast.look`: the hourly look at the vault ended. `holdfast.item.overdue`: the look found an item overdue.
 * `holdfast.notification`: an event reached its webhooks, or was given up. */
export const EVENTS = ['holdfast.job', 'holdfast.look', 'holdfast.item.overdue', 'holdfast.notification'] as const;
export type EventName = (typeof EVENTS)[number];

/** Says nothing: for tests, and wherever nobody listens. */
export const silentTelemetry: Telemetry = {
  span: (_name, _attributes, work) => work({ set: () => undefined, fail: () => undefined }),
  measure: () => undefined,
  event: () => undefined,
  carrier: () => ({}),
};
