/**
 * An EncryptionConfiguration of Kubernetes (`apiserver.config.k8s.io/v1`), read into rules: several lists of resources, each
 * with its providers in order. The first provider writes, all may read. Keys of a KMS are not there, and said to be not.
 */
import { parse } from 'yaml';
import { z } from 'zod';
import type { Rule } from './encryption.ts';
import { aesCbc, aesGcm, identity, type Provider, secretBox } from './providers.ts';

/** The file cannot be used; `message` says where and why. */
export class EncryptionConfigurationError extends Error {
  override readonly name = 'EncryptionConfigurationError';
  readonly code = 'ENCRYPTION_CONFIGURATION';
  /** A master must not be started again with it. */
  readonly exitCode = 3;
}

const keySchema = z.strictObject({
  name: z.string().regex(/^[^:]+$/, 'must be there and have no colon'),
  secret: z.base64('must be base64'),
});
const keysSchema = z.strictObject({ keys: z.array(keySchema).min(1, 'must name at least one key') });
const providerSchema = z.strictObject({
  aesgcm: keysSchema.optional(),
  aescbc: keysSchema.optional(),
  secretbox: keysSchema.optional(),
  identity: z.strictObject({}).optional(),
  kms: z.unknown().optional(),
});
const schema = z.strictObject({
  apiVersion: z.enum(['apiserver.config.k8s.io/v1', 'v1']),
  kind: z.literal('EncryptionConfiguration'),
  resources: z
    .array(
      z.strictObject({
        resources: z.array(z.string().min(1)).min(1, 'must name at least one resource'),
        providers: z.array(providerSchema).min(1, 'must name at least one provider'),
      }),
    )
    .min(1, 'must have at least one entry'),
});
type Keys = z.infer<typeof keysSchema>;

const AES_KEY_BYTES = [16, 24, 32];
const SECRETBOX_KEY_BYTES = [32];

/** Reads the text of such a file, YAML or JSON. @throws EncryptionConfigurationError */
export function readEncryptionConfiguration(text: string): readonly Rule[] {
  let document: unknown;
  try {
    document = parse(text, { maxAliasCount: 0 });
  } catch (error) {
    throw new EncryptionConfigurationError(`it is not YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
  const parsed = schema.safeParse(document);
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'file'}: ${message}`);
    throw new EncryptionConfigurationError(issues.join('; '));
  }
  return parsed.data.resources.map(({ resources, providers }, entry) => ({
    resources: resources.map(canonical),
    providers: providers.flatMap((provider, index) => providersOf(provider, `resources.${entry}.providers.${index}`)),
  }));
}

/** `*.` is the core group; a trailing dot there means the same as none elsewhere. */
function canonical(resource: string): string {
  return resource.startsWith('*') ? resource : resource.replace(/\.$/, '');
}

function providersOf(provider: z.infer<typeof providerSchema>, place: string): readonly Provider[] {
  const named = Object.entries(provider).filter(([, value]) => value !== undefined);
  if (named.length !== 1) throw new EncryptionConfigurationError(`${place}: must name exactly one provider`);
  if (provider.kms !== undefined) {
    throw new EncryptionConfigurationError(
      `${place}: kms is not supported: use aesgcm, secretbox or aescbc with keys in this file, or leave the flag out, and the masters keep keys of their own`,
    );
  }
  const { aesgcm, aescbc, secretbox } = provider;
  if (aesgcm) return keyed(aesgcm, { make: aesGcm, sizes: AES_KEY_BYTES, place: `${place}.aesgcm` });
  if (aescbc) return keyed(aescbc, { make: aesCbc, sizes: AES_KEY_BYTES, place: `${place}.aescbc` });
  if (secretbox) return keyed(secretbox, { make: secretBox, sizes: SECRETBOX_KEY_BYTES, place: `${place}.secretbox` });
  return [identity];
}

function keyed(
  { keys }: Keys,
  options: {
    readonly make: (name: string, key: Buffer) => Provider;
    readonly sizes: readonly number[];
    readonly place: string;
  },
): readonly Provider[] {
  const { make, sizes, place } = options;
  if (new Set(keys.map(({ name }) => name)).size !== keys.length) {
    throw new EncryptionConfigurationError(`${place}.keys: two keys have the same name`);
  }
  return keys.map(({ name, secret }, index) => {
    const key = Buffer.from(secret, 'base64');
    if (!sizes.includes(key.length)) {
      const wanted = sizes.join(', ').replace(/, (\d+)$/, ' or $1');
      throw new EncryptionConfigurationError(
        `${place}.keys.${index}.secret: has ${key.length} bytes, and must have ${wanted}`,
      );
    }
    return make(name, key);
  });
}
