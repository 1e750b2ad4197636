/**
 * Static pods: the node runs what the manifests in a folder say, with or without an API server. Each has a mirror in the
 * API once that can be reached, which shows its status; changing or deleting the mirror changes nothing.
 *
 *   folder.ts    files → pods          manifest.ts   one file's text → a pod (pure)
 *   mirrors.ts   what the API has and ought to have (pure)
 */
import { mkdir, watch } from 'node:fs/promises';
import {
  type Client,
  type EventRecorder,
  hasReason,
  type Informer,
  type Node,
  type Pod,
  type PodStatus,
  pods,
} from '../api.ts';
import { type Clock, sleep, timeText } from '../clock.ts';
import { Coalescer } from '../coalescer.ts';
import type { Logger } from '../logger.ts';
import { SOURCE_ANNOTATION } from '../pods/admission.ts';
import type { StatusSink } from '../pods/context.ts';
import { fullName, ManifestFolder, type PodsByName } from './folder.ts';
import { MANIFESTS_REST_MS, MANIFESTS_SCAN_MS, MIRRORS_REST_MS } from './limits.ts';
import { isMirror, makeMirror, planMirrors, staticUidOf } from './mirrors.ts';

/** Who runs pods. */
export interface StaticPodHost {
  /** Begins a pod of the node's own; its status goes to the sink. */
  beginStatic(pod: Pod, statuses: StatusSink): void;
  apply(pod: Pod): void;
  /** Ends the pod; {@link StaticPods.forgotten} is told when nothing of it is left. */
  remove(pod: Pod): void;
}

export interface StaticPodsOptions {
  readonly host: StaticPodHost;
  readonly folder: string;
  readonly nodeName: string;
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly recorder: EventRecorder;
  /** The node's object in the API, once it is registered. */
  readonly node: () => Node | undefined;
  /** The pods of this node that the API has. */
  readonly known: Pick<Informer<Pod>, 'get' | 'list' | 'hasSynced'>;
  /** Writes to the API. */
  readonly statuses: StatusSink;
  readonly scanMs?: number;
}

export class StaticPods {
  readonly #options: StaticPodsOptions;
  readonly #folder: ManifestFolder;
  readonly #scans: Coalescer;
  readonly #mirrors: Coalescer;
  readonly #running = new Map<string, Pod>();
  /** Names of those among them that are being ended. */
  readonly #ending = new Set<string>();
  /** By static pod's UID. */
  readonly #statuses = new Map<string, PodStatus>();
  #wanted: PodsByName = new Map();

