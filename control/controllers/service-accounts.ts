/** Every namespace has a ServiceAccount `default`, as which its pods run. */
import { namespaces as namespacesKind, serviceaccounts as serviceAccountsKind } from '../api/generated/kinds.ts';
import type { Namespace, ServiceAccount } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { isNamespaceTerminating } from './pod-control.ts';

export function serviceAccountController(context: ControllerContext): Controller {
  const { client, informers } = context;
  const queue = newQueue(context);
  const namespaces = informers.for<Namespace>(namespacesKind);
  const accounts = informers.for<ServiceAccount>(serviceAccountsKind);
  namespaces.addHandler({
    added: ({ metadata }) => queue.add(metadata?.name ?? ''),
    updated: ({ metadata }) => queue.add(metadata?.name ?? ''),
  });
  accounts.addHandler({
    deleted: ({ metadata }) => {
      if (metadata?.name === 'default') queue.add(metadata.namespace ?? '');
    },
  });
  const reconcile = async (namespace: string) => {
    const object = namespaces.get(namespace);
    if (!object || object.metadata?.deletionTimestamp || accounts.get(`${namespace}/default`)) return undefined;
    try {
      await client.create(serviceAccountsKind, { metadata: { name: 'default', namespace } });
    } catch (error) {
      if (!hasReason(error, 'AlreadyExists') && !isNamespaceTerminating(error)) throw error;
    }
    return undefined;
  };
  return queueController(context, { name: 'service-account-controller', queue, reconcile });
}
