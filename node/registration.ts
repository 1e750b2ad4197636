/** The node's own object in the API: makes it, keeps its status true, makes it again if somebody removed it. */
import { type Client, hasReason, type Node, type NodeAddress, type NodeStatus, nodes } from './api.ts';
import { type Clock, sleep } from './clock.ts';
import { NODE_OBSERVE_MS, REGISTER_RETRY_MS } from './limits.ts';
import type { Logger } from './logger.ts';
import { goneAmounts } from './node-amounts.ts';
import { type NodeAnnouncer, nodeEvents } from './node-events.ts';
import { type NodeInput, newNode, nodeStatus, saysMore } from './node-status.ts';

export interface RegistrationOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Reads what is to be reported now. */
  readonly observe: () => Promise<NodeInput>;
  /** The object as it was last seen in the API: others write into it too. */
  readonly seen?: () => Node | undefined;
  /** Tells what has changed of the node. */
  readonly announce: NodeAnnouncer;
  /** The status is written at least this often. */
  readonly statusMs: number;
  readonly observeMs?: number;
}

export class Registration {
  readonly #options: RegistrationOptions;
  readonly #registered = Promise.withResolvers<void>();
  #node: Node | undefined;
  #writtenAt = 0;
  #wasUnschedulable = false;
  /** This agent made the object, and has not told of it yet. */
  #isNew = false;
  #nudge = Promise.withResolvers<void>();

  constructor(options: RegistrationOptions) {
    this.#options = options;
  }

  /** The object as the server last gave it. */
  get node(): Node | undefined {
    return this.#node;
  }

  /** Resolves once the node is known to the API. */
  get registered(): Promise<void> {
    return this.#registered.promise;
  }

  /** Look at once whether something is to be reported. */
  nudge(): void {
    this.#nudge.resolve();
  }

  /** Reports until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger, observeMs = NODE_OBSERVE_MS } = this.#options;
    while (!signal.aborted) {
      this.#nudge = Promise.withResolvers();
      let delayMs = observeMs;
      try {
        await this.#report();
        this.#registered.resolve();
      } catch (error) {
        if (hasReason(error, 'NotFound')) this.#node = undefined;
        if (!signal.aborted) logger.debug({ error }, 'the node could not report its status');
        delayMs = Math.min(REGISTER_RETRY_MS, observeMs);
      }
      const timer = new AbortController();
      await Promise.race([sleep(clock, delayMs, AbortSignal.any([signal, timer.signal])), this.#nudge.promise]);
      timer.abort();
    }
  }

  async #report(): Promise<void> {
    const { clock, observe, statusMs } = this.#options;
    const input = await observe();
    const now = clock.now();
    this.#node = newer(this.#node, this.#options.seen?.()) ?? (await this.#register(input));
    const before = this.#node.status;
    const status = nodeStatus(input, before, now);
    const isDue = now - this.#writtenAt >= statusMs || saysMore(before && only(before, status), status);
    if (isDue) await this.#write(input.name, { before, status, now });
    this.#tell(input.name, before, status);
  }

  #tell(name: string, before: NodeStatus | undefined, after: NodeStatus): void {
    const isUnschedulable = this.#node?.spec?.unschedulable ?? false;
    const known = this.#isNew ? undefined : before;
    const unschedulable = [this.#wasUnschedulable, isUnschedulable] as const;
    for (const event of nodeEvents({ name, before: known, after, unschedulable })) this.#options.announce(event);
    this.#isNew = false;
    this.#wasUnschedulable = isUnschedulable;
  }

  async #write(name: string, at: { before: NodeStatus | undefined; status: NodeStatus; now: number }): Promise<void> {
    const { before, status, now } = at;
    const gone = goneAmounts(status.allocatable ?? {}, before).map(name => [name, null] as const);
    const allocatable = { ...status.allocatable, ...Object.fromEntries(gone) };
    const addresses = addressPatch(status.addresses ?? [], before?.addresses ?? []);
    const body = { status: { ...status, allocatable, addresses } };
    const patch = { type: 'application/strategic-merge-patch+json' as const, body };
    this.#node = await this.#options.client.patch(nodes, { name }, patch, { subresource: 'status' });
    this.#writtenAt = now;
  }

  async #register(input: NodeInput): Promise<Node> {
    const { client, clock, logger } = this.#options;
    try {
      const created = await client.create(nodes, newNode(input, clock.now()));
      logger.info({ node: input.name }, 'node registered');
      this.#isNew = true;
      return created;
    } catch (error) {
      if (!hasReason(error, 'AlreadyExists')) throw error;
    }
    // It was here before: what the agent says of its machine is brought up to date, all else is the operators'.
    const { labels, annotations } = newNode(input, clock.now()).metadata ?? {};
    const patch = { type: 'application/merge-patch+json' as const, body: { metadata: { labels, annotations } } };
    return client.patch(nodes, { name: input.name }, patch);
  }
}

/**
 * Addresses merge by type, and a node of both families has two of one type: then the list is replaced, with what others wrote
 * there. Pure.
 */
export function addressPatch(own: readonly NodeAddress[], before: readonly NodeAddress[]): readonly object[] {
  const types = new Set(own.map(({ type }) => type));
  if (types.size === own.length && !hasTwoOf(types, before)) return own;
  return [...own, ...before.filter(({ type }) => !types.has(type)), { $patch: 'replace' }];
}

function hasTwoOf(types: ReadonlySet<string>, addresses: readonly NodeAddress[]): boolean {
  const ours = addresses.map(({ type }) => type).filter(type => types.has(type));
  return new Set(ours).size < ours.length;
}

/** Of one's own and what was seen: an object that is not one's own any more says nothing, nor does an older state. */
function newer(own: Node | undefined, seen: Node | undefined): Node | undefined {
  if (!own || !seen || own.metadata?.uid !== seen.metadata?.uid) return own;
  return Number(seen.metadata?.resourceVersion) > Number(own.metadata?.resourceVersion) ? seen : own;
}

/** The part of a status that the agent writes: others have conditions and fields of their own there. */
function only(before: NonNullable<Node['status']>, own: NonNullable<Node['status']>): NonNullable<Node['status']> {
  const types = new Set(own.conditions?.map(({ type }) => type));
  const picked = Object.fromEntries(
    Object.keys(own).map(key => [key, before[key as keyof typeof before]]),
  ) as NonNullable<Node['status']>;
  const conditions = own.conditions?.flatMap(
    ({ type }) => before.conditions?.filter(known => known.type === type && types.has(type)) ?? [],
  );
  return { ...picked, ...(conditions && { conditions }) };
}
