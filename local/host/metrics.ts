/** Sizes that matter in Azure: payloads above 45 KB leave the queue for a blob, and every episode reads the whole history. */
export type PayloadKind = 'input' | 'output' | 'activityInput' | 'activityResult' | 'event' | 'customStatus';

export const largePayloadBytes = 45 * 1024;

export interface MetricsSnapshot {
  /** The largest payload seen, in bytes, by `kind:function name`. */
  readonly largestPayloadBytes: Readonly<Record<string, number>>;
  /** How many payloads passed the limit. */
  readonly largePayloads: number;
  /** The longest history, in events, by orchestrator name. */
  readonly longestHistory: Readonly<Record<string, number>>;
}

export class Metrics {
  readonly #largest = new Map<string, number>();
  readonly #longest = new Map<string, number>();
  #largePayloads = 0;

  constructor(private readonly onLargePayload?: (kind: PayloadKind, name: string, bytes: number) => void) {}

  /** @param json the payload's JSON text */
  payload(kind: PayloadKind, name: string, json: string | null): void {
    if (json === null) return;
    const bytes = Buffer.byteLength(json);
    const key = `${kind}:${name}`;
    this.#largest.set(key, Math.max(this.#largest.get(key) ?? 0, bytes));
    if (bytes <= largePayloadBytes) return;
    this.#largePayloads++;
    this.onLargePayload?.(kind, name, bytes);
  }

  historyLength(name: string, length: number): void {
    this.#longest.set(name, Math.max(this.#longest.get(name) ?? 0, length));
  }

  snapshot(): MetricsSnapshot {
    return { largestPayloadBytes: Object.fromEntries(this.#largest), largePayloads: this.#largePayloads, longestHistory: Object.fromEntries(this.#longest) };
  }
}
