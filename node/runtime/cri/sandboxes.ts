/** Sandboxes of the runtime: making them, also behind a call that broke off, finding and removing them. */
import { mkdir, rm } from 'node:fs/promises';
import { isOwnedBy, markOf } from '../docker/labels.ts';
import {
  CreateContainerError,
  type PodIdentity,
  RuntimeUnavailableError,
  type SandboxSpec,
  type SandboxStatus,
} from '../runtime.ts';
import { podLogDirectory, type SandboxMemory, sandboxConfigOf, sandboxMemoryOf } from './config.ts';
import { isNotFound, messageOf } from './connection.ts';
import { sandboxTimeoutMs } from './limits.ts';
import { sandboxState } from './messages.ts';
import { runtimeCalls } from './services.ts';
import { type CriTools, ignoreNotFound } from './tools.ts';

export interface FoundSandbox {
  readonly pod: PodIdentity;
  readonly attempt: number;
  readonly memory: SandboxMemory;
}

export class CriSandboxes {
  readonly #tools: CriTools;

  constructor(tools: CriTools) {
    this.#tools = tools;
  }

  /** @throws {CreateContainerError} */
  async create(spec: SandboxSpec): Promise<SandboxStatus> {
    const { changes, inventory } = this.#tools;
    try {
      await this.#makeLogDirectory(spec.pod);
      const existing = await this.#existing(spec);
      const id = existing ?? (await this.#run(spec));
      changes.poke();
      const made = await inventory.sandbox(id);
      if (made === undefined) throw new Error('the sandbox was removed while it was made');
      if (!made.ready) throw new Error('the sandbox ended while it was made');
      return made;
    } catch (error) {
      if (error instanceof RuntimeUnavailableError) throw error;
      throw new CreateContainerError(`the sandbox could not be made: ${messageOf(error)}`, { cause: error });
    }
  }

  /** With all its containers; the pod's logs go with its last sandbox. Does nothing if it is not there. */
  async remove(id: string): Promise<void> {
    const { changes, connection, inventory, terms } = this.#tools;
    const found = await this.find(id);
    if (found === undefined) return;
    const sandbox = { podSandboxId: id };
    await connection.call(runtimeCalls.stopPodSandbox, sandbox).catch(ignoreNotFound);
    await connection.call(runtimeCalls.removePodSandbox, sandbox).catch(ignoreNotFound);
    changes.poke();
    const others = await inventory.sandboxesOf(found.pod.uid);
    if (others.length === 0) await rm(podLogDirectory(terms, found.pod), { recursive: true, force: true });
  }

  /** Undefined if there is none, or if it is another node's. */
  async find(id: string): Promise<FoundSandbox | undefined> {
    const { connection, terms } = this.#tools;
    try {
      const { status } = await connection.call(runtimeCalls.podSandboxStatus, { podSandboxId: id });
      const mark = status && markOf(status.labels);
      const memory = status && sandboxMemoryOf(status.annotations);
      if (mark?.kind !== 'sandbox' || !isOwnedBy(terms.owner, status?.labels ?? {}) || memory === undefined) return;
      return { pod: mark.pod, attempt: mark.attempt, memory };
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #run(spec: SandboxSpec): Promise<string> {
    const { clock, connection, identity, images, terms } = this.#tools;
    const request = { config: sandboxConfigOf(terms, spec), runtimeHandler: spec.runtimeHandler };
    const run = () => connection.call(runtimeCalls.runPodSandbox, request, { timeoutMs: sandboxTimeoutMs });
    try {
      return (await run()).podSandboxId;
    } catch (error) {
      const missing = missingSandboxImageIn(messageOf(error));
      if (missing === undefined || identity.name !== 'containerd') throw error;
      // Somebody cleaned up images, or this version did not tell which one it wants.
      await images.ensureSandboxImage(missing, clock);
      return (await run()).podSandboxId;
    }
  }

  /** The sandbox that a broken call left, if it lives; a dead one is cleared away. */
  async #existing(spec: SandboxSpec): Promise<string | undefined> {
    const found = await this.#tools.inventory.sandboxesOf(spec.pod.uid);
    const same = found.find(({ mark }) => mark.attempt === spec.attempt);
    if (same === undefined) return undefined;
    if (same.item.state === sandboxState.ready) return same.item.id;
    await this.remove(same.item.id);
    await this.#makeLogDirectory(spec.pod);
    return undefined;
  }

  async #makeLogDirectory(pod: PodIdentity): Promise<void> {
    await mkdir(podLogDirectory(this.#tools.terms, pod), { recursive: true, mode: 0o755 });
  }
}

/** The one that containerd says it could neither find nor pull. */
function missingSandboxImageIn(message: string): string | undefined {
  return /failed to get sandbox image "([^"]+)"/.exec(message)?.[1];
}
