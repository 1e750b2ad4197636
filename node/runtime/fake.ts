/**
 * A runtime that pretends: containers are entries in memory, nothing runs. For tests, and for `--runtime fake`, where
 * whole clusters can be tried on a machine that could not run their containers. What a container does is said by its
 * image's name:
 *
 * - `fake/exit-3` ends with code 3 at once, `fake/exit-3-after-500` after 500 ms; 0 to 255.
 * - `fake/print` writes its arguments to its log, a line each, and ends with code 0.
 * - `fake/deaf` does not react to SIGTERM.
 * - `fake/start-error` cannot be started, `fake/pull-error` cannot be pulled.
 * - any other runs until it is stopped.
 *
 * State lives in a {@link FakeMachine}: a second runtime on the same machine object finds all again, as after a restart
 * of the agent.
 */
import { createHash } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { ChangeHub } from './change-hub.ts';
import { type Clock, delay, systemClock } from './clock.ts';
import { FakeContainer } from './fake-container.ts';
import { formatImageReference, parseImageReference } from './image-reference.ts';
import {
  ContainerNotFoundError,
  type ContainerSpec,
  type ContainerStorage,
  type ContainerUsage,
  CreateContainerError,
  type ExecRequest,
  type ExecSession,
  type ImageFiles,
  type ImageFilesRequest,
  ImagePullError,
  type ImageStatus,
  type LogOptions,
  type Runtime,
  type RuntimeEvent,
  type SandboxSpec,
  type SandboxStatus,
  StartContainerError,
} from './runtime.ts';

/** What containers of an image do. */
export interface FakeBehaviour {
  readonly pullError?: string;
  readonly pullDelayMs?: number;
  readonly startError?: string;
  readonly startDelayMs?: number;
  /** Undefined runs until it is stopped. */
  readonly exitCode?: number;
  readonly exitAfterMs?: number;
  /** Writes its arguments to the log. */
  readonly printsArguments?: boolean;
  readonly ignoresTerm?: boolean;
  /** What an exec ends with; 0 without it, and for `false` 1. */
  readonly execExitCode?: number;
}

interface FakeSandbox {
  readonly id: string;
  readonly nodeName: string;
  readonly spec: SandboxSpec;
  readonly createdAt: number;
  readonly pid: number;
  readonly containers: Map<string, FakeContainer>;
}

/** What would outlive an agent on a real machine. */
export class FakeMachine {
  readonly sandboxes = new Map<string, FakeSandbox>();
  readonly images = new Map<string, ImageStatus>();
  #made = 0;

  /** An id like those of real runtimes. */
  nextId(): string {
    this.#made += 1;
    return createHash('sha256').update(`fake ${this.#made}`).digest('hex');
  }

  /** Numbers that no process has. */
  nextPid(): number {
    return fakePidMin + this.#made;
  }
}

export interface FakeRuntimeOptions {
  readonly nodeName: string;
  readonly machine?: FakeMachine;
  readonly clock?: Clock;
  /** Instead of {@link behaviourOf}. */
  readonly behaviour?: (image: string) => FakeBehaviour;
}

/** Above the largest that Linux gives. */
const fakePidMin = 2 ** 22 + 1;
const fakeImageBytes = 1024 * 1024;
const exitPattern = /^docker\.io\/fake\/exit-(\d{1,3})(?:-after-(\d{1,9}))?:/;

/** The behaviour that an image's name asks for. */
export function behaviourOf(image: string): FakeBehaviour {
  const name = formatImageReference(parseImageReference(image));
  const exit = exitPattern.exec(name);
  if (exit !== null) return { exitCode: Number(exit[1]), exitAfterMs: Number(exit[2] ?? 0) };
  if (name.startsWith('docker.io/fake/print:')) return { exitCode: 0, printsArguments: true };
  if (name.startsWith('docker.io/fake/deaf:')) return { ignoresTerm: true };
  if (name.startsWith('docker.io/fake/start-error:')) return { startError: 'the image asked for this error' };
  if (name.startsWith('docker.io/fake/pull-error:')) return { pullError: 'the image asked for this error' };
  return {};
}

export function createFakeRuntime(options: FakeRuntimeOptions): Runtime {
  return new FakeRuntime(options);
}