  constructor(options: StaticPodsOptions) {
    const { folder, nodeName, clock, logger } = options;
    this.#options = options;
    this.#folder = new ManifestFolder({
      folder,
      nodeName,
      onTrouble: (file, message) => this.#tellTrouble(file, message),
    });
    const shared = { clock, logger };
    const scans = { ...shared, name: 'static pods', job: () => this.#scan(), restMs: MANIFESTS_REST_MS };
    const mirrors = { ...shared, name: 'mirror pods', job: () => this.#syncMirrors(), restMs: MIRRORS_REST_MS };
    this.#scans = new Coalescer(scans);
    this.#mirrors = new Coalescer(mirrors);
  }

  /** Reads the folder for the first time and begins its pods; those that cannot be read are left for later. */
  async start(): Promise<void> {
    const { folder, logger } = this.#options;
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await this.#scan();
    } catch (error) {
      logger.warn({ error, folder }, 'the folder of static pods cannot be read');
    }
  }

  /** Follows the folder until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#repeat(signal), this.#watch(signal)]);
  }

  async close(): Promise<void> {
    await Promise.all([this.#scans.close(), this.#mirrors.close()]);
  }

  /** The API's pods of this node come here first: mirrors are ours, all others are the host's. */
  get handler() {
    const { host, statuses } = this.#options;
    const seen = (pod: Pod) => (isMirror(pod) ? this.#mirrorSeen(pod) : host.apply(fromApi(pod)));
    return {
      added: seen,
      updated: seen,
      deleted: (pod: Pod) => {
        if (!isMirror(pod)) return host.remove(pod);
        statuses.forget(pod.metadata?.uid ?? '');
        this.#mirrors.request();
      },
    };
  }

  /** Nothing is left of a pod: one of its name may begin. */
  forgotten(uid: string): void {
    const known = [...this.#running.values()].find(({ metadata }) => metadata?.uid === uid);
    if (!known) return;
    this.#running.delete(fullName(known));
    this.#ending.delete(fullName(known));
    this.#sync();
  }

  /** The API's pods of this node are known now. */
  apiReady(): void {
    this.#mirrors.request();
  }

  async #scan(): Promise<void> {
    this.#wanted = await this.#folder.read();
    this.#sync();
    if (this.#folder.isUnsettled) this.#scans.request();
  }

  /** Ends what no file wants any more, and begins what is wanted where nothing of that name is left. */
  #sync(): void {
    const { clock, host } = this.#options;
    for (const [name, pod] of this.#running) {
      if (this.#wanted.get(name)?.metadata?.uid === pod.metadata?.uid || this.#ending.has(name)) continue;
      this.#ending.add(name);
      host.remove(pod);
    }
    for (const [name, manifest] of this.#wanted) {
      if (this.#running.has(name)) continue;
      const pod = withTimeSeen(manifest, timeText(clock.now()));
      this.#running.set(name, pod);
      host.beginStatic(pod, this.#sink);
    }
    this.#mirrors.request();
  }

  async #syncMirrors(): Promise<void> {
    const { known, node, client } = this.#options;
    const owner = node();
    // Without either the API cannot be reached; both ask for another look.
    if (!known.hasSynced || !owner) return;
    const plan = planMirrors({ running: this.#running, ending: this.#ending, known: known.list() });
    const failures: unknown[] = [];
    const attempt = (work: Promise<unknown>) => work.catch((error: unknown) => failures.push(error));
    for (const { metadata: { name = '', namespace = '', uid } = {} } of plan.remove)
      await attempt(
        unlessGone(client.delete(pods, { namespace, name }, { gracePeriodSeconds: 0, ...(uid && { uid }) })),
      );
    for (const pod of plan.create) await attempt(unlessThere(client.create(pods, makeMirror(pod, owner))));
    if (failures.length > 0) throw new AggregateError(failures, `${failures.length} mirror pods could not be changed`);
  }

  #mirrorSeen(mirror: Pod): void {
    this.#mirrors.request();
    const uid = staticUidOf(mirror);
    const status = uid === undefined ? undefined : this.#statuses.get(uid);
    if (status) this.#options.statuses.set(mirror, status);
  }

  /** Where static pods tell their status: it is kept, and shown by the mirror while there is one. */
  readonly #sink: StatusSink = {
    set: (pod, status) => {
      this.#statuses.set(pod.metadata?.uid ?? '', status);
      const mirror = this.#options.known.get(fullName(pod));
      if (mirror && staticUidOf(mirror) === pod.metadata?.uid) this.#options.statuses.set(mirror, status);
    },
    // A static pod ends without a word to the API.
    flush: () => Promise.resolve(),
    forget: uid => this.#statuses.delete(uid),
  };

  #tellTrouble(file: string, message: string): void {
    const { nodeName, logger, recorder } = this.#options;
    logger.error({ file, reason: message }, 'a file of the folder of static pods is no pod that could run');
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: nodeName, uid: nodeName } };
    const text = `Error in static pod manifest ${file}: ${message}`;
    recorder.record(node, { type: 'Warning', reason: 'FailedValidation', message: text });
  }

  async #repeat(signal: AbortSignal): Promise<void> {
    const { clock, scanMs = MANIFESTS_SCAN_MS } = this.#options;
    while (!signal.aborted) {
      this.#scans.request();
      this.#mirrors.request();
      await sleep(clock, scanMs, signal);
    }
  }

  /** Changes are told by the system where it can; the readings above miss none. */
  async #watch(signal: AbortSignal): Promise<void> {
    const { folder, logger } = this.#options;
    try {
      for await (const _change of watch(folder, { signal })) this.#scans.request();
    } catch (error) {
      if (!signal.aborted) logger.debug({ error, folder }, 'the folder of static pods cannot be watched');
    }
  }
}

const SEEN_ANNOTATION = 'kubernetes.io/config.seen';

/** When the node came to know of the pod is no part of what the pod is. */
function withTimeSeen(pod: Pod, seen: string): Pod {
  const annotations = { ...pod.metadata?.annotations, [SEEN_ANNOTATION]: seen };
  return { ...pod, metadata: { ...pod.metadata, annotations } };
}

/** Who writes to the API cannot give a pod the standing of a static one. */
function fromApi(pod: Pod): Pod {
  const { annotations } = pod.metadata ?? {};
  if (annotations?.[SOURCE_ANNOTATION] === undefined) return pod;
  return { ...pod, metadata: { ...pod.metadata, annotations: { ...annotations, [SOURCE_ANNOTATION]: 'api' } } };
}

/** It is gone already, or another one has its name by now. */
async function unlessGone(deletion: Promise<unknown>): Promise<void> {
  try {
    await deletion;
  } catch (error) {
    if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
  }
}

/** One that the informer has not shown yet; another pod that has the name is looked for again with the next reading. */
async function unlessThere(creation: Promise<unknown>): Promise<void> {
  try {
    await creation;
  } catch (error) {
    if (!hasReason(error, 'AlreadyExists')) throw error;
  }
}
