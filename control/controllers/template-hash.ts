/**
 * The hashes by which templates are told apart in names and labels. They are Kubernetes' own, to the letter, so that names,
 * and with them the order in lists, are what people and scripts know. Pure.
 */
import type { PodTemplateSpec } from '../api/generated/types.ts';
import { dumpPodTemplate } from './go-dump.ts';

/** `pod-template-hash` of a Deployment's pods, and the hash of a DaemonSet's (k/k controller_utils.go ComputeHash). */
export function templateHash(template: PodTemplateSpec | undefined, collisionCount = 0): string {
  const text = new TextEncoder().encode(dumpPodTemplate(template));
  if (collisionCount === 0) return encode(fnv1a(text));
  const salted = new Uint8Array(text.length + COLLISION_COUNT_BYTES);
  salted.set(text);
  new DataView(salted.buffer).setUint32(text.length, collisionCount, true);
  return encode(fnv1a(salted));
}

/** The hash in the name of a StatefulSet's revision: of the data that the revision holds (k/k history HashControllerRevision). */
export function revisionDataHash(data: unknown, collisionCount: number): string {
  return encode(fnv1(new TextEncoder().encode(`${goJson(data)}${collisionCount}`)));
}

const COLLISION_COUNT_BYTES = 8;
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

function fnv1a(bytes: Uint8Array): number {
  let hash = FNV_OFFSET;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, FNV_PRIME);
  return hash >>> 0;
}

function fnv1(bytes: Uint8Array): number {
  let hash = FNV_OFFSET;
  for (const byte of bytes) hash = Math.imul(hash, FNV_PRIME) ^ byte;
  return hash >>> 0;
}

const SAFE_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';

/** Letters that cannot form words, as apimachinery's rand.SafeEncodeString chooses them. */
const encode = (hash: number): string =>
  [...String(hash)].map(digit => SAFE_LETTERS[digit.charCodeAt(0) % SAFE_LETTERS.length]).join('');

/** JSON as Go writes it of a map: keys sorted, and what HTML could take for its own escaped. */
function goJson(value: unknown): string {
  return sortedJson(value).replaceAll(
    /[<>&\u2028\u2029]/g,
    each => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** The value with the keys of all its objects in Go's order, which is how Kubernetes' own revisions hold them. */
export const withSortedKeys = <T>(value: T): T => JSON.parse(sortedJson(value)) as T;

function sortedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return `{${entries
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, inner]) => `${JSON.stringify(key)}:${sortedJson(inner)}`)
    .join(',')}}`;
}
