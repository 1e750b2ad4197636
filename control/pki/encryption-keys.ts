/**
 * The keys under which Secrets lie in the store: `DIR/encryption-keys.json`, the same on every master. A set only grows, and
 * its active key only moves on, so two sets can always be put together: whoever hears of another's keys takes them over.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writePrivately } from './files.ts';

const KEY_BYTES = 32;
const ID_BYTES = 6;
/** Old keys are needed for old snapshots only; a set this large means that something makes keys without end. */
const KEYS_MAX = 1_000;

const keySchema = z.object({
  /** Stands in front of every value that it encrypted. */
  id: z.string().regex(/^[0-9a-f]{12}$/),
  /** Later keys have higher ones. */
  generation: z.number().int().positive(),
  /** 32 bytes for AES-256-GCM, in base64. */
  secret: z.string().refine(text => Buffer.from(text, 'base64').length === KEY_BYTES, 'must be 32 bytes in base64'),
  createdAt: z.iso.datetime(),
});
export const encryptionKeysSchema = z.object({
  keys: z.array(keySchema).max(KEYS_MAX),
  /** The key that encrypts what is written; null for none yet. */
  active: z.string().nullable(),
});
export type EncryptionKey = z.infer<typeof keySchema>;
export type EncryptionKeys = z.infer<typeof encryptionKeysSchema>;

export const NO_KEYS: EncryptionKeys = { keys: [], active: null };

export function encryptionKeysFile(dataDir: string): string {
  return join(dataDir, 'encryption-keys.json');
}

/** A new key that comes after all of `keys`. */
export function createEncryptionKey({ keys }: EncryptionKeys, nowMs: number): EncryptionKey {
  return {
    id: randomBytes(ID_BYTES).toString('hex'),
    generation: Math.max(0, ...keys.map(({ generation }) => generation)) + 1,
    secret: randomBytes(KEY_BYTES).toString('base64'),
    createdAt: new Date(nowMs).toISOString(),
  };
}

/** What a new cluster begins with. */
export function createEncryptionKeys(nowMs: number): EncryptionKeys {
  const key = createEncryptionKey(NO_KEYS, nowMs);
  return { keys: [key], active: key.id };
}

/** Everything that either knows. Order does not matter, and merging twice changes nothing. */
export function mergeEncryptionKeys(one: EncryptionKeys, other: EncryptionKeys): EncryptionKeys {
  const byId = new Map([...one.keys, ...other.keys].map(key => [key.id, key]));
  const keys = [...byId.values()].sort(inOrder);
  const active = keys.findLast(({ id }) => id === one.active || id === other.active);
  return { keys, active: active?.id ?? null };
}

/** The key that is everywhere but not in use yet: what an interrupted rotation left. Undefined if there is none. */
export function pendingKey({ keys, active }: EncryptionKeys): EncryptionKey | undefined {
  const last = [...keys].sort(inOrder).at(-1);
  return last?.id === active ? undefined : last;
}

function inOrder(a: EncryptionKey, b: EncryptionKey): number {
  return a.generation - b.generation || (a.id < b.id ? -1 : Number(a.id > b.id));
}

/** Undefined where there is no file. @throws Error with a sentence if it cannot be used */
export async function loadEncryptionKeys(file: string): Promise<EncryptionKeys | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const parsed = encryptionKeysSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new Error(`${file} does not hold encryption keys: restore it from another master’s data directory`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export async function saveEncryptionKeys(file: string, keys: EncryptionKeys): Promise<void> {
  await writePrivately(file, `${JSON.stringify(keys, undefined, 2)}\n`);
}

/** The set of one master: on disk before it is in use. */
export class EncryptionKeyRing {
  readonly #file: string;
  readonly #onChange: (keys: EncryptionKeys) => void;
  #current: EncryptionKeys;
  /** One change after the other. */
  #saving: Promise<unknown> = Promise.resolve();

  private constructor(file: string, current: EncryptionKeys, onChange: (keys: EncryptionKeys) => void) {
    this.#file = file;
    this.#current = current;
    this.#onChange = onChange;
  }

  /** Reads the file; without one the ring is empty. `onChange` hears of every set from the first on. */
  static async open(file: string, onChange: (keys: EncryptionKeys) => void): Promise<EncryptionKeyRing> {
    const current = (await loadEncryptionKeys(file)) ?? NO_KEYS;
    onChange(current);
    return new EncryptionKeyRing(file, current, onChange);
  }

  get current(): EncryptionKeys {
    return this.#current;
  }

  /** Takes over what another knows. Durable when it resolves; resolves with all that this master knows then. */
  merge(other: EncryptionKeys): Promise<EncryptionKeys> {
    const merged = this.#saving.then(async () => {
      const next = mergeEncryptionKeys(this.#current, other);
      if (next.active === this.#current.active && next.keys.length === this.#current.keys.length) return this.#current;
      await saveEncryptionKeys(this.#file, next);
      this.#current = next;
      this.#onChange(next);
      return next;
    });
    this.#saving = merged.catch(() => {});
    return merged;
  }
}
