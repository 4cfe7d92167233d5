import { Cron } from 'croner';
import { z } from 'zod';
import type { EntraSettings } from '../access/entra';
import { HoldfastError, messageOf } from '../errors/holdfast-error';
import { parseContainerUrl, parseVaultAddress } from '../vault/store/store-spec';

/** Every setting of the app, from the environment alone. docs/settings.md explains each. */
export interface Settings {
  /** Address of the vault: a folder or a blob container URL. */
  readonly vault: string;
  /** Path of the key file; empty where another key is named, or for a vault that was made without encryption. */
  readonly keyFile: string;
  /** Secret. */
  readonly passphrase: string;
  /** Id of the key in Azure Key Vault, with or without a version; empty where none is used. */
  readonly keyVault: string;
  /** For how many days ahead everything that a recovery point needs is held under the vault's WORM policy; undefined where it is not. */
  readonly lockDays: number | undefined;
  readonly subscriptionIds: readonly string[];
  readonly armEndpoint: string | undefined;
  readonly credential: string;
  /** Those of the other duties; by default the same one. */
  readonly maintenanceCredential: string;
  readonly restoreCredential: string;
  readonly transferThreads: number | undefined;
  /** Addresses of the containers that restores may write page blobs to. */
  readonly restoreContainers: readonly string[];
  /** When the scheduler looks for due slots: NCRONTAB with seconds, UTC. */
  readonly schedulerCron: string;
  /** When runs whose orchestration is gone are closed, and when the cloud is swept: NCRONTAB with seconds, UTC. */
  readonly reconcileCron: string;
  readonly sweepCron: string;
  /** When the vault is maintained: retention, then collection. */
  readonly maintainCron: string;
  /** When a day's share of the vault is read and proved, and the days of one round through all of it. */
  readonly scrubCron: string;
  readonly scrubDays: number;
  /** When the look at the vault measures ages and finds what is overdue: NCRONTAB with seconds, UTC. */
  readonly lookCron: string;
  /** Secret: what notifications are signed with, as JSON (webhooks/secrets.ts); empty where there are none. */
  readonly webhookSecrets: string;
  /** When the timer looks for notifications that nobody tells: NCRONTAB with seconds, UTC. */
  readonly notifyCron: string;
  /** Of a hundred requests that succeeded, how many are kept as spans. */
  readonly traceCallsPercent: number;
  /** How callers of the HTTP API prove who they are; undefined where it is not said, and nobody is let in. */
  readonly auth: AuthSetting | undefined;
  /** What one caller may ask of an instance in a minute. */
  readonly requestsPerMinute: number;
}

/** `platform` takes the sessions of Azure's authentication as well as access tokens. */
export type AuthSetting = { readonly kind: 'platform' | 'bearer'; readonly entra: EntraSettings } | { readonly kind: 'local'; readonly tokenFile: string };

const guid = (what: string) => z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, `expects ${what}, such as 00000000-0000-0000-0000-000000000000`).toLowerCase();

/** What the timers of Azure Functions take: seconds first, numbers and names, nothing that only other crons know. */
const cron = (fallback: string) => z.string().refine(isNcrontab, 'expects six fields: second minute hour day month weekday').default(fallback);

