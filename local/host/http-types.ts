/** A request as the host's parts see it: read whole, so that a function can read it in any way it likes. */
export interface HostRequest {
  /** Upper case. */
  readonly method: string;
  /** Absolute, with the host that the client named. */
  readonly url: URL;
  readonly headers: Headers;
  readonly body: Uint8Array;
}
