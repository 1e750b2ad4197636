/**
 * The question that a conversion webhook is asked, and what may be in its answer: objects in the same order, in the wanted
 * version, with nothing of their metadata changed but labels and annotations
 * (apiextensions-apiserver pkg/apiserver/conversion).
 */
import type { ObjectMeta } from '../generated/types.ts';
import type { KubernetesObject } from '../kind.ts';
import { validateAnnotations, validateLabels } from '../validation/metadata.ts';
import type { CustomDefinition } from './definition.ts';
import { isJsonObject } from './schema.ts';

/** A converter gave what it may not give. The message is Kubernetes'. */
export class ConversionError extends Error {
  override readonly name = 'ConversionError';
}

/** Versions of the review that this server speaks, in the order in which a definition may want them. */
const REVIEW_VERSIONS: ReadonlySet<string> = new Set(['v1', 'v1beta1']);

export interface ConversionReview {
  readonly kind: 'ConversionReview';
  readonly apiVersion: string;
  readonly request: {
    readonly uid: string;
    readonly desiredAPIVersion: string;
    readonly objects: readonly KubernetesObject[];
  };
}

export function conversionReview(
  { conversion }: CustomDefinition,
  request: ConversionReview['request'],
): ConversionReview {
  const version = (conversion.webhook?.conversionReviewVersions ?? []).find(name => REVIEW_VERSIONS.has(name)) ?? 'v1';
  return { kind: 'ConversionReview', apiVersion: `apiextensions.k8s.io/${version}`, request };
}

/** The kind of an object as Go prints it: `stable.example.com/v1, Kind=Widget`. */
export const shownKind = ({ apiVersion, kind }: KubernetesObject): string => `${apiVersion}, Kind=${kind}`;

/** Reads the answer. Throws {@link ConversionError}. */
export function readConversion(
  { request }: ConversionReview,
  answer: Readonly<Record<string, unknown>>,
): KubernetesObject[] {
  const { uid, desiredAPIVersion, objects } = request;
  const [first] = objects;
  const about = `conversion webhook for ${first ? shownKind(first) : ''}`;
  const { response } = answer;
  if (!isJsonObject(response)) throw new ConversionError(`${about} failed: no response provided`);
  // The older review was never held to its question.
  if (answer.apiVersion !== 'apiextensions.k8s.io/v1beta1' && response.uid !== uid) {
    throw new ConversionError(
      `${about} failed: expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? '')}`,
    );
  }
  const result = isJsonObject(response.result) ? response.result : {};
  if (result.status !== 'Success') {
    if (typeof result.message === 'string' && result.message !== '') {
      throw new ConversionError(`${about} failed: ${result.message}`);
    }
    throw new ConversionError(`${about} failed: response.result.status was '${result.status ?? ''}', not 'Success'`);
  }
  const converted = Array.isArray(response.convertedObjects) ? response.convertedObjects : [];
  if (converted.length !== objects.length) {
    throw new ConversionError(`${about} returned ${converted.length} objects, expected ${objects.length}`);
  }
  return objects.map((object, index) => {
    const one: unknown = converted[index];
    const what = objects.length === 1 ? 'object' : 'converted object';
    const refuse = (why: string) => new ConversionError(`${about} returned invalid ${what} at index ${index}: ${why}`);
    if (!isJsonObject(one)) throw refuse('invalid object');
    return checked(object, one as KubernetesObject, desiredAPIVersion, refuse);
  });
}

function checked(
  object: KubernetesObject,
  converted: KubernetesObject,
  apiVersion: string,
  refuse: (why: string) => ConversionError,
): KubernetesObject {
  if (converted.apiVersion !== apiVersion) {
    throw refuse(`invalid groupVersion (expected ${apiVersion}, received ${converted.apiVersion})`);
  }
  if (converted.kind !== object.kind) {
    throw refuse(`invalid kind (expected ${object.kind}, received ${converted.kind})`);
  }
  const [before, after]: [ObjectMeta, ObjectMeta] = [object.metadata ?? {}, converted.metadata ?? {}];
  for (const key of ['name', 'namespace', 'uid'] as const) {
    if ((before[key] ?? '') !== (after[key] ?? '')) {
      throw refuse(`must have the same ${key === 'uid' ? 'UID' : key}: ${before[key] ?? ''} != ${after[key] ?? ''}`);
    }
  }
  const wrong = [
    ...validateLabels(after.labels, 'metadata.labels'),
    ...validateAnnotations(after.annotations, 'metadata.annotations'),
  ];
  if (wrong.length > 0) throw refuse(wrong.map(({ field, message }) => `${field}: ${message}`).join(', '));
  const { labels: _labels, annotations: _annotations, ...rest } = before;
  return {
    ...converted,
    metadata: {
      ...rest,
      ...(after.labels && { labels: after.labels }),
      ...(after.annotations && { annotations: after.annotations }),
    },
  };
}
