/**
 * Containers on a Docker Engine (20.10 or later), through `dockerode`. A sandbox is a container of the built-in pause
 * image; a pod's containers join its namespaces. Nothing is kept in this process or on disk: labels on the containers
 * say whose they are, so a restarted agent finds all of it again. Several nodes may share one engine.
 */
import type { Readable } from 'node:stream';
import type Dockerode from 'dockerode';
import { mapBounded } from '../bounded.ts';
import { ChangeHub } from '../change-hub.ts';
import { type Clock, delay, systemClock } from '../clock.ts';
import { mayLowerOomScore } from '../oom-score.ts';
import { runAsNonRootViolation } from '../run-as-non-root.ts';
import {
  ContainerConfigError,
  ContainerNotFoundError,
  type ContainerSpec,
  type ContainerStorage,
  type ContainerUsage,
  CreateContainerError,
  type ExecRequest,
  type ExecSession,
  type ImageFiles,
  type ImageFilesRequest,
  type ImageStatus,
  type LogOptions,
  type PullOptions,
  type Runtime,
  type RuntimeEvent,
  RuntimeUnavailableError,
  type SandboxSpec,
  type SandboxStatus,
  StartContainerError,
} from '../runtime.ts';
import { ensureTerminationFile } from '../termination-file.ts';
import { containerOptions, limitOptions, type SandboxModes, sandboxOptions, type Terms } from './create-options.ts';
import {
  connectEngine,
  defaultDockerHost,
  type EngineConnection,
  isNotFound,
  messageOf,
  statusCodeOf,
} from './engine.ts';
import { watchEngine } from './events.ts';
import { startAttach, startExec } from './execs.ts';
import { removeHelpers, unpackImage } from './image-files.ts';
import { EngineImages, pauseArchitecture } from './images.ts';
import { Inspections } from './inspections.ts';
import {
  type ContainerMark,
  isOwnedBy,
  markOf,
  type Owner,
  ownerFilter,
  podUidLabel,
  type SandboxMark,
  sandboxIdLabel,
} from './labels.ts';
import { endLeftBehind } from './left-behind.ts';
import {
  inspectConcurrencyMax,
  settlePollMs,
  settleTimeoutMs,
  statsConcurrencyMax,
  storageConcurrencyMax,
} from './limits.ts';
import { readLogs } from './logs.ts';
import { sandboxesOf, sandboxStatusOf } from './status.ts';
import { storageOf, usageOf } from './usage.ts';

export interface DockerRuntimeOptions {
  readonly clusterId: string;
  readonly nodeName: string;
  /** As in the environment variable `DOCKER_HOST`; without it the engine's usual socket. */
  readonly dockerHost?: string;
  readonly clock?: Clock;
}

interface Connected extends EngineConnection {
  readonly images: EngineImages;
  readonly inspections: Inspections;
  readonly terms: Terms;
}

export function createDockerRuntime(options: DockerRuntimeOptions): Runtime {
  return new DockerRuntime(options);
}

class DockerRuntime implements Runtime {
  readonly name = 'docker';
  readonly #owner: Owner;
  readonly #host: string;
  readonly #clock: Clock;
  readonly #hub = new ChangeHub();
  readonly #closing = new AbortController();
  #connected: Connected | undefined;
  #watch: Promise<void> = Promise.resolve();

  constructor(options: DockerRuntimeOptions) {
    this.#owner = { clusterId: options.clusterId, nodeName: options.nodeName };
    this.#host = options.dockerHost ?? defaultDockerHost;
    this.#clock = options.clock ?? systemClock;
  }

