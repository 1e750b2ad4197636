/** The messages of the built-in kinds, read from `fields.json` (made by `generate.ts`). */
import facts from './fields.json' with { type: 'json' };

export interface Field {
  /** The field's name in JSON. */
  readonly name: string;
  /** A scalar's name, or a message's as in `messages`. */
  readonly type: string;
  readonly isRepeated: boolean;
  readonly isMap: boolean;
  /** The message's fields stand in its parent in JSON. */
  readonly isInline: boolean;
  /** Go has a pointer: what was not set is not written, so that what is written counts, though it be zero. */
  readonly isPointer: boolean;
  /** Go writes it to JSON though it be zero. */
  readonly keepsZero: boolean;
}
export type Message = ReadonlyMap<number, Field>;

const KINDS = new Map<string, string>(Object.entries(facts.kinds));
const LISTS = new Map<string, string>(Object.entries(facts.lists));
const RAW_MESSAGES = new Map<string, Readonly<Record<string, readonly string[]>>>(Object.entries(facts.messages));
const messages = new Map<string, Message>();

/** The message of a kind; `apiVersion` as in objects. Kinds of meta/v1, such as DeleteOptions, come under any version. */
export function messageOfKind(apiVersion: string, kind: string): string | undefined {
  return KINDS.get(`${apiVersion}/${kind}`) ?? KINDS.get(`*/${kind}`);
}

/** For a message that stands for a plain array, such as ExtraValue: the type of its items. */
export function itemTypeOf(message: string): string | undefined {
  return LISTS.get(message);
}

export function messageNamed(name: string): Message {
  const known = messages.get(name);
  if (known) return known;
  const fields = Object.entries(RAW_MESSAGES.get(name) ?? {}).map(([number, [json = '', type = '', flags = '']]) => {
    const field: Field = {
      name: json,
      type,
      isRepeated: flags.includes('r'),
      isMap: flags.includes('m'),
      isInline: flags.includes('i'),
      isPointer: flags.includes('p'),
      keepsZero: flags.includes('k'),
    };
    return [Number(number), field] as const;
  });
  const message = new Map(fields);
  messages.set(name, message);
  return message;
}
