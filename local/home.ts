import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { HoldfastError, messageOf } from '../errors/holdfast-error';
import { checkedFolder, createAzureStandIn } from './azure/stand-in';
import { SubscriptionFolder } from './azure/subscription-folder';
import { startFunc } from './func';
import { readSettings } from '../functions/settings';
import { startLocalTelemetry } from '../telemetry/local';
import { createHost } from './host/host';
import { makeAccess } from './home-access';
import { makeSampleSubscription } from './sample/make-sample';
import { lockVault } from './vault-lock';
import { prepareVault } from './vault-home';
import { watchJobs } from './watch-jobs';

export interface HomeOptions {
  /** Folder of disk images; a sample is made when none is named. */
  readonly disks: string | undefined;
  readonly vault: string | undefined;
  readonly key: string | undefined;
  /** Everything else that the home keeps: journal, snapshots, sample, and the vault unless another is named. */
  readonly state: string;
  readonly port: number;
  /** The program `func`: the real Functions host in place of the embedded one. */
  readonly func?: string;
}

/** A level of the host's log that a person should see: what is wrong, not what goes on. */
const SHOWN = new Set(['warning', 'error', 'critical']);

/**
 * The second home of the same app: the unchanged functions in the embedded host, with the stand-in for Azure on a folder of disk images.
 * Returns the function that stops it; what runs then goes on at the next start.
 */
