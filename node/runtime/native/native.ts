/**
 * Containers without any engine: Linux namespaces made by util-linux' `unshare`, entered by its `nsenter`. For machines
 * where the agent is root and there is no Docker. The only image is `host`: the machine's own root file system,
 * read-only below, with a private writable layer on top; images from archives and registries are not supported yet.
 *
 * All state is on disk (`layout.ts`), the containers belong to a supervisor process of their own (`supervisor/`), so a
 * restarted agent finds everything as it was. Namespaces and mounts live exactly as long as the processes in them: what
 * is left to clean up is a directory and the control groups.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { mapBounded } from '../bounded.ts';
import { ChangeHub } from '../change-hub.ts';
import { type Clock, delay, systemClock } from '../clock.ts';
import { commandExists, mustRun, type RunCommand, runCommand } from '../command.ts';
import { pauseProgram } from '../docker/pause.ts';
import { mayLowerOomScore } from '../oom-score.ts';
import { signalProcess } from '../processes.ts';
import { runAsNonRootViolation } from '../run-as-non-root.ts';
import {
  ContainerNotFoundError,
  type ContainerSpec,
  type ContainerStatus,
  type ContainerUsage,
  CreateContainerError,
  type ExecRequest,
  type ExecSession,
  ImagePullError,
  type ImageStatus,
  type LogOptions,
  type Runtime,
  type RuntimeEvent,
  RuntimeUnavailableError,
  type SandboxSpec,
  type SandboxStatus,
  StartContainerError,
} from '../runtime.ts';
import { ensureTerminationFile } from '../termination-file.ts';
import { Cgroups } from './cgroups.ts';
import { attachOver, type ExecTarget, startExec } from './execs.ts';
import { type ContainerRecord, isId, Layout, type SandboxRecord } from './layout.ts';
import { newsRetryMs, settlePollMs, settleTimeoutMs } from './limits.ts';
import { readLog } from './log-reader.ts';
import { isAlive, processRecord } from './proc.ts';
import { startHolder } from './sandbox.ts';
import { renderSetup } from './setup-script.ts';
import { containerStatusOf, hostImage, isHostImage, refuseUnsupported } from './status.ts';
import { SupervisorClient, SupervisorRefusedError } from './supervisor-client.ts';

export interface NativeRuntimeOptions {
  /** The node's own directory: another node on the machine has another. */
  readonly dataDir: string;
  readonly clock?: Clock;
  readonly run?: RunCommand;
}

interface Started {
  readonly cgroups: Cgroups;
  readonly mayLowerOomScore: boolean;
}

const readConcurrencyMax = 32;
const killedExitCode = 137;

export function createNativeRuntime(options: NativeRuntimeOptions): Runtime {
  return new NativeRuntime(options);
}

class NativeRuntime implements Runtime {
  readonly name = 'native';
  readonly #layout: Layout;
  readonly #clock: Clock;
  readonly #run: RunCommand;
  readonly #supervisor: SupervisorClient;
  readonly #hub = new ChangeHub();
  readonly #closing = new AbortController();
  #started: Started | undefined;
  #news: Promise<void> = Promise.resolve();

