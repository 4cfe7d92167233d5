/** The app as Entra ID knows it: its registration in one tenant. */
export interface EntraSettings {
  /** Tenant whose people and programs are let in; lower case. */
  readonly tenantId: string;
  /** Application (client) id of the app registration. */
  readonly clientId: string;
  /** Address of Entra ID without a slash at its end: `https://login.microsoftonline.com`, or a sovereign cloud's. */
  readonly authority: string;
}

/** Who issues tokens of version 1 in each cloud; for anything else the authority itself (MicrosoftDocs/azure-docs, articles/active-directory/develop/access-tokens.md). */
const V1_ISSUERS: Readonly<Record<string, string>> = {
  'https://login.microsoftonline.com': 'https://sts.windows.net',
  'https://login.microsoftonline.us': 'https://sts.windows.net',
  'https://login.partner.microsoftonline.cn': 'https://sts.chinacloudapi.cn',
};

/** The `iss` of tokens that count: of version 2 and of version 1, which a registration is given unless it asks for the other. */
export const issuersOf = ({ authority, tenantId }: EntraSettings): string[] => [`${authority}/${tenantId}/v2.0`, `${V1_ISSUERS[authority] ?? authority}/${tenantId}/`];

/** The `aud` of tokens that count: the client id in version 2, the app's URI in version 1. */
export const audiencesOf = ({ clientId }: EntraSettings): string[] => [clientId, `api://${clientId}`];

/** Where the keys are that tokens of the tenant are signed with. */
export const keysAddressOf = ({ authority, tenantId }: EntraSettings): URL => new URL(`${authority}/${tenantId}/discovery/v2.0/keys`);
