import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { HoldfastError, messageOf } from '../errors/holdfast-error';
import { catalogue } from '../errors/catalogue';
import { createAzureStandIn } from './azure/stand-in';
import { azureLimits } from './azure/limits';

interface Options {
  readonly disks: string;
  readonly state?: string;
  readonly port: number;
  readonly host: string;
  readonly azureLimits?: true;
}

const defaultPort = 10044;

/** `npm run azure -- --disks FOLDER`: the stand-in alone, until Ctrl-C. */
async function main(args: readonly string[]): Promise<void> {
  const command = new Command('azure')
    .description('A stand-in for Azure Compute on a folder of disk images: each folder in it is a VM, each image a disk.')
    .requiredOption('--disks <folder>', 'folder of VM folders with disk images (only read)')
    .option('--state <folder>', 'where snapshots and disks are kept (default: .holdfast/azure)')
    .option('--port <number>', 'port to listen on', parsePort, defaultPort)
    .option('--host <address>', 'address to listen on; anything but the loopback lets others read the images', '127.0.0.1')
    .option('--azure-limits', "keep Azure's own rates as well, such as 3 restore points of a VM in an hour")
    .parse([...args], { from: 'user' });
  const options = command.opts<Options>();
  const standIn = createAzureStandIn({
    disksFolder: options.disks,
    stateFolder: resolve(options.state ?? join('.holdfast', 'azure')),
    port: options.port,
    hostname: options.host,
    limits: options.azureLimits === true ? azureLimits : {},
    log: (message) => { process.stderr.write(`${message}\n`); },
  });
  await standIn.start();
  process.stdout.write([
    `Stand-in for Azure on ${standIn.url}`,
    `HOLDFAST_ARM_ENDPOINT=${standIn.url}`,
    `AZURE_SUBSCRIPTION_IDS=${standIn.subscriptionId}`,
    'Ctrl-C stops it.',
    '',
  ].join('\n'));
  const stop = (): void => {
    standIn.stop().then(() => process.exit(0), (error: unknown) => fail(error));
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new InvalidArgumentError('a port is a number from 0 to 65535.');
  return port;
}

function fail(error: unknown): void {
  if (error instanceof HoldfastError) {
    process.stderr.write(`${error.message}.\n${error.remedy}\n`);
    process.exitCode = catalogue[error.code].exitCode;
    return;
  }
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}

main(process.argv.slice(2)).catch(fail);
