/** The parameters of a policy: objects of any kind, also of custom resources, that a binding names or selects. */
import type { ParamKind, ParamRef } from '../../../api/generated/types.ts';
import type { KindDeclaration, KubernetesObject } from '../../../api/kind.ts';
import { matchesLabelSelector } from '../../../api/selectors.ts';
import type { CachedObject } from '../../cache/cached-object.ts';
import type { WatchCache } from '../../cache/watch-cache.ts';
import { fromStored, resourcePrefix, storedKind } from '../../keys.ts';
import { cached } from '../../verbs/get.ts';

export interface ParamSource {
  readonly cache: WatchCache;
  /** All kinds that there are at the moment, those of custom resources too. */
  readonly kinds: { readonly all: readonly KindDeclaration[] };
}

/** A binding cannot be used as it is. The message is Kubernetes'. */
export class ParamError extends Error {
  override readonly name = 'ParamError';
  readonly code = 'POLICY_PARAMETERS';
}

/**
 * The parameters with which a policy is to be judged, each for itself; one undefined where it has none. Throws
 * {@link ParamError}.
 */
export function collectParams(
  source: ParamSource,
  { paramKind, paramRef }: { readonly paramKind: ParamKind | undefined; readonly paramRef: ParamRef | undefined },
  requestNamespace: string,
): readonly (KubernetesObject | undefined)[] {
  if (!paramKind || !paramRef) return [undefined];
  const { apiVersion = '', kind: name = '' } = paramKind;
  const kind = findKind(source, apiVersion, name);
  if (!kind) throw new ParamError(`failed to find resource referenced by paramKind: '${goKind(apiVersion, name)}'`);
  const found = read(source, kind, paramRef, namespaceFor(kind, paramRef, requestNamespace));
  if (found.length === 0 && paramRef.parameterNotFoundAction === 'Deny') {
    throw new ParamError('no params found for policy binding with `Deny` parameterNotFoundAction');
  }
  return found;
}

/** The kind that a policy names. */
function findKind({ kinds }: ParamSource, apiVersion: string, name: string): KindDeclaration | undefined {
  const slash = apiVersion.indexOf('/');
  const [group, version] = [apiVersion.slice(0, Math.max(slash, 0)), apiVersion.slice(slash + 1)];
  return kinds.all.find(kind => kind.kind === name && kind.group === group && kind.version === version);
}

/** `group/version, Kind=Name`, as Go writes it. */
const goKind = (apiVersion: string, kind: string): string =>
  `${apiVersion.includes('/') ? apiVersion : `/${apiVersion}`}, Kind=${kind}`;

function namespaceFor(kind: KindDeclaration, paramRef: ParamRef, requestNamespace: string): string {
  if (!kind.namespaced) {
    if (paramRef.namespace) {
      throw new ParamError('paramRef.namespace must not be provided for a cluster-scoped `paramKind`');
    }
    return '';
  }
  const namespace = paramRef.namespace || requestNamespace;
  if (namespace === '') {
    throw new ParamError('cannot use namespaced paramRef in policy binding that matches cluster-scoped resources');
  }
  return namespace;
}

function read(source: ParamSource, kind: KindDeclaration, { name, selector }: ParamRef, namespace: string) {
  const { cache } = source;
  const parse = (object: CachedObject) => fromStored(kind, object.parse<KubernetesObject>());
  if (name) {
    const found = cached({ cache }, kind, namespace, name);
    return found ? [parse(found)] : [];
  }
  const prefix = resourcePrefix(storedKind(kind));
  return cache
    .resource(prefix)
    .list(namespace === '' ? prefix : `${prefix}${namespace}/`)
    .map(parse)
    .filter(({ metadata }) => matchesLabelSelector(selector, metadata?.labels));
}
