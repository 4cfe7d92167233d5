/**
 * `npm run record:func -- [--to FOLDER] [--port N] [PATTERN…]`: records from a real Functions host (`func start` with Azurite) what test/fixtures/durable and
 * test/fixtures/genuine hold: the patterns of the recordings, and the app's own orchestrations (`app`). README.md says what to do with it.
 */
import { Command } from 'commander';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { catalogue } from '../../errors/catalogue';
import { HoldfastError, isHoldfastError, messageOf } from '../../errors/holdfast-error';
import { createAzureStandIn } from '../../local/azure/stand-in';
import { findCoreTools } from '../../local/func';
import { makeAccess } from '../../local/home-access';
import { stateOfFailure } from '../../local/host/actions';
import { prepareVault } from '../../local/vault-home';
import { root, readText } from '../docs/repository';
import { AppScenario } from '../genuine/app-scenario';
import { durableFolder, readRecording } from '../local/host/recordings';
import { GoldenRecorder, goldenText } from '../orchestrations/golden/fixture';
import { addVm, halfDisk, noise } from '../support/home';
import { FuncApp } from './func-app';
import type { InvocationLine } from './invocations';
import { recordPattern } from './pattern';

/** The name of the app's own orchestrations among the patterns. */
const APP = 'app';
const DEFAULT_PORT = 7099;

interface Options { readonly to: string; readonly port: string }

async function main(args: readonly string[]): Promise<void> {
  const command = new Command('npm run record:func --').argument('[pattern...]', `patterns of test/fixtures/durable, or ${APP}; all when none is named`)
    .option('--to <folder>', 'where the recordings go', path.join(root, '.holdfast', 'recordings')).option('--port <number>', 'port for func', String(DEFAULT_PORT)).parse([...args], { from: 'user' });
  const { to, port } = command.opts<Options>();
  const program = findCoreTools(process.env);
  const known = [...(await readdir(durableFolder)).filter((name) => /^\d\d-.*\.json$/.test(name)).map((name) => name.slice(0, -'.json'.length)).sort(), APP];
  const unknown = command.args.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new HoldfastError('USAGE', `No such pattern: ${unknown.join(', ')}. There are: ${known.join(', ')}`);
  const wanted = command.args.length === 0 ? known : command.args;
  await mkdir(to, { recursive: true });
  const temp = await mkdtemp(path.join(tmpdir(), 'holdfast-record-'));
  try {
    const patterns = wanted.filter((name) => name !== APP);
    if (patterns.length > 0) await recordPatterns(program, temp, patterns, to, Number(port));
    if (wanted.includes(APP)) await recordApp(program, temp, to, Number(port));
  } finally {
    await rm(temp, { recursive: true, force: true });
  }
}

const write = async (to: string, name: string, text: string): Promise<void> => {
  await writeFile(path.join(to, `${name}.json`), text);
  process.stdout.write(`${name}: ${text.length} bytes\n`);
};

async function recordPatterns(program: string, temp: string, names: readonly string[], to: string, port: number): Promise<void> {
  const hostJson = JSON.parse(readText('test/fixtures/durable/host.json')) as object;
  const func = await FuncApp.start(program, path.join(temp, 'patterns'), path.join(__dirname, 'patterns-entry.js'), hostJson, {}, port);
  try {
    await func.answers('/api/ping');
    for (const name of names) await write(to, name, `${JSON.stringify(await recordPattern(func, readRecording(name)), null, 1)}\n`);
  } finally {
    await func.stop();
  }
}

/** The app's own runs, as test/genuine makes them, in the form of the golden histories. */
async function recordApp(program: string, temp: string, to: string, port: number): Promise<void> {
  const disks = path.join(temp, 'disks');
  await addVm(disks, 'web01', { os: halfDisk(2, 1), data: halfDisk(2, 2) });
  const standIn = createAzureStandIn({ disksFolder: disks, stateFolder: path.join(temp, 'azure'), port: 0, log: () => undefined });
  await standIn.start();
  const address = path.join(temp, 'vault');
  const vault = await prepareVault(address, path.join(temp, 'vault.key'));
  const access = await makeAccess(temp);
  const settings = { HOLDFAST_VAULT: address, ...vault.keySettings, AZURE_SUBSCRIPTION_IDS: standIn.subscriptionId, HOLDFAST_ARM_ENDPOINT: standIn.url, HOLDFAST_AUTH: 'local', HOLDFAST_AUTH_TOKEN_FILE: access.tokenFile, HOLDFAST_SCHEDULER_CRON: '*/5 * * * * *' };
  const func = await FuncApp.start(program, path.join(temp, 'app'), path.join(__dirname, 'app-entry.js'), JSON.parse(readText('host.json')) as object, settings, port, access.token);
  try {
    await func.answers('/api/jobs');
    const scenario = new AppScenario({ json: (address, init) => func.json(address, init), runTimer: () => Promise.resolve() }, standIn);
    const { recoveryPoint } = await scenario.backUp();
    await scenario.backUp();
    await scenario.failingBackUp();
    await scenario.cancelledBackUp();
    await scenario.restore(recoveryPoint ?? '');
    await scenario.refusedRestore(recoveryPoint ?? '');
    for (const vm of ['web02', 'web03']) await addVm(disks, vm, { os: noise(65_536, 7) });
    await scenario.policy(['web02', 'web03'], () => recorderOf(func.invocations()).executions.some(({ name, answer }) => name === 'runPolicy' && answer.isDone));
    const { executions } = recorderOf(func.invocations());
    await write(to, 'holdfast', goldenText({ story: 'genuine', about: 'Recorded from func start: npm run record:func', executions }, true));
  } finally {
    await func.stop();
    await standIn.stop();
  }
}

function recorderOf(lines: readonly InvocationLine[]): GoldenRecorder {
  const recorder = new GoldenRecorder();
  for (const { function: name, input, output, threw } of lines.filter(({ trigger }) => trigger === 'orchestrationTrigger')) {
    recorder.onInvocation({ kind: 'orchestration', function: name, instanceId: (input as { instanceId: string }).instanceId, input, output: threw === undefined ? output : stateOfFailure(threw) });
  }
  return recorder;
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const code = isHoldfastError(error) ? error.code : 'INTERNAL';
  process.stderr.write(`record:func: ${messageOf(error)}${isHoldfastError(error) ? `. ${error.remedy}` : ''}\n`);
  process.exitCode = catalogue[code].exitCode;
});