class FakeRuntime implements Runtime {
  readonly name = 'fake';
  readonly #nodeName: string;
  readonly #machine: FakeMachine;
  readonly #clock: Clock;
  readonly #behaviour: (image: string) => FakeBehaviour;
  readonly #hub = new ChangeHub();

  constructor(options: FakeRuntimeOptions) {
    this.#nodeName = options.nodeName;
    this.#machine = options.machine ?? new FakeMachine();
    this.#clock = options.clock ?? systemClock;
    this.#behaviour = options.behaviour ?? behaviourOf;
  }

  async start(): Promise<void> {}

  async version(): Promise<{ readonly name: string; readonly version: string }> {
    return { name: 'fake', version: '1' };
  }

  async list(): Promise<readonly SandboxStatus[]> {
    return this.#own().map(statusOf);
  }

  async createSandbox(spec: SandboxSpec): Promise<SandboxStatus> {
    const existing = this.#own().find(one => one.spec.pod.uid === spec.pod.uid && one.spec.attempt === spec.attempt);
    if (existing !== undefined) return statusOf(existing);
    const sandbox: FakeSandbox = {
      id: this.#machine.nextId(),
      nodeName: this.#nodeName,
      spec,
      createdAt: this.#clock.now(),
      pid: this.#machine.nextPid(),
      containers: new Map(),
    };
    this.#machine.sandboxes.set(sandbox.id, sandbox);
    this.#hub.publish(spec.pod.uid);
    return statusOf(sandbox);
  }

  async removeSandbox(id: string): Promise<void> {
    const sandbox = this.#own().find(one => one.id === id);
    if (sandbox === undefined) return;
    for (const container of sandbox.containers.values()) container.kill(killedExitCode);
    this.#machine.sandboxes.delete(id);
    this.#hub.publish(sandbox.spec.pod.uid);
  }

  async imageStatus(reference: string): Promise<ImageStatus | undefined> {
    return this.#machine.images.get(formatImageReference(parseImageReference(reference)));
  }

