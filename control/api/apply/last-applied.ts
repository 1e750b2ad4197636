/**
 * The bridge from client-side apply: what kubectl wrote down as last applied may be taken over without a conflict, and is
 * kept up to date by kubectl's own server-side applies (apimachinery pkg/util/managedfields/internal/lastapplied*.go).
 */
import { isObject, type JsonObject, own } from '../patch/json.ts';
import { findMistakes } from './check.ts';
import { compare } from './compare.ts';
import { ANNOTATIONS_BYTES_MAX } from './limits.ts';
import { fieldsOf } from './to-set.ts';
import type { FieldConflict, TrackedObject, Write } from './track.ts';

const ANNOTATION = 'kubectl.kubernetes.io/last-applied-configuration';
/** Only this manager's applies look at the annotation. */
const KUBECTL = 'kubectl';

type Annotations = Readonly<Record<string, string>>;
const annotationsOf = (object: TrackedObject): Annotations =>
  ((object.metadata as JsonObject | undefined)?.annotations ?? {}) as Annotations; // an object of the API

/** The conflicts that are left once kubectl may take what it had applied from the client's side. */
export function withoutLastApplied(
  write: Write,
  live: TrackedObject,
  conflicts: readonly FieldConflict[],
): readonly FieldConflict[] {
  if (write.manager.name !== KUBECTL) return conflicts;
  const text = annotationsOf(live)[ANNOTATION];
  const last = text ? parse(text) : undefined;
  if (!last || own(last, 'apiVersion') !== write.manager.apiVersion) return conflicts;
  if (findMistakes(write.type, last) !== undefined) return conflicts;
  const { changed, removed } = compare(write.type, last, live);
  const allowed = fieldsOf(write.type, last).difference(changed).difference(removed);
  return conflicts.filter(({ path }) => !allowed.has(path));
}

function parse(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    // Whoever wrote this was not kubectl.
    return undefined;
  }
}

/** The object as applied, with the annotation brought up to date where it is there and kubectl applies. */
export function withLastApplied(write: Write, object: TrackedObject, applied: TrackedObject): TrackedObject {
  const annotations = annotationsOf(object);
  if (write.manager.name !== KUBECTL || !annotations[ANNOTATION]) return object;
  const { [ANNOTATION]: _, ...others } = annotations;
  const text = `${JSON.stringify(inOrder(applied))}\n`;
  const size = Object.entries(others).reduce((sum, pair) => sum + byteLength(pair.join('')), ANNOTATION.length);
  const isFitting = size + byteLength(text) <= ANNOTATIONS_BYTES_MAX;
  return {
    ...object,
    metadata: {
      ...(object.metadata as JsonObject), // it has annotations
      annotations: isFitting ? { ...annotations, [ANNOTATION]: text } : others,
    },
  };
}

const byteLength = (text: string) => new TextEncoder().encode(text).length;

/** With keys sorted, as Go writes maps. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map(key => [key, inOrder(value[key])]),
  );
}
