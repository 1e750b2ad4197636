/**
 * What files a ConfigMap, Secret, downward API or projected volume holds, computed purely from the objects it names.
 */
import { posix } from 'node:path';
import type { ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, Secret, Volume, VolumeProjection } from '../api.ts';
import { PROJECTED_BYTES_MAX } from '../limits.ts';
import { ConfigError, type EnvironmentContext, fieldValue, resourceValue } from '../pods/environment.ts';

export interface FileContent {
  readonly bytes: Uint8Array;
  readonly mode: number;
  /** User that the file belongs to; the agent's if not given. */
  readonly owner?: number;
}
/** By path relative to the volume's root. */
export type Payload = ReadonlyMap<string, FileContent>;

/** Objects that a volume needs, already fetched; undefined where there is none. */
export interface VolumeSources {
  configMap(name: string): ConfigMap | undefined;
  secret(name: string): Secret | undefined;
  /** A token for the pod's service account; was asked for before. */
  token(audience: string, expirationSeconds: number): string;
}
export type DownwardContext = Pick<
  EnvironmentContext,
  'pod' | 'podIP' | 'podIPs' | 'hostIP' | 'hostIPs' | 'nodeName' | 'allocatable'
>;

/** A volume cannot be made. Shown to users behind `MountVolume.SetUp failed for volume "…" : `. */
export class VolumeError extends Error {
  override readonly name = 'VolumeError';
  readonly code = 'NODE_VOLUME';
  readonly volume: string;
  /** What failed, in the kubelet's words. */
  readonly operation: string;

  constructor(volume: string, message: string, options: ErrorOptions & { readonly operation?: string } = {}) {
    super(message, options);
    this.volume = volume;
    this.operation = options.operation ?? 'MountVolume.SetUp';
  }
}

const DEFAULT_MODE = 0o644;
const TOKEN_SECONDS_DEFAULT = 3600;

/** True for volumes whose content comes from the API and is kept up to date. */
export function isProjected({ configMap, secret, downwardAPI, projected }: Volume): boolean {
  return Boolean(configMap || secret || downwardAPI || projected);
}

/** True for volumes whose content must not reach the node's disk. */
export function holdsSecrets(volume: Volume): boolean {
  return projectionsOf(volume).sources.some(({ secret, serviceAccountToken }) => secret || serviceAccountToken);
}

/** One volume as a list of projections: the four kinds differ only in where the mode stands. */
function projectionsOf(volume: Volume): {
  readonly sources: readonly VolumeProjection[];
  readonly mode: number;
} {
  const { configMap, secret, downwardAPI, projected } = volume;
  if (configMap) return { sources: [{ configMap }], mode: configMap.defaultMode ?? DEFAULT_MODE };
  if (secret) {
    const { secretName, items, optional, defaultMode } = secret;
    const source = { ...(secretName && { name: secretName }), ...(items && { items }), ...(optional && { optional }) };
    return { sources: [{ secret: source }], mode: defaultMode ?? DEFAULT_MODE };
  }
  if (downwardAPI) return { sources: [{ downwardAPI }], mode: downwardAPI.defaultMode ?? DEFAULT_MODE };
  return { sources: projected?.sources ?? [], mode: projected?.defaultMode ?? DEFAULT_MODE };
}

/** Names that {@link makePayload} will ask for, so that they can be fetched first. */
export function needsOf(volume: Volume): {
  readonly configMaps: readonly string[];
  readonly secrets: readonly string[];
  readonly tokens: readonly { readonly audience: string; readonly expirationSeconds: number }[];
} {
  const { sources } = projectionsOf(volume);
  return {
    configMaps: sources.flatMap(({ configMap }) => (configMap?.name ? [configMap.name] : [])),
    secrets: sources.flatMap(({ secret }) => (secret?.name ? [secret.name] : [])),
    tokens: sources.flatMap(({ serviceAccountToken: token }) =>
      token
        ? [{ audience: token.audience ?? '', expirationSeconds: token.expirationSeconds ?? TOKEN_SECONDS_DEFAULT }]
        : [],
    ),
  };
}