export async function startLocalHome(options: HomeOptions, print: (line: string) => void): Promise<() => Promise<void>> {
  const state = path.resolve(options.state);
  await mkdir(state, { recursive: true }).catch((cause: unknown) => {
    throw new HoldfastError('HOME_STATE_UNUSABLE', `The state folder ${state} cannot be used: ${messageOf(cause)}`, { cause, data: { path: state } });
  });
  const vaultAddress = options.vault ?? path.join(state, 'vault');
  const undo: (() => Promise<void> | void)[] = [];
  let stopping = false;
  const stop = async (): Promise<void> => {
    stopping = true;
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const disks = path.resolve(options.disks ?? await sampleDisks(path.join(state, 'sample'), print));
    // Before anything is made: a folder that was mistyped, or whose disk is not mounted, must not look like a start that went well.
    const warned = new Set(await lookAtDisks(disks));
    for (const warning of warned) print(`warning: ${warning}`);
    const vault = await prepareVault(vaultAddress, options.key);
    undo.push(await lockVault(vault.vaultId));
    const log = (line: string): void => { if (!warned.delete(line)) print(line); };
    const standIn = createAzureStandIn({ disksFolder: disks, stateFolder: path.join(state, 'azure'), port: 0, log });
    await standIn.start();
    undo.push(() => standIn.stop());
    const access = await makeAccess(state);
    undo.push(() => access.remove());
    const settings = {
      HOLDFAST_VAULT: vaultAddress, ...vault.keySettings, AZURE_SUBSCRIPTION_IDS: standIn.subscriptionId, HOLDFAST_ARM_ENDPOINT: standIn.url,
      HOLDFAST_AUTH: 'local', HOLDFAST_AUTH_TOKEN_FILE: access.tokenFile,
    };
    if (options.func !== undefined) {
      const func = await startFunc(options.func, settings, options.port);
      undo.push(() => func.stop());
      await access.serves(`http://127.0.0.1:${options.port}`);
      print(`func start on ${disks}, vault ${vaultAddress}, task hub in memory; Ctrl-C stops it\n  open http://127.0.0.1:${options.port}/#token=${access.token}`);
      func.ended.then(async (code) => { if (!stopping) { await stop(); process.exit(code); } }, () => undefined);
      return stop;
    }
    const telemetry = startLocalTelemetry(path.join(state, 'telemetry'), readSettings({ ...process.env, ...settings }).traceCallsPercent);
    undo.push(() => telemetry.stop());
    const host = await createHost({
      entry: path.join(__dirname, '..', 'functions', 'register.js'), hostJsonPath: path.join(__dirname, '..', '..', 'host.json'),
      stateFolder: path.join(state, 'host'), port: options.port, hostname: '127.0.0.1',
      // The home listens itself.
      env: { ...settings, APPLICATIONINSIGHTS_CONNECTION_STRING: '' }, onSpan: (span) => telemetry.hostSpan(span), metricsText: () => telemetry.metricsText(),
      // Here it works all the same; in Azure it would be slower, or refused.
      onLargePayload: (kind, name, bytes) => print(`warning: the ${kind} of ${name} has ${bytes} bytes, more than Azure takes well`),
      // What a stop cuts off is no error: it goes on at the next start.
      log: (level, message) => { if (SHOWN.has(level) && !stopping) print(`${level}: ${message}`); },
    });
    undo.push(() => host.stop({ graceMs: 10_000 }));
    await host.start();
    await access.serves(host.url);
    const ask = async (address: string): Promise<unknown> => (await host.fetch(address, { headers: { authorization: `Bearer ${access.token}` } })).json();
    const unwatch = watchJobs(ask, print);
    undo.push(() => unwatch());
    tell(print, { url: host.url, token: access.token, tokenFile: path.relative('', access.tokenFile), disks, vaultAddress, key: vault.key, isNew: vault.isNew, policies: vault.policies });
    // The timer looks once a minute; a person who just started the app need not wait for it.
    await host.runTimer('scheduler');
    // What a lost state folder or a crash left open is closed at once, and not in an hour.
    await host.runTimer('reconciler');
    await host.runTimer('watcher');
    return stop;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What is wrong in a folder of disks, a line each. Throws STANDIN_FOLDER when it cannot be listed or no disk is in it. */
async function lookAtDisks(folder: string): Promise<readonly string[]> {
  const warnings: string[] = [];
  const vms = await new SubscriptionFolder({ folder: checkedFolder(folder), seed: '', replacedDisks: {}, deletedVms: [], warn: (line) => warnings.push(line) }).list();
  if (vms.length === 0) throw new HoldfastError('STANDIN_FOLDER', [`The folder ${folder} holds no disk image`, ...warnings].join('\n  '), { data: { path: folder } });
  return warnings;
}

async function sampleDisks(folder: string, print: (line: string) => void): Promise<string> {
  if (!existsSync(folder)) print('No disks were named: making a small sample subscription (once; it takes some seconds) …');
  const { made, fileSystem } = await makeSampleSubscription(folder);
  print(made ? `Made the sample in ${folder} (${fileSystem ?? 'no mkfs here: content without a file system'}).` : `Using the sample in ${folder}.`);
  return folder;
}

function tell(print: (line: string) => void, home: { url: string; token: string; tokenFile: string; disks: string; vaultAddress: string; key: string | null; isNew: boolean; policies: readonly string[] }): void {
  for (const line of [
    '',
    `Holdfast listens on ${home.url}`,
    // A fragment: browsers send it to nobody.
    `  open      ${home.url.replace('//localhost', '//127.0.0.1')}/#token=${home.token}`,
    `  disks     ${home.disks}`,
    `  vault     ${home.vaultAddress}${home.isNew ? ' (new)' : ''}`,
    `  key       ${home.key ?? 'none: the vault is not encrypted'}`,
    ...(home.key === null ? [] : ['            Without this key nothing in the vault can be restored: keep a copy elsewhere.']),
    `  policies  ${home.policies.join(', ')}`,
    '',
    `  curl ${home.url}/metrics`,
    `  curl -H "Authorization: Bearer $(cat ${home.tokenFile})" ${home.url}/api/items`,
    `  curl -H "Authorization: Bearer $(cat ${home.tokenFile})" -X POST ${home.url}/api/items/ITEM/backups`,
    `  npx holdfast list --vault ${home.vaultAddress}`,
    '',
    'Ctrl-C stops; what runs then goes on at the next start.',
    '',
  ]) print(line);
}