  constructor(options: NativeRuntimeOptions) {
    const dataDir = path.resolve(options.dataDir);
    this.#layout = new Layout(dataDir);
    this.#clock = options.clock ?? systemClock;
    this.#run = options.run ?? runCommand;
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
    await this.#check();
    await this.#layout.prepare();
    await this.#writePause();
    this.#started = { cgroups: await Cgroups.detect(), mayLowerOomScore: await mayLowerOomScore() };
    await this.#supervisor.ensure();
    this.#news = this.#hear();
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
    for (const id of await this.#layout.sandboxIds()) {
      const existing = await this.#layout.readSandbox(id);
      if (existing?.pod.uid !== spec.pod.uid || existing.attempt !== spec.attempt) continue;
      if (await isAlive(existing.holder)) return await sandboxStatus(existing, []);
      await this.removeSandbox(id);
    }
    const id = newId();
    try {
      const holder = await startHolder({ program: this.#layout.pauseProgram, spec, clock: this.#clock });
      const record: SandboxRecord = {
        id,
        pod: { ...spec.pod },
        attempt: spec.attempt,
        createdAt: this.#clock.now(),
        hostPid: spec.hostPid,
        shareProcessNamespace: spec.shareProcessNamespace === true && !spec.hostPid,
        holder,
      };
      await this.#layout.writeSandbox(record);
      this.#hub.publish(spec.pod.uid);
      return await sandboxStatus(record, []);
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
    return isHostImage(reference) ? hostImage : undefined;
  }

  async listImages(): Promise<readonly ImageStatus[]> {
    return [hostImage];
  }

  async pullImage(reference: string): Promise<ImageStatus> {
    if (isHostImage(reference)) return hostImage;
    throw new ImagePullError(
      `image ${JSON.stringify(reference)}: the native runtime has only the image "host" (this machine's own files); for other images install Docker and start the agent with --runtime docker`,
    );
  }

  async createContainer(sandboxId: string, spec: ContainerSpec): Promise<{ readonly id: string }> {
    const { cgroups, mayLowerOomScore: mayLower } = this.#state();
    const sandbox = isId(sandboxId) ? await this.#layout.readSandbox(sandboxId) : undefined;
    if (sandbox === undefined) throw new CreateContainerError(`no sandbox ${sandboxId} on this node`);
    if (!isHostImage(spec.image)) {
      throw new CreateContainerError(`image ${JSON.stringify(spec.image)} is not on this node`);
    }
    const refusal = refuseUnsupported(spec) ?? runAsNonRootViolation(spec, { user: '' });
    if (refusal !== undefined) throw new CreateContainerError(refusal);
    const existing = await this.#reusable(sandboxId, spec);
    if (existing !== undefined) return { id: existing };
    const id = newId();
    try {
      await ensureTerminationFile(spec);
      const directory = this.#layout.containerDir(id);
      const cgroupFiles = await cgroups.create(id, spec.resources);
      const hostname = sandbox.pod.name;
      const script = renderSetup({ spec, directory, cgroupFiles, hostname, mayLowerOomScore: mayLower });
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await writeFile(path.join(directory, 'setup.sh'), script, { mode: 0o600 });
      const record = { id, sandboxId, podUid: sandbox.pod.uid, createdAt: this.#clock.now(), spec: plain(spec) };
      await this.#layout.writeContainer(record);
      this.#hub.publish(sandbox.pod.uid);
      return { id };
    } catch (error) {
      throw new CreateContainerError(messageOf(error), { cause: error });
    }
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
        signalProcess(started.init.pid, 'SIGTERM');
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

  async *logs(id: string, options: LogOptions): AsyncIterable<Uint8Array> {
    const { record } = await this.#container(id);
    const isOpen = async () => (await this.#statusOf(record, await this.#supervisor.current())).state !== 'exited';
    yield* readLog({ path: this.#layout.logFile(id), clock: this.#clock, isOpen }, options);
  }

  async exec(id: string, request: ExecRequest): Promise<ExecSession> {
    return startExec({ run: this.#run, clock: this.#clock }, await this.#running(id), request);
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

  /** Throws {@link RuntimeUnavailableError} with what is missing. */
  async #check(): Promise<void> {
    for (const program of ['unshare', 'nsenter', 'setpriv', 'script']) {
      if (await commandExists(this.#run, program, ['--version'])) continue;
      throw new RuntimeUnavailableError(`the native runtime needs ${program}: install util-linux`);
    }
    const trial = await this.#run('unshare', ['--mount', '--pid', '--net', '--ipc', '--uts', '--fork', 'true']);
    if (trial.code === 0) return;
    throw new RuntimeUnavailableError(
      `the native runtime cannot make namespaces (${trial.stderr.trim()}): run the agent as root on Linux, or use Docker`,
    );
  }

  /** Under another name first: the file itself cannot be written while sandboxes run it. */
  async #writePause(): Promise<void> {
    const machine = (await mustRun(this.#run, 'uname', ['-m'])).trim();
    const file = this.#layout.pauseProgram;
    await writeFile(`${file}.new`, pauseProgram(pauseArchitecture(machine)), { mode: 0o755 });
    await rename(`${file}.new`, file);
  }

  /** Passes the supervisor's news on, and starts it again should it be lost. */
  async #hear(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#supervisor.ensure();
        const { socket } = await this.#supervisor.open({ ask: 'news' });
        const end = () => socket.destroy();
        signal.addEventListener('abort', end, { once: true });
        this.#hub.publish(undefined);
        let text = '';
        socket.on('data', (chunk: Buffer) => {
          const lines = (text + chunk.toString()).split('\n');
          text = lines.pop() ?? '';
          for (const podUid of lines) this.#hub.publish(podUid);
        });
        socket.resume();
        if (signal.aborted) end();
        await new Promise<void>(resolve => socket.once('close', () => resolve()));
        signal.removeEventListener('abort', end);
      } catch {
        // The next round tries again; what is asked of the runtime meanwhile tells its callers what is wrong.
      }
      if (!signal.aborted) await delay(this.#clock, newsRetryMs, signal);
    }
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
    const cgroupFiles = await this.#state().cgroups.create(id, {});
    return { record, sandbox, init: started.init, hostname: sandbox.pod.name, cgroupFiles };
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

/** The same in the form that is kept: lists of its own. */
function plain(spec: ContainerSpec): ContainerRecord['spec'] {
  return structuredClone(spec) as ContainerRecord['spec'];
}

const idBytes = 32;

function newId(): string {
  return randomBytes(idBytes).toString('hex');
}

function pauseArchitecture(machine: string): 'amd64' | 'arm64' {
  if (machine === 'x86_64') return 'amd64';
  if (machine === 'aarch64') return 'arm64';
  throw new RuntimeUnavailableError(`the architecture ${machine} is not supported: use x86-64 or AArch64`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
