/**
 * Performs the actions of one pod's step. Short ones are awaited; pulls, hooks and stops only begin here (`work.ts`): the
 * record says that they are under way, and `onChange` is called when they are over.
 */
import type { Container, EphemeralContainer, Pod } from '../api.ts';
import { hasReason, pods, runtimeclasses } from '../api.ts';
import type { CheckTarget } from '../probes/check.ts';
import { ContainerConfigError, type ContainerStatus, type SandboxStatus } from '../runtime/runtime.ts';
import { VolumeError } from '../volumes/content.ts';
import { SourceError } from '../volumes/sources.ts';
import { Announcer } from './announce.ts';
import { afterRestart } from './back-off.ts';
import { downwardContext, makeContainer, removeTerminationFile } from './container-maker.ts';
import { makeSandboxSpec, runtimeResources } from './container-spec.ts';
import type { PodContext } from './context.ts';
import { ConfigError } from './environment.ts';
import { runHook } from './hooks.ts';
import { ImageWork } from './image-work.ts';
import {
  addressesOf,
  containersNamed,
  findContainer,
  newContainerRecord,
  type PodInput,
  type PodRecord,
} from './record.ts';
import { withAllocation } from './resize.ts';
import { computeStatus } from './status.ts';
import { type Action, endOf } from './step.ts';
import { Stopper } from './stopper.ts';
import { PodWork, textOf } from './work.ts';

type Of<T extends Action['type']> = Extract<Action, { type: T }>;

export interface PerformerOptions {
  readonly context: PodContext;
  readonly record: PodRecord;
  /** A background job changed the record. */
  readonly onChange: () => void;
}

export class Performer {
  readonly #context: PodContext;
  readonly #record: PodRecord;
  readonly #work: PodWork;
  readonly #images: ImageWork;
  readonly #stopper: Stopper;

  constructor({ context, record, onChange }: PerformerOptions) {
    this.#context = context;
    this.#record = record;
    this.#work = new PodWork({ context, record, onChange });
    this.#images = new ImageWork({ context, record, work: this.#work });
    this.#stopper = new Stopper({ context, record, run: work => this.#work.run(work) });
  }

