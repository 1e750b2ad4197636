/**
 * What the native runtime keeps on disk: a directory a sandbox, a directory a container. Files are written whole, under
 * another name first; what a process died over is absent, never half.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';

/** A process that a file speaks of. Its start time tells it from a later one with the same number. */
const processSchema = z.object({ pid: z.number().int(), startTicks: z.string() });
const pairsSchema = z.array(z.object({ name: z.string(), value: z.string() }));
const mountSchema = z.object({
  hostPath: z.string(),
  containerPath: z.string(),
  readOnly: z.boolean(),
  propagation: z.enum(['private', 'hostToContainer', 'bidirectional']),
  noExec: z.literal(true).optional(),
});
const containerSpecSchema = z.object({
  name: z.string(),
  attempt: z.number().int(),
  image: z.string(),
  command: z.array(z.string()).optional(),
  args: z.array(z.string()).optional(),
  workingDir: z.string().optional(),
  env: pairsSchema,
  mounts: z.array(mountSchema),
  devices: z.array(z.object({ hostPath: z.string(), containerPath: z.string() })).optional(),
  stdin: z.boolean(),
  stdinOnce: z.boolean(),
  tty: z.boolean(),
  resources: z.object({
    cpuShares: z.number().optional(),
    cpuLimitMilli: z.number().optional(),
    memoryLimitBytes: z.number().optional(),
    oomScoreAdj: z.number().optional(),
  }),
  security: z.object({
    user: z.number().optional(),
    group: z.number().optional(),
    supplementalGroups: z.array(z.number()).optional(),
    privileged: z.boolean().optional(),
    readOnlyRootFilesystem: z.boolean().optional(),
    allowPrivilegeEscalation: z.boolean().optional(),
    addCapabilities: z.array(z.string()).optional(),
    dropCapabilities: z.array(z.string()).optional(),
    runAsNonRoot: z.boolean().optional(),
    seccomp: z.enum(['RuntimeDefault', 'Unconfined']).optional(),
    seccompProfile: z.string().optional(),
    seccompProfilePath: z.string().optional(),
    appArmor: z.string().optional(),
    procMount: z.enum(['Default', 'Unmasked']).optional(),
  }),
  terminationMessage: z.object({ containerPath: z.string(), hostPath: z.string() }).optional(),
});
/** JSON has no undefined; the interface wants these keys named. */
const specSchema = containerSpecSchema.transform(spec => ({
  ...spec,
  command: spec.command,
  args: spec.args,
  workingDir: spec.workingDir,
  terminationMessage: spec.terminationMessage,
}));

const sandboxSchema = z.object({
  id: z.string(),
  pod: z.object({ uid: z.string(), namespace: z.string(), name: z.string() }),
  attempt: z.number().int(),
  createdAt: z.number(),
  hostPid: z.boolean(),
  shareProcessNamespace: z.boolean(),
  hostIpc: z.boolean().default(false),
  holder: processSchema,
});
const containerProcessSchema = z.object({
  command: z.array(z.string()),
  env: z.array(z.string()),
  workingDir: z.string(),
  user: z.number().int(),
  group: z.number().int(),
  groups: z.array(z.number().int()),
  stopSignal: z.string(),
});
const containerSchema = z.object({
  id: z.string(),
  sandboxId: z.string(),
  podUid: z.string(),
  createdAt: z.number(),
  spec: specSchema,
  /** The image's id in the store; `host` for the machine's own files. */
  imageId: z.string(),
  /** What the API is told of it: the digest that it was pulled by, or its id. */
  imageName: z.string(),
  process: containerProcessSchema,
});
const startedSchema = z.object({ supervisor: z.string(), startedAt: z.number(), init: processSchema });
const exitSchema = z.object({
  startedAt: z.number(),
  finishedAt: z.number(),
  exitCode: z.number().int(),
  signal: z.number().int().optional(),
  oomKilled: z.boolean(),
  message: z.string().optional(),
});

export type ProcessRecord = z.infer<typeof processSchema>;
export type SandboxRecord = z.infer<typeof sandboxSchema>;
export type ContainerRecord = z.infer<typeof containerSchema>;
/** Written by the supervisor when the command runs. */
export type StartedRecord = z.infer<typeof startedSchema>;
/** Written by the supervisor at the end, or at a start that failed. */
export type ExitRecord = z.infer<typeof exitSchema>;

