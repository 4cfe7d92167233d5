// `npm run arm:types`: writes the part of Azure's published types that the recorded calls need into test/fixtures/azure-types.json.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AzureType } from './azure-type';
import { fetchPackage, PACKAGE, resourcesOf } from './bicep-package';
import { type BicepType, extractType } from './extract';
import { type AzureTypes, readCalls, root, typesPath } from './fixtures';
import { resourceOf } from './resource';

const VERSION = '0.2.972';

const calls = readCalls().flatMap((call) => {
  const resource = resourceOf(call.call);
  return resource ? [{ ...call, ...resource, key: `${resource.type}@${call.version ?? ''}` }] : [];
});
const wanted = new Set(calls.map(({ key }) => key));
const bodies: Record<string, AzureType> = {};
const found = new Set<string>();

for (const text of resourcesOf(fetchPackage(VERSION, join(root, '.holdfast', 'azure-types')))) {
  if (!text.startsWith('[') || ![...wanted].some((key) => text.includes(`"${key}"`))) continue;
  const types = JSON.parse(text) as BicepType[];
  for (const type of types) {
    if (type.$type === 'ResourceType' && wanted.has(type.name)) {
      found.add(type.name);
      for (const { method, body, key } of calls) {
        if (key === type.name && body !== undefined && method !== 'POST') bodies[`${method} ${key}`] = extractType(types, type.body, body, true);
      }
    }
    if (type.$type !== 'ResourceFunctionType' || !type.input) continue;
    const { input, name } = type;
    const call = calls.find(({ key, action, body }) => body !== undefined && action === name && key === `${type.resourceType}@${type.apiVersion}`);
    if (call) bodies[`POST ${call.key}/${name}`] = extractType(types, input, call.body);
  }
}
const extract: AzureTypes = {
  source: { package: PACKAGE, version: VERSION, license: 'MIT, Copyright Microsoft Corporation', project: 'https://github.com/Azure/bicep-types-az' },
  resources: [...found].sort(),
  bodies: Object.fromEntries(Object.entries(bodies).sort(([left], [right]) => (left < right ? -1 : 1))),
};
const lines = Object.entries(extract.bodies).map(([key, type]) => `    ${JSON.stringify(key)}: ${JSON.stringify(type)}`);
writeFileSync(typesPath, `{\n  "source": ${JSON.stringify(extract.source)},\n  "resources": ${JSON.stringify(extract.resources)},\n  "bodies": {\n${lines.join(',\n')}\n  }\n}\n`);
console.log(`${typesPath}: ${extract.resources.length} resource types, ${lines.length} bodies. Without types: ${[...wanted].filter((key) => !found.has(key)).join(', ') || 'none'}`);
