/**
 * Mirrors, keys and authorities of registries: a file in the form of k3s' `registries.yaml`, so that one that works there
 * works here. Pure.
 */
import { parse } from 'yaml';
import { z } from 'zod';
import type { ImageReference } from '../../runtime/image-reference.ts';
import { ImageError } from '../errors.ts';
import { namesOf } from './credentials.ts';

const fileSchema = z.strictObject({
  mirrors: z
    .record(
      z.string(),
      z.strictObject({
        endpoint: z.array(z.string()).optional(),
        rewrite: z.record(z.string(), z.string()).optional(),
      }),
    )
    .nullish(),
  configs: z
    .record(
      z.string(),
      z.strictObject({
        auth: z
          .strictObject({
            username: z.string().optional(),
            password: z.string().optional(),
            auth: z.string().optional(),
            identity_token: z.string().optional(),
          })
          .nullish(),
        tls: z
          .strictObject({
            ca_file: z.string().optional(),
            cert_file: z.string().optional(),
            key_file: z.string().optional(),
            insecure_skip_verify: z.boolean().optional(),
          })
          .nullish(),
      }),
    )
    .nullish(),
});
export type RegistriesConfig = z.infer<typeof fileSchema>;

/** Where an image may be had. */
export interface Endpoint {
  readonly url: URL;
  readonly repository: string;
  /** Of the image; a mirror is told, for it may serve many. */
  readonly registry: string;
  readonly isMirror: boolean;
}
export interface EndpointSettings {
  readonly credentials:
    | { readonly username?: string; readonly password?: string; readonly identityToken?: string }
    | undefined;
  readonly tls: {
    readonly caFile?: string;
    readonly certFile?: string;
    readonly keyFile?: string;
    readonly insecureSkipVerify: boolean;
  };
}

const hubHost = 'registry-1.docker.io';

/** Reads the file. Throws {@link ImageError} with what is wrong. */
export function parseRegistries(text: string): RegistriesConfig {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new ImageError(`the registries file is no YAML: ${error instanceof Error ? error.message : ''}`);
  }
  const result = fileSchema.safeParse(value ?? {});
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new ImageError(`the registries file is not valid: ${issue?.path.join('.')}: ${issue?.message}`);
}

/** Mirrors in their order, then the registry itself. */
export function endpointsOf(reference: ImageReference, config: RegistriesConfig): readonly Endpoint[] {
  const { registry, repository } = reference;
  const mirror = config.mirrors?.[registry] ?? config.mirrors?.['*'];
  const rewritten = Object.entries(mirror?.rewrite ?? {}).find(([pattern]) => new RegExp(pattern).test(repository));
  const there = rewritten === undefined ? repository : repository.replace(new RegExp(rewritten[0]), rewritten[1]);
  const mirrors = (mirror?.endpoint ?? []).map(text => ({
    url: endpointUrl(text),
    repository: there,
    registry,
    isMirror: true,
  }));
  const host = registry === 'docker.io' ? hubHost : registry;
  const scheme = isLoopback(host) ? 'http' : 'https';
  return [...mirrors, { url: new URL(`${scheme}://${host}/v2/`), repository, registry, isMirror: false }];
}

/** How an endpoint is spoken to: by its own name in `configs`, or by that of the registry that it mirrors. */
export function settingsOf(endpoint: Endpoint, config: RegistriesConfig): EndpointSettings {
  const { configs } = config;
  const own = configs?.[endpoint.url.host] ?? (endpoint.isMirror ? undefined : configs?.[endpoint.registry]);
  const { auth, tls } = own ?? {};
  return {
    credentials: auth ? namesOf({ ...auth, identitytoken: auth.identity_token }) : undefined,
    tls: {
      ...(tls?.ca_file !== undefined && { caFile: tls.ca_file }),
      ...(tls?.cert_file !== undefined && { certFile: tls.cert_file }),
      ...(tls?.key_file !== undefined && { keyFile: tls.key_file }),
      insecureSkipVerify: tls?.insecure_skip_verify === true,
    },
  };
}

/** `https://` unless said; `/v2/` unless a path is given. */
function endpointUrl(text: string): URL {
  const url = new URL(/^https?:\/\//.test(text) ? text : `https://${text}`);
  if (url.pathname === '/') url.pathname = '/v2/';
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

/** Registries on this machine need no certificate, as with Docker. */
function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/.test(host);
}
