/**
 * Counts anew what ResourceQuotas are used for: when a quota is new or changed, when something that it counts has gone, and
 * now and then. The API server charges quotas by itself, in the transaction of each object; so a count must never miss what
 * was charged meanwhile. It is made of one moment, the quota's and all objects' state at one revision, and what turns out
 * wrong is corrected in whatever has been charged since.
 */
import {
  persistentvolumeclaims as claimsKind,
  pods as podsKind,
  resourcequotas as quotasKind,
  services as servicesKind,
} from '../api/generated/kinds.ts';
import type { Pod, ResourceQuota } from '../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../api/kind.ts';
import { podEndMs } from '../api/quota/pods.ts';
import type { ResourceAmounts } from '../api/quota/resource-lists.ts';
import { hasReason } from '../api/status.ts';
import type { ReconcileResult } from '../client/controller.ts';
import { keyOf, parseKey } from '../client/keys.ts';
import { LIST_PAGE_SIZE } from '../client/limits.ts';
import { collectionPath, readText } from '../client/rest.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import type { DiscoveredKinds } from './discovered-kinds.ts';
import {
  DISCOVERY_PERIOD_MS,
  QUOTA_RESYNC_MS,
  QUOTA_SPACING_FACTOR,
  QUOTA_SPACING_MS_MAX,
  QUOTA_SPACING_MS_MIN,
  QUOTA_WRITES_MAX,
} from './limits.ts';
import { byNamespace, NAMESPACE_INDEX } from './owners.ts';
import { QuotaMonitors } from './quota-monitors.ts';
import {
  carryOver,
  concerns,
  countUsage,
  type KindContent,
  kindsOf,
  planStatus,
  type QuotaKind,
  withUncounted,
} from './resource-quota-plan.ts';

/** What differs from object to object; of all other kinds the number is enough. */
const MEASURED: readonly Kind[] = [podsKind, servicesKind, claimsKind];

export function resourceQuotaController(context: ControllerContext, kinds: DiscoveredKinds): Controller {
  const { informers, clock } = context;
  const queue = newQueue(context);
  const quotas = informers.for<ResourceQuota>(quotasKind);
  quotas.addIndex(NAMESPACE_INDEX, byNamespace);
  /** When a quota may be counted next: a count is not free, and changes come in crowds. */
  const earliestMs = new Map<string, number>();
  const enqueue = (key: string) => queue.addAfter(key, (earliestMs.get(key) ?? 0) - clock.now());
  const monitors = new QuotaMonitors(context, {
    freed(kind, { metadata }) {
      for (const quota of quotas.byIndex(NAMESPACE_INDEX, metadata?.namespace ?? '')) {
        if (concerns(quota, kind)) enqueue(keyOf(quota));
      }
    },
    started(kind) {
      for (const quota of quotas.list()) if (concerns(quota, kind)) enqueue(keyOf(quota));
    },
  });
  for (const kind of MEASURED) monitors.follow(informers.for(kind));
  /** When it was last looked which kinds are to be watched; quotas and kinds come and go. */
  let watchedMs = Number.NEGATIVE_INFINITY;
  const watchKinds = async () => {
    // Before the kinds are known nobody counts, whoever asks for them first: a quota would seem to count nothing.
    await kinds.refresh();
    if (clock.now() - watchedMs < DISCOVERY_PERIOD_MS) return;
    watchedMs = clock.now();
    const wanted = quotas.list().flatMap(kindsOf);
    monitors.watch(kinds.deletable.filter(kind => kind.namespaced && isAmong(wanted, kind)));
  };
  const counting = new Counting(context, kinds);
  const isNew = (quota: ResourceQuota) => {
    watchedMs = Number.NEGATIVE_INFINITY;
    queue.add(keyOf(quota));
  };
  quotas.addHandler({
    added: isNew,
    updated: (quota, old) => {
      // Every charge is an update too, and those are right as they are.
      const about = ({ spec, status }: ResourceQuota) => JSON.stringify([spec, status?.hard]);
      if (about(quota) !== about(old)) isNew(quota);
    },
    deleted: quota => {
      earliestMs.delete(keyOf(quota));
      isNew(quota);
    },
  });

  const reconcile = async (key: string): Promise<ReconcileResult | undefined> => {
    await watchKinds();
    if (!quotas.get(key)) return undefined;
    const startMs = clock.now();
    const outcome = await counting.count(parseKey(key));
    const tookMs = clock.now() - startMs;
    const spacingMs = Math.min(Math.max(QUOTA_SPACING_MS_MIN, tookMs * QUOTA_SPACING_FACTOR), QUOTA_SPACING_MS_MAX);
    earliestMs.set(key, clock.now() + spacingMs);
    return outcome;
  };
  const controller = queueController(context, { name: 'resourcequota-controller', queue, reconcile });
  return {
    name: controller.name,
    run: async () => {
      await controller.run();
      await monitors.stopped();
    },
  };
}

const isAmong = (list: readonly QuotaKind[], { group, plural }: QuotaKind): boolean =>
  list.some(each => each.group === group && each.plural === plural);

interface Snapshot {
  readonly quota: ResourceQuota;
  readonly used: ResourceAmounts;
  /** True if everything that the quota names was there to be counted. */
  readonly isComplete: boolean;
  /** When something will have ended that counts still. */
  readonly endsMs: number | undefined;
  /** Why the first of the kinds that could not be read could not. */
  readonly failure: unknown;
}

