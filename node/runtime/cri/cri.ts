/**
 * Containers on containerd or CRI-O, through the Container Runtime Interface (runtime.v1) on the runtime's socket. As
 * with Docker nothing is kept in this process: labels say whose a sandbox or container is, so a restarted agent finds
 * all of it again, and several nodes may share one runtime. Only the containers' log files are this node's own.
 */
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { ChangeHub } from '../change-hub.ts';
import { type Clock, systemClock } from '../clock.ts';
import { markOf, type Owner, ownerLabels } from '../docker/labels.ts';
import { logBytes } from '../folder-bytes.ts';
import {
  type ContainerSpec,
  type ContainerStorage,
  type ContainerUsage,
  CreateContainerError,
  type ExecRequest,
  type ExecSession,
  ImagePullError,
  type ImageStatus,
  type LogOptions,
  type PullOptions,
  type Runtime,
  type RuntimeEvent,
  RuntimeUnavailableError,
  type SandboxSpec,
  type SandboxStatus,
} from '../runtime.ts';
import { ChangeWatch } from './changes.ts';
import { logFileOf } from './config.ts';
import { CriConnection, containerdEndpoint, identify, isUnimplemented } from './connection.ts';
import { CriContainers } from './containers.ts';
import { CriExecs } from './execs.ts';
import { CriImages } from './images.ts';
import { Inventory } from './inventory.ts';
import { keepRotating, readContainerLog } from './logs.ts';
import { ensureNetwork } from './network.ts';
import { CriSandboxes } from './sandboxes.ts';
import { runtimeCalls } from './services.ts';
import { termsOf } from './terms.ts';
import type { CriTools } from './tools.ts';
import { memoryDetails } from './usage.ts';

export interface CriRuntimeOptions {
  readonly clusterId: string;
  readonly nodeName: string;
  /** `unix:///path`; without it containerd's usual socket. */
  readonly endpoint?: string;
  /** The node's own directory, for the containers' logs. */
  readonly dataDir: string;
  readonly clock?: Clock;
}

interface Started {
  readonly tools: CriTools;
  readonly sandboxes: CriSandboxes;
  readonly containers: CriContainers;
  readonly execs: CriExecs;
}

export function createCriRuntime(options: CriRuntimeOptions): Runtime {
  return new CriRuntime(options);
}

class CriRuntime implements Runtime {
  readonly #owner: Owner;
  readonly #endpoint: string;
  readonly #logDirectory: string;
  readonly #downloads: string;
  readonly #clock: Clock;
  readonly #hub = new ChangeHub();
  readonly #closing = new AbortController();
  #started: Started | undefined;
  #work: Promise<unknown> = Promise.resolve();

  constructor(options: CriRuntimeOptions) {
    this.#owner = { clusterId: options.clusterId, nodeName: options.nodeName };
    this.#endpoint = options.endpoint ?? containerdEndpoint;
    this.#logDirectory = path.resolve(options.dataDir, 'pods');
    this.#downloads = path.resolve(options.dataDir, 'downloads');
    this.#clock = options.clock ?? systemClock;
  }

  /** What a container's id in the API begins with. */
  get name(): 'containerd' | 'cri-o' {
    return this.#started?.tools.identity.name === 'cri-o' ? 'cri-o' : 'containerd';
  }

