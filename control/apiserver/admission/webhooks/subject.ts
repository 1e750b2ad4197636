/**
 * What a request under admission is about, and in which versions that can be shown. A webhook whose rules name another
 * version of the resource, and do not insist on it, is shown the object in that version.
 */
import type { KindDeclaration, KubernetesObject } from '../../../api/kind.ts';
import { fromStored, storedKind, toStored } from '../../keys.ts';
import type { AdmissionRequest, States } from '../admission.ts';
import type { Webhook } from './configurations.ts';
import { type Asked, isNamespaces, matchesRule } from './rules.ts';

export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

export interface Subject {
  readonly asked: Asked;
  readonly name: string;
  /** The resource's declaration in the request's version. */
  readonly resource: KindDeclaration;
  /** What is sent, where that is not an object of the resource: a Binding, a Scale, PodExecOptions. */
  readonly part: GroupVersionKind | undefined;
}

export function subjectOf(request: AdmissionRequest, { object, old }: States): Subject {
  const { kind, info, operation, part, isNameGenerated = false } = request;
  const name = isNameGenerated ? '' : info.name || (object ?? old)?.metadata?.name || '';
  const { group, version, plural: resource } = kind;
  const isNamespace = isNamespaces({ group, resource });
  const namespace = isNamespace ? name : kind.namespaced ? info.namespace || object?.metadata?.namespace || '' : '';
  return {
    asked: { operation, group, version, resource, subresource: info.subresource, namespace },
    name,
    resource: kind,
    part,
  };
}

/** The kinds that are served at the moment. */
export interface KnownKinds {
  readonly all: readonly KindDeclaration[];
}

/** In which version a webhook wants to see the request; undefined if its rules are not about it. */
export function versionFor(
  webhook: Pick<Webhook, 'rules' | 'matchesEquivalents'>,
  subject: Subject,
  kinds: KnownKinds,
): KindDeclaration | undefined {
  const { asked, resource, part } = subject;
  if (webhook.rules.some(rule => matchesRule(rule, asked))) return resource;
  // A part has one version only; the whole object is converted.
  if (!webhook.matchesEquivalents || part) return undefined;
  const others = equivalents(resource, kinds);
  for (const rule of webhook.rules) {
    for (const other of others) {
      const { group, version, plural } = other;
      if (matchesRule(rule, { ...asked, group, version, resource: plural })) return other;
    }
  }
  return undefined;
}

/** The other kinds whose objects are the same objects. */
function equivalents(kind: KindDeclaration, { all }: KnownKinds): KindDeclaration[] {
  const { group, plural } = storedKind(kind);
  return all.filter(other => {
    if (other.group === kind.group && other.version === kind.version && other.plural === kind.plural) return false;
    const stored = storedKind(other);
    return stored.group === group && stored.plural === plural;
  });
}

/** The object in another version; a copy if it has to be converted. */
export function inVersion<T extends KubernetesObject | undefined>(
  object: T,
  from: KindDeclaration,
  to: KindDeclaration,
): T | KubernetesObject {
  if (!object || from === to) return object;
  return fromStored(to, toStored(from, structuredClone(object)));
}
