/**
 * Containers without any engine: Linux namespaces made by util-linux' `unshare`, entered by its `nsenter`, filled by
 * programs of system calls (`setup-program.ts`). For machines where the agent is root and there is no Docker. Images are
 * the node's own (`images.ts`); one of them is `host`: the machine's root file system, read-only below, with a private
 * writable layer on top.
 *
 * All state is on disk (`layout.ts`), the containers belong to a supervisor process of their own (`supervisor/`), so a
 * restarted agent finds everything as it was. Namespaces and mounts live exactly as long as the processes in them: what
 * is left to clean up is a directory and the control groups.
 */
import { realpath, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { mapBounded } from '../bounded.ts';
import { ChangeHub } from '../change-hub.ts';
import { type Clock, delay, systemClock } from '../clock.ts';
import { type RunCommand, runCommand } from '../command.ts';
import { pauseProgram } from '../docker/pause.ts';
import { mayLowerOomScore } from '../oom-score.ts';
import { signalProcess } from '../processes.ts';
import { runAsNonRootViolation } from '../run-as-non-root.ts';
import {
  ContainerConfigError,
  ContainerNotFoundError,
  type ContainerSpec,
  type ContainerStatus,
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
import { Cgroups } from './cgroups.ts';
import { type ContainerToMake, makeContainer, removeHalfMade } from './container-maker.ts';
import { attachOver, type ExecTarget, startExec } from './execs.ts';
import { ImageHolds } from './image-holds.ts';
import { NativeImages } from './images.ts';
import { type ContainerRecord, isId, Layout, madeDirectory, newId, type SandboxRecord } from './layout.ts';
import { settlePollMs, settleTimeoutMs } from './limits.ts';
import { readLog } from './log-reader.ts';
import { checkMachine } from './machine-check.ts';
import { followNews } from './news.ts';
import { isAlive, processRecord } from './proc.ts';
import type { Architecture } from './program/numbers.ts';
import { startHolder } from './sandbox.ts';
import { signalNamed } from './signals.ts';
import { containerStatusOf, isHostImage, refuseUnsupported } from './status.ts';
import { storageOf } from './storage.ts';
import { SupervisorClient, SupervisorRefusedError } from './supervisor-client.ts';

export interface NativeRuntimeOptions {
  /** The node's own directory: another node on the machine has another. */
  readonly dataDir: string;
  readonly clock?: Clock;
  readonly run?: RunCommand;
  /** Mirrors, keys and authorities of registries, in the form of k3s' `registries.yaml`. */
  readonly registriesFile?: string;
}

interface Started {
  readonly cgroups: Cgroups;
  readonly mayLowerOomScore: boolean;
  readonly architecture: Architecture;
  readonly images: NativeImages;
}

const readConcurrencyMax = 32;
const killedExitCode = 137;

export function createNativeRuntime(options: NativeRuntimeOptions): Runtime {
  return new NativeRuntime(options);
}

class NativeRuntime implements Runtime {
  readonly name = 'native';
  readonly #layout: Layout;
  readonly #holds: ImageHolds;
  readonly #clock: Clock;
  readonly #run: RunCommand;
  readonly #supervisor: SupervisorClient;
  readonly #registriesFile: string | undefined;
  readonly #hub = new ChangeHub();
  readonly #closing = new AbortController();
  #started: Started | undefined;
  #news: Promise<void> = Promise.resolve();

  constructor(options: NativeRuntimeOptions) {
    const dataDir = path.resolve(options.dataDir);
    this.#layout = new Layout(dataDir);
    this.#holds = new ImageHolds(path.join(this.#layout.root, 'image-holds'));
    this.#clock = options.clock ?? systemClock;
    this.#run = options.run ?? runCommand;
    this.#registriesFile = options.registriesFile;
    this.#supervisor = new SupervisorClient({
      dataDir,
      socketPath: this.#layout.supervisorSocket,
      clock: this.#clock,
    });
  }

  async start(): Promise<void> {
    if (this.#started !== undefined) return;
    if (/[:,\\\n]/.test(this.#layout.root)) {
      throw new RuntimeUnavailableError(
        `the data directory ${this.#layout.root} cannot hold native containers: its path must have no colon, comma or backslash`,
      );
    }
    const architecture = await checkMachine(this.#run);
    await this.#layout.prepare();
    await this.#writePause(architecture);
    const images = new NativeImages({
      root: await realpath(await madeDirectory(this.#layout.images)),
      architecture,
      clock: this.#clock,
      run: this.#run,
      registriesFile: this.#registriesFile,
      used: () => this.#usedImages(),
    });
    await images.open();
    const cgroups = await Cgroups.detect();
    await removeHalfMade({ layout: this.#layout, cgroups });
    this.#started = {
      cgroups,
      mayLowerOomScore: await mayLowerOomScore(),
      architecture,
      images,
    };
    await this.#supervisor.ensure();
    const { signal } = this.#closing;
    this.#news = followNews({ supervisor: this.#supervisor, hub: this.#hub, clock: this.#clock }, signal);
  }

  async version(): Promise<{ readonly name: string; readonly version: string }> {
    return { name: 'native', version: '1' };
  }

  async list(): Promise<readonly SandboxStatus[]> {
    const supervisor = await this.#supervisor.current();
    const ids = await this.#layout.containerIds();
    const containers = await mapBounded(ids, readConcurrencyMax, async id => {
      const record = await this.#layout.readContainer(id);
      return record && { record, status: await this.#statusOf(record, supervisor) };
    });
    const found = containers.filter(one => one !== undefined);
    found.sort((left, right) => left.record.createdAt - right.record.createdAt);
    const sandboxes = await mapBounded(await this.#layout.sandboxIds(), readConcurrencyMax, id =>
      this.#layout.readSandbox(id),
    );
    return await Promise.all(
      sandboxes
        .filter(sandbox => sandbox !== undefined)
        .map(sandbox => {
          const own = found.filter(one => one.record.sandboxId === sandbox.id).map(one => one.status);
          return sandboxStatus(sandbox, own);
        }),
    );
  }

  async createSandbox(spec: SandboxSpec): Promise<SandboxStatus> {
    this.#state();
    if (spec.runtimeHandler && spec.runtimeHandler !== this.name)
      throw new CreateContainerError(`no runtime for ${JSON.stringify(spec.runtimeHandler)} is configured`);
    for (const id of await this.#layout.sandboxIds()) {
      const existing = await this.#layout.readSandbox(id);
      if (existing?.pod.uid !== spec.pod.uid || existing.attempt !== spec.attempt) continue;
      if (await isAlive(existing.holder)) return await sandboxStatus(existing, []);
      await this.removeSandbox(id);
    }
    const id = newId();
    try {
      const sandbox = {
        id,
        pod: { ...spec.pod },
        attempt: spec.attempt,
        createdAt: this.#clock.now(),
        hostPid: spec.hostPid,
        hostIpc: spec.hostIpc,
        shareProcessNamespace: spec.shareProcessNamespace === true && !spec.hostPid,
      };
      const holder = await startHolder({
        program: this.#layout.pauseProgram,
        spec,
        clock: this.#clock,
        note: started => this.#layout.writeSandbox({ ...sandbox, holder: started }),
      });
      this.#hub.publish(spec.pod.uid);
      return await sandboxStatus({ ...sandbox, holder }, []);
    } catch (error) {
      throw new CreateContainerError(`the sandbox could not be made: ${messageOf(error)}`, { cause: error });
    }
  }

  async removeSandbox(id: string): Promise<void> {
    const sandbox = isId(id) ? await this.#layout.readSandbox(id) : undefined;
    if (sandbox === undefined) return;
    const containers = await mapBounded(await this.#layout.containerIds(), readConcurrencyMax, one =>
      this.#layout.readContainer(one),
    );
    await Promise.all(containers.filter(one => one?.sandboxId === id).map(one => one && this.removeContainer(one.id)));
    if (await isAlive(sandbox.holder)) signalProcess(sandbox.holder.pid, 'SIGKILL');
    await this.#settled(async () => !(await isAlive(sandbox.holder)), 'the sandbox does not end');
    await this.#layout.remove(this.#layout.sandboxDir(id));
    this.#hub.publish(sandbox.pod.uid);
  }

  async imageStatus(reference: string): Promise<ImageStatus | undefined> {
    return this.#state().images.status(reference);
  }

  async listImages(): Promise<readonly ImageStatus[]> {
    return this.#state().images.list();
  }

  async imageFolder(): Promise<string | undefined> {
    return this.#state().images.folder;
  }

  async pullImage(reference: string, options: PullOptions): Promise<ImageStatus> {
    return await this.#state().images.pull(reference, options);
  }

  async importImages(archive: Readable): Promise<readonly ImageStatus[]> {
    return await this.#state().images.import(archive);
  }

  async removeImage(reference: string): Promise<void> {
    await this.#state().images.remove(reference);
  }

  async imageFiles(reference: string, { folder }: ImageFilesRequest): Promise<ImageFiles> {
    if (isHostImage(reference))
      throw new CreateContainerError('the image "host" is this machine: it cannot be a volume');
    const { images } = this.#state();
    const files = await images.use(reference, async ({ id }) => {
      await this.#holds.hold(id, folder);
      return images.layersOf(id, folder);
    });
    if (files === undefined) throw new CreateContainerError(`image ${JSON.stringify(reference)} is not on this node`);
    return files;
  }

  async createContainer(sandboxId: string, spec: ContainerSpec): Promise<{ readonly id: string }> {
    const { images, architecture } = this.#state();
    const sandbox = isId(sandboxId) ? await this.#layout.readSandbox(sandboxId) : undefined;
    if (sandbox === undefined) throw new CreateContainerError(`no sandbox ${sandboxId} on this node`);
    const id = await images.use(spec.image, async image => {
      const violation = runAsNonRootViolation(spec, image.config);
      if (violation !== undefined) throw new ContainerConfigError(violation);
      const refusal = refuseUnsupported(spec, architecture);
      if (refusal !== undefined) throw new CreateContainerError(refusal);
      return (await this.#reusable(sandboxId, spec)) ?? (await this.#make({ sandbox, spec, image }));
    });
    if (id === undefined) throw new CreateContainerError(`image ${JSON.stringify(spec.image)} is not on this node`);
    return { id };
  }

  async #make(container: ContainerToMake): Promise<string> {
    const id = await makeContainer({ ...this.#state(), layout: this.#layout, clock: this.#clock }, container);
    this.#hub.publish(container.sandbox.pod.uid);
    return id;
  }

  async startContainer(id: string): Promise<void> {
    const { record } = await this.#container(id);
    if ((await this.#layout.readStarted(id)) !== undefined) return;
    const sandbox = await this.#layout.readSandbox(record.sandboxId);
    if (sandbox === undefined || !(await isAlive(sandbox.holder))) {
      throw new StartContainerError('the sandbox does not live any more');
    }
    await this.#supervisor.ensure();
    try {
      await this.#supervisor.ask({ ask: 'start', id });
    } catch (error) {
      if (!(error instanceof SupervisorRefusedError)) throw error;
      throw new StartContainerError(error.message, { cause: error });
    }
  }

  async stopContainer(id: string, graceSeconds: number): Promise<void> {
    const record = await this.#find(id);
    const started = record && (await this.#layout.readStarted(id));
    if (record === undefined || started === undefined) return;
    if (await isAlive(started.init)) {
      if (graceSeconds > 0) {
        signalProcess(started.init.pid, signalNamed(record.process.stopSignal));
        const deadline = this.#clock.now() + graceSeconds * 1000;
        while (this.#clock.now() < deadline && (await isAlive(started.init))) await delay(this.#clock, settlePollMs);
      }
      if (await isAlive(started.init)) signalProcess(started.init.pid, 'SIGKILL');
    }
    const hasEnded = async () => (await this.#statusOf(record, await this.#supervisor.current())).state === 'exited';
    await this.#settled(hasEnded, `container ${id} does not end`);
  }

  async removeContainer(id: string): Promise<void> {
    const record = await this.#find(id);
    if (record === undefined) return;
    const { cgroups } = this.#state();
    await this.stopContainer(id, 0);
    for (const pid of await cgroups.processes(id)) signalProcess(pid, 'SIGKILL');
    await this.#settled(async () => {
      try {
        await cgroups.remove(id);
        return true;
      } catch {
        return false;
      }
    }, `the control groups of container ${id} cannot be removed`);
    await this.#layout.remove(this.#layout.containerDir(id));
    this.#hub.publish(record.podUid);
  }

  async updateContainer(id: string, resources: ContainerSpec['resources']): Promise<void> {
    await this.#container(id);
    await this.#state().cgroups.update(id, resources);
  }

  async *logs(id: string, options: LogOptions): AsyncIterable<Uint8Array> {
    const { record } = await this.#container(id);
    const isOpen = async () => (await this.#statusOf(record, await this.#supervisor.current())).state !== 'exited';
    yield* readLog({ path: this.#layout.logFile(id), clock: this.#clock, isOpen }, options);
  }

  async exec(id: string, request: ExecRequest): Promise<ExecSession> {
    return await startExec({ run: this.#run, clock: this.#clock }, await this.#running(id), request);
  }

  async attach(id: string, request: Omit<ExecRequest, 'command'>): Promise<ExecSession> {
    const { init, record } = await this.#running(id);
    const { socket } = await this.#supervisor.open({ ask: 'attach', id, stdin: request.stdin });
    const exitCode = async () => {
      await this.#settled(async () => (await this.#layout.readExit(id)) !== undefined, `container ${id} does not end`);
      return (await this.#layout.readExit(id))?.exitCode ?? killedExitCode;
    };
    const parts = { tty: record.spec.tty, stdin: request.stdin, init, exitCode };
    return attachOver({ run: this.#run, clock: this.#clock }, socket, parts);
  }

  async usage(): Promise<readonly ContainerUsage[]> {
    const { cgroups } = this.#state();
    const usages = await mapBounded(await this.#layout.containerIds(), readConcurrencyMax, async id => {
      if ((await this.#layout.readStarted(id)) === undefined || (await this.#layout.readExit(id)) !== undefined) return;
      const usage = await cgroups.usage(id);
      return usage && { id, ...usage };
    });
    return usages.filter(usage => usage !== undefined);
  }

  async storage(ids: readonly string[]): Promise<readonly ContainerStorage[]> {
    const found: ContainerStorage[] = [];
    for (const id of ids) if (await this.#find(id)) found.push(await storageOf(this.#layout, id));
    return found;
  }

  events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    return this.#hub.subscribe(signal);
  }

  /** Containers run on; without any the supervisor goes too. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#hub.close();
    await this.#news;
    // It refuses while it has containers, and it may be gone: both are right.
    if (this.#started !== undefined) await this.#supervisor.ask({ ask: 'leave' }).catch(() => undefined);
    this.#started = undefined;
  }

  #state(): Started {
    if (this.#started === undefined) throw new RuntimeUnavailableError('the native runtime was not started');
    return this.#started;
  }

  /** Under another name first: the file itself cannot be written while sandboxes run it. */
  async #writePause(architecture: Architecture): Promise<void> {
    const file = this.#layout.pauseProgram;
    await writeFile(`${file}.new`, pauseProgram(architecture), { mode: 0o755 });
    await rename(`${file}.new`, file);
  }

  async #statusOf(record: ContainerRecord, supervisor: string | undefined): Promise<ContainerStatus> {
    const started = await this.#layout.readStarted(record.id);
    const alive = started !== undefined && (await isAlive(started.init));
    // Read last: its absence then says that the end was not noted before the process was looked at.
    const exit = await this.#layout.readExit(record.id);
    return containerStatusOf(record, { started, alive, exit, supervisor });
  }

  async #find(id: string): Promise<ContainerRecord | undefined> {
    this.#state();
    return isId(id) ? await this.#layout.readContainer(id) : undefined;
  }

  async #container(id: string): Promise<{ readonly record: ContainerRecord }> {
    const record = await this.#find(id);
    if (record === undefined) throw new ContainerNotFoundError(`no container ${id}`);
    return { record };
  }

  async #running(id: string): Promise<ExecTarget> {
    const { record } = await this.#container(id);
    const [started, sandbox] = await Promise.all([
      this.#layout.readStarted(id),
      this.#layout.readSandbox(record.sandboxId),
    ]);
    if (started === undefined || sandbox === undefined || !(await isAlive(started.init))) {
      throw new Error(`container ${id} does not run`);
    }
    const { architecture, cgroups } = this.#state();
    const cgroupFiles = await cgroups.filesToJoin(id, started.init.pid);
    return {
      record,
      sandbox,
      init: started.init,
      architecture,
      directory: this.#layout.containerDir(id),
      cgroupFiles,
    };
  }

  /** What a broken call left under the same name: used if it runs, else taken away. */
  async #reusable(sandboxId: string, spec: ContainerSpec): Promise<string | undefined> {
    for (const id of await this.#layout.containerIds()) {
      const record = await this.#layout.readContainer(id);
      if (record?.sandboxId !== sandboxId) continue;
      if (record.spec.name !== spec.name || record.spec.attempt !== spec.attempt) continue;
      const status = await this.#statusOf(record, await this.#supervisor.current());
      if (status.state === 'running') return id;
      await this.removeContainer(id);
    }
    return undefined;
  }

  async #usedImages(): Promise<ReadonlySet<string>> {
    const ids = await this.#layout.containerIds();
    const records = await mapBounded(ids, readConcurrencyMax, id => this.#layout.readContainer(id));
    const inContainers = records.flatMap(record => (record === undefined ? [] : [record.imageId]));
    return new Set([...inContainers, ...(await this.#holds.imageIds())]);
  }

  async #settled(condition: () => Promise<boolean>, failure: string): Promise<void> {
    const deadline = this.#clock.now() + settleTimeoutMs;
    while (!(await condition())) {
      if (this.#clock.now() > deadline) throw new Error(failure);
      await delay(this.#clock, settlePollMs);
    }
  }
}

async function sandboxStatus(record: SandboxRecord, containers: readonly ContainerStatus[]): Promise<SandboxStatus> {
  const ready = (await processRecord(record.holder.pid))?.startTicks === record.holder.startTicks;
  const { id, pod, attempt, createdAt } = record;
  return { id, pod, attempt, createdAt, ready, pid: ready ? record.holder.pid : undefined, containers };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
