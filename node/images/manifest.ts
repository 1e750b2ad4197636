/** Documents of images: manifests, indexes and configurations (OCI Image Specification 1.1, Docker's schema 2). Pure. */
import { z } from 'zod';
import { ImageError } from './errors.ts';
import { layersMax } from './limits.ts';

const digestSchema = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'only digests of sha256 are supported');
const platformSchema = z.object({
  architecture: z.string(),
  os: z.string(),
  variant: z.string().optional(),
});
const descriptorSchema = z.object({
  mediaType: z.string().default(''),
  digest: digestSchema,
  size: z.number().int().nonnegative(),
  platform: platformSchema.optional(),
  annotations: z.record(z.string(), z.string()).nullish(),
});
const manifestSchema = z.object({ config: descriptorSchema, layers: z.array(descriptorSchema).max(layersMax) });
const indexSchema = z.object({ manifests: z.array(descriptorSchema) });
const strings = z
  .array(z.string())
  .nullish()
  .transform(list => list ?? []);
const configSchema = z.object({
  architecture: z.string().optional(),
  os: z.string().optional(),
  config: z
    .object({
      User: z.string().nullish(),
      Env: strings,
      Entrypoint: strings,
      Cmd: strings,
      WorkingDir: z.string().nullish(),
      StopSignal: z.string().nullish(),
      Volumes: z.record(z.string(), z.unknown()).nullish(),
    })
    .nullish(),
  rootfs: z.object({ diff_ids: z.array(digestSchema).max(layersMax) }),
});

export type Descriptor = z.infer<typeof descriptorSchema>;
export type Manifest = z.infer<typeof manifestSchema>;
/** What a container takes from its image. */
export interface ImageConfig {
  readonly user: string;
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly workingDir: string;
  readonly stopSignal: string;
  readonly volumes: readonly string[];
  /** Digests of the unpacked layers, the lowest first. */
  readonly diffIds: readonly string[];
}

/** The types that a registry is asked for. */
export const manifestTypes: readonly string[] = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];

/** A manifest, or an index of such. Throws {@link ImageError}. */
export function parseManifest(
  text: string,
): { readonly manifest: Manifest } | { readonly index: readonly Descriptor[] } {
  const value = json(text);
  if (z.object({ schemaVersion: z.literal(1) }).safeParse(value).success) {
    throw new ImageError(
      'the image has a manifest of schema 1, which is not supported: push it again with a newer tool',
    );
  }
  const index = indexSchema.safeParse(value);
  if (index.success) return { index: index.data.manifests };
  return { manifest: parsed(manifestSchema, value, 'manifest') };
}

/** Throws {@link ImageError}. */
export function parseConfig(text: string): ImageConfig {
  const { config, rootfs } = parsed(configSchema, json(text), 'configuration');
  return {
    user: config?.User ?? '',
    env: config?.Env ?? [],
    entrypoint: config?.Entrypoint ?? [],
    command: config?.Cmd ?? [],
    workingDir: config?.WorkingDir ?? '',
    stopSignal: config?.StopSignal ?? '',
    volumes: Object.keys(config?.Volumes ?? {}),
    diffIds: rootfs.diff_ids,
  };
}

export interface Platform {
  readonly architecture: 'amd64' | 'arm64';
}

/** The entry for this machine; without a platform an entry is taken only where there is no other. Throws {@link ImageError}. */
export function choosePlatform(index: readonly Descriptor[], { architecture }: Platform): Descriptor {
  const fits = ({ platform }: Descriptor) =>
    platform?.os === 'linux' &&
    platform.architecture === architecture &&
    (platform.variant === undefined || platform.variant === (architecture === 'arm64' ? 'v8' : 'v1'));
  const found = index.find(fits) ?? (index.length === 1 && index[0]?.platform === undefined ? index[0] : undefined);
  if (found === undefined) throw new ImageError(`no match for platform linux/${architecture} in manifest: not found`);
  return found;
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ImageError('a document of the image is not JSON', { cause: error });
  }
}

function parsed<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new ImageError(`the image's ${what} is not valid: ${issue?.path.join('.')}: ${issue?.message}`);
}
