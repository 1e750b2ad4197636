/**
 * One pod's serial worker: computes and reports the status, asks the step for the next action, performs it, and waits for
 * news when there is nothing to do. Everything that concerns the pod happens here, in one order.
 */
import type { Pod, PodStatus } from '../api.ts';
import { sleep } from '../clock.ts';
import { ACTIONS_PER_TURN_MAX, RESIZE_RETRY_MS, SETUP_BACK_OFF_MS, WAIT_MS_MAX } from '../limits.ts';
import { hasProbes, Prober } from '../probes/prober.ts';
import type { ContainerStatus } from '../runtime/runtime.ts';
import { isCritical, type Refusal } from './admission.ts';
import { Announcer } from './announce.ts';
import { downwardContext, readTerminationMessage } from './container-maker.ts';
import type { PodContext } from './context.ts';
import { Performer } from './performer.ts';
import {
  addressesOf,
  adoptRecord,
  containersNamed,
  findContainer,
  otherImages,
  type PodInput,
  type PodRecord,
  type Verdict,
} from './record.ts';
import { judgeResize, withAllocation } from './resize.ts';
import { computeStatus, isRunning } from './status.ts';
import { restartWait, type Step, step } from './step.ts';

export interface PodWorkerOptions {
  readonly context: PodContext;
  readonly pod: Pod;
  /** The node does not take it. */
  readonly refusal?: Refusal | undefined;
  /** Resolves when it has room: nothing of it is made before. */
  readonly room?: Promise<void> | undefined;
  /** Nothing of the pod is left on this node. */
  readonly onForgotten: (podUid: string) => void;
}

export class PodWorker {
  readonly uid: string;
  readonly #context: PodContext;
  readonly #onForgotten: (podUid: string) => void;
  readonly #record: PodRecord;
  readonly #performer: Performer;
  readonly #probers = new Map<string, Prober>();
  /** Ids of ended containers whose back-off was announced. */
  readonly #announced = new Set<string>();
  #pod: Pod;
  #status: PodStatus | undefined;
  #gone = false;
  #closing = new AbortController();
  #poke = Promise.withResolvers<void>();
  #running: Promise<void> | undefined;
  readonly #stopped = Promise.withResolvers<void>();

  constructor({ context, pod, refusal, room, onForgotten }: PodWorkerOptions) {
    this.uid = pod.metadata?.uid ?? '';
    this.#context = context;
    this.#pod = pod;
    this.#onForgotten = onForgotten;
    this.#record = adoptRecord(pod, context.view.of(this.uid), context.clock.now());
    this.#performer = new Performer({ context, record: this.#record, onChange: () => this.poke() });
    if (refusal) this.#reject(refusal);
    if (room) this.#waitFor(room);
  }

