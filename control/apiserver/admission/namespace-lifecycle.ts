/** Nothing is created in a namespace that is not there or on its way out, and the first namespaces cannot be deleted. */
import { namespaces } from '../../api/generated/kinds.ts';
import { declarationOf } from '../../api/registry.ts';
import { forbidden, notFound } from '../../api/status.ts';
import type { CachedObject } from '../cache/cached-object.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import { objectKey, resourceName } from '../keys.ts';
import { cached } from '../verbs/get.ts';
import type { AdmissionPlugin } from './admission.ts';

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
    async mutate({ kind, operation, info }, { object }) {
      if (operation === 'DELETE' && kind.group === '' && kind.plural === 'namespaces' && IMMORTAL.has(info.name)) {
        throw forbidden(resourceName(kind), info.name, 'this namespace may not be deleted');
      }
      if (operation !== 'CREATE' || !kind.namespaced || info.subresource !== '') return;
      const name = object?.metadata?.namespace ?? '';
      const { deletionTimestamp, phase } = (await find(name)).life;
      if (!deletionTimestamp && phase !== 'Terminating') return;
      throw forbidden(
        resourceName(kind),
        object?.metadata?.name ?? '',
        `unable to create new content in namespace ${name} because it is being terminated`,
        [
          {
            reason: 'NamespaceTerminating',
            message: `namespace ${name} is being terminated`,
            field: 'metadata.namespace',
          },
        ],
      );
    },
    async conclude({ kind, operation, info }, { object }) {
      if (operation !== 'CREATE' || !kind.namespaced || info.subresource !== '') return {};
      // The namespace must be the very one that was seen: else an object could slip in behind its emptying.
      const name = object?.metadata?.namespace ?? '';
      const { revision } = await find(name);
      return {
        compare: [{ key: objectKey(NAMESPACE, '', name), target: 'modRevision', op: '=', value: revision }],
      };
    },
  };
}
