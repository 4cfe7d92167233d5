/** The options that every command takes, as commander hands them over. */
export interface CommonOptions {
  readonly vault?: string;
  readonly key?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}
