/**
 * Empties a namespace that is being deleted, of all kinds that the server has, and then lets it go. Pods leave first, so that
 * nothing runs on while what guards it is taken away (KEP-5080).
 */
import { namespaces as namespacesKind, pods as podsKind } from '../api/generated/kinds.ts';
import type { Namespace, NamespaceCondition } from '../api/generated/types.ts';
import type { Kind } from '../api/kind.ts';
import { hasReason } from '../api/status.ts';
import { timestamp } from '../client/clock.ts';
import { apiVersionOf } from '../client/rest.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import type { DiscoveredKinds } from './discovered-kinds.ts';
import { isEqual } from './equal.ts';
import { NAMESPACE_HELD_RETRY_MS, NAMESPACE_RETRY_MS_MAX, NAMESPACE_RETRY_MS_MIN } from './limits.ts';
import { messageOf } from './pod-control.ts';

/** What is left of one kind after deletion was asked for. */
export interface Remainder {
  readonly kind: Pick<Kind, 'group' | 'plural'>;
  readonly count: number;
  /** The finalizers that hold them, once for each object. */
  readonly finalizers: readonly string[];
}

export function namespaceController(context: ControllerContext, kinds: DiscoveredKinds): Controller {
  const { client, informers, clock } = context;
  const queue = newQueue(context);
  const namespaces = informers.for<Namespace>(namespacesKind);
  const enqueue = (namespace: Namespace) => {
    if (namespace.metadata?.deletionTimestamp) queue.add(namespace.metadata.name ?? '');
  };
  namespaces.addHandler({
    added: enqueue,
    updated: enqueue,
    deleted: ({ metadata }) => retries.delete(metadata?.name ?? ''),
  });
  /** How often each namespace was found not empty. Entries go with the namespace. */
  const retries = new Map<string, number>();

  const reconcile = async (name: string) => {
    const namespace = namespaces.get(name);
    if (!namespace?.metadata?.deletionTimestamp) return undefined;
    if (!(namespace.spec?.finalizers ?? []).includes('kubernetes')) return undefined;
    const undiscovered = await discover();
    const { remainders, failures } = await deleteContent(name);
    const conditions = planNamespaceConditions({
      old: namespace.status?.conditions ?? [],
      undiscovered,
      remainders,
      failures,
      nowMs: clock.now(),
    });
    // What cannot be discovered may have objects there, which nobody would find any more.
    const isEmpty = remainders.length === 0 && failures.length === 0 && undiscovered === undefined;
    if (!isEmpty) {
      await writeConditions(namespace, conditions);
      if (failures.length > 0) throw failures[0];
      const tries = retries.get(name) ?? 0;
      retries.set(name, tries + 1);
      return { afterMs: planNextLookMs(remainders, tries) };
    }
    const finalizers = (namespace.spec?.finalizers ?? []).filter(finalizer => finalizer !== 'kubernetes');
    await unlessAbsent(
      client.update(
        namespacesKind,
        { ...namespace, spec: { ...namespace.spec, finalizers } },
        { subresource: 'finalize' },
      ),
    );
    return undefined;
  };

  /** Why not all kinds are known; undefined if they are. */
  const discover = async (): Promise<string | undefined> => {
    try {
      await kinds.refresh();
    } catch (error) {
      return messageOf(error);
    }
    return planDiscoveryMessage(kinds.stale);
  };

  /** Asks for the deletion of everything whose server answers; pods alone as long as there are any. */
  const deleteContent = async (namespace: string) => {
    const isStale = (kind: Kind) => kinds.stale.includes(apiVersionOf(kind));
    const namespaced = kinds.deletable.filter(kind => kind.namespaced && !isStale(kind));
    const isPods = (kind: Kind) => kind.group === '' && kind.plural === podsKind.plural;
    const pods = await deleteKinds(namespaced.filter(isPods), namespace);
    if (pods.remainders.length > 0 || pods.failures.length > 0) return pods;
    return deleteKinds(
      namespaced.filter(kind => !isPods(kind)),
      namespace,
    );
  };

  const deleteKinds = async (wanted: readonly (Kind & { verbs: readonly string[] })[], namespace: string) => {
    const results = await Promise.allSettled(wanted.map(kind => deleteKind(kind, namespace)));
    return {
      remainders: results.flatMap(result =>
        result.status === 'fulfilled' && result.value.count > 0 ? [result.value] : [],
      ),
      failures: results.flatMap(result => (result.status === 'rejected' ? [result.reason] : [])),
    };
  };

  const deleteKind = async (kind: Kind & { verbs: readonly string[] }, namespace: string): Promise<Remainder> => {
    const list = async () => {
      const found = await unlessAbsent(client.list(kind, { namespace, metadataOnly: true }));
      return found?.items ?? [];
    };
    const before = await list();
    if (before.length === 0) return { kind, count: 0, finalizers: [] };
    const isAsked = kind.verbs.includes('deletecollection')
      ? await unlessAbsent(client.deleteCollection(kind, { namespace }).then(() => true))
      : false;
    if (!isAsked) {
      for (const { metadata } of before) {
        await unlessAbsent(client.delete(kind, { namespace, name: metadata?.name ?? '' }));
      }
    }
    const items = await list();
    return { kind, count: items.length, finalizers: items.flatMap(({ metadata }) => metadata?.finalizers ?? []) };
  };

  const writeConditions = async (namespace: Namespace, conditions: readonly NamespaceCondition[]) => {
    const status = { ...namespace.status, conditions: [...conditions] };
    if (isEqual(status, namespace.status)) return;
    await unlessAbsent(client.update(namespacesKind, { ...namespace, status }, { subresource: 'status' }));
  };
  return queueController(context, { name: 'namespace-controller', queue, reconcile });
}