  #waitFor(room: Promise<void>): void {
    this.#record.waitsForRoom = true;
    void room.then(() => {
      this.#record.waitsForRoom = false;
      this.poke();
    });
  }

  get pod(): Pod {
    return this.#pod;
  }

  /** The pod's address; undefined while it has none. */
  get address(): string | undefined {
    return this.#record.address;
  }

  /** The status as last computed. */
  get status(): PodStatus | undefined {
    return this.#status ?? this.#pod.status;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** The object changed. */
  update(pod: Pod): void {
    const changed = otherImages(this.#pod, pod);
    if (changed.length > 0) this.#record.imagesChangedAt = this.#context.clock.now();
    // How often it has failed says nothing of another image.
    for (const name of changed) this.#record.backOffs.delete(name);
    this.#pod = pod;
    // Others may end a pod too: the podgc controller, or an eviction.
    const { phase, reason = '', message = '' } = pod.status ?? {};
    const isNews = !this.#record.ended && !this.#record.verdict;
    if (isNews && phase === 'Failed') this.#record.verdict = { reason, message };
    if (isNews && phase === 'Succeeded') this.#record.ended = phase;
    this.poke();
  }

  /** The runtime's ids of the containers that run, by name. */
  get containerIds(): ReadonlyMap<string, string> {
    const containers = this.#context.view.of(this.uid)[0]?.containers ?? [];
    return new Map(containers.flatMap(({ name, id, state }) => (state === 'running' ? [[name, id] as const] : [])));
  }

  /** The pod with what it was given; undefined if it takes nothing of the node. */
  get allocated(): Pod | undefined {
    // One that was told to end is not counted on any more.
    if (this.#record.rejected || this.#record.ended || this.#record.verdict) return undefined;
    return withAllocation(this.#pod, this.#record.allocation);
  }

  /** Ends the pod, whatever it does. One that has ended stays as it is, and what the cluster cannot do without. */
  evict(verdict: Verdict): boolean {
    return !isCritical(this.#pod) && this.#giveUp(verdict);
  }

  /** Ends the pod for another one; resolves when nothing of it runs any more, or this agent stops. */
  preempt(verdict: Verdict): Promise<void> {
    return this.#giveUp(verdict) ? this.#stopped.promise : Promise.resolve();
  }

  #giveUp(verdict: Verdict): boolean {
    if (this.#record.verdict || this.#record.ended || this.#gone) return false;
    this.#record.verdict = verdict;
    new Announcer(this.#context.recorder, this.#pod).tell('Warning', verdict.reason, verdict.message);
    this.poke();
    return true;
  }

  /** The object is gone from the API: everything is taken down. */
  remove(): void {
    this.#gone = true;
    this.poke();
  }

  /** Look again. */
  poke(): void {
    this.#poke.resolve();
  }

  /** Brings volumes that come from the API up to date. */
  async refreshVolumes(): Promise<void> {
    if (this.#record.volumes.state !== 'mounted' || this.#record.termination) return;
    await this.#context.volumes.refresh(
      this.#pod,
      downwardContext(this.#context, this.#pod, addressesOf(this.#record)),
    );
  }

  /** Stops working; containers go on. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const prober of this.#probers.values()) prober.stop();
    this.poke();
    this.#performer.close();
    this.#stopped.resolve();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      this.#poke = Promise.withResolvers();
      const next = await this.#turn();
      if (next === 'forgotten') {
        this.#finish();
        return;
      }
      await this.#wait(next.wakeAt);
    }
  }

  /** Takes steps until there is nothing to do at once. */
  async #turn(): Promise<Step | 'forgotten'> {
    for (let count = 0; count < ACTIONS_PER_TURN_MAX && !this.#closing.signal.aborted; count++) {
      try {
        await this.#readLastWords();
        this.#considerResize();
        const input = this.#input();
        this.#report(input);
        const next = step(input);
        if (this.#record.verdict && !next.action && !isRunning(input)) this.#stopped.resolve();
        this.#followContainers(input);
        if (!next.action) return this.#withResizeRetry(next);
        if (next.action.type === 'forget') return 'forgotten';
        this.#context.logger.debug({ pod: this.#pod.metadata?.name, action: next.action }, 'pod step');
        await this.#performer.perform(next.action, input);
      } catch (error) {
        this.#context.logger.error({ error, pod: this.#pod.metadata?.name }, 'a pod step failed unexpectedly');
        return { wakeAt: this.#context.clock.now() + SETUP_BACK_OFF_MS * 4 };
      }
    }
    return { wakeAt: this.#context.clock.now() };
  }

  #reject({ reason, message }: Refusal): void {
    this.#record.rejected = true;
    this.#record.ended = 'Failed';
    this.#record.verdict = { reason, message: `Pod was rejected: ${message}` };
    new Announcer(this.#context.recorder, this.#pod).tell('Warning', reason, message);
  }

  /** The spec may ask for other amounts than the pod was given. */
  #considerResize(): void {
    const { node, neighbours } = this.#context;
    const record = this.#record;
    if (record.termination || record.ended || record.verdict) return;
    const { allocation, pending } = judgeResize({
      pod: this.#pod,
      allocation: record.allocation,
      allocatable: node,
      others: () => neighbours(this.uid),
    });
    record.resizePending = pending;
    if (!allocation) return;
    record.allocation = new Map(allocation);
    record.resizeTrouble = undefined;
  }

  /** Room that another pod has may become free without any news of this one. */
  #withResizeRetry({ wakeAt }: Step): Step {
    if (this.#record.resizePending?.reason !== 'Deferred') return wakeAt === undefined ? {} : { wakeAt };
    const at = this.#context.clock.now() + RESIZE_RETRY_MS;
    return { wakeAt: Math.min(at, wakeAt ?? at) };
  }

  #input(): PodInput {
    const { view, clock } = this.#context;
    return {
      pod: this.#pod,
      gone: this.#gone,
      sandboxes: view.of(this.uid),
      record: this.#record,
      now: clock.now(),
    };
  }

  #report(input: PodInput): void {
    const { statuses, node, runtime } = this.#context;
    // Once the last status is out, containers vanish one by one; nobody should be told of that as news.
    if (this.#gone || this.#record.finalStatus !== 'pending') return;
    const status = computeStatus(input, { hostIPs: node.addresses, runtimeName: runtime.name });
    this.#record.conditions = status.conditions ?? [];
    latchEnd(this.#record, status);
    this.#status = status;
    statuses.set(this.#pod, status);
  }

  async #wait(wakeAt: number | undefined): Promise<void> {
    const { clock } = this.#context;
    if (wakeAt === undefined) return this.#poke.promise;
    const timer = new AbortController();
    const delayMs = Math.min(Math.max(0, wakeAt - clock.now()), WAIT_MS_MAX);
    const late = sleep(clock, delayMs, timer.signal);
    await Promise.race([this.#poke.promise, late]);
    timer.abort();
  }

  #finish(): void {
    for (const prober of this.#probers.values()) prober.stop();
    this.#stopped.resolve();
    this.#context.statuses.forget(this.uid);
    this.#context.probeCounts.forget(this.uid);
    this.#onForgotten(this.uid);
  }

  /** Termination messages of containers that ended since the last look. */
  async #readLastWords(): Promise<void> {
    for (const status of this.#context.view.of(this.uid).flatMap(({ containers }) => containers)) {
      const known = this.#record.containers.get(status.id);
      if (status.state !== 'exited' || !known || known.terminationMessage !== undefined) continue;
      const container = findContainer(this.#pod, status.name);
      known.terminationMessage = container
        ? await readTerminationMessage(this.#context, { pod: this.#pod, container, status })
        : '';
    }
  }

  /** Starts and ends probes with their containers, and tells of restarts that wait. */
  #followContainers(input: PodInput): void {
    const { pod, sandboxes, record, now } = input;
    const running = new Map(
      (sandboxes[0]?.containers ?? []).filter(({ state }) => state === 'running').map(status => [status.id, status]),
    );
    for (const [id, prober] of this.#probers) {
      if (running.has(id)) {
        if (record.containers.get(id)?.stop || record.termination) prober.stopRestarting();
        continue;
      }
      prober.stop();
      this.#probers.delete(id);
    }
    if (!record.termination) for (const status of running.values()) this.#probe(status);
    for (const [index, container] of [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])].entries()) {
      const at = restartWait(input, container, index < (pod.spec?.initContainers ?? []).length);
      const [newest] = containersNamed(sandboxes[0], container.name);
      if (at === undefined || at <= now || !newest || this.#announced.has(newest.id)) continue;
      this.#announced.add(newest.id);
      new Announcer(this.#context.recorder, pod).restartBackOff(container.name);
    }
    const known = new Set(sandboxes.flatMap(({ containers }) => containers.map(({ id }) => id)));
    for (const id of this.#announced) if (!known.has(id)) this.#announced.delete(id);
  }

  #probe(status: ContainerStatus): void {
    const container = findContainer(this.#pod, status.name);
    const known = this.#record.containers.get(status.id);
    if (status.state !== 'running' || !container || !known || this.#probers.has(status.id)) return;
    if (known.postStart !== 'done' || known.stop || !hasProbes(container) || !this.#record.attached) return;
    const { runtime, clock, recorder, probeCounts } = this.#context;
    const prober = new Prober({
      target: { runtime, clock, containerId: status.id, container, host: this.#record.address ?? '' },
      verdicts: known.verdicts,
      startedAt: status.startedAt,
      onChange: () => this.poke(),
      onAnswer: (kind, result) => {
        probeCounts.count(this.#pod, container.name, kind, result.outcome);
        new Announcer(recorder, this.#pod).probed(container.name, kind, result);
      },
    });
    this.#probers.set(status.id, prober);
    prober.start();
  }
}

/** A pod that has ended stays so, also when somebody clears the runtime behind the agent's back. */
function latchEnd(record: PodRecord, status: PodStatus): void {
  if (record.ended || (status.phase !== 'Succeeded' && status.phase !== 'Failed')) return;
  record.ended = status.phase;
  for (const { name, state } of [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])])
    if (state?.terminated) record.lastTerminations.set(name, state.terminated);
}
