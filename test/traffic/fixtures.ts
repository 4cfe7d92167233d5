import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AzureType } from './azure-type';
import type { Call } from './calls';
import type { RightsByDuty } from './rights';

/** Compiled tests lie in dist/test/traffic. */
export const root = join(__dirname, '..', '..', '..');
const fixtures = join(root, 'test', 'fixtures');

/** What the whole suite asks of Azure: written by `npm run arm:record`. */
export const callsPath = join(fixtures, 'arm-calls.json');
export const readCalls = (): readonly Call[] => (existsSync(callsPath) ? JSON.parse(readFileSync(callsPath, 'utf8')) as Call[] : []);

/** The part of Azure's published types that those calls need: written by `npm run arm:types`. */
export interface AzureTypes {
  readonly source: { readonly package: string; readonly version: string; readonly license: string; readonly project: string };
  /** `TYPE@API-VERSION` of each resource that was called and that Azure publishes a type of. */
  readonly resources: readonly string[];
  /** By `METHOD TYPE@API-VERSION`, and `POST TYPE@API-VERSION/ACTION`. */
  readonly bodies: Readonly<Record<string, AzureType>>;
}
export const typesPath = join(fixtures, 'azure-types.json');
export const readTypes = (): AzureTypes => JSON.parse(readFileSync(typesPath, 'utf8')) as AzureTypes;

/** What each duty of the app may do in Azure, derived from the calls: written with them. */
export const rightsPath = join(fixtures, 'arm-actions.json');
export const readRights = (): RightsByDuty => JSON.parse(readFileSync(rightsPath, 'utf8')) as RightsByDuty;
export const rightsText = (rights: RightsByDuty): string => `${JSON.stringify(rights, null, 2)}\n`;