const schema = z.object({
  HOLDFAST_VAULT: z.string({ error: 'expects the address of the vault: a folder or a blob container URL' }).min(1, 'expects the address of the vault'),
  HOLDFAST_KEY: z.string().default(''),
  HOLDFAST_PASSPHRASE: z.string().default(''),
  HOLDFAST_LOCK_DAYS: z.coerce.number('expects a whole number of days').int('expects a whole number of days').min(1, 'expects 1 to 3650').max(3650, 'expects 1 to 3650').optional(),
  HOLDFAST_KEY_VAULT: z.url({ protocol: /^https$/, error: 'expects the id of a key in Azure Key Vault' }).optional(),
  AZURE_SUBSCRIPTION_IDS: z.string({ error: 'expects the ids of the subscriptions to protect, separated by commas' })
    .transform((text) => text.split(',').map((id) => id.trim()).filter((id) => id !== ''))
    .refine((ids) => ids.length > 0 && ids.every((id) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)), 'expects subscription ids such as 00000000-0000-0000-0000-000000000000, separated by commas'),
  HOLDFAST_ARM_ENDPOINT: z.url('expects the URL of Azure Resource Manager').optional(),
  HOLDFAST_AZURE_CREDENTIAL: z.string().default('default'),
  HOLDFAST_MAINTENANCE_CREDENTIAL: z.string().optional(),
  HOLDFAST_RESTORE_CREDENTIAL: z.string().optional(),
  HOLDFAST_TRANSFER_THREADS: z.coerce.number('expects a whole number').int('expects a whole number').min(0, 'expects 0 to 16').max(16, 'expects 0 to 16').optional(),
  HOLDFAST_RESTORE_CONTAINERS: z.string().default('').transform((text) => text.split(',').map((one) => one.trim()).filter((one) => one !== ''))
    .refine((urls) => urls.every(isContainerUrl), 'expects addresses of blob containers, separated by commas'),
  HOLDFAST_SCHEDULER_CRON: cron('0 * * * * *'),
  HOLDFAST_RECONCILE_CRON: cron('0 7 * * * *'),
  HOLDFAST_SWEEP_CRON: cron('0 37 3 * * *'),
  HOLDFAST_MAINTAIN_CRON: cron('0 17 4 * * *'),
  HOLDFAST_SCRUB_CRON: cron('0 47 1 * * *'),
  HOLDFAST_SCRUB_DAYS: z.coerce.number('expects a whole number of days').int('expects a whole number of days').min(1, 'expects 1 to 366').max(366, 'expects 1 to 366').default(30),
  HOLDFAST_LOOK_CRON: cron('0 22 * * * *'),
  HOLDFAST_NOTIFY_CRON: cron('30 * * * * *'),
  HOLDFAST_WEBHOOK_SECRETS: z.string().default(''),
  HOLDFAST_TRACE_CALLS_PERCENT: z.coerce.number('expects 0 to 100').min(0, 'expects 0 to 100').max(100, 'expects 0 to 100').default(5),
  HOLDFAST_AUTH: z.enum(['platform', 'bearer', 'local'], { error: 'expects platform, bearer or local' }).optional(),
  HOLDFAST_AUTH_TENANT: guid('the id of a tenant of Entra ID').optional(),
  HOLDFAST_AUTH_CLIENT_ID: guid('the client id of the app registration').optional(),
  HOLDFAST_AUTH_AUTHORITY: z.string().refine(isAuthority, 'expects the address of Entra ID: https (or this machine), without a path').transform((text) => text.replace(/\/$/, '')).default('https://login.microsoftonline.com'),
  HOLDFAST_AUTH_TOKEN_FILE: z.string().optional(),
  HOLDFAST_REQUESTS_PER_MINUTE: z.coerce.number('expects a whole number').int('expects a whole number').min(10, 'expects 10 to 1000000').max(1_000_000, 'expects 10 to 1000000').default(1200),
});

/** What follows a ? in an address may be an access signature. */
const shown = (value: string | undefined): string => String(value).replace(/\?[^,\s]*/g, '?…').slice(0, 60);

function isContainerUrl(text: string): boolean {
  try {
    parseContainerUrl(text);
    return true;
  } catch {
    return false;
  }
}

/** The names of all settings, as docs/settings.md lists them. */
export const settingNames: readonly string[] = Object.keys(schema.shape);

/** Checks that only the composition root can make: each throws what is wrong with the value of its setting. */
export type SettingChecks = Readonly<Record<string, (value: string) => unknown>>;

/**
 * Reads the settings. Throws SETTING_INVALID with one line for each that is missing, wrong or contradicts another: all at once, so that nobody
 * has to start the app once for each.
 */
export function readSettings(env: NodeJS.ProcessEnv, checks: SettingChecks = {}): Settings {
  // A setting that is there but empty is what portals and templates leave of one that was never filled in.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(given);
  const wrong = new Map((parsed.error?.issues ?? []).map(({ path, message }) => [String(path[0]), message]));
  for (const [name, check] of Object.entries({ HOLDFAST_VAULT: parseVaultAddress, ...checks })) {
    const why = given[name] === undefined || wrong.has(name) ? null : reasonOf(check, given[name]);
    if (why !== null) wrong.set(name, why);
  }
  const lines = [...wrong].map(([name, message]) => `${name}: ${message}; it is ${given[name] === undefined ? 'missing' : `"${SECRET.includes(name) ? '…' : shown(given[name])}"`}`);
  lines.push(...contradictions(given, wrong));
  if (!parsed.success || lines.length > 0) {
    const told = lines.map((line) => `${line} (${DOCUMENTATION})`);
    throw new HoldfastError('SETTING_INVALID', `Settings are missing or wrong:\n  ${told.join('\n  ')}`, { data: { settings: told } });
  }
  const { data } = parsed;
  return {
    vault: data.HOLDFAST_VAULT, keyFile: data.HOLDFAST_KEY, passphrase: data.HOLDFAST_PASSPHRASE, keyVault: data.HOLDFAST_KEY_VAULT ?? '', lockDays: data.HOLDFAST_LOCK_DAYS, subscriptionIds: data.AZURE_SUBSCRIPTION_IDS, armEndpoint: data.HOLDFAST_ARM_ENDPOINT,
    credential: data.HOLDFAST_AZURE_CREDENTIAL, maintenanceCredential: data.HOLDFAST_MAINTENANCE_CREDENTIAL ?? data.HOLDFAST_AZURE_CREDENTIAL, restoreCredential: data.HOLDFAST_RESTORE_CREDENTIAL ?? data.HOLDFAST_AZURE_CREDENTIAL,
    transferThreads: data.HOLDFAST_TRANSFER_THREADS, restoreContainers: data.HOLDFAST_RESTORE_CONTAINERS, schedulerCron: data.HOLDFAST_SCHEDULER_CRON,
    reconcileCron: data.HOLDFAST_RECONCILE_CRON, sweepCron: data.HOLDFAST_SWEEP_CRON, maintainCron: data.HOLDFAST_MAINTAIN_CRON, scrubCron: data.HOLDFAST_SCRUB_CRON, scrubDays: data.HOLDFAST_SCRUB_DAYS,
    lookCron: data.HOLDFAST_LOOK_CRON, notifyCron: data.HOLDFAST_NOTIFY_CRON, webhookSecrets: data.HOLDFAST_WEBHOOK_SECRETS, traceCallsPercent: data.HOLDFAST_TRACE_CALLS_PERCENT, auth: authOf(data), requestsPerMinute: data.HOLDFAST_REQUESTS_PER_MINUTE,
  };
}

