/** Brings an image from its registry, or from a mirror of it, into the store (OCI Distribution Specification 1.1). */
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { mapBounded } from '../../runtime/bounded.ts';
import type { Clock } from '../../runtime/clock.ts';
import { formatImageReference, type ImageReference, parseImageReference } from '../../runtime/image-reference.ts';
import type { RegistryCredentials } from '../../runtime/runtime.ts';
import { chainIds } from '../digest.ts';
import { ImageError, RegistryError } from '../errors.ts';
import { downloadsMax } from '../limits.ts';
import { choosePlatform, type Manifest, type Platform, parseConfig, parseManifest } from '../manifest.ts';
import type { ImageStore, StoredImage } from '../store.ts';
import { type EndpointSettings, endpointsOf, type RegistriesConfig, settingsOf } from './config.ts';
import { matchCredentials } from './credentials.ts';
import { createHttp } from './http.ts';
import { Repository } from './repository.ts';

export interface PullContext {
  readonly store: ImageStore;
  readonly platform: Platform;
  readonly clock: Clock;
  /** Read at each pull, so that a change needs no restart. */
  readonly registries: () => Promise<RegistriesConfig>;
}
export interface PullRequest {
  readonly credentials: readonly RegistryCredentials[];
  readonly signal: AbortSignal;
}

/** Throws an error whose message says which reference could not be had, and why. */
export async function pullImage(context: PullContext, text: string, request: PullRequest): Promise<StoredImage> {
  const reference = parseImageReference(text);
  const name = formatImageReference(reference);
  const config = await context.registries();
  const failures: Error[] = [];
  for (const endpoint of endpointsOf(reference, config)) {
    const settings = settingsOf(endpoint, config);
    const http = await createHttp(settings.tls);
    // One set of keys after the other, as the kubelet does; the last try is without any.
    const own = matchCredentials(text, endpoint.isMirror ? [] : request.credentials);
    const candidates: EndpointSettings['credentials'][] = [...own, settings.credentials];
    for (const credentials of candidates) {
      const { clock } = context;
      const repository = new Repository({ endpoint, credentials, http, clock, signal: request.signal });
      try {
        return await fetchImage(context, repository, reference);
      } catch (error) {
        if (request.signal.aborted || !(error instanceof Error)) throw error;
        failures.push(error);
        // Other keys help only against a refusal.
        if (!(error instanceof RegistryError) || (error.status !== 401 && error.status !== 403)) break;
      }
    }
  }
  // The registry's own answer is the one that counts; what mirrors said stands behind it.
  const [last, ...others] = failures.reverse();
  const mirrors = others.length === 0 ? '' : ` (tried before: ${others.map(({ message }) => message).join('; ')})`;
  throw new ImageError(
    `failed to pull and unpack image "${name}": ${name}: ${last?.message ?? 'no endpoint'}${mirrors}`,
    {
      cause: last,
    },
  );
}

async function fetchImage(
  { store, platform }: PullContext,
  repository: Repository,
  reference: ImageReference,
): Promise<StoredImage> {
  const top = await repository.manifest(reference.digest ?? reference.tag ?? 'latest');
  const manifest = await manifestFor(repository, top.text, platform);
  const configText = await repository.document(manifest.config);
  const chain = chainIds(parseConfig(configText).diffIds);
  if (chain.length !== manifest.layers.length)
    throw new ImageError('the manifest and the configuration have other layers');
  // All that is missing comes at once; unpacking goes in order.
  const missing = manifest.layers.filter((_, index) => store.layers.get(chain[index] ?? '') === undefined);
  const files = new Map<string, string>();
  await mapBounded([...new Map(missing.map(layer => [layer.digest, layer])).values()], downloadsMax, async layer => {
    files.set(layer.digest, await repository.download(layer, store.downloads));
  });
  const plain = { ...reference, tag: undefined };
  const image = await store.add({
    config: configText,
    tags: reference.tag === undefined ? [] : [formatImageReference({ ...reference, digest: undefined })],
    digests: [formatImageReference({ ...plain, digest: top.digest })],
    async openLayer(index) {
      const layer = manifest.layers[index];
      const file = layer && (files.get(layer.digest) ?? (await repository.download(layer, store.downloads)));
      if (file === undefined) throw new ImageError('the manifest has too few layers');
      return createReadStream(file);
    },
  });
  for (const file of files.values()) await rm(file, { force: true });
  return image;
}

async function manifestFor(repository: Repository, text: string, platform: Platform): Promise<Manifest> {
  const found = parseManifest(text);
  if ('manifest' in found) return found.manifest;
  const { digest } = choosePlatform(found.index, platform);
  const inner = parseManifest((await repository.manifest(digest)).text);
  if (!('manifest' in inner)) throw new ImageError('an index of the image leads to another index');
  return inner.manifest;
}
