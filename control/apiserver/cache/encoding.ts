/**
 * How objects lie in the store and in the cache. Stored bytes are the JSON text of the object without its
 * resourceVersion, and always begin `{"kind":"K","apiVersion":"V","metadata":{`: a resourceVersion can so be put in, and
 * kind and apiVersion be left out for list items, by cutting bytes, without parsing.
 */
import type { KubernetesObject } from '../../api/kind.ts';

const METADATA = Buffer.from('"metadata":{');
const OPENING = Buffer.from('{"kind":"');
const decoder = new TextDecoder();

/** An object as bytes that can be sent: with its resourceVersion. */
export interface ReadyBytes {
  readonly bytes: Buffer;
  /** `{` and the bytes from here on are the object without kind and apiVersion. */
  readonly itemOffset: number;
}

/** The bytes to store. `object` must have kind, apiVersion and a name; its resourceVersion is left out. */
export function encodeStored(object: KubernetesObject): Buffer {
  const { kind, apiVersion, metadata, ...rest } = object;
  const { resourceVersion: _, ...meta } = metadata ?? {};
  return Buffer.from(JSON.stringify({ kind, apiVersion, metadata: meta, ...rest }));
}

/** Puts the resourceVersion into stored bytes; 0 stands for an object that is not stored and has none. Bytes that another hand wrote in another shape are encoded anew. */
export function makeReady(stored: Uint8Array, revision: number): ReadyBytes {
  let bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
  let at = startsRight(bytes) ? bytes.indexOf(METADATA) : -1;
  if (at < 0) {
    bytes = encodeStored(JSON.parse(decoder.decode(stored)) as KubernetesObject);
    at = bytes.indexOf(METADATA);
  }
  const cut = at + METADATA.length;
  if (revision === 0) return { bytes, itemOffset: at };
  const version = Buffer.from(`"resourceVersion":"${revision}",`);
  return { bytes: Buffer.concat([bytes.subarray(0, cut), version, bytes.subarray(cut)]), itemOffset: at };
}

/** The same object under another resourceVersion: what a DELETED event shows. */
export function withRevision(ready: ReadyBytes, from: number, to: number): ReadyBytes {
  const cut = ready.itemOffset + METADATA.length;
  const oldLength = `"resourceVersion":"${from}",`.length;
  const bytes = Buffer.concat([
    ready.bytes.subarray(0, cut),
    Buffer.from(`"resourceVersion":"${to}",`),
    ready.bytes.subarray(cut + oldLength),
  ]);
  return { bytes, itemOffset: ready.itemOffset };
}

function startsRight(bytes: Buffer): boolean {
  return bytes.length > OPENING.length && bytes.compare(OPENING, 0, OPENING.length, 0, OPENING.length) === 0;
}
