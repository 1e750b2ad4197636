/** A runtime in memory for tests of the agent: containers run until the test ends them; images are there or are not. */
import { PassThrough, Readable } from 'node:stream';
import type { Clock } from '../clock.ts';
import {
  type ContainerSpec,
  type ContainerStatus,
  type ExecRequest,
  type ExecSession,
  ImagePullError,
  type ImageStatus,
  type LogOptions,
  type Runtime,
  type RuntimeEvent,
  type SandboxSpec,
  type SandboxStatus,
  StartContainerError,
} from '../runtime/runtime.ts';

interface TestContainer {
  readonly id: string;
  readonly spec: ContainerSpec;
  status: ContainerStatus;
  log: string;
}
interface TestSandbox {
  readonly id: string;
  readonly spec: SandboxSpec;
  readonly createdAt: number;
  ready: boolean;
  readonly containers: TestContainer[];
}
type ExecHandler = (containerName: string, request: ExecRequest) => { exitCode: number; stdout?: string };

export class ScriptedRuntime implements Runtime {
  readonly name = 'fake';
  readonly #clock: Clock;
  readonly #sandboxes = new Map<string, TestSandbox>();
  readonly #wakes = new Set<() => void>();
  #ids = 0;
  /** Everything asked for that changes something, in order. */
  readonly calls: string[] = [];
  readonly images = new Set<string>(['app:1']);
  /** Images that a pull finds. */
  readonly registry = new Set<string>(['app:1', 'app:2']);
  /** Containers that cannot be started, with the reason. */
  readonly startFailures = new Map<string, string>();
  /** Containers that do not heed SIGTERM. */
  readonly stubborn = new Set<string>();
  exec_: ExecHandler = () => ({ exitCode: 0 });
  attached: ExecSession | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async start(): Promise<void> {}
  async version() {
    return { name: 'fake', version: '1.0' };
  }
  async list(): Promise<readonly SandboxStatus[]> {
    return [...this.#sandboxes.values()].map(({ id, spec, createdAt, ready, containers }) => ({
      id,
      pod: spec.pod,
      attempt: spec.attempt,
      createdAt,
      ready,
      pid: ready ? 1 : undefined,
      containers: containers.map(({ status }) => status),
    }));
  }
  async createSandbox(spec: SandboxSpec): Promise<SandboxStatus> {
    const id = `s${++this.#ids}`;
    this.calls.push(`createSandbox ${spec.pod.name}`);
    this.#sandboxes.set(id, { id, spec, createdAt: this.#clock.now(), ready: true, containers: [] });
    return {
      id,
      pod: spec.pod,
      attempt: spec.attempt,
      createdAt: this.#clock.now(),
      ready: true,
      pid: 1,
      containers: [],
    };
  }
  async removeSandbox(id: string): Promise<void> {
    this.calls.push(`removeSandbox ${id}`);
    this.#sandboxes.delete(id);
    this.#changed();
  }
  async imageStatus(reference: string): Promise<ImageStatus | undefined> {
    return this.images.has(reference) ? { id: `sha256:${reference}`, tags: [reference], sizeBytes: 1 } : undefined;
  }
  async listImages(): Promise<readonly ImageStatus[]> {
    return [...this.images].map(tag => ({ id: `sha256:${tag}`, tags: [tag], sizeBytes: 1 }));
  }
  /** Where images are said to lie. */
  images_: string | undefined;
  async imageFolder() {
    return this.images_;
  }
  async pullImage(reference: string): Promise<ImageStatus> {
    this.calls.push(`pull ${reference}`);
    if (!this.registry.has(reference)) throw new ImagePullError(`no such image: ${reference}`);
    this.images.add(reference);
    return { id: `sha256:${reference}`, tags: [reference], sizeBytes: 1 };
  }
  async removeImage(reference: string): Promise<void> {
    this.images.delete(reference);
  }
  async createContainer(sandboxId: string, spec: ContainerSpec): Promise<{ readonly id: string }> {
    const id = `c${++this.#ids}`;
    this.calls.push(`create ${spec.name}#${spec.attempt}`);
    const { name, attempt, image } = spec;
    const common = { id, name, attempt, image, imageId: `sha256:${image}`, createdAt: this.#clock.now() };
    this.#sandboxes.get(sandboxId)?.containers.push({ id, spec, status: { ...common, state: 'created' }, log: '' });
    return { id };
  }
  async startContainer(id: string): Promise<void> {
    const container = this.#find(id);
    this.calls.push(`start ${container.spec.name}#${container.spec.attempt}`);
    const failure = this.startFailures.get(container.spec.name);
    if (failure) throw new StartContainerError(failure);
    const { state: _, ...common } = container.status;
    container.status = { ...common, state: 'running', startedAt: this.#clock.now(), pid: 100 } as ContainerStatus;
    this.#changed();
  }
  async stopContainer(id: string, graceSeconds: number): Promise<void> {
    const container = this.#find(id);
    this.calls.push(`stop ${container.spec.name} ${graceSeconds}`);
    if (this.stubborn.has(container.spec.name)) {
      await new Promise<void>(resolve => this.#clock.setTimeout(resolve, graceSeconds * 1000));
      this.#end(container, 137);
    } else this.#end(container, 143);
  }
  async removeContainer(id: string): Promise<void> {
    for (const { containers } of this.#sandboxes.values()) {
      const index = containers.findIndex(container => container.id === id);
      if (index >= 0) this.calls.push(`remove ${containers.splice(index, 1)[0]?.spec.name}`);
    }
  }
  async *logs(id: string, _options: LogOptions): AsyncIterable<Uint8Array> {
    yield Buffer.from(this.#find(id).log);
  }
  async exec(id: string, request: ExecRequest): Promise<ExecSession> {
    const { exitCode, stdout = '' } = this.exec_(this.#find(id).spec.name, request);
    const output = Readable.from(stdout ? [Buffer.from(stdout)] : []);
    return {
      stdin: request.stdin ? new PassThrough().resume() : undefined,
      stdout: output,
      stderr: undefined,
      resize: async () => {},
      exitCode: new Promise(resolve => output.on('end', () => resolve(exitCode))),
      kill: async () => {},
    };
  }
  async attach(): Promise<ExecSession> {
    if (!this.attached) throw new Error('the test attached nothing');
    return this.attached;
  }
  async usage() {
    return [];
  }
  async storage() {
    return [];
  }
  async *events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    while (!signal.aborted) {
      await new Promise<void>(resolve => {
        this.#wakes.add(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      if (!signal.aborted) yield { podUid: undefined };
    }
  }
  async close(): Promise<void> {}

  /** The running container of this name ends by itself. */
  exit(name: string, exitCode: number): void {
    const container = this.running(name);
    if (!container) throw new Error(`no running container ${name}`);
    this.#end(container, exitCode);
  }
  running(name: string): TestContainer | undefined {
    return this.all().find(({ spec, status }) => spec.name === name && status.state === 'running');
  }
  all(): TestContainer[] {
    return [...this.#sandboxes.values()].flatMap(({ containers }) => containers);
  }
  /** The process that holds the namespaces dies. */
  killSandboxes(): void {
    for (const sandbox of this.#sandboxes.values()) {
      sandbox.ready = false;
      for (const container of sandbox.containers) if (container.status.state === 'running') this.#end(container, 137);
    }
    this.#changed();
  }

  #find(id: string): TestContainer {
    const found = this.all().find(container => container.id === id);
    if (!found) throw new Error(`no container ${id}`);
    return found;
  }
  #end(container: TestContainer, exitCode: number): void {
    const { status } = container;
    if (status.state !== 'running') return;
    const { pid: _, state: __, ...common } = status;
    container.status = { ...common, state: 'exited', finishedAt: this.#clock.now(), exitCode, oomKilled: false };
    this.#changed();
  }
  #changed(): void {
    const wakes = [...this.#wakes];
    this.#wakes.clear();
    for (const wake of wakes) wake();
  }
}
