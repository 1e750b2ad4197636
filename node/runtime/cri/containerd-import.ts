/** Brings an image into containerd without a registry, through its own API on the same socket. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { status } from '../../grpc/status.ts';
import type { Clock } from '../clock.ts';
import { type CriConnection, CriError, isNotFound } from './connection.ts';
import { containerdCalls, contentAction } from './containerd-services.ts';
import { contentChunkBytes } from './limits.ts';

/** Bytes that can be read more than once. */
export interface Content {
  readonly open: () => Promise<AsyncIterable<Uint8Array>>;
}
/** An image in the parts that are stored. */
export interface ImageParts {
  /** OCI image configuration (JSON). */
  readonly config: Uint8Array;
  /** The lowest first, packed or not. */
  readonly layers: readonly Content[];
}

const configMediaType = 'application/vnd.oci.image.config.v1+json';
const manifestMediaType = 'application/vnd.oci.image.manifest.v1+json';
const layerMediaType = 'application/vnd.oci.image.layer.v1.tar';
/** How packed layers begin, and what their media type ends in. */
const packings = [
  { magic: Buffer.from([0x1f, 0x8b]), suffix: '+gzip' },
  { magic: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), suffix: '+zstd' },
];
/** Where CRI has its images. */
const namespace = 'k8s.io';
/** For layers that take long to be written; the lease is given back at the end. */
const leaseMs = 3_600_000;

type Headers = Readonly<Record<string, string>>;

export function contentOf(bytes: Uint8Array): Content {
  return {
    open: async () =>
      (async function* () {
        yield bytes;
      })(),
  };
}

/**
 * Gives the image these full names (`docker.io/library/x:1`); one that has a name already loses it. Gives the image's id.
 * Throws {@link CriError}.
 */
export async function importImage(
  { connection, clock }: { readonly connection: CriConnection; readonly clock: Clock },
  names: readonly string[],
  parts: ImageParts,
): Promise<string> {
  const lease = `raftsman-import-${randomBytes(8).toString('hex')}`;
  const metadata = { 'containerd-namespace': namespace, 'containerd-lease': lease };
  // Until the image refers to it, only the lease keeps the content from being collected.
  const expires = { 'containerd.io/gc.expire': new Date(clock.now() + leaseMs).toISOString() };
  await connection.call(containerdCalls.createLease, { id: lease, labels: expires }, { metadata });
  try {
    const layers: Descriptor[] = [];
    for (const layer of parts.layers) {
      const descriptor = await describe(layer, layerMediaType);
      await writeContent(connection, { content: layer, descriptor, metadata });
      layers.push(descriptor);
    }
    const configContent = contentOf(parts.config);
    const config = await describe(configContent, configMediaType);
    await writeContent(connection, { content: configContent, descriptor: config, metadata });
    const manifest = contentOf(
      Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: manifestMediaType, config, layers })),
    );
    const target = await describe(manifest, manifestMediaType);
    // By these containerd knows what the manifest refers to.
    const labels = Object.fromEntries(
      [config, ...layers].map(({ digest }, index) => [`containerd.io/gc.ref.content.${index}`, digest]),
    );
    await writeContent(connection, { content: manifest, descriptor: target, labels, metadata });
    for (const name of names) await nameImage(connection, { name, target, metadata });
    return config.digest;
  } finally {
    await connection.call(containerdCalls.deleteLease, { id: lease }, { metadata }).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
  }
}

async function nameImage(
  connection: CriConnection,
  { name, target, metadata }: { readonly name: string; readonly target: Descriptor; readonly metadata: Headers },
): Promise<void> {
  const image = { name, labels: { 'io.cri-containerd.image': 'managed' }, target };
  try {
    await connection.call(containerdCalls.createImage, { image }, { metadata });
  } catch (error) {
    if (!(error instanceof CriError) || error.grpcCode !== status.ALREADY_EXISTS) throw error;
    await connection.call(containerdCalls.updateImage, { image }, { metadata });
  }
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

async function describe(content: Content, mediaType: string): Promise<Descriptor> {
  const hash = createHash('sha256');
  let size = 0;
  let head: Uint8Array = Buffer.alloc(0);
  for await (const chunk of await content.open()) {
    hash.update(chunk);
    size += chunk.length;
    if (head.length === 0) head = chunk;
  }
  const packing = packings.find(({ magic }) => Buffer.from(head.subarray(0, magic.length)).equals(magic));
  const suffix = mediaType === layerMediaType ? (packing?.suffix ?? '') : '';
  return { mediaType: `${mediaType}${suffix}`, digest: `sha256:${hash.digest('hex')}`, size };
}

/** Does nothing for content that is there. */
async function writeContent(
  connection: CriConnection,
  input: {
    readonly content: Content;
    readonly descriptor: Descriptor;
    readonly labels?: Readonly<Record<string, string>>;
    readonly metadata: Headers;
  },
): Promise<void> {
  const { digest: expected, size: total } = input.descriptor;
  // One of its own: containerd locks a reference, and another agent may bring the same content at this moment.
  const ref = `raftsman-${randomBytes(8).toString('hex')}-${expected}`;
  const { promise: over, resolve, reject } = Promise.withResolvers<void>();
  const stream = connection.duplex(containerdCalls.writeContent, input.metadata);
  let isOver = false;
  stream.on('error', error => {
    isOver = true;
    if ('code' in error && error.code === status.ALREADY_EXISTS) resolve();
    else reject(error);
  });
  stream.on('end', resolve);
  stream.on('data', answer => {
    if (answer.action === contentAction.commit) stream.end();
  });
  const send = async () => {
    let offset = 0;
    for await (const data of await input.content.open()) {
      for (let at = 0; at < data.length && !isOver; at += contentChunkBytes) {
        const chunk = data.subarray(at, at + contentChunkBytes);
        const room = stream.write({ action: contentAction.write, ref, total, expected, offset, data: chunk });
        offset += chunk.length;
        // Of a call that is over gRPC tells neither that there is room nor that the stream is closed.
        if (!room) await Promise.race([once(stream, 'drain'), over]);
      }
      if (isOver) return;
    }
    stream.write({ action: contentAction.commit, ref, total, expected, offset: total, labels: input.labels });
  };
  await Promise.all([over, send().catch(reject)]);
}