  async listImages(): Promise<readonly ImageStatus[]> {
    return [...this.#machine.images.values()];
  }

  async imageFolder(): Promise<string | undefined> {
    return undefined;
  }

  async pullImage(reference: string, options: { readonly signal: AbortSignal }): Promise<ImageStatus> {
    const name = parsed(reference);
    const { pullError, pullDelayMs = 0 } = this.#behaviour(reference);
    if (pullDelayMs > 0) await delay(this.#clock, pullDelayMs, options.signal);
    if (options.signal.aborted) throw new ImagePullError(`the pull of ${reference} was given up`);
    if (pullError !== undefined) throw new ImagePullError(`failed to pull image ${reference}: ${pullError}`);
    const id = `sha256:${createHash('sha256').update(name).digest('hex')}`;
    const status = { id, tags: [reference], sizeBytes: fakeImageBytes };
    this.#machine.images.set(name, status);
    return status;
  }

  async imageFiles(reference: string, { folder }: ImageFilesRequest): Promise<ImageFiles> {
    if ((await this.imageStatus(reference)) === undefined)
      throw new CreateContainerError(`image ${reference} is not on this node`);
    return { base: folder, layers: [] };
  }

  async createContainer(sandboxId: string, spec: ContainerSpec): Promise<{ readonly id: string }> {
    const sandbox = this.#own().find(one => one.id === sandboxId);
    if (sandbox === undefined) throw new CreateContainerError(`no sandbox ${sandboxId} on this node`);
    const image = await this.imageStatus(spec.image);
    if (image === undefined) throw new CreateContainerError(`image ${spec.image} is not on this node`);
    for (const [id, container] of sandbox.containers) {
      if (container.spec.name !== spec.name || container.spec.attempt !== spec.attempt) continue;
      if (container.isRunning) return { id };
      sandbox.containers.delete(id);
    }
    const id = this.#machine.nextId();
    const container = new FakeContainer(
      { id, spec, imageId: image.id, pid: this.#machine.nextPid() },
      this.#clock,
      () => this.#hub.publish(sandbox.spec.pod.uid),
    );
    sandbox.containers.set(id, container);
    this.#hub.publish(sandbox.spec.pod.uid);
    return { id };
  }

  async startContainer(id: string): Promise<void> {
    const container = this.#container(id);
    const behaviour = this.#behaviour(container.spec.image);
    if (container.isRunning) return;
    if (behaviour.startDelayMs !== undefined) await delay(this.#clock, behaviour.startDelayMs);
    if (behaviour.startError !== undefined) {
      container.failToStart(behaviour.startError);
      throw new StartContainerError(behaviour.startError);
    }
    container.start(behaviour);
  }

  async stopContainer(id: string, graceSeconds: number): Promise<void> {
    const container = this.#find(id);
    if (container?.isRunning !== true) return;
    if (this.#behaviour(container.spec.image).ignoresTerm === true) {
      await delay(this.#clock, graceSeconds * 1000);
      container.kill(killedExitCode);
    } else {
      container.kill(terminatedExitCode);
    }
  }

  async removeContainer(id: string): Promise<void> {
    this.#find(id)?.kill(killedExitCode);
    for (const sandbox of this.#own()) {
      if (sandbox.containers.delete(id)) this.#hub.publish(sandbox.spec.pod.uid);
    }
  }

  async *logs(id: string, options: LogOptions): AsyncIterable<Uint8Array> {
    yield* this.#container(id).logs(options);
  }

  async exec(id: string, request: ExecRequest): Promise<ExecSession> {
    const { execExitCode } = this.#behaviour(this.#container(id).spec.image);
    return session(request, Promise.resolve(execExitCode ?? (request.command[0] === 'false' ? 1 : 0)));
  }

  async attach(id: string, request: Omit<ExecRequest, 'command'>): Promise<ExecSession> {
    return session(request, this.#container(id).ended);
  }

  async usage(): Promise<readonly ContainerUsage[]> {
    return this.#own()
      .flatMap(sandbox => [...sandbox.containers.values()])
      .filter(container => container.isRunning)
      .map(container => ({ id: container.id, cpuNanoseconds: 0, memoryBytes: 0, memory: { usageBytes: 0 } }));
  }

  /** Nothing is on any disk. */
  async storage(ids: readonly string[]): Promise<readonly ContainerStorage[]> {
    return ids.flatMap(id => (this.#find(id) ? [{ id, logBytes: 0, writableBytes: 0 }] : []));
  }

  events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    return this.#hub.subscribe(signal);
  }

  async close(): Promise<void> {
    this.#hub.close();
  }

  #own(): FakeSandbox[] {
    return [...this.#machine.sandboxes.values()].filter(sandbox => sandbox.nodeName === this.#nodeName);
  }

  #find(id: string): FakeContainer | undefined {
    return this.#own()
      .map(sandbox => sandbox.containers.get(id))
      .find(container => container !== undefined);
  }

  #container(id: string): FakeContainer {
    const container = this.#find(id);
    if (container === undefined) throw new ContainerNotFoundError(`no container ${id}`);
    return container;
  }
}

const killedExitCode = 137;
const terminatedExitCode = 143;

function statusOf(sandbox: FakeSandbox): SandboxStatus {
  return {
    id: sandbox.id,
    pod: sandbox.spec.pod,
    attempt: sandbox.spec.attempt,
    createdAt: sandbox.createdAt,
    ready: true,
    pid: sandbox.pid,
    containers: [...sandbox.containers.values()].map(container => container.status()),
  };
}

/** Throws {@link ImagePullError} for a name that is none. */
function parsed(reference: string): string {
  try {
    return formatImageReference(parseImageReference(reference));
  } catch (error) {
    throw new ImagePullError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Takes all input, gives no output. */
function session(request: { readonly tty: boolean; readonly stdin: boolean }, exitCode: Promise<number>): ExecSession {
  const streams = [new PassThrough(), new PassThrough()] as const;
  const stdin = request.stdin ? new PassThrough().resume() : undefined;
  const finish = () => {
    for (const stream of streams) stream.end();
  };
  exitCode.then(finish, finish);
  return {
    stdin,
    stdout: streams[0],
    stderr: request.tty ? undefined : streams[1],
    resize: () => Promise.resolve(),
    exitCode,
    async kill() {
      for (const stream of streams) stream.destroy();
    },
  };
}
