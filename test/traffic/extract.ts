import type { AzureType, Members } from './azure-type';
import { isMembers, type Shape } from './shape';

interface Ref { readonly $ref: string }
interface Property { readonly type: Ref; readonly flags: number }
/** An entry of a types.json of Bicep's (bicep-types, src/Bicep.Types/Concrete). */
export type BicepType =
  | { readonly $type: 'StringType' | 'IntegerType' | 'BooleanType' | 'AnyType' | 'NullType' | 'BuiltInType' }
  | { readonly $type: 'StringLiteralType'; readonly value: string }
  | { readonly $type: 'UnionType'; readonly elements: readonly Ref[] }
  | { readonly $type: 'ArrayType'; readonly itemType: Ref }
  | { readonly $type: 'ObjectType'; readonly properties: Readonly<Record<string, Property>>; readonly additionalProperties?: Ref }
  | { readonly $type: 'DiscriminatedObjectType'; readonly discriminator: string; readonly baseProperties: Readonly<Record<string, Property>>; readonly elements: Readonly<Record<string, Ref>> }
  | { readonly $type: 'ResourceType'; readonly name: string; readonly body: Ref }
  | { readonly $type: 'ResourceFunctionType'; readonly name: string; readonly resourceType: string; readonly apiVersion: string; readonly input?: Ref };

/** Bicep's ObjectTypePropertyFlags. */
const REQUIRED = 1;
const READ_ONLY = 2;
const MAX_WORDS = 60;

/** What a resource's address says already: clients do not repeat it in the body. */
const ofTheAddress = ['id', 'name', 'type', 'apiVersion'];

/** The type of a body at `index`, as far as the recorded `shape` goes into it. */
export function extractType(types: readonly BicepType[], ref: Ref, shape: Shape | undefined, isResource = false): AzureType {
  if (shape === undefined) return 'unread';
  const type = types[Number(ref.$ref.split('/').at(-1))];
  if (!type) throw new Error(`There is no type ${ref.$ref}`);
  switch (type.$type) {
    case 'StringType': return 'string';
    case 'IntegerType': return 'integer';
    case 'BooleanType': return 'boolean';
    case 'AnyType': return 'any';
    case 'StringLiteralType': return { words: [type.value] };
    case 'UnionType': return union(types, type.elements);
    case 'ArrayType': return { each: extractType(types, type.itemType, Array.isArray(shape) ? (shape as readonly Shape[])[0] : undefined) };
    case 'ObjectType': return {
      members: members(types, type.properties, shape, isResource),
      ...(type.additionalProperties && { others: shape === 'map' ? extractType(types, type.additionalProperties, 'string') : 'unread' as const }),
    };
    case 'DiscriminatedObjectType': return {
      by: type.discriminator, members: members(types, type.baseProperties, shape, isResource),
      cases: Object.fromEntries(Object.entries(type.elements).map(([word, element]) => [word, extractType(types, element, shape)])),
    };
    case 'NullType':
    case 'BuiltInType':
    case 'ResourceType':
    case 'ResourceFunctionType': throw new Error(`${JSON.stringify(type)} is no type of a body`);
  }
}

function members(types: readonly BicepType[], properties: Readonly<Record<string, Property>>, shape: Shape, isResource: boolean): Members['members'] {
  const given = isMembers(shape) ? shape : {};
  return Object.fromEntries(Object.entries(properties).filter(([name]) => !(isResource && ofTheAddress.includes(name))).map(([name, { type, flags }]) => {
    const mark = flags & READ_ONLY ? '^' : flags & REQUIRED ? '!' : '';
    return [`${name}${mark}`, extractType(types, type, given[name] ?? given[`${name}?`])];
  }));
}

function union(types: readonly BicepType[], elements: readonly Ref[]): AzureType {
  const each = elements.map((element) => types[Number(element.$ref.split('/').at(-1))]);
  const words = each.flatMap((one) => (one?.$type === 'StringLiteralType' ? [one.value] : [])).sort();
  if (each.some((one) => one?.$type !== 'StringLiteralType' && one?.$type !== 'StringType')) throw new Error(`A union of more than words: ${JSON.stringify(each)}`);
  // So many are no words of a language but names, of sizes of machines for instance, and never all of them.
  if (words.length > MAX_WORDS && words.length < each.length) return 'string';
  return { words, ...(words.length < each.length ? { open: true as const } : {}) };
}