/** Undefined for what is not there, or not to be had in this way: a kind may go while its objects are deleted. */
async function unlessAbsent<T>(request: Promise<T>): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    if (!hasReason(error, 'NotFound') && !hasReason(error, 'MethodNotAllowed')) throw error;
    return undefined;
  }
}

/**
 * When a namespace that is not empty is looked at again, in milliseconds. Pure.
 *
 * What finalizers alone hold waits for somebody outside, as long as Kubernetes lets it: half of its estimate of 15 s, and one.
 * What is on its way out by itself is looked at sooner, and less and less often.
 */
export function planNextLookMs(remainders: readonly Remainder[], tries: number): number {
  const isHeld = remainders.every(({ count, finalizers }) => finalizers.length >= count);
  if (isHeld) return NAMESPACE_HELD_RETRY_MS;
  return Math.min(NAMESPACE_RETRY_MS_MIN * 2 ** Math.min(tries, 10), NAMESPACE_RETRY_MS_MAX);
}

/**
 * How Kubernetes tells of groups that cannot be discovered; undefined if there are none. Pure.
 *
 * @param stale groups with their versions
 */
export function planDiscoveryMessage(stale: readonly string[]): string | undefined {
  if (stale.length === 0) return undefined;
  const each = stale.toSorted().map(name => `${name}: stale GroupVersion discovery: ${name}`);
  return `Discovery failed for some groups, ${stale.length} failing: unable to retrieve the complete list of server APIs: ${each.join(', ')}`;
}

/**
 * The five conditions in which Kubernetes tells how the deletion gets on. Others' conditions stay, and so does the order of
 * those that are there. Pure.
 */
export function planNamespaceConditions({
  old,
  undiscovered,
  remainders,
  failures,
  nowMs,
}: {
  readonly old: readonly NamespaceCondition[];
  /** Why not all kinds are known. */
  readonly undiscovered?: string | undefined;
  readonly remainders: readonly Remainder[];
  readonly failures: readonly unknown[];
  readonly nowMs: number;
}): NamespaceCondition[] {
  const left = remainders
    .map(({ kind, count }) => `${kind.plural}.${kind.group} has ${count} resource instances`)
    .toSorted();
  const holders = new Map<string, number>();
  for (const finalizer of remainders.flatMap(({ finalizers }) => finalizers)) {
    holders.set(finalizer, (holders.get(finalizer) ?? 0) + 1);
  }
  const held = [...holders].map(([finalizer, count]) => `${finalizer} in ${count} resource instances`).toSorted();
  const wanted: readonly (readonly [string, boolean, string, string])[] = [
    undiscovered === undefined
      ? ['NamespaceDeletionDiscoveryFailure', false, 'ResourcesDiscovered', 'All resources successfully discovered']
      : ['NamespaceDeletionDiscoveryFailure', true, 'DiscoveryFailed', undiscovered],
    [
      'NamespaceDeletionGroupVersionParsingFailure',
      false,
      'ParsedGroupVersions',
      'All legacy kube types successfully parsed',
    ],
    failures.length > 0
      ? [
          'NamespaceDeletionContentFailure',
          true,
          'ContentDeletionFailed',
          `Failed to delete all resource types, ${failures.length} remaining: ${failures.map(messageOf).join(', ')}`,
        ]
      : [
          'NamespaceDeletionContentFailure',
          false,
          'ContentDeleted',
          'All content successfully deleted, may be waiting on finalization',
        ],
    left.length > 0
      ? ['NamespaceContentRemaining', true, 'SomeResourcesRemain', `Some resources are remaining: ${left.join(', ')}`]
      : ['NamespaceContentRemaining', false, 'ContentRemoved', 'All content successfully removed'],
    held.length > 0
      ? [
          'NamespaceFinalizersRemaining',
          true,
          'SomeFinalizersRemain',
          `Some content in the namespace has finalizers remaining: ${held.join(', ')}`,
        ]
      : ['NamespaceFinalizersRemaining', false, 'ContentHasNoFinalizers', 'All content-preserving finalizers finished'],
  ];
  const told = new Map<string, NamespaceCondition>(
    wanted.map(([type, isTrue, reason, message]) => {
      const status = isTrue ? 'True' : 'False';
      const known = old.find(condition => condition.type === type);
      const lastTransitionTime =
        known?.status === status && known.lastTransitionTime ? known.lastTransitionTime : timestamp(nowMs);
      return [type, { lastTransitionTime, message, reason, status, type }];
    }),
  );
  const present = old.map(condition => told.get(condition.type) ?? condition);
  const added = [...told.values()].filter(({ type }) => !old.some(condition => condition.type === type));
  return [...present, ...added];
}
