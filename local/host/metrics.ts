/**
 * Sizes that matter in Azure: payloads above 45 KB leave the queue for a blob, a custom status has 16 KB of UTF-16, an instance id 100 characters, and
 * every episode reads the whole history.
 */
export type PayloadKind = 'input' | 'output' | 'activityInput' | 'activityResult' | 'event' | 'customStatus' | 'instanceId';

export const largePayloadBytes = 45 * 1024;
export const largeStatusChars = 8 * 1024;
export const longInstanceIdChars = 100;

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
    if (bytes <= largePayloadBytes && (kind !== 'customStatus' || json.length <= largeStatusChars)) return;
    this.#largePayloads++;
    this.onLargePayload?.(kind, name, bytes);
  }

  instanceId(id: string): void {
    if (id.length > longInstanceIdChars) this.onLargePayload?.('instanceId', id, id.length);
  }

  historyLength(name: string, length: number): void {
    this.#longest.set(name, Math.max(this.#longest.get(name) ?? 0, length));
  }

  snapshot(): MetricsSnapshot {
    return { largestPayloadBytes: Object.fromEntries(this.#largest), largePayloads: this.#largePayloads, longestHistory: Object.fromEntries(this.#longest) };
  }
}
