/** The options that every command takes, as commander hands them over. */
export interface CommonOptions {
  readonly vault?: string;
  readonly key?: string;
  /** True with --passphrase: ask for it. */
  readonly passphrase?: boolean;
  readonly passphraseFile?: string;
  /** Id of a key in Azure Key Vault. */
  readonly keyVault?: string;
  /** Address of an app that does it, in place of this process. */
  readonly url?: string;
  /** State folder of the home on this machine, whose token is taken. */
  readonly state?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** Days of one round of the scrub, unless something else is asked for. */
export const DEFAULT_ROUND_DAYS = 30;