  async start(): Promise<void> {
    if (this.#started !== undefined) return;
    const connection = new CriConnection(this.#endpoint, this.#clock);
    try {
      const tools = await this.#prepare(connection);
      this.#started = {
        tools,
        sandboxes: new CriSandboxes(tools),
        containers: new CriContainers(tools),
        execs: new CriExecs(tools),
      };
      this.#work = Promise.all([tools.changes.run(), keepRotating(tools)]);
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  async version(): Promise<{ readonly name: string; readonly version: string }> {
    const { name, version } = this.#state().tools.identity;
    return { name, version };
  }

  async list(): Promise<readonly SandboxStatus[]> {
    return await this.#state().tools.inventory.list();
  }

  async createSandbox(spec: SandboxSpec): Promise<SandboxStatus> {
    return await this.#state().sandboxes.create(spec);
  }

  async removeSandbox(id: string): Promise<void> {
    await this.#state().sandboxes.remove(id);
  }

  async imageStatus(reference: string): Promise<ImageStatus | undefined> {
    return await this.#state().tools.images.status(reference);
  }

  listImages(): Promise<readonly ImageStatus[]> {
    return this.#state().tools.images.list();
  }

  imageFolder(): Promise<string | undefined> {
    return this.#state().tools.images.folder();
  }

  pullImage(reference: string, options: PullOptions): Promise<ImageStatus> {
    return this.#state().tools.images.pull(reference, options);
  }

  async importImages(archive: Readable): Promise<readonly ImageStatus[]> {
    const { identity, images } = this.#state().tools;
    if (identity.name !== 'containerd') {
      archive.destroy();
      throw new ImagePullError(
        `${identity.name} takes no archives in: put the image into a registry, or use skopeo or podman on the node`,
      );
    }
    return await images.import(archive, { downloads: this.#downloads, clock: this.#clock });
  }

  removeImage(reference: string): Promise<void> {
    return this.#state().tools.images.remove(reference);
  }

  async createContainer(sandboxId: string, spec: ContainerSpec): Promise<{ readonly id: string }> {
    const { containers, sandboxes } = this.#state();
    const sandbox = await sandboxes.find(sandboxId);
    if (sandbox === undefined) throw new CreateContainerError(`no sandbox ${sandboxId} of this node`);
    return await containers.create(sandboxId, sandbox, spec);
  }

  async startContainer(id: string): Promise<void> {
    await this.#state().containers.start(id);
  }

  async stopContainer(id: string, graceSeconds: number): Promise<void> {
    await this.#state().containers.stop(id, graceSeconds);
  }

  async removeContainer(id: string): Promise<void> {
    await this.#state().containers.remove(id);
  }

  async updateContainer(id: string, resources: ContainerSpec['resources']): Promise<void> {
    await this.#state().containers.update(id, resources);
  }

  async *logs(id: string, options: LogOptions): AsyncIterable<Uint8Array> {
    yield* readContainerLog(this.#state().tools, id, options);
  }

  async exec(id: string, request: ExecRequest): Promise<ExecSession> {
    return await this.#state().execs.exec(id, request);
  }

  async attach(id: string, request: Omit<ExecRequest, 'command'>): Promise<ExecSession> {
    return await this.#state().execs.attach(id, request);
  }

  async usage(): Promise<readonly ContainerUsage[]> {
    const filter = { labelSelector: ownerLabels(this.#owner) };
    const { stats } = await this.#state().tools.connection.call(runtimeCalls.listContainerStats, { filter });
    return stats.flatMap(({ attributes, cpu, memory, swap }) => {
      if (attributes === undefined || cpu?.usageCoreNanoSeconds === undefined) return [];
      if (markOf(attributes.labels)?.kind !== 'container') return [];
      const memoryBytes = memory?.workingSetBytes?.value ?? memory?.usageBytes?.value ?? 0;
      const cpuNanoseconds = cpu.usageCoreNanoSeconds.value;
      return [{ id: attributes.id, cpuNanoseconds, memoryBytes, memory: memoryDetails(memory, swap) }];
    });
  }

  /** The runtime measures the writable layers, when it likes. */
  async storage(ids: readonly string[]): Promise<readonly ContainerStorage[]> {
    const { connection, terms } = this.#state().tools;
    const filter = { labelSelector: ownerLabels(this.#owner) };
    const { stats } = await connection.call(runtimeCalls.listContainerStats, { filter });
    const wanted = new Set(ids);
    const found: ContainerStorage[] = [];
    for (const { attributes, writableLayer } of stats) {
      const mark = attributes && markOf(attributes.labels);
      if (!attributes || mark?.kind !== 'container' || !wanted.has(attributes.id)) continue;
      const writableBytes = writableLayer?.usedBytes?.value ?? 0;
      found.push({ id: attributes.id, writableBytes, logBytes: await logBytes(logFileOf(terms, mark.pod, mark)) });
    }
    return found;
  }

  events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    return this.#hub.subscribe(signal);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#hub.close();
    await this.#work;
    this.#started?.tools.connection.close();
  }

  #state(): Started {
    if (this.#started === undefined) throw new RuntimeUnavailableError('the CRI runtime was not started');
    return this.#started;
  }

  /** What has to be there before the first sandbox: a network, the sandboxes' image, the node's directories. */
  async #prepare(connection: CriConnection): Promise<CriTools> {
    const clock = this.#clock;
    const identity = await identify(connection);
    const images = new CriImages(connection);
    const { info } = await connection.call(runtimeCalls.status, { verbose: true });
    await ensureNetwork(connection, { name: identity.name, info }, clock);
    const sandboxImage = sandboxImageIn(info);
    if (identity.name === 'containerd' && sandboxImage !== undefined) {
      await images.ensureSandboxImage(sandboxImage, clock);
    }
    await mkdir(this.#logDirectory, { recursive: true, mode: 0o755 });
    // What an import that was interrupted left.
    await rm(this.#downloads, { recursive: true, force: true });
    const inventory = new Inventory(connection, this.#owner, clock);
    const changes = new ChangeWatch(
      {
        look: () => inventory.fingerprints(),
        events: signal => connection.stream(runtimeCalls.getContainerEvents, {}, signal),
        isWithoutEvents: isUnimplemented,
      },
      { hub: this.#hub, clock, signal: this.#closing.signal },
    );
    const terms = await termsOf(this.#owner, this.#logDirectory);
    return { clock, connection, identity, images, inventory, changes, terms, closing: this.#closing.signal };
  }
}

/** The image of sandboxes as containerd's verbose status names it. */
function sandboxImageIn(info: Readonly<Record<string, string>>): string | undefined {
  return /"(?:sandboxImage|sandbox_image)"\s*:\s*"([^"]+)"/.exec(info.config ?? '')?.[1];
}