/** The files of the volume. Throws {@link VolumeError} if something that is not optional is missing. */
export function makePayload(volume: Volume, sources: VolumeSources, context: DownwardContext): Payload {
  const { sources: projections, mode } = projectionsOf(volume);
  const files = new Map<string, FileContent>();
  for (const projection of projections) {
    const add: Add = (path, bytes, fileMode, owner) =>
      files.set(safePath(volume.name, path), {
        bytes,
        mode: fileMode ?? mode,
        ...(owner !== undefined && { owner }),
      });
    addProjection(add, { volume, projection, sources, context });
  }
  const size = [...files.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
  if (size > PROJECTED_BYTES_MAX)
    throw new VolumeError(volume.name, `its content is larger than ${PROJECTED_BYTES_MAX} bytes`);
  return files;
}

type Add = (path: string, bytes: Uint8Array, mode: number | undefined, owner?: number) => void;
interface Projecting {
  readonly volume: Volume;
  readonly projection: VolumeProjection;
  readonly sources: VolumeSources;
  readonly context: DownwardContext;
}

function addProjection(add: Add, { volume, projection, sources, context }: Projecting): void {
  const { configMap, secret, downwardAPI, serviceAccountToken } = projection;
  if (configMap) {
    const found = sources.configMap(configMap.name ?? '');
    if (!found && !configMap.optional) throw new VolumeError(volume.name, `configmap "${configMap.name}" not found`);
    const data = new Map<string, Uint8Array>();
    for (const [key, value] of Object.entries(found?.data ?? {})) data.set(key, Buffer.from(value));
    for (const [key, value] of Object.entries(found?.binaryData ?? {})) data.set(key, Buffer.from(value, 'base64'));
    addKeys(add, data, { volume, items: configMap.items, optional: configMap.optional, what: 'config' });
  }
  if (secret) {
    const found = sources.secret(secret.name ?? '');
    if (!found && !secret.optional) throw new VolumeError(volume.name, `secret "${secret.name}" not found`);
    const entries = Object.entries(found?.data ?? {});
    const data = new Map(entries.map(([key, value]) => [key, Buffer.from(value, 'base64')]));
    addKeys(add, data, { volume, items: secret.items, optional: secret.optional, what: 'secret' });
  }
  for (const item of downwardAPI?.items ?? [])
    add(item.path, Buffer.from(downwardValue(volume, item, context)), item.mode);
  if (serviceAccountToken) {
    const { audience = '', expirationSeconds = TOKEN_SECONDS_DEFAULT, path } = serviceAccountToken;
    // A token is its user's alone, where all containers run as one (kubelet: projected.go).
    const owner = commonUser(context.pod);
    const isNarrowed = owner !== undefined || context.pod.spec?.securityContext?.fsGroup !== undefined;
    add(path, Buffer.from(sources.token(audience, expirationSeconds)), isNarrowed ? 0o600 : undefined, owner);
  }
  if (projection.clusterTrustBundle)
    throw new VolumeError(volume.name, 'clusterTrustBundle sources are not supported by this node');
}

/** The user as which all containers of the pod run, if it is one and the spec says which. */
function commonUser({ spec }: Pod): number | undefined {
  const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  const users = containers.map(({ securityContext }) => securityContext?.runAsUser ?? spec?.securityContext?.runAsUser);
  return users.every(user => user === users[0]) ? users[0] : undefined;
}

function addKeys(
  add: Add,
  data: ReadonlyMap<string, Uint8Array>,
  at: { volume: Volume; items: readonly KeyToPath[] | undefined; optional: boolean | undefined; what: string },
): void {
  if (!at.items?.length) {
    for (const [key, bytes] of data) add(key, bytes, undefined);
    return;
  }
  for (const { key, path, mode } of at.items) {
    const bytes = data.get(key);
    if (bytes) add(path, bytes, mode);
    else if (!at.optional) throw new VolumeError(at.volume.name, `references non-existent ${at.what} key: ${key}`);
  }
}

function downwardValue(volume: Volume, item: DownwardAPIVolumeFile, context: DownwardContext): string {
  try {
    if (item.fieldRef) return fieldValue(item.fieldRef, context);
    return item.resourceFieldRef ? resourceValue(item.resourceFieldRef, context) : '';
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new VolumeError(volume.name, error.message, { cause: error });
  }
}

/** A path that stays below the volume's root and does not meet the links that updates use. */
function safePath(volume: string, path: string): string {
  const normal = posix.normalize(path);
  const isBad = posix.isAbsolute(normal) || normal === '.' || normal === '..' || normal.startsWith('..');
  if (isBad) throw new VolumeError(volume, `invalid path: ${path}`);
  return normal;
}