  /** Does what `action` says. Rejects only for what no step foresees; the worker then waits and asks again. */
  async perform(action: Action, input: PodInput): Promise<void> {
    switch (action.type) {
      case 'mountVolumes':
        return this.#mountVolumes(input.pod);
      case 'createSandbox':
        return this.#createSandbox(input.pod, action);
      case 'removeSandbox':
        return this.#removeSandbox(input, action);
      case 'attachNetwork':
        return this.#attachNetwork(input.pod, action);
      case 'detachNetwork':
        return this.#work.attempt(input.pod, async () => {
          await this.#context.network.detach(input.pod.metadata?.uid ?? '');
          this.#record.detached = true;
        });
      case 'ensureImage':
        return this.#images.ensure(input.pod, action);
      case 'backOffImage':
        return this.#images.backOff(input.pod, action);
      case 'ensureImageVolume':
        return this.#images.ensureVolume(input.pod, action);
      case 'backOffImageVolume':
        return this.#images.backOffVolume(input.pod, action);
      case 'createContainer':
        return this.#createContainer(input, action);
      case 'startContainer':
        return this.#startContainer(input.pod, action);
      case 'runPostStart':
        return this.#runPostStart(input, action);
      case 'stopContainer':
        return this.#stopper.stop(input.pod, action);
      case 'runPreStop':
        return this.#stopper.runPreStop(input.pod, action);
      case 'resizeContainer':
        return this.#resizeContainer(input.pod, action);
      case 'removeContainer':
        return this.#removeContainer(input, action);
      case 'giveUp':
        this.#record.verdict = { reason: action.reason, message: action.message };
        return this.#announcer(input.pod).tell('Normal', action.reason, action.message);
      case 'beginTermination':
        return this.#beginTermination(input, action);
      case 'writeFinalStatus':
        return this.#writeFinalStatus(input);
      case 'cleanUp':
        return this.#work.attempt(input.pod, async () => {
          await this.#context.volumes.unmount(input.pod.metadata?.uid ?? '');
          this.#record.cleaned = true;
        });
      case 'deleteObject':
        return this.#deleteObject(input.pod);
      case 'forget':
        return;
    }
  }

  /**
   * Ends background work. A stop that the runtime has under way is not waited for, it may take a grace period: the next
   * agent finds the container as it is then.
   */
  close(): void {
    this.#work.close();
    this.#stopper.close();
  }

  #announcer(pod: Pod): Announcer {
    return new Announcer(this.#context.recorder, pod);
  }

  async #mountVolumes(pod: Pod): Promise<void> {
    const { volumes, clock } = this.#context;
    const before = this.#record.volumes;
    try {
      await volumes.mount(pod, downwardContext(this.#context, pod, addressesOf(this.#record)));
      this.#record.volumes = { state: 'mounted' };
    } catch (error) {
      const { volume, operation } = error instanceof VolumeError ? error : new VolumeError('', '');
      const message = `${operation} failed for volume "${volume}" : ${textOf(error)}`;
      const count = before.state === 'failed' ? before.failure.count + 1 : 1;
      this.#record.volumes = { state: 'failed', failure: { count, at: clock.now(), message } };
      this.#announcer(pod).tell('Warning', 'FailedMount', message);
    }
  }

  #createSandbox(pod: Pod, { attempt }: Of<'createSandbox'>): Promise<void> {
    const { hostname: nodeHostname, clusterDns } = this.#context.node;
    const names = { nodeHostname, ...(clusterDns && { clusterDomain: clusterDns.domain }) };
    return this.#work.attempt(
      pod,
      async () => {
        const runtimeHandler = await this.#runtimeHandler(pod);
        const spec = makeSandboxSpec(pod, { attempt, runtimeHandler, ...names });
        await this.#context.operations.run(() => this.#context.runtime.createSandbox(spec));
        this.#record.attached = false;
        this.#record.detached = false;
        await this.#context.view.refreshPod(pod.metadata?.uid ?? '');
      },
      text => this.#announcer(pod).tell('Warning', 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${text}`),
    );
  }

  async #runtimeHandler({ spec }: Pod): Promise<string | undefined> {
    if (!spec?.runtimeClassName) return undefined;
    const { handler } = await this.#context.client.get(runtimeclasses, { name: spec.runtimeClassName });
    return handler;
  }

  #removeSandbox(input: PodInput, { id, replaced }: Of<'removeSandbox'>): Promise<void> {
    const { pod, sandboxes } = input;
    const sandbox = sandboxes.find(candidate => candidate.id === id);
    return this.#work.attempt(pod, async () => {
      if (sandbox && replaced) {
        this.#keepHistory(input, sandbox);
        if (sandbox === sandboxes[0]) {
          this.#record.attached = false;
          this.#announcer(pod).tell(
            'Normal',
            'SandboxChanged',
            'Pod sandbox changed, it will be killed and re-created.',
          );
        }
      }
      await this.#context.runtime.removeSandbox(id);
      for (const container of sandbox?.containers ?? []) await this.#forgetContainer(pod, container);
      await this.#context.view.refreshPod(pod.metadata?.uid ?? '');
    });
  }

  async #removeContainer({ pod, sandboxes }: PodInput, { id }: Of<'removeContainer'>): Promise<void> {
    const container = sandboxes.flatMap(({ containers }) => containers).find(one => one.id === id);
    await this.#context.runtime.removeContainer(id);
    if (container) await this.#forgetContainer(pod, container);
    return this.#context.view.refreshPod(pod.metadata?.uid ?? '');
  }

  /** A pod may restart for years: nothing of each container that it had may stay. */
  async #forgetContainer(pod: Pod, container: ContainerStatus): Promise<void> {
    this.#record.containers.delete(container.id);
    await removeTerminationFile(this.#context.volumes.podDir(pod.metadata?.uid ?? ''), container);
  }

  /** What the sandbox's containers did is known only to them: counts and last ends move into the record. */
  #keepHistory(input: PodInput, sandbox: SandboxStatus): void {
    const { restartFloor, lastTerminations } = this.#record;
    this.#record.sandboxAttempt = Math.max(this.#record.sandboxAttempt, sandbox.attempt + 1);
    const statuses = computeStatus(input, this.#statusContext());
    for (const { name, state, lastState } of [
      ...(statuses.initContainerStatuses ?? []),
      ...(statuses.containerStatuses ?? []),
    ]) {
      const [newest] = containersNamed(sandbox, name);
      if (newest) restartFloor.set(name, Math.max(restartFloor.get(name) ?? 0, newest.attempt + 1));
      const end = state?.terminated ?? lastState?.terminated;
      if (end) lastTerminations.set(name, end);
    }
  }

  #attachNetwork(pod: Pod, { pid }: Of<'attachNetwork'>): Promise<void> {
    const { network, node } = this.#context;
    const { uid = '', namespace = '', name = '' } = pod.metadata ?? {};
    return this.#work.attempt(
      pod,
      async () => {
        if (pod.spec?.hostNetwork) {
          const [first = ''] = node.addresses;
          this.#record.address = first;
          this.#record.ipv6 = node.addresses.find(address => address.includes(':') && address !== first);
        } else {
          const { address, ipv6 } = await network.attach({ uid, namespace, name }, pid);
          this.#record.address = address;
          this.#record.ipv6 = ipv6;
          // Before its first container: a pod is isolated before it sends or takes anything.
          await this.#context.admit();
        }
        this.#record.attached = true;
      },
      text =>
        this.#announcer(pod).tell(
          'Warning',
          'FailedCreatePodSandBox',
          `Failed to create pod sandbox: failed to set up network for sandbox: ${text}`,
        ),
    );
  }

  async #createContainer(input: PodInput, { container: name, attempt }: Of<'createContainer'>): Promise<void> {
    const { sandboxes } = input;
    const pod = withAllocation(input.pod, this.#record.allocation);
    const container = findContainer(pod, name);
    const [sandbox] = sandboxes;
    if (!container || !sandbox) return;
    const before = containersNamed(sandbox, name)[0];
    try {
      const podIPs = addressesOf(this.#record);
      const id = await makeContainer(this.#context, { pod, container, attempt, sandboxId: sandbox.id, podIPs });
      this.#record.containers.set(
        id,
        newContainerRecord({
          hasPostStart: container.lifecycle?.postStart !== undefined,
          hasStartupProbe: container.startupProbe !== undefined,
          resources: container.resources ?? {},
        }),
      );
    } catch (error) {
      return this.#creationFailed(pod, name, error);
    }
    this.#record.creationFailures.delete(name);
    this.#record.images.delete(name);
    const ended = before && endOf(input, before);
    if (ended) {
      const backOff = this.#record.backOffs.get(name);
      this.#record.backOffs.set(name, afterRestart(backOff, this.#context.clock.now(), ended.at));
    }
    this.#announcer(pod).tell('Normal', 'Created', `Created container: ${name}`, name);
    await this.#context.view.refreshPod(pod.metadata?.uid ?? '');
  }

  async #resizeContainer(pod: Pod, { container: name, id }: Of<'resizeContainer'>): Promise<void> {
    const { runtime, node, clock } = this.#context;
    const given = withAllocation(pod, this.#record.allocation);
    const container = findContainer(given, name);
    const known = this.#record.containers.get(id);
    if (!container || !known) return;
    try {
      if (!runtime.updateContainer) throw new Error(`the runtime ${runtime.name} cannot change a container that runs`);
      await runtime.updateContainer(id, runtimeResources(given, container, node.memoryBytes));
      known.resources = container.resources ?? {};
      this.#record.resizeTrouble = undefined;
    } catch (error) {
      const count = (this.#record.resizeTrouble?.count ?? 0) + 1;
      this.#record.resizeTrouble = { count, at: clock.now(), message: textOf(error) };
    }
  }

  #creationFailed(pod: Pod, name: string, error: unknown): void {
    const isConfig = CONFIG_ERRORS.some(type => error instanceof type);
    const reason = isConfig ? 'CreateContainerConfigError' : 'CreateContainerError';
    const { name: podName, namespace, uid } = pod.metadata ?? {};
    const whose =
      error instanceof ContainerConfigError ? ` (pod: "${podName}_${namespace}(${uid})", container: ${name})` : '';
    const message = `${textOf(error)}${whose}`;
    const count = (this.#record.creationFailures.get(name)?.count ?? 0) + 1;
    this.#record.creationFailures.set(name, { reason, message, count, at: this.#context.clock.now() });
    this.#announcer(pod).tell('Warning', 'Failed', `Error: ${message}`, name);
  }

  async #startContainer(pod: Pod, { container, id }: Of<'startContainer'>): Promise<void> {
    try {
      await this.#context.operations.run(() => this.#context.runtime.startContainer(id));
      this.#announcer(pod).tell('Normal', 'Started', `Started container ${container}`, container);
    } catch (error) {
      const message = textOf(error);
      const known = this.#record.containers.get(id);
      if (known) known.startFailure = { at: this.#context.clock.now(), message };
      this.#announcer(pod).tell('Warning', 'Failed', `Error: ${message}`, container);
    }
    await this.#context.view.refreshPod(pod.metadata?.uid ?? '');
  }

  #runPostStart(input: PodInput, { container: name, id }: Of<'runPostStart'>): void {
    const known = this.#record.containers.get(id);
    const container = findContainer(input.pod, name);
    const hook = container?.lifecycle?.postStart;
    if (!known) return;
    known.postStart = container && hook ? 'running' : 'done';
    if (!container || !hook) return;
    this.#work.job(name, async signal => {
      // A postStart hook has no time limit of its own; the pod's end cuts it short.
      const trouble = await runHook(this.#target(container, id), hook, { timeoutMs: 2 ** 31 - 1, signal });
      known.postStart = trouble === undefined ? 'done' : 'failed';
      if (trouble === undefined || signal.aborted) return;
      this.#announcer(input.pod).tell('Warning', 'FailedPostStartHook', 'PostStartHook failed', name);
    });
  }

  #beginTermination({ record, now }: PodInput, { graceSeconds }: Of<'beginTermination'>): void {
    const before = record.termination;
    const deadline = Math.min(
      now + graceSeconds * 1000,
      before ? before.startedAt + before.graceSeconds * 1000 : Number.POSITIVE_INFINITY,
    );
    record.termination = { startedAt: deadline - graceSeconds * 1000, graceSeconds };
    this.#work.cutShort();
  }

  #writeFinalStatus(input: PodInput): void {
    const { statuses } = this.#context;
    this.#record.finalStatus = 'writing';
    statuses.set(input.pod, computeStatus(input, this.#statusContext()));
    // Takes as long as the API server cannot be reached.
    this.#work.run(async () => {
      await statuses.flush(input.pod.metadata?.uid ?? '');
      this.#record.finalStatus = 'written';
    });
  }

  #deleteObject(pod: Pod): void {
    const { name = '', namespace, uid } = pod.metadata ?? {};
    this.#record.objectDeletion = 'running';
    this.#work.run(async () => {
      try {
        const key = { name, ...(namespace && { namespace }) };
        await this.#context.client.delete(pods, key, { gracePeriodSeconds: 0, ...(uid && { uid }) });
        this.#record.objectDeletion = 'done';
      } catch (error) {
        // Gone already, or another pod has the name: either way this one is.
        const isGone = hasReason(error, 'NotFound') || hasReason(error, 'Conflict');
        this.#record.objectDeletion = isGone ? 'done' : 'pending';
        if (!isGone) throw error;
      }
    });
  }

  #statusContext() {
    return { hostIPs: this.#context.node.addresses, runtimeName: this.#context.runtime.name };
  }

  #target(container: Container | EphemeralContainer, containerId: string): CheckTarget {
    const { runtime, clock } = this.#context;
    return { runtime, clock, containerId, container, host: this.#record.address ?? '' };
  }
}

/** What of a pod's own making keeps a container from being made. */
const CONFIG_ERRORS = [ConfigError, SourceError, VolumeError, ContainerConfigError] as const;
