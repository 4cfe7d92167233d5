import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { HoldfastError } from '../errors/holdfast-error';
import { AzuriteStorage } from './azurite-storage';

const ROOT = path.join(__dirname, '..', '..');

/**
 * The program `func` of Azure Functions Core Tools: the one that this package's own optional dependency downloaded, or one on the PATH. The dependency may be
 * there without its program (its download is left out where the network forbids it), and npm's shim for it then only fails. Throws CORE_TOOLS_MISSING.
 */
export function findCoreTools(env: NodeJS.ProcessEnv, root: string = ROOT): string {
  const folders = (env['PATH'] ?? '').split(path.delimiter).filter((folder) => folder !== '' && !/[\\/]node_modules[\\/]\.bin[\\/]?$/.test(folder));
  const found = [path.join(root, 'node_modules', 'azure-functions-core-tools', 'bin', 'func'), ...folders.map((folder) => path.join(folder, 'func'))].find(isProgram);
  if (!found) throw new HoldfastError('CORE_TOOLS_MISSING', 'Azure Functions Core Tools are not on this machine: there is no program "func", neither on the PATH nor in node_modules/azure-functions-core-tools/bin');
  return found;
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface RunningFunc {
  /** Resolves when `func` has ended, with its exit code. */
  readonly ended: Promise<number>;
  stop(): Promise<void>;
}

/**
 * Starts the real Functions host on this build, with Azurite for its task hub. Everything it is told stands in its environment.
 * @param folder of the app's host.json and package.json, where it is not this build
 */
export async function startFunc(program: string, settings: Readonly<Record<string, string>>, port: number, folder: string = ROOT): Promise<RunningFunc> {
  const storage = await AzuriteStorage.start();
  const env = { ...process.env, ...settings, FUNCTIONS_WORKER_RUNTIME: 'node', AzureWebJobsDisableHomepage: 'true', AzureWebJobsStorage: storage.connectionString };
  const child: ChildProcess = spawn(program, ['start', '--port', String(port)], { cwd: folder, env, stdio: 'inherit' });
  const ended = new Promise<number>((resolve) => {
    child.once('error', () => resolve(1));
    child.once('exit', (code) => resolve(code ?? 0));
  });
  return {
    ended,
    async stop() {
      if (child.exitCode === null) child.kill('SIGINT');
      await ended;
      await storage.stop();
    },
  };
}
