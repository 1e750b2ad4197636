/** The shape of a check of the Pod Security Standards, and the words that its findings are put in. */
import type { Container, EphemeralContainer, ObjectMeta, PodSpec } from '../../../api/generated/types.ts';

export type AnyContainer = Container | EphemeralContainer;

/** What is looked at: a pod, or the template of one. */
export interface Subject {
  readonly metadata: ObjectMeta;
  readonly spec: PodSpec;
}

/** What offends: the short reason, and what exactly. */
export interface Finding {
  readonly reason: string;
  readonly detail: string;
}

export interface Check {
  readonly id: string;
  /** From which minor version on each form of the check holds, in ascending order. */
  readonly versions: readonly { readonly since: number; look(subject: Subject): Finding | undefined }[];
  /** Checks of the baseline that this one includes. */
  readonly includes?: readonly string[];
}

/** All containers, those of initialisation first. */
export function containersOf({ spec }: Subject): readonly AnyContainer[] {
  return [...(spec.initContainers ?? []), ...(spec.containers ?? []), ...(spec.ephemeralContainers ?? [])];
}

export const namesOf = (containers: readonly AnyContainer[]): string[] => containers.map(({ name }) => name);

/** `"a", "b"`. */
export const quoted = (texts: readonly string[]): string => texts.map(text => JSON.stringify(text)).join(', ');
/** Each once, in order. */
export const distinct = (texts: Iterable<string>): string[] => [...new Set(texts)].sort();

export const plural = (one: string, many: string, count: number): string => (count === 1 ? one : many);

/** `container "a"`, `containers "a", "b"`. */
export const containersNamed = (names: readonly string[]): string =>
  `${plural('container', 'containers', names.length)} ${quoted(names)}`;

/** `pod and containers "a", "b"`: who set something; empty if nobody did. */
export function setters(isPod: boolean, containers: readonly string[]): string {
  const parts = [...(isPod ? ['pod'] : []), ...(containers.length > 0 ? [containersNamed(containers)] : [])];
  return parts.join(' and ');
}
