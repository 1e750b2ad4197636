/** Makes pods and hears by one watch when each was bound, ran and went: times are those at which the bench was told. */
import * as kinds from '../../../control/api/generated/kinds.ts';
import type { Pod } from '../../../control/api/generated/types.ts';
import type { RestClient } from '../../../control/client/rest.ts';
import { HopelessError, until } from '../../helpers/run.ts';

export const NAMESPACE = 'bench';
const WAIT_MS_MAX = 180_000;

interface Seen {
  boundMs?: number;
  runningMs?: number;
  isGone?: boolean;
  phase?: string;
  address?: string;
}

export class PodWatch {
  readonly #client: RestClient;
  readonly #stop = new AbortController();
  readonly #seen = new Map<string, Seen>();
  #following: Promise<void> = Promise.resolve();
  #failure: unknown;

  private constructor(client: RestClient) {
    this.#client = client;
  }

  /** Makes the namespace if it is not there and begins to listen. */
  static async open(client: RestClient): Promise<PodWatch> {
    const watch = new PodWatch(client);
    const isThere = (await client.list(kinds.namespaces)).items.some(({ metadata }) => metadata?.name === NAMESPACE);
    if (!isThere) await client.create(kinds.namespaces, { metadata: { name: NAMESPACE } });
    await until('the service account', async () => {
      const { items } = await client.list(kinds.serviceaccounts, { namespace: NAMESPACE });
      return items.length > 0;
    });
    const { resourceVersion } = await client.list(kinds.pods, { namespace: NAMESPACE });
    watch.#following = watch.#follow(resourceVersion).catch(error => {
      watch.#failure = error;
    });
    return watch;
  }

  async #follow(resourceVersion: string): Promise<void> {
    const { signal } = this.#stop;
    for await (const event of this.#client.watch(kinds.pods, { namespace: NAMESPACE, resourceVersion, signal })) {
      if (event.type === 'BOOKMARK') continue;
      const atMs = performance.now();
      const { metadata, spec, status } = event.object as Pod;
      const seen = this.#of(metadata?.name ?? '');
      if (spec?.nodeName) seen.boundMs ??= atMs;
      if (status?.phase === 'Running') seen.runningMs ??= atMs;
      if (status?.phase !== undefined) seen.phase = status.phase;
      if (status?.podIP !== undefined) seen.address = status.podIP;
      if (event.type === 'DELETED') seen.isGone = true;
    }
    if (!signal.aborted) throw new Error('the watch ended');
  }

  #of(name: string): Seen {
    const seen = this.#seen.get(name) ?? {};
    this.#seen.set(name, seen);
    return seen;
  }

  async create(name: string, spec: Partial<NonNullable<Pod['spec']>> & { containers: object[] }): Promise<void> {
    const pod = {
      metadata: { name, namespace: NAMESPACE, labels: { app: name } },
      spec: { terminationGracePeriodSeconds: 0, ...spec },
    };
    await this.#client.create(kinds.pods, pod as Pod);
  }

  /** Resolves with the milliseconds from bound to running. */
  async running(name: string): Promise<number> {
    const seen = this.#of(name);
    await this.#until(`pod ${name} runs`, () => seen.runningMs !== undefined);
    return (seen.runningMs ?? Number.NaN) - (seen.boundMs ?? Number.NaN);
  }

  async addressOf(name: string): Promise<string> {
    const seen = this.#of(name);
    await this.#until(`pod ${name} has an address`, () => seen.address !== undefined);
    return seen.address ?? '';
  }

  /** Waits for the end of a pod's work and gives what it printed. Throws if it failed. */
  async output(name: string): Promise<string> {
    const seen = this.#of(name);
    await this.#until(`pod ${name} ends`, () => seen.phase === 'Succeeded' || seen.phase === 'Failed');
    const path = `/api/v1/namespaces/${NAMESPACE}/pods/${name}/log`;
    const answer = await this.#client.transport.request({ method: 'GET', path });
    const chunks: Uint8Array[] = [];
    for await (const chunk of answer.body) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    if (seen.phase === 'Failed') throw new Error(`pod ${name} failed: ${text}`);
    return text;
  }

  async delete(names: readonly string[]): Promise<void> {
    for (const name of names) {
      await this.#client.delete(kinds.pods, { namespace: NAMESPACE, name }, { gracePeriodSeconds: 0 });
    }
    await this.#until('the pods have gone', () => names.every(name => this.#of(name).isGone));
    for (const name of names) this.#seen.delete(name);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#following;
  }

  #until(what: string, isSo: () => boolean): Promise<boolean> {
    const condition = () => {
      if (this.#failure !== undefined) throw new HopelessError('the watch of pods ended', { cause: this.#failure });
      return isSo();
    };
    return until(what, condition, WAIT_MS_MAX);
  }
}