function authOf(data: z.output<typeof schema>): AuthSetting | undefined {
  const { HOLDFAST_AUTH: kind, HOLDFAST_AUTH_TENANT: tenantId = '', HOLDFAST_AUTH_CLIENT_ID: clientId = '', HOLDFAST_AUTH_AUTHORITY: authority, HOLDFAST_AUTH_TOKEN_FILE: tokenFile = '' } = data;
  if (kind === undefined) return undefined;
  return kind === 'local' ? { kind, tokenFile } : { kind, entra: { tenantId, clientId, authority } };
}

function isAuthority(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, pathname, search, username } = new URL(text);
  return (protocol === 'https:' || (protocol === 'http:' && ['127.0.0.1', 'localhost'].includes(hostname))) && pathname === '/' && search === '' && username === '';
}

const DOCUMENTATION = 'docs/settings.md';
const SECRET: readonly string[] = ['HOLDFAST_PASSPHRASE', 'HOLDFAST_WEBHOOK_SECRETS'];
const KEYS = ['HOLDFAST_KEY', 'HOLDFAST_PASSPHRASE', 'HOLDFAST_KEY_VAULT'] as const;

/** Settings that are each right by themselves and not together. */
function contradictions(given: NodeJS.ProcessEnv, wrong: ReadonlyMap<string, string>): string[] {
  const lines: string[] = [];
  const keys = KEYS.filter((name) => given[name] !== undefined);
  if (keys.length > 1) lines.push(`${keys.join(' and ')} each name a key of the vault; the app takes one`);
  const vault = wrong.has('HOLDFAST_VAULT') ? undefined : given['HOLDFAST_VAULT'];
  if (given['HOLDFAST_LOCK_DAYS'] !== undefined && vault !== undefined && parseVaultAddress(vault).kind === 'folder') {
    lines.push(`HOLDFAST_LOCK_DAYS expects a vault in a container, where objects can be held; HOLDFAST_VAULT is the folder "${shown(vault)}"`);
  }
  lines.push(...missingForAuth(given));
  return lines;
}

/** What the kind of sign-in that is asked for cannot do without. */
function missingForAuth(given: NodeJS.ProcessEnv): string[] {
  const kind = given['HOLDFAST_AUTH'];
  const needed = ({ platform: ['HOLDFAST_AUTH_TENANT', 'HOLDFAST_AUTH_CLIENT_ID'], bearer: ['HOLDFAST_AUTH_TENANT', 'HOLDFAST_AUTH_CLIENT_ID'], local: ['HOLDFAST_AUTH_TOKEN_FILE'] } as Record<string, string[]>)[kind ?? ''] ?? [];
  const lines = needed.filter((name) => given[name] === undefined).map((name) => `${name}: HOLDFAST_AUTH is "${kind}", which takes it; it is missing`);
  // In Azure whoever reads a setting could read the token, and the address is open to the world.
  if (kind === 'local' && given['WEBSITE_SITE_NAME'] !== undefined) lines.push('HOLDFAST_AUTH: "local" is for an app that only its own machine reaches, and this one runs in Azure; it is "local"');
  return lines;
}

function reasonOf(check: (value: string) => unknown, value: string): string | null {
  try {
    check(value);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

function isNcrontab(text: string): boolean {
  if (!/^(?:[\d*,/ -]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat)+$/i.test(text)) return false;
  try {
    return new Cron(text, { mode: '6-part', paused: true }).nextRun() !== null;
  } catch {
    return false;
  }
}
