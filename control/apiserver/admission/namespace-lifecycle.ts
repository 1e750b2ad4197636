/** Nothing is created in a namespace that is not there or on its way out, and the first namespaces cannot be deleted. */
import { namespaces } from '../../api/generated/kinds.ts';
import type { KindDeclaration } from '../../api/kind.ts';
import { declarationOf } from '../../api/registry.ts';
import { type ApiError, forbidden, notFound } from '../../api/status.ts';
import type { CachedObject } from '../cache/cached-object.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import { objectKey, resourceName } from '../keys.ts';
import { cached } from '../verbs/get.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

const IMMORTAL = new Set(['default', 'kube-system', 'kube-public']);
const NAMESPACE = declarationOf(namespaces);

export function namespaceLifecycle(cache: WatchCache): AdmissionPlugin {
  const find = async (name: string): Promise<CachedObject> => {
    const found = cached({ cache }, NAMESPACE, '', name);
    if (found) return found;
    await cache.freshen();
    const fresh = cached({ cache }, NAMESPACE, '', name);
    if (!fresh) throw notFound(resourceName(NAMESPACE), name);
    return fresh;
  };
  return {
    name: 'NamespaceLifecycle',
    mutate(request, { object }) {
      const { kind, operation, info } = request;
      if (operation === 'DELETE' && kind.group === '' && kind.plural === 'namespaces' && IMMORTAL.has(info.name)) {
        throw forbidden(resourceName(kind), info.name, 'this namespace may not be deleted');
      }
      if (!isNewContent(request)) return undefined;
      const name = object?.metadata?.namespace ?? '';
      return find(name).then(({ life }) => {
        if (!life.deletionTimestamp && life.phase !== 'Terminating') return;
        throw terminating(kind, object?.metadata?.name ?? '', name);
      });
    },
    conclude(request, { object }) {
      if (!isNewContent(request)) return {};
      const name = object?.metadata?.namespace ?? '';
      // The namespace must be the very one that was seen: else an object could slip in behind its emptying.
      return find(name).then(({ revision }) => ({
        compare: [{ key: objectKey(NAMESPACE, '', name), target: 'modRevision', op: '=', value: revision }],
      }));
    },
  };
}

const isNewContent = ({ kind, operation, info }: AdmissionRequest): boolean =>
  operation === 'CREATE' && kind.namespaced && info.subresource === '';

function terminating(kind: KindDeclaration, name: string, namespace: string): ApiError {
  return forbidden(
    resourceName(kind),
    name,
    `unable to create new content in namespace ${namespace} because it is being terminated`,
    [
      {
        reason: 'NamespaceTerminating',
        message: `namespace ${namespace} is being terminated`,
        field: 'metadata.namespace',
      },
    ],
  );
}
