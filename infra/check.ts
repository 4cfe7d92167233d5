// `npm run infra:check` and `npm run infra:snapshot`: the Bicep files compile and lint without a word, what they deploy is what the snapshots in the repository
// say, and bad parameters are refused. It takes the .NET SDK and, the first time, NuGet; where the compiler cannot be had it says so in one line and is skipped.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

// Compiled, this file lies in dist/infra/.
const root = path.resolve(__dirname, '../..');
const infra = path.join(root, 'infra');
const scratch = path.join(root, '.bicep');
/** Where a snapshot supposes that it is deployed. Nothing is asked of Azure. */
const deployment = ['--subscription-id', '00000000-0000-0000-0000-000000000000', '--location', 'westeurope'];

/** What must not be deployed, each as lines of a parameter file and what the compiler's refusal has to name. */
const refusals: readonly { readonly what: string; readonly lines: string; readonly names: RegExp }[] = [
  { what: 'a region without Flex Consumption', lines: "param environmentName = 'holdfast'\nparam location = 'chinanorth3'", names: /'westeurope'/ },
  { what: 'a name that is too long', lines: "param environmentName = 'holdfast-of-acme'\nparam location = 'westeurope'", names: /maximum allowable length is 12/ },
  { what: 'data packs that leave the cool tier too soon', lines: "param environmentName = 'holdfast'\nparam location = 'westeurope'\nparam vaultTiering = { keepWithinDays: 30, daysInCool: 10 }", names: /minimum allowable value is 30/ },
];

interface Sarif { readonly runs: readonly { readonly results: readonly { readonly ruleId: string; readonly message: { readonly text: string }; readonly locations?: readonly SarifLocation[] }[] }[] }
interface SarifLocation { readonly physicalLocation: { readonly artifactLocation: { readonly uri: string }; readonly region?: { readonly startLine: number } } }

class Skipped extends Error {}
class Failed extends Error {}

/** The compiler, fetched from NuGet when it is not there yet. The version stands in bicep.csproj alone. */
function compiler(): string {
  const project = path.join(infra, 'bicep.csproj');
  const version = /Include="Azure\.Bicep\.CommandLine\.linux-x64" Version="\[([\d.]+)\]"/.exec(readFileSync(project, 'utf8'))?.[1];
  if (version === undefined) throw new Failed(`${project} names no version of the compiler`);
  const program = path.join(scratch, 'packages', 'azure.bicep.commandline.linux-x64', version, 'tools', 'bicep');
  if (!existsSync(program)) {
    if (process.platform !== 'linux' || process.arch !== 'x64') throw new Skipped('the compiler is fetched for Linux x64 only');
    const restored = spawnSync('dotnet', ['restore', project, '--packages', path.join(scratch, 'packages'), '--verbosity', 'quiet', '--nologo'], { encoding: 'utf8', env: { ...process.env, DOTNET_CLI_TELEMETRY_OPTOUT: '1', DOTNET_NOLOGO: '1' } });
    if (restored.error) throw new Skipped('there is no .NET SDK (dotnet) here to fetch the Bicep compiler with');
    if (restored.status !== 0) throw new Skipped(`the Bicep compiler could not be fetched: ${lastLine(restored.stdout + restored.stderr)}`);
  }
  chmodSync(program, 0o755);
  return program;
}

/** Without colours, which a log does not show. */
// eslint-disable-next-line no-control-regex -- it is a control character that is taken out
const plainText = (text: string): string => text.replace(/\u001b\[[0-9;]*m/g, '');

const lastLine = (text: string): string => text.trim().split('\n').at(-1)?.trim() ?? '';

/** Without what a deployment would fill in: the snapshots are those of the examples. */
const plainEnvironment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(AZURE|HOLDFAST)_/.test(name)));

function run(program: string, args: readonly string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const ran = spawnSync(program, args, { cwd: infra, encoding: 'utf8', env: plainEnvironment, maxBuffer: 64 * 1024 * 1024 });
  if (ran.error) throw ran.error;
  return ran;
}

/** Type mistakes are warnings with exit code 0, so it is the list of results that has to be empty, and not the exit code alone. */
function diagnostics(program: string, args: readonly string[]): string[] {
  const { status, stdout, stderr } = run(program, [...args, '--diagnostics-format', 'sarif']);
  const text = stderr.includes('"runs"') ? stderr : stdout;
  let sarifs: Sarif[];
  try {
    // One document for each file of a pattern, one right behind the other.
    sarifs = text.slice(text.indexOf('{')).split(/(?<=^\})(?=\{)/m).map((document) => JSON.parse(document) as Sarif);
  } catch {
    return [`bicep ${args.join(' ')} ended with ${String(status)}: ${lastLine(stderr + stdout)}`];
  }
  const found = sarifs.flatMap(({ runs }) => runs).flatMap(({ results }) => results).map(({ ruleId, message, locations }) => {
    const place = locations?.[0]?.physicalLocation;
    return `${place ? `${path.relative(root, new URL(place.artifactLocation.uri).pathname)}:${place.region?.startLine ?? 1}: ` : ''}${ruleId}: ${message.text}`;
  });
  return found.length === 0 && status !== 0 ? [`bicep ${args.join(' ')} ended with ${String(status)}`] : [...new Set(found)];
}

/** All in one run of the compiler, which takes a second to start. */
function notRefused(program: string): string[] {
  const folder = path.join(scratch, 'refused');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  refusals.forEach(({ lines }, index) => writeFileSync(path.join(folder, `${index}.bicepparam`), `using '../../infra/main.bicep'\n\nparam alertEmails = ['oncall@example.com']\n${lines}\n`));
  const found = diagnostics(program, ['build-params', '--pattern', '../.bicep/refused/*.bicepparam', '--outdir', folder]);
  return refusals.flatMap(({ what, names }, index) => {
    const told = found.filter((line) => line.includes(`refused/${index}.bicepparam`)).join('\n');
    return names.test(told) ? [] : [`${what} is not refused as it should be: ${told || 'the compiler takes it'}`];
  });
}

function main(mode: 'validate' | 'overwrite'): void {
  const program = compiler();
  const parameterFiles = globSync('*.bicepparam', { cwd: infra }).sort();
  const problems = diagnostics(program, ['lint', '--pattern', '**/*.bicep']);
  problems.push(...diagnostics(program, ['build', 'main.bicep', '--stdout']));
  problems.push(...diagnostics(program, ['build-params', '--pattern', '*.bicepparam', '--outdir', path.join(scratch, 'parameters')]));
  if (problems.length === 0) {
    for (const file of parameterFiles) {
      const { status, stdout, stderr } = run(program, ['snapshot', file, '--mode', mode, ...deployment]);
      if (status !== 0) problems.push(`${file} deploys something else than its snapshot says; if that is meant, renew it with npm run infra:snapshot\n${plainText(stdout + stderr).trim()}`);
    }
    problems.push(...notRefused(program));
  }
  if (problems.length > 0) throw new Failed([...new Set(problems)].join('\n'));
  console.log(mode === 'validate' ? `The Bicep files are sound: ${parameterFiles.length} parameter files as their snapshots have them, ${refusals.length} bad ones refused.` : `Renewed the snapshots of ${parameterFiles.join(', ')}.`);
}

try {
  main(process.argv.includes('--snapshot') ? 'overwrite' : 'validate');
} catch (error) {
  if (error instanceof Skipped) {
    console.log(`skipped: ${error.message}`);
  } else {
    console.error(error instanceof Failed ? error.message : error);
    process.exitCode = 1;
  }
}
