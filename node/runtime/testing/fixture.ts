/** What tests of a runtime stand on: the harness that each runtime brings, and a node with sandboxes and containers. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ExecutionContext, TestFn } from 'ava';
import type {
  ContainerSpec,
  ContainerStatus,
  ExecRequest,
  ExecSession,
  LogOptions,
  Runtime,
  SandboxSpec,
  SandboxStatus,
} from '../runtime.ts';
import { plainContainer, plainSandbox } from './specs.ts';

/** What a container of the suite does. */
export type Workload =
  | { readonly does: 'run' }
  | { readonly does: 'exit'; readonly code: number }
  | { readonly does: 'print'; readonly stdout: readonly string[]; readonly stderr: readonly string[] }
  | { readonly does: 'fail to start' };

export interface RuntimeHarness {
  /** Why the suite cannot run here; undefined if it can. */
  readonly unavailable: string | undefined;
  /** A runtime, started; with the same name again: the same node after a restart of the agent. */
  readonly create: (nodeName: string) => Promise<Runtime>;
  /** An image that is there, and how to make it do something. */
  readonly container: (workload: Workload) => Pick<ContainerSpec, 'image' | 'command' | 'args'>;
  /** Tests run one after the other: each costs too much to run with all others at once. */
  readonly serial?: boolean;
  /** Whether `sh` and busybox' programs run in containers of that image. */
  readonly programs: boolean;
}

const waitMs = 20_000;
const pollMs = 20;

let nodes = 0;

/** A node with one sandbox, cleared away at the end of the test. */
export class Fixture {
  readonly harness: RuntimeHarness;
  readonly nodeName: string;
  runtime: Runtime;

  constructor(harness: RuntimeHarness, nodeName: string, runtime: Runtime) {
    this.harness = harness;
    this.nodeName = nodeName;
    this.runtime = runtime;
  }

  static async make(harness: RuntimeHarness): Promise<Fixture> {
    nodes += 1;
    const nodeName = `contract-${process.pid}-${nodes}`;
    return new Fixture(harness, nodeName, await harness.create(nodeName));
  }

  async restart(): Promise<void> {
    await this.runtime.close();
    this.runtime = await this.harness.create(this.nodeName);
  }

  sandbox(change: Partial<SandboxSpec> = {}): Promise<SandboxStatus> {
    return this.runtime.createSandbox({ ...plainSandbox(`${this.nodeName}-uid`), labels: { app: 'test' }, ...change });
  }

  async container(sandboxId: string, workload: Workload, change: Partial<ContainerSpec> = {}): Promise<string> {
    const spec = { ...plainContainer(), ...this.harness.container(workload), ...change };
    return (await this.runtime.createContainer(sandboxId, spec)).id;
  }

  /** A container that runs a shell script. */
  async shell(sandboxId: string, script: string, change: Partial<ContainerSpec> = {}): Promise<string> {
    const id = await this.container(sandboxId, { does: 'run' }, { command: ['sh', '-c', script], ...change });
    await this.runtime.startContainer(id);
    return id;
  }

  async status(id: string): Promise<ContainerStatus | undefined> {
    const sandboxes = await this.runtime.list();
    return sandboxes.flatMap(sandbox => sandbox.containers).find(container => container.id === id);
  }

  async exited(id: string): Promise<Extract<ContainerStatus, { state: 'exited' }>> {
    return await eventually(async () => {
      const status = await this.status(id);
      return status?.state === 'exited' ? status : undefined;
    });
  }

  async output(id: string, options: Partial<LogOptions> = {}): Promise<string> {
    const signal = new AbortController().signal;
    let text = '';
    for await (const chunk of this.runtime.logs(id, { follow: false, timestamps: false, signal, ...options })) {
      text += Buffer.from(chunk).toString();
    }
    return text;
  }

  async exec(id: string, script: string, stdin?: Buffer): Promise<Finished> {
    const request: ExecRequest = { command: ['sh', '-c', script], tty: false, stdin: stdin !== undefined };
    const session = await this.runtime.exec(id, request);
    if (stdin !== undefined) session.stdin?.end(stdin);
    return await finish(session);
  }

  /** A directory on the machine with `rw/` and `ro/file`. */
  async scratch(t: { teardown(callback: () => Promise<void>): void }): Promise<string> {
    const directory = await mkdtemp(path.join(tmpdir(), 'raftsman-contract-'));
    t.teardown(() => rm(directory, { recursive: true, force: true }));
    for (const name of ['rw', 'ro']) await mkdir(path.join(directory, name));
    await writeFile(path.join(directory, 'ro', 'file'), 'fixed\n');
    return directory;
  }

  read(file: string): Promise<string> {
    return readFile(file, 'utf8');
  }

  async remove(): Promise<void> {
    try {
      for (const sandbox of await this.runtime.list()) await this.runtime.removeSandbox(sandbox.id);
    } finally {
      // What it holds open would keep the test's process from ending.
      await this.runtime.close();
    }
  }
}

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a command printed, and its exit code. */
export async function finish(session: ExecSession): Promise<Finished> {
  const read = async (stream: AsyncIterable<Buffer> | undefined) => {
    const chunks: Buffer[] = [];
    for await (const chunk of stream ?? []) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };
  const [stdout, stderr, code] = await Promise.all([read(session.stdout), read(session.stderr), session.exitCode]);
  return { stdout, stderr, code };
}

/** Asks until there is an answer. */
export async function eventually<T>(ask: () => Promise<T | undefined>, withinMs = waitMs): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`nothing within ${withinMs} ms`);
    await new Promise(resolve => setTimeout(resolve, pollMs));
  }
}

/** A test with a node of its own. */
type Check = (t: ExecutionContext, fixture: Fixture) => Promise<void>;

/** Gives what registers tests, each on a node that is cleared away behind it. */
export function register(test: TestFn, harness: RuntimeHarness): (title: string, check: Check) => void {
  const add = harness.serial === true ? test.serial : test;
  return (title, check) =>
    add(title, async t => {
      const fixture = await Fixture.make(harness);
      t.teardown(() => fixture.remove());
      await check(t, fixture);
    });
}