export class Layout {
  readonly root: string;
  /**
   * What was read, by file, as none is written twice: a node full of pods looks at all of them at each change. No more than there
   * are directories, since each listing forgets the others.
   */
  readonly #records = new Map<string, unknown>();

  constructor(dataDir: string) {
    this.root = path.join(dataDir, 'native');
  }

  async prepare(): Promise<void> {
    for (const name of ['sandboxes', 'containers']) {
      await madeDirectory(path.join(this.root, name));
    }
  }

  get pauseProgram(): string {
    return path.join(this.root, 'pause');
  }
  get images(): string {
    return path.join(this.root, 'images');
  }
  get supervisorSocket(): string {
    return path.join(this.root, 'supervisor.sock');
  }
  sandboxDir(id: string): string {
    return path.join(this.root, 'sandboxes', checkedId(id));
  }
  containerDir(id: string): string {
    return path.join(this.root, 'containers', checkedId(id));
  }
  /** The program that makes the container and becomes its command. */
  programFile(id: string): string {
    return path.join(this.containerDir(id), 'program');
  }
  logFile(id: string): string {
    return path.join(this.containerDir(id), 'log');
  }

  sandboxIds(): Promise<string[]> {
    return this.#idsIn(path.join(this.root, 'sandboxes'));
  }
  containerIds(): Promise<string[]> {
    return this.#idsIn(path.join(this.root, 'containers'));
  }

  readSandbox(id: string): Promise<SandboxRecord | undefined> {
    return this.#read(path.join(this.sandboxDir(id), 'sandbox.json'), sandboxSchema);
  }
  readContainer(id: string): Promise<ContainerRecord | undefined> {
    return this.#read(path.join(this.containerDir(id), 'container.json'), containerSchema);
  }
  readStarted(id: string): Promise<StartedRecord | undefined> {
    return this.#read(path.join(this.containerDir(id), 'started.json'), startedSchema);
  }
  readExit(id: string): Promise<ExitRecord | undefined> {
    return this.#read(path.join(this.containerDir(id), 'exit.json'), exitSchema);
  }

  writeSandbox(record: SandboxRecord): Promise<void> {
    return writeRecord(this.sandboxDir(record.id), 'sandbox.json', record);
  }
  writeContainer(record: ContainerRecord): Promise<void> {
    return writeRecord(this.containerDir(record.id), 'container.json', record);
  }
  writeStarted(id: string, record: StartedRecord): Promise<void> {
    return writeRecord(this.containerDir(id), 'started.json', record);
  }
  writeExit(id: string, record: ExitRecord): Promise<void> {
    return writeRecord(this.containerDir(id), 'exit.json', record);
  }

  async remove(directory: string): Promise<void> {
    try {
      await rm(directory, { recursive: true, force: true });
    } finally {
      this.#forget(file => path.dirname(file) === directory);
    }
  }

  async #read<T>(file: string, schema: z.ZodType<T>): Promise<T | undefined> {
    const known = this.#records.get(file);
    if (known !== undefined) return known as T;
    const record = await readRecord(file, schema);
    if (record !== undefined) this.#records.set(file, Object.freeze(record));
    return record;
  }

  async #idsIn(directory: string): Promise<string[]> {
    // What is made from here on is not in the listing, and not forgotten by it either.
    const known = new Set(this.#records.keys());
    const ids = await namesIn(directory);
    const there = new Set(ids.map(id => path.join(directory, id)));
    this.#forget(file => {
      const own = path.dirname(file);
      return path.dirname(own) === directory && known.has(file) && !there.has(own);
    });
    return ids;
  }

  #forget(isGone: (file: string) => boolean): void {
    for (const file of this.#records.keys()) if (isGone(file)) this.#records.delete(file);
  }
}

/** Makes it where it is missing; gives its path. */
export async function madeDirectory(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return directory;
}

const idBytes = 32;

export function newId(): string {
  return randomBytes(idBytes).toString('hex');
}

export function isId(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

/** Ids become paths: anything else would lead elsewhere. */
function checkedId(id: string): string {
  if (!isId(id)) throw new RangeError(`no id of the native runtime: ${JSON.stringify(id)}`);
  return id;
}

async function namesIn(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter(isId);
}

async function readRecord<T>(file: string, schema: z.ZodType<T>): Promise<T | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new Error(`${file} cannot be read`, { cause: error });
  }
}

async function writeRecord(directory: string, name: string, record: unknown): Promise<void> {
  await madeDirectory(directory);
  const file = path.join(directory, name);
  await writeFile(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
  await rename(`${file}.new`, file);
}
