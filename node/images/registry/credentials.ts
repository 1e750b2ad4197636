/**
 * Who a registry is spoken to as: pull secrets in the forms of Kubernetes (`kubernetes.io/dockerconfigjson` and
 * `kubernetes.io/dockercfg`), and which of them is for an image. Pure.
 */
import { z } from 'zod';
import { parseImageReference } from '../../runtime/image-reference.ts';
import type { RegistryCredentials } from '../../runtime/runtime.ts';

const entrySchema = z.object({
  username: z.string().optional(),
  password: z.string().optional(),
  auth: z.string().optional(),
  identitytoken: z.string().optional(),
});
const entriesSchema = z.record(z.string(), entrySchema);
const configSchema = z.object({ auths: entriesSchema });

/** Reads a pull secret's data (base64, as the API has it). What is not one gives nothing. */
export function credentialsOf(data: Readonly<Record<string, string>> | undefined): readonly RegistryCredentials[] {
  const text = (key: string) => {
    const value = data?.[key];
    return value === undefined ? undefined : Buffer.from(value, 'base64').toString();
  };
  const config = parse(configSchema, text('.dockerconfigjson'))?.auths ?? parse(entriesSchema, text('.dockercfg'));
  return Object.entries(config ?? {}).map(([registry, entry]) => ({ registry, ...namesOf(entry) }));
}

/** Those for an image, the most particular first: the keys may have `*` for parts of the host's name, ports and paths. */
export function matchCredentials(
  reference: string,
  all: readonly RegistryCredentials[],
): readonly RegistryCredentials[] {
  const { registry, repository } = parseImageReference(reference);
  return all
    .filter(one => matches(one.registry, registry, repository))
    .toSorted((left, right) => right.registry.length - left.registry.length);
}

/** User and password out of `auth`, which is what tools write, or as given. */
export function namesOf(entry: z.infer<typeof entrySchema>): Omit<RegistryCredentials, 'registry'> {
  const { username, password, auth, identitytoken } = entry;
  const decoded = Buffer.from(auth ?? '', 'base64').toString();
  const colon = decoded.indexOf(':');
  const pair = colon > 0 ? { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) } : {};
  return {
    ...pair,
    ...(username !== undefined && username !== '' && { username }),
    ...(password !== undefined && password !== '' && { password }),
    ...(identitytoken !== undefined && identitytoken !== '' && { identityToken: identitytoken }),
  };
}

function matches(pattern: string, registry: string, repository: string): boolean {
  const bare = pattern.replace(/^https?:\/\//, '');
  const slash = bare.indexOf('/');
  const host = slash === -1 ? bare : bare.slice(0, slash);
  // `/v1/` and `/v2/` are the registry's interface, not a part of names.
  const path = (slash === -1 ? '' : bare.slice(slash)).replace(/^\/v[12]\/?/, '/');
  const hub = new Set(['index.docker.io', 'registry-1.docker.io', 'docker.io']);
  const isHost = hub.has(host) ? registry === 'docker.io' : matchesHost(host, registry);
  return isHost && `/${repository}`.startsWith(path);
}

/** Part by part, so that `*.a.io` does not match `b.c.a.io`; ports must be the same. */
function matchesHost(pattern: string, host: string): boolean {
  const [patternName = '', patternPort] = pattern.split(':');
  const [hostName = '', hostPort] = host.split(':');
  const patterns = patternName.split('.');
  const names = hostName.split('.');
  if (patternPort !== hostPort || patterns.length !== names.length) return false;
  return patterns.every((part, index) => {
    const expression = part.replaceAll(/[^\w*-]/g, '').replaceAll('*', '.*');
    return new RegExp(`^${expression}$`).test(names[index] ?? '');
  });
}

function parse<T>(schema: z.ZodType<T>, text: string | undefined): T | undefined {
  if (text === undefined) return undefined;
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
