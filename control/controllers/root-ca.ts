/** Every namespace has a ConfigMap `kube-root-ca.crt` with the authority by which its pods know the API server. */
import { configmaps as configMapsKind, namespaces as namespacesKind } from '../api/generated/kinds.ts';
import type { Namespace } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { Informer } from '../client/informer.ts';
import { type Controller, type ControllerContext, newQueue, queueController, readerOf } from './context.ts';
import { isEqual } from './equal.ts';
import { isNamespaceTerminating } from './pod-control.ts';

const NAME = 'kube-root-ca.crt';
const ABOUT = 'kubernetes.io/description';
const DESCRIPTION =
  'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.';

/** Undefined if no authority was handed in: then pods have none to check. */
export function rootCaController(context: ControllerContext): Controller | undefined {
  const { client, informers, options } = context;
  const { rootCa } = options;
  if (!rootCa) return undefined;
  const queue = newQueue(context);
  const namespaces = informers.for<Namespace>(namespacesKind);
  // Only these ConfigMaps, not everybody's.
  const maps = new Informer({
    ...context,
    client: readerOf(context),
    kind: configMapsKind,
    fieldSelector: `metadata.name=${NAME}`,
  });
  namespaces.addHandler({
    added: ({ metadata }) => queue.add(metadata?.name ?? ''),
    updated: ({ metadata }) => queue.add(metadata?.name ?? ''),
  });
  const enqueue = ({ metadata }: { metadata?: { namespace?: string } }) => queue.add(metadata?.namespace ?? '');
  maps.addHandler({ updated: enqueue, deleted: enqueue });

  const reconcile = async (namespace: string) => {
    const object = namespaces.get(namespace);
    if (!object || object.metadata?.deletionTimestamp) return undefined;
    const current = maps.get(`${namespace}/${NAME}`);
    const data = { 'ca.crt': rootCa };
    const annotations = { [ABOUT]: DESCRIPTION };
    try {
      if (!current) await client.create(configMapsKind, { metadata: { name: NAME, namespace, annotations }, data });
      else if (!isEqual(current.data, data) || !current.metadata?.annotations?.[ABOUT]) {
        const metadata = { ...current.metadata, annotations: { ...current.metadata?.annotations, ...annotations } };
        await client.update(configMapsKind, { ...current, metadata, data });
      }
    } catch (error) {
      if (!hasReason(error, 'AlreadyExists') && !isNamespaceTerminating(error)) throw error;
    }
    return undefined;
  };
  const controller = queueController(context, { name: 'root-ca-certificate-publisher-controller', queue, reconcile });
  return {
    name: controller.name,
    run: async () => {
      const watching = maps.run(context.signal);
      if (await maps.waitForSync(context.signal)) await controller.run();
      await watching;
    },
  };
}
