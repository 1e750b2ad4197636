/**
 * What the runtime has of this node. Lists are asked each time; what they leave out (times, exit codes, processes) is
 * asked once for each container in each state and remembered, because it cannot change any more.
 */

import type { Read } from '../../grpc/proto.ts';
import { mapBounded } from '../bounded.ts';
import type { Clock } from '../clock.ts';
import {
  type ContainerMark,
  markOf,
  type Owner,
  ownerLabels,
  podUidLabel,
  type SandboxMark,
} from '../docker/labels.ts';
import type { ContainerStatus, SandboxStatus } from '../runtime.ts';
import { type CriConnection, isNotFound } from './connection.ts';
import { outcomeSettlesMs, statusConcurrencyMax } from './limits.ts';
import { type containerItem, type sandboxItem, sandboxState } from './messages.ts';
import { runtimeCalls } from './services.ts';
import { containerStatusOf, pidIn, sandboxStatusOf } from './status.ts';

type SandboxItem = Read<typeof sandboxItem>;
type ContainerItem = Read<typeof containerItem>;

interface Listed {
  readonly sandboxes: readonly { readonly mark: SandboxMark; readonly item: SandboxItem }[];
  readonly containers: readonly { readonly mark: ContainerMark; readonly item: ContainerItem }[];
}

export class Inventory {
  readonly #connection: CriConnection;
  readonly #owner: Owner;
  readonly #clock: Clock;
  /** By id: the state in which it was asked for, and the answer. No larger than the last list. */
  #statuses = new Map<string, { readonly state: number; readonly status: ContainerStatus }>();
  /** Processes of ready sandboxes. No larger than the last list. */
  #pids = new Map<string, number>();

  constructor(connection: CriConnection, owner: Owner, clock: Clock) {
    this.#connection = connection;
    this.#owner = owner;
    this.#clock = clock;
  }

  /** Only what this node made; narrower with more labels. */
  async listed(labels: Readonly<Record<string, string>> = {}): Promise<Listed> {
    const labelSelector = { ...ownerLabels(this.#owner), ...labels };
    // Containers first: one that is made meanwhile has its sandbox in the list, or is not yet seen itself.
    const { containers } = await this.#connection.call(runtimeCalls.listContainers, { filter: { labelSelector } });
    const { items } = await this.#connection.call(runtimeCalls.listPodSandbox, { filter: { labelSelector } });
    return {
      sandboxes: items.flatMap(item => {
        const mark = markOf(item.labels);
        return mark?.kind === 'sandbox' ? [{ mark, item }] : [];
      }),
      containers: containers.flatMap(item => {
        const mark = markOf(item.labels);
        return mark?.kind === 'container' ? [{ mark, item }] : [];
      }),
    };
  }

  /** A text for each pod that changes when the state of anything of it does. */
  async fingerprints(): Promise<Map<string, string>> {
    const { sandboxes, containers } = await this.listed();
    const found = new Map<string, string>();
    for (const { mark, item } of [...sandboxes, ...containers]) {
      const { uid } = mark.pod;
      found.set(uid, `${found.get(uid) ?? ''} ${item.id}=${item.state}`);
    }
    return found;
  }

  async list(): Promise<SandboxStatus[]> {
    const { sandboxes, containers } = await this.listed();
    const statuses = await mapBounded(containers, statusConcurrencyMax, async ({ mark, item }) => {
      const status = await this.#statusOf(mark, item);
      return status && { sandboxId: item.podSandboxId, status };
    });
    const found = statuses.filter(one => one !== undefined);
    found.sort((left, right) => left.status.createdAt - right.status.createdAt);
    const result = await mapBounded(sandboxes, statusConcurrencyMax, async ({ mark, item }) => {
      const own = found.filter(one => one.sandboxId === item.id).map(one => one.status);
      return sandboxStatusOf(mark, item, { pid: await this.#pidOf(item), containers: own });
    });
    this.#forgetAllBut(new Set([...sandboxes, ...containers].map(({ item }) => item.id)));
    return result.sort((left, right) => left.createdAt - right.createdAt);
  }

  /** As it is now. Undefined if there is no such container, or if it is not this node's. */
  async container(id: string): Promise<{ mark: ContainerMark; status: ContainerStatus } | undefined> {
    try {
      const answer = await this.#connection.call(runtimeCalls.containerStatus, { containerId: id, verbose: true });
      const mark = answer.status && markOf(answer.status.labels);
      if (answer.status === undefined || mark?.kind !== 'container') return undefined;
      return { mark, status: containerStatusOf(mark, answer.status, pidIn(answer.info)) };
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** One sandbox as it is now, without its containers. Undefined if it is gone. */
  async sandbox(id: string): Promise<SandboxStatus | undefined> {
    try {
      const answer = await this.#connection.call(runtimeCalls.podSandboxStatus, { podSandboxId: id, verbose: true });
      const mark = answer.status && markOf(answer.status.labels);
      if (answer.status === undefined || mark?.kind !== 'sandbox') return undefined;
      return sandboxStatusOf(mark, answer.status, { pid: pidIn(answer.info), containers: [] });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** The pod's sandboxes of that attempt, or all; for finding what a broken call left. */
  async sandboxesOf(podUid: string): Promise<Listed['sandboxes']> {
    return (await this.listed({ [podUidLabel]: podUid })).sandboxes;
  }

  async #statusOf(mark: ContainerMark, item: ContainerItem): Promise<ContainerStatus | undefined> {
    const known = this.#statuses.get(item.id);
    if (known?.state === item.state && this.#isSettled(known.status)) return known.status;
    const found = await this.container(item.id);
    if (found === undefined) return undefined;
    // It may have gone on since the list: then the next list asks again.
    this.#statuses.set(item.id, { state: item.state, status: found.status });
    return { ...found.status, name: mark.name };
  }

  /** The word of the kernel that memory was short may come after the end. */
  #isSettled(status: ContainerStatus): boolean {
    return status.state !== 'exited' || status.oomKilled || this.#clock.now() - status.finishedAt > outcomeSettlesMs;
  }

  async #pidOf(item: SandboxItem): Promise<number | undefined> {
    if (item.state !== sandboxState.ready) return undefined;
    const known = this.#pids.get(item.id);
    if (known !== undefined) return known;
    const pid = (await this.sandbox(item.id))?.pid;
    if (pid !== undefined) this.#pids.set(item.id, pid);
    return pid;
  }

  #forgetAllBut(ids: ReadonlySet<string>): void {
    for (const id of this.#statuses.keys()) if (!ids.has(id)) this.#statuses.delete(id);
    for (const id of this.#pids.keys()) if (!ids.has(id)) this.#pids.delete(id);
  }
}
