import type { ObjectInfo } from '../../../vault/store/store';

export interface Stored { readonly content: number; readonly epoch: number }
/** What is in the vault: names in order, and for each what was written, and when (0 where nobody ever looks at the time). */
export type Objects = ReadonlyMap<string, Stored>;

/** One call that an actor makes of its store. `content` is what a create writes. */
export interface Call { readonly operation: 'create' | 'read' | 'stat' | 'list' | 'listNames' | 'delete' | 'serverTimeMs'; readonly name: string; readonly content: number }
/** What a call answers: a value, or the name of the object that is missing. `key` tells it from every other answer to the same call. */
export type Answer = { readonly key: string; readonly value: unknown } | { readonly key: string; readonly missing: string };

export const callText = ({ operation, name, content }: Call): string => `${operation} ${name}${content < 0 ? '' : ` #${content}`}`;

export interface VaultRules {
  /** What the store's clock says, one after another, the first for what is old. */
  readonly epochsMs: readonly number[];
  /** Names whose time of writing somebody looks at. To look at another's fails the exploration. */
  readonly isTimed: (name: string) => boolean;
  /** What tells apart two contents under a name. Contents that are alike here are one, with the bytes that were met first: nonces and what hangs on them are drawn once. */
  readonly meaningOf: (name: string, data: Buffer) => string;
}

/** The contents of objects, each by a number. */
export class Contents {
  private readonly all: Buffer[] = [];
  private readonly byMeaning = new Map<string, number>();

  constructor(private readonly meaningOf: VaultRules['meaningOf']) {}

  add(name: string, data: Buffer): number {
    const meaning = `${name} ${this.meaningOf(name, data)}`;
    const known = this.byMeaning.get(meaning);
    if (known !== undefined) return known;
    this.byMeaning.set(meaning, this.all.length);
    return this.all.push(data) - 1;
  }

  of(content: number): Buffer {
    return this.all[content] as Buffer;
  }
}

/** What a call makes of the vault, and what it answers. Pure. The same objects when nothing changed. */
export function perform(objects: Objects, epoch: number, { operation, name, content }: Call, contents: Contents, { epochsMs, isTimed }: VaultRules): { objects: Objects; answer: Answer } {
  const info = (one: string, stored: Stored): ObjectInfo => ({
    name: one, sizeBytes: contents.of(stored.content).length,
    get modifiedAtMs(): number {
      if (!isTimed(one)) throw new Error(`somebody looked at the time of ${one}, which is said to matter to nobody`);
      return epochsMs[stored.epoch] as number;
    },
  });
  const infoKey = (one: string, stored: Stored): string => `${one}.${contents.of(stored.content).length}.${stored.epoch}`;
  const there = objects.get(name);
  switch (operation) {
    case 'serverTimeMs': return { objects, answer: { key: String(epoch), value: epochsMs[epoch] } };
    case 'read': return { objects, answer: there ? { key: `#${there.content}`, value: contents.of(there.content) } : { key: '-', missing: name } };
    case 'stat': return { objects, answer: there ? { key: infoKey(name, there), value: info(name, there) } : { key: '-', value: undefined } };
    case 'list': {
      const found = [...objects].filter(([one]) => one.startsWith(name));
      return { objects, answer: { key: found.map(([one, stored]) => infoKey(one, stored)).join(' '), value: found.map(([one, stored]) => info(one, stored)) } };
    }
    case 'listNames': {
      const found = [...objects.keys()].filter((one) => one.startsWith(name));
      return { objects, answer: { key: found.join(' '), value: found } };
    }
    case 'delete':
      if (!there) return { objects, answer: { key: 'absent', value: 'absent' } };
      return { objects: new Map([...objects].filter(([one]) => one !== name)), answer: { key: 'deleted', value: 'deleted' } };
    case 'create': {
      if (there) return { objects, answer: { key: 'exists', value: 'exists' } };
      const more = new Map([...objects, [name, { content, epoch: isTimed(name) ? epoch : 0 }] as const].sort(([a], [b]) => (a < b ? -1 : 1)));
      return { objects: more, answer: { key: 'created', value: 'created' } };
    }
  }
}
