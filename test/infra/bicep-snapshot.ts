import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Compiled tests lie in dist/test/infra. */
export const infraFolder = join(__dirname, '../../../infra');

/** A resource as it would be deployed. What is known only then stands in it as an expression of Resource Manager's: "[reference(…)]". */
export interface Predicted {
  readonly id: string;
  readonly type: string;
  readonly name: string;
  /** What they hold is for the test to say. */
  readonly properties: Readonly<Record<string, unknown>>;
  readonly [other: string]: unknown;
}

/** What `bicep snapshot` says that a parameter file deploys; `npm run infra:check` holds the two together. */
export function readSnapshot(estate: 'main' | 'main.large' | 'main.premium'): readonly Predicted[] {
  return (JSON.parse(readFileSync(join(infraFolder, `${estate}.snapshot.json`), 'utf8')) as { predictedResources: Predicted[] }).predictedResources;
}

export function ofType(resources: readonly Predicted[], type: string): readonly Predicted[] {
  return resources.filter((one) => one.type === type);
}

/** The settings of the function app, by name; values may be expressions. */
export function appSettings(resources: readonly Predicted[]): Readonly<Record<string, string>> {
  const [site] = ofType(resources, 'Microsoft.Web/sites');
  const { appSettings: settings } = (site?.properties as { siteConfig: { appSettings: { name: string; value: string }[] } }).siteConfig;
  return Object.fromEntries(settings.map(({ name, value }) => [name, value]));
}

/** What is known only when it is deployed: outputs of modules by the module's name, and what environment() has. */
export interface Deployed {
  readonly outputs: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly environment: { readonly resourceManager: string; readonly authentication: { readonly loginEndpoint: string }; readonly suffixes: { readonly storage: string } };
}

/** Works an expression out, of the few functions that settings are made with. Throws where it meets another one, or what `deployed` does not have. */
export function evaluate(value: string, deployed: Deployed): string {
  if (!value.startsWith('[')) return value;
  const tokens = [...value.slice(1, -1).matchAll(/\s*(?:'((?:[^']|'')*)'|(\w+)|([(),.]))/g)];
  let at = 0;
  const symbol = (): string | undefined => tokens[at]?.[3];
  const expression = (): unknown => {
    const token = tokens[at++];
    if (token?.[1] !== undefined) return token[1].replaceAll("''", "'");
    const name = token?.[2];
    if (name === undefined || symbol() !== '(') throw new Error(`cannot read ${value}`);
    const args: unknown[] = [];
    for (at++; symbol() !== ')';) {
      args.push(expression());
      if (symbol() === ',') at++;
    }
    at++;
    let result = call(name, args, deployed);
    while (symbol() === '.') {
      const property = tokens[at + 1]?.[2] ?? '';
      at += 2;
      result = (result as Record<string, unknown>)[property];
      if (result === undefined) throw new Error(`${value} asks for ${property}, which is not there`);
    }
    return result;
  };
  return String(expression());
}

function call(name: string, args: readonly unknown[], deployed: Deployed): unknown {
  switch (name) {
    case 'format': return String(args[0]).replace(/\{(\d+)\}/g, (_, index) => String(args[Number(index) + 1]));
    case 'createArray': return args;
    case 'join': return (args[0] as string[]).join(String(args[1]));
    case 'environment': return deployed.environment;
    case 'deployment': return { name: 'main' };
    case 'uniqueString': return '';
    case 'resourceId': return args.at(-1);
    // The deployment of a module is named after it: "vault-" and a hash.
    case 'reference': {
      const outputs = deployed.outputs[String(args[0]).replace(/-$/, '')] ?? {};
      return { outputs: Object.fromEntries(Object.entries(outputs).map(([key, output]) => [key, { value: output }])) };
    }
    default: throw new Error(`the test knows no function ${name}`);
  }
}