/** One count, from the reading to the writing. */
class Counting {
  readonly #context: ControllerContext;
  readonly #kinds: DiscoveredKinds;

  constructor(context: ControllerContext, kinds: DiscoveredKinds) {
    this.#context = context;
    this.#kinds = kinds;
  }

  async count(key: { readonly namespace?: string; readonly name: string }): Promise<ReconcileResult | undefined> {
    const snapshot = await this.#read(key);
    if (!snapshot) return undefined;
    await this.#write(key, snapshot);
    if (snapshot.failure !== undefined) throw snapshot.failure;
    const { clock } = this.#context;
    const endMs = snapshot.endsMs === undefined ? QUOTA_RESYNC_MS : Math.max(snapshot.endsMs - clock.now(), 0) + 1_000;
    return { afterMs: Math.min(endMs, snapshot.isComplete ? QUOTA_RESYNC_MS : DISCOVERY_PERIOD_MS) };
  }

  /** The quota and what it counts, all at one revision. */
  async #read({ namespace = '', name }: { namespace?: string; name: string }): Promise<Snapshot | undefined> {
    const { client, clock } = this.#context;
    const { items, resourceVersion } = await client.list(quotasKind, { namespace });
    const quota = items.find(({ metadata }) => metadata?.name === name);
    if (!quota) return undefined;
    const wanted = kindsOf(quota);
    const present = this.#kinds.deletable.filter(kind => kind.namespaced && isAmong(wanted, kind));
    const contents: KindContent[] = [];
    let endsMs: number | undefined;
    let failure: unknown;
    for (const kind of present) {
      try {
        const content = await this.#contentOf(kind, { namespace, resourceVersion });
        contents.push(content);
        if ('objects' in content && kind.plural === podsKind.plural) endsMs = this.#firstEndMs(content.objects);
      } catch (error) {
        // One kind whose server is away must not keep the others from being counted.
        failure ??= error;
      }
    }
    return {
      quota,
      used: withUncounted(quota, countUsage(quota, contents, clock.now())),
      isComplete: present.length >= wanted.length,
      endsMs,
      failure,
    };
  }

  async #contentOf(kind: Kind, at: At): Promise<KindContent> {
    return isMeasured(kind)
      ? { kind, objects: await this.#listAll(kind, at) }
      : { kind, count: await this.#countOf(kind, at) };
  }

  #firstEndMs(pods: readonly Pod[]): number | undefined {
    const nowMs = this.#context.clock.now();
    const ends = pods.flatMap(pod => podEndMs(pod) ?? []).filter(endMs => endMs > nowMs);
    return ends.length > 0 ? ends.reduce((first, endMs) => Math.min(first, endMs)) : undefined;
  }

  async #listAll(kind: Kind, at: At): Promise<KubernetesObject[]> {
    const objects: KubernetesObject[] = [];
    let next: string | undefined;
    do {
      const page = await this.#context.client.list(kind, {
        namespace: at.namespace,
        limit: LIST_PAGE_SIZE,
        ...(next === undefined
          ? { resourceVersion: at.resourceVersion, resourceVersionMatch: 'Exact' as const }
          : { continue: next }),
      });
      objects.push(...page.items);
      next = page.continue;
    } while (next);
    return objects;
  }

  /** How many there are: the server knows how many are behind the first. */
  async #countOf(kind: Kind, { namespace, resourceVersion }: At): Promise<number> {
    const query = new URLSearchParams({ limit: '1', resourceVersion, resourceVersionMatch: 'Exact' });
    const response = await this.#context.client.transport.request({
      method: 'GET',
      path: `${collectionPath(kind, namespace)}?${query}`,
      headers: { accept: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json' },
    });
    const text = await readText(response.body);
    if (response.status !== 200) throw new Error(`${kind.plural} could not be counted: ${response.status} ${text}`);
    const list = JSON.parse(text) as {
      items?: unknown[];
      metadata?: { remainingItemCount?: number; continue?: string };
    };
    const { remainingItemCount, continue: next } = list.metadata ?? {};
    if (next && remainingItemCount === undefined)
      return (await this.#listAll(kind, { namespace, resourceVersion })).length;
    return (list.items ?? []).length + (remainingItemCount ?? 0);
  }

  async #write(
    key: { readonly namespace?: string; readonly name: string },
    { quota: counted, used }: Snapshot,
  ): Promise<void> {
    const { client } = this.#context;
    let quota = counted;
    let amounts = used;
    for (let attempt = 1; ; attempt++) {
      const status = planStatus(quota, amounts);
      if (!status) return;
      try {
        await client.update(quotasKind, { ...quota, status }, { subresource: 'status' });
        return;
      } catch (error) {
        if (hasReason(error, 'NotFound')) return;
        if (!hasReason(error, 'Conflict') || attempt >= QUOTA_WRITES_MAX) throw error;
        quota = await client.get(quotasKind, key);
        const carried = carryOver({ counted, used }, quota);
        if (!carried) throw error;
        amounts = carried;
      }
    }
  }
}

interface At {
  readonly namespace: string;
  readonly resourceVersion: string;
}

const isMeasured = ({ group, plural }: Kind): boolean => group === '' && MEASURED.some(kind => kind.plural === plural);
