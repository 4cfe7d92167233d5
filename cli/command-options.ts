/** The options that every command takes, as commander hands them over. */
export interface CommonOptions {
  readonly vault?: string;
  readonly key?: string;
  /** True with --passphrase: ask for it. */
  readonly passphrase?: boolean;
  readonly passphraseFile?: string;
  /** Id of a key in Azure Key Vault. */
  readonly keyVault?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}