  async start(): Promise<void> {
    if (this.#connected !== undefined) return;
    const connection = await connectEngine(this.#host);
    const { docker, architecture } = connection;
    const inspections = new Inspections(docker, { clock: this.#clock, endLeftBehind });
    const images = new EngineImages(docker, architecture);
    await images.ensurePause();
    await removeHelpers(docker, this.#owner);
    const terms = {
      owner: this.#owner,
      mayLowerOomScore: await mayLowerOomScore(),
      handlers: await handlersOf(docker),
    };
    this.#connected = { ...connection, inspections, images, terms };
    this.#watch = watchEngine(
      docker,
      { owner: this.#owner, clock: this.#clock, signal: this.#closing.signal },
      {
        opened: () => {
          inspections.watchOpened();
          this.#hub.publish(undefined);
        },
        changed: change => {
          inspections.changed(change);
          this.#hub.publish(change.podUid);
        },
        closed: () => inspections.watchClosed(),
      },
    );
  }

  version(): Promise<{ readonly name: string; readonly version: string }> {
    return Promise.resolve({ name: 'docker', version: this.#engine().engineVersion });
  }

  async list(): Promise<readonly SandboxStatus[]> {
    const infos = await this.#infos([]);
    this.#engine().inspections.retain(new Set(infos.map(info => info.Id)));
    return this.#sandboxesOf(infos);
  }

  async listPod(podUid: string): Promise<readonly SandboxStatus[]> {
    return this.#sandboxesOf(await this.#infos([`${podUidLabel}=${podUid}`]));
  }

  /** Oldest first. */
  async #infos(labels: readonly string[]): Promise<Dockerode.ContainerInfo[]> {
    const label = [...ownerFilter(this.#owner), ...labels];
    const infos = await this.#engine().docker.listContainers({ all: true, filters: { label } });
    return infos.sort((left, right) => left.Created - right.Created);
  }

  async #sandboxesOf(infos: readonly Dockerode.ContainerInfo[]): Promise<readonly SandboxStatus[]> {
    const { inspections } = this.#engine();
    const found = await mapBounded(infos, inspectConcurrencyMax, async info => {
      const mark = markOf(info.Labels);
      const inspected = mark && (await inspections.inspect(info.Id, info.State));
      return inspected ? [{ mark, inspected }] : [];
    });
    return sandboxesOf(found.flat());
  }

  async createSandbox(spec: SandboxSpec): Promise<SandboxStatus> {
    const { inspections, images, terms } = this.#engine();
    const mark: SandboxMark = {
      kind: 'sandbox',
      pod: spec.pod,
      attempt: spec.attempt,
      shareProcessNamespace: spec.shareProcessNamespace === true,
    };
    const options = sandboxOptions(terms, mark, spec);
    const id = await this.#create(options).catch(async (error: unknown) => {
      if (!isNotFound(error)) throw new CreateContainerError(messageOf(error), { cause: error });
      // Somebody cleaned up images.
      await images.ensurePause();
      return await this.#create(options);
    });
    try {
      await this.#engine().docker.getContainer(id).start();
    } catch (error) {
      // 304: it runs already, left by a call that did not get to its end.
      if (statusCodeOf(error) !== 304) {
        await this.#remove(id);
        throw new CreateContainerError(`the sandbox could not be started: ${messageOf(error)}`, { cause: error });
      }
    }
    const inspected = await inspections.inspect(id, 'running');
    if (inspected === undefined) throw new CreateContainerError('the sandbox was removed while it was made');
    return sandboxStatusOf(mark, inspected, []);
  }

  async removeSandbox(id: string): Promise<void> {
    const { docker } = this.#engine();
    const label = [...ownerFilter(this.#owner), `${sandboxIdLabel}=${id}`];
    const containers = await docker.listContainers({ all: true, filters: { label } });
    await Promise.all(containers.map(container => this.#remove(container.Id)));
    await this.#remove(id);
  }

  imageStatus(reference: string): Promise<ImageStatus | undefined> {
    return this.#engine().images.status(reference);
  }

  listImages(): Promise<readonly ImageStatus[]> {
    return this.#engine().images.list();
  }

  imageFolder(): Promise<string | undefined> {
    return this.#engine().images.folder();
  }

  pullImage(reference: string, options: PullOptions): Promise<ImageStatus> {
    return this.#engine().images.pull(reference, options);
  }

  importImages(archive: Readable): Promise<readonly ImageStatus[]> {
    return this.#engine().images.import(archive);
  }

  removeImage(reference: string): Promise<void> {
    return this.#engine().images.remove(reference);
  }

  async imageFiles(reference: string, { folder, signal }: ImageFilesRequest): Promise<ImageFiles> {
    const { docker, architecture } = this.#engine();
    try {
      const engine = { docker, architecture: pauseArchitecture(architecture), owner: this.#owner };
      await unpackImage(engine, reference, { folder, signal });
    } catch (error) {
      throw new CreateContainerError(messageOf(error), { cause: error });
    }
    return { base: folder, layers: [folder] };
  }

  async createContainer(sandboxId: string, spec: ContainerSpec): Promise<{ readonly id: string }> {
    const { images, terms } = this.#engine();
    const [sandbox, image] = await Promise.all([this.#sandbox(sandboxId), images.status(spec.image)]);
    if (image === undefined) throw new CreateContainerError(`image ${JSON.stringify(spec.image)} is not on this node`);
    const violation = runAsNonRootViolation(spec, image);
    if (violation !== undefined) throw new ContainerConfigError(violation);
    const { name, attempt } = spec;
    const mark: ContainerMark = { kind: 'container', pod: sandbox.pod, sandboxId, name, attempt, image: spec.image };
    try {
      await ensureTerminationFile(spec);
      return { id: await this.#create(containerOptions(terms, mark, { spec, sandbox, image })) };
    } catch (error) {
      throw new CreateContainerError(messageOf(error), { cause: error });
    }
  }

  async startContainer(id: string): Promise<void> {
    const { docker, inspections } = this.#engine();
    try {
      await docker.getContainer(id).start();
    } catch (error) {
      if (statusCodeOf(error) === 304) return;
      // The engine answers 404 for a missing program too.
      if (isNotFound(error) && (await inspections.inspectNow(id)) === undefined) throw notFound(id, error);
      throw new StartContainerError(messageOf(error), { cause: error });
    }
  }

  async stopContainer(id: string, graceSeconds: number): Promise<void> {
    try {
      await this.#engine().docker.getContainer(id).stop({ t: graceSeconds });
    } catch (error) {
      // 304: it does not run. 404: it is gone.
      if (statusCodeOf(error) !== 304 && !isNotFound(error)) throw error;
    }
  }

  removeContainer(id: string): Promise<void> {
    return this.#remove(id);
  }

  async updateContainer(id: string, resources: ContainerSpec['resources']): Promise<void> {
    await this.#engine().docker.getContainer(id).update(limitOptions(resources));
  }

  logs(id: string, options: LogOptions): AsyncIterable<Uint8Array> {
    return readLogs(this.#engine().docker, id, options);
  }

  exec(id: string, request: ExecRequest): Promise<ExecSession> {
    return startExec({ docker: this.#engine().docker, clock: this.#clock }, id, request);
  }

  attach(id: string, request: Omit<ExecRequest, 'command'>): Promise<ExecSession> {
    return startAttach({ docker: this.#engine().docker, clock: this.#clock }, id, request);
  }

  async usage(): Promise<readonly ContainerUsage[]> {
    const { docker } = this.#engine();
    const running = await docker.listContainers({ filters: { label: ownerFilter(this.#owner) } });
    const containers = running.filter(info => markOf(info.Labels)?.kind === 'container');
    const usages = await mapBounded(containers, statsConcurrencyMax, info => usageOf(docker, info.Id));
    return usages.filter(usage => usage !== undefined);
  }

  async storage(ids: readonly string[]): Promise<readonly ContainerStorage[]> {
    const { docker } = this.#engine();
    const found = await mapBounded(ids, storageConcurrencyMax, id => storageOf(docker, id));
    return found.filter(one => one !== undefined);
  }

  events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    return this.#hub.subscribe(signal);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#hub.close();
    await this.#watch;
  }

  #engine(): Connected {
    if (this.#connected === undefined) throw new RuntimeUnavailableError('the docker runtime was not started');
    return this.#connected;
  }

  /** Creates under a deterministic name; what a broken call left under it is used if it runs, else replaced. */
  async #create(options: Dockerode.ContainerCreateOptions): Promise<string> {
    const { docker } = this.#engine();
    try {
      return (await docker.createContainer(options)).id;
    } catch (error) {
      if (statusCodeOf(error) !== 409 || options.name === undefined) throw error;
      const existing = await docker.getContainer(options.name).inspect();
      if (!isOwnedBy(this.#owner, existing.Config.Labels)) throw error;
      if (existing.State.Running) return existing.Id;
      await this.#remove(existing.Id);
      return (await docker.createContainer(options)).id;
    }
  }

  /** Resolves when it is gone. */
  async #remove(id: string): Promise<void> {
    const container = this.#engine().docker.getContainer(id);
    const deadline = this.#clock.now() + settleTimeoutMs;
    for (;;) {
      try {
        await container.remove({ force: true, v: true });
        return;
      } catch (error) {
        if (isNotFound(error)) return;
        // 409: a removal is under way.
        if (statusCodeOf(error) !== 409 || this.#clock.now() >= deadline) throw error;
      }
      await delay(this.#clock, settlePollMs);
    }
  }

  async #sandbox(id: string): Promise<SandboxModes & Pick<SandboxMark, 'pod'>> {
    const info = await this.#engine()
      .docker.getContainer(id)
      .inspect()
      .catch((error: unknown) => {
        if (isNotFound(error)) throw new CreateContainerError(`no sandbox ${id}`, { cause: error });
        throw error;
      });
    const mark = markOf(info.Config.Labels);
    if (mark?.kind !== 'sandbox' || !isOwnedBy(this.#owner, info.Config.Labels)) {
      throw new CreateContainerError(`${id} is no sandbox of this node`);
    }
    return {
      id: info.Id,
      pod: mark.pod,
      shareProcessNamespace: mark.shareProcessNamespace,
      hostPid: info.HostConfig.PidMode === 'host',
      hostIpc: info.HostConfig.IpcMode === 'host',
      handler: info.HostConfig.Runtime,
    };
  }
}

/** What runtime classes may name on this engine. */
async function handlersOf(docker: Dockerode): Promise<readonly string[]> {
  const info: { readonly Runtimes?: Readonly<Record<string, unknown>> } = await docker.info();
  return Object.keys(info.Runtimes ?? {});
}

function notFound(id: string, cause: unknown): ContainerNotFoundError {
  return new ContainerNotFoundError(`no container ${id}`, { cause });
}
