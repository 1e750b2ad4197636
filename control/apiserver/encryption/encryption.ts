/**
 * Which values are encrypted, and with what: a list of rules, each for some resources, with the providers that may read
 * them. The first provider of a rule writes. Kinds without a rule lie in clear text.
 */
import { REGISTRY } from '../cache/watch-cache.ts';
import { aesGcm, ENCRYPTED_PREFIX, identity, isEncrypted, type Provider, startsWith } from './providers.ts';

export interface Rule {
  /** `secrets`, `deployments.apps`, `*.apps`, `*.` for the core group, `*.*` for all. */
  readonly resources: readonly string[];
  /** Never empty. */
  readonly providers: readonly Provider[];
}

/** A value was encrypted under a key that this master does not have. Another one may. */
export class UnknownKeyError extends Error {
  override readonly name = 'UnknownKeyError';
  readonly code = 'ENCRYPTION_KEY_UNKNOWN';
  constructor(key: string, value: Uint8Array) {
    super(`${key} is encrypted with ${labelOf(value)}, and this master has no such key`);
  }
}
/** A value does not open with the key that it names: it was damaged, or moved from another place. */
export class DamagedValueError extends Error {
  override readonly name = 'DamagedValueError';
  readonly code = 'ENCRYPTION_VALUE_DAMAGED';
  constructor(key: string, value: Uint8Array, cause?: unknown) {
    super(`${key} does not open with ${labelOf(value)}: the stored value is damaged`, { cause });
  }
}

/** A key of the masters' own, as it is kept in their data directories. */
export interface OwnKey {
  readonly id: string;
  readonly secret: string;
}

/** What {@link labelOf} says of a value that is not encrypted. */
export const CLEAR_TEXT = 'clear text';
const OWN_RESOURCES = ['secrets'] as const;
/** Where the values of {@link ownRules} lie. */
export const OWN_PREFIXES = [`${REGISTRY}core/secrets/`] as const;

/** The rules where no file says otherwise: Secrets under the active key. Without any key yet they lie in clear text. */
export function ownRules(keys: readonly OwnKey[], active: string | null): readonly Rule[] {
  const ordered = [...keys].sort((a, b) => Number(b.id === active) - Number(a.id === active));
  const providers = ordered.map(({ id, secret }) => aesGcm(id, Buffer.from(secret, 'base64')));
  return [
    { resources: OWN_RESOURCES, providers: active === null ? [identity, ...providers] : [...providers, identity] },
  ];
}

/** Encrypts and decrypts by the rules of the moment. Pure but for the nonces. */
export class Encryption {
  #rules: readonly Rule[] = [];
  /** By `GROUP/RESOURCE`; undefined for clear text. */
  #byResource = new Map<string, readonly Provider[] | undefined>();

  constructor(rules: readonly Rule[]) {
    this.use(rules);
  }

  /** Goes by these rules from now on. */
  use(rules: readonly Rule[]): void {
    this.#rules = rules;
    this.#byResource = new Map();
  }

  /** What to store. */
  seal(key: string, value: Uint8Array): Uint8Array {
    const provider = this.#providersOf(key)?.[0];
    return provider === undefined || provider === identity ? value : provider.seal(value, key);
  }

  /** What was sealed. @throws UnknownKeyError DamagedValueError */
  open(key: string, value: Uint8Array): Uint8Array {
    const isSealed = isEncrypted(value);
    const providers = this.#providersOf(key);
    if (!isSealed && (providers === undefined || providers.includes(identity))) return value;
    if (!isSealed) throw new UnknownKeyError(key, value);
    const provider = providers?.find(({ prefix }) => prefix.length > 0 && startsWith(value, prefix));
    if (!provider) throw new UnknownKeyError(key, value);
    try {
      return provider.open(value.subarray(provider.prefix.length), key);
    } catch (error) {
      throw new DamagedValueError(key, value, error);
    }
  }

  /** True if writing the value again would not change how it lies in the store. */
  isCurrent(key: string, value: Uint8Array): boolean {
    const provider = this.#providersOf(key)?.[0] ?? identity;
    return provider === identity ? !isEncrypted(value) : startsWith(value, provider.prefix);
  }

  /** Under what a value of this key is written now: `aesgcm NAME`, or `clear text`. */
  writesUnder(key: string): string {
    const provider = this.#providersOf(key)?.[0] ?? identity;
    return provider === identity ? CLEAR_TEXT : labelOf(provider.prefix);
  }

  #providersOf(key: string): readonly Provider[] | undefined {
    if (!key.startsWith(REGISTRY)) return undefined;
    const end = key.indexOf('/', key.indexOf('/', REGISTRY.length) + 1);
    const place = key.slice(REGISTRY.length, end < 0 ? undefined : end);
    if (!this.#byResource.has(place)) this.#byResource.set(place, this.#find(place));
    return this.#byResource.get(place);
  }

  #find(place: string): readonly Provider[] | undefined {
    const [stored = '', resource = ''] = place.split('/');
    const group = stored === 'core' ? '' : stored;
    const names = new Set([group ? `${resource}.${group}` : resource, `${resource}.${group}`, `*.${group}`, '*.*']);
    return this.#rules.find(({ resources }) => resources.some(name => names.has(name)))?.providers;
  }
}

/** What a value says of its key: `aesgcm NAME`. */
export function labelOf(value: Uint8Array): string {
  if (!isEncrypted(value)) return CLEAR_TEXT;
  const head = Buffer.from(value.buffer, value.byteOffset, Math.min(value.length, LABEL_BYTES_MAX));
  const [provider = '', , name = ''] = head.subarray(ENCRYPTED_PREFIX.length).toString('latin1').split(':');
  return `${provider} ${name}`;
}
const LABEL_BYTES_MAX = 300;
