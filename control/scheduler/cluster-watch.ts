/** Keeps the snapshot equal to what the API tells, and says what happened that may help waiting pods. */
import * as kinds from '../api/generated/kinds.ts';
import type {
  LabelSelector,
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  PodDisruptionBudget,
} from '../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../api/kind.ts';
import type { Informer } from '../client/informer.ts';
import type { Informers } from '../client/informers.ts';
import { type ClusterEvent, nodeSeen } from './cluster-events.ts';
import type { ClusterSnapshot } from './snapshot.ts';
import type { Assumable } from './volumes.ts';

/** What has to be in the cache before the first decision; pods are the scheduler's own business. */
export interface ClusterWatch {
  readonly informers: readonly { waitForSync(signal?: AbortSignal): Promise<boolean> }[];
  readonly nodes: Informer<Node>;
  budgets(): readonly PodDisruptionBudget[];
}

export interface ClusterWatchOptions {
  readonly informers: Informers;
  readonly snapshot: ClusterSnapshot;
  /** Called after the snapshot has changed. */
  happened(event: ClusterEvent): void;
  volumesChanged(): void;
}

/** Registers the handlers; the informers start when their owner starts them. */
export function watchCluster(options: ClusterWatchOptions): ClusterWatch {
  const nodes = watchNodes(options);
  const budgets = options.informers.for(kinds.poddisruptionbudgets);
  const informers = [nodes, budgets, watchNamespaces(options), ...watchWorkloads(options), ...watchVolumes(options)];
  return { informers, nodes, budgets: () => budgets.list() };
}

function watchNodes({ informers, snapshot, happened }: ClusterWatchOptions): Informer<Node> {
  const nodes = informers.for(kinds.nodes);
  const seen = (node: Node, old: Node | undefined) => {
    if (old && !isRelevantChange(old, node)) return;
    snapshot.setNode(node);
    happened(nodeSeen(node, old));
  };
  nodes.addHandler({
    added: node => seen(node, undefined),
    updated: seen,
    deleted: node => {
      snapshot.removeNode(node.metadata?.name ?? '');
      happened({ kind: 'nodeRemoved', node });
    },
  });
  return nodes;
}

/** Heartbeats change a node every few seconds and help nobody. */
function isRelevantChange(old: Node, node: Node): boolean {
  const relevant = ({ metadata, spec, status }: Node) =>
    JSON.stringify([metadata?.labels, spec, status?.allocatable, status?.images]);
  return relevant(old) !== relevant(node);
}

function watchNamespaces({ informers, snapshot, happened }: ClusterWatchOptions) {
  const namespaces = informers.for(kinds.namespaces);
  const seen = (namespace: Namespace) => {
    snapshot.setNamespace(namespace);
    happened({ kind: 'namespace', namespace });
  };
  namespaces.addHandler({
    added: seen,
    updated: (namespace, old) => {
      if (JSON.stringify(namespace.metadata?.labels) !== JSON.stringify(old.metadata?.labels)) seen(namespace);
    },
    deleted: ({ metadata }) => snapshot.removeNamespace(metadata?.name ?? ''),
  });
  return namespaces;
}

/** Whatever tells which pods belong together. */
function watchWorkloads({ informers, snapshot: { workloads } }: ClusterWatchOptions) {
  const services = informers.for(kinds.services);
  services.addHandler({
    added: service => workloads.setService(service),
    updated: service => workloads.setService(service),
    deleted: service => workloads.removeService(service),
  });
  const owners = <T extends KubernetesObject>(kind: Kind<T>, selectorOf: (owner: T) => LabelSelector | undefined) => {
    const informer = informers.for(kind);
    const seen = (owner: T) => workloads.setOwner(kind.kind, owner, selectorOf(owner));
    informer.addHandler({ added: seen, updated: seen, deleted: owner => workloads.removeOwner(kind.kind, owner) });
    return informer;
  };
  return [
    services,
    owners(kinds.replicasets, ({ spec }) => spec?.selector),
    owners(kinds.statefulsets, ({ spec }) => spec?.selector),
    owners(kinds.replicationcontrollers, ({ spec }) => spec?.selector && { matchLabels: spec.selector }),
  ];
}

function watchVolumes({ informers, snapshot: { volumes }, happened, volumesChanged }: ClusterWatchOptions) {
  const follow = <T extends KubernetesObject>(
    kind: Kind<T>,
    into: Assumable<T>,
    on: { seen?(object: T, old: T | undefined): void; gone?(object: T): void },
  ) => {
    const informer = informers.for(kind);
    const seen = (object: T, old: T | undefined) => {
      into.set(object);
      on.seen?.(object, old);
    };
    informer.addHandler({
      added: object => seen(object, undefined),
      updated: seen,
      deleted: object => {
        into.delete(object);
        on.gone?.(object);
      },
    });
    return informer;
  };
  return [
    follow<PersistentVolumeClaim>(kinds.persistentvolumeclaims, volumes.claims, {
      seen: (claim, old) => {
        volumesChanged();
        happened({ kind: 'claim', claim, old });
      },
      gone: volumesChanged,
    }),
    follow<PersistentVolume>(kinds.persistentvolumes, volumes.volumes, {
      seen: (volume, old) => {
        volumesChanged();
        happened({ kind: 'volume', volume, old });
      },
      gone: volumesChanged,
    }),
    follow(kinds.storageclasses, volumes.classes, {
      seen: (storageClass, old) => happened({ kind: 'storageClass', storageClass, old }),
    }),
    follow(kinds.csinodes, volumes.csiNodes, { seen: (csiNode, old) => happened({ kind: 'csiNode', csiNode, old }) }),
    follow(kinds.csidrivers, volumes.csiDrivers, {
      seen: (csiDriver, old) => happened({ kind: 'csiDriver', csiDriver, old }),
    }),
    follow(kinds.csistoragecapacities, volumes.capacities, {
      seen: (capacity, old) => happened({ kind: 'storageCapacity', capacity, old }),
    }),
    follow(kinds.volumeattachments, volumes.attachments, {
      gone: attachment => happened({ kind: 'attachmentRemoved', attachment }),
    }),
  ];
}
