// `npm start`: the app on this machine. Plain checks first, so that an old Node gets words instead of a stack.
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { catalogue } from '../errors/catalogue';
import { HoldfastError, messageOf } from '../errors/holdfast-error';

const NEEDED_NODE: readonly [number, number] = [22, 15];
const DEFAULT_PORT = 7071;

interface Options { readonly disks?: string; readonly vault?: string; readonly key?: string; readonly state: string; readonly port: number; readonly func?: true }

async function main(args: readonly string[]): Promise<void> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < NEEDED_NODE[0] || (major === NEEDED_NODE[0] && minor < NEEDED_NODE[1])) {
    throw new HoldfastError('NODE_TOO_OLD', `This is Node ${process.versions.node}; Holdfast needs ${NEEDED_NODE.join('.')} or newer`);
  }
  const options = new Command('npm start --')
    .description('Runs Holdfast on this machine, with a folder of disk images in place of Azure.')
    .option('--disks <folder>', 'folder of disk images, FOLDER/VM/DISK.img; without it a small sample is made')
    .option('--vault <address>', 'the vault: a folder or a blob container URL (or HOLDFAST_VAULT; default: vault in the state folder)')
    .option('--key <file>', 'the key file (or HOLDFAST_KEY; default: in your configuration folder)')
    .option('--state <folder>', 'where everything else is kept', '.holdfast')
    .option('--port <number>', 'port to listen on; 0 takes any that is free', parsePort, DEFAULT_PORT)
    .option('--func', 'run it on the real Functions host (Azure Functions Core Tools) with Azurite, instead of the embedded one')
    .showHelpAfterError('What to do: `npm start -- --help` lists the options.')
    .exitOverride()
    .parse([...args], { from: 'user' }).opts<Options>();
  const print = (line: string): void => { process.stdout.write(`${line}\n`); };
  const { startLocalHome } = await import('./home.js');
  const program = options.func ? { func: (await import('./func.js')).findCoreTools(process.env) } : {};
  const starting = startLocalHome({ state: options.state, port: options.port, ...program, disks: options.disks, vault: named(options.vault, 'HOLDFAST_VAULT'), key: named(options.key, 'HOLDFAST_KEY') }, print);
  // From the first moment on: a Ctrl-C while it starts must not leave anything behind either.
  let stopping = false;
  const end = (): void => {
    if (stopping) process.exit(130);
    stopping = true;
    print('\nStopping … (Ctrl-C again to stop at once)');
    starting.then((stop) => stop()).then(() => process.exit(0), (error: unknown) => fail(error));
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  await starting;
}

/** What the command line also takes from the environment, so that one setting serves both. */
function named(option: string | undefined, variable: string): string | undefined {
  return option ?? (process.env[variable] === '' ? undefined : process.env[variable]);
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new InvalidArgumentError(`"${text}" is not a port`);
  return port;
}

function fail(error: unknown): void {
  // Commander has told already what is wrong with the options, or given the help that was asked for.
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : catalogue.USAGE.exitCode);
  const known = error instanceof HoldfastError ? error : new HoldfastError('INTERNAL', messageOf(error), { cause: error });
  process.stderr.write(`holdfast: ${known.message}\nWhat to do: ${known.remedy}\n`);
  if (process.env['HOLDFAST_DEBUG']) process.stderr.write(`${known.stack ?? ''}\n${String(known.cause ?? '')}\n`);
  process.exit(catalogue[known.code].exitCode);
}

main(process.argv.slice(2)).catch(fail);
