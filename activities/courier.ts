/** What notifications need of a way to bring them: the room webhooks/ implements it. */
export interface Courier {
  /** Whether this app was told a secret to sign for a target with. */
  hasSecret(target: string): boolean;
  /** Throws NOTIFICATIONS_INVALID for an address that nothing would ever be sent to: another scheme than https, a password in it, an address of a private network. */
  requireAddress(url: string): void;
  /** One try. Never throws: whatever happens is an answer. */
  send(parcel: Parcel): Promise<Delivery>;
}

export interface Parcel {
  readonly target: string;
  readonly url: string;
  /** The same in every try, so that the receiver can drop what it has already: 32 hexadecimal digits. */
  readonly id: string;
  /** A CloudEvent as JSON. */
  readonly body: string;
  /** Whether the receiver is asked first if it wants this (CloudEvents, abuse protection of webhooks). */
  readonly handshake: boolean;
  /** Of the signature. */
  readonly nowMs: number;
}

export interface Delivery {
  /** 'retry': it may be gone in an hour; 'dead': trying again changes nothing. */
  readonly outcome: 'delivered' | 'retry' | 'dead';
  /** Of the receiver's answer; null where none came. */
  readonly status: number | null;
  /** In words, without any secret. */
  readonly reason: string;
  /** What the receiver asked to wait; null where it did not. */
  readonly retryAfterMs: number | null;
}
