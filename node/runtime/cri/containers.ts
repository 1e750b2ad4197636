/** Containers of the runtime: making them, also behind a call that broke off, starting, changing, stopping, removing them. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { ContainerMark } from '../docker/labels.ts';
import { runAsNonRootViolation } from '../run-as-non-root.ts';
import {
  ContainerConfigError,
  type ContainerSpec,
  CreateContainerError,
  RuntimeUnavailableError,
  StartContainerError,
} from '../runtime.ts';
import { ensureTerminationFile } from '../termination-file.ts';
import { containerConfigOf, logFileOf, resourcesOf, sandboxConfigOf } from './config.ts';
import { messageOf } from './connection.ts';
import { stopMarginMs } from './limits.ts';
import { removeLogs } from './logs.ts';
import type { FoundSandbox } from './sandboxes.ts';
import { runtimeCalls } from './services.ts';
import { type CriTools, ignoreNotFound, notFound, orNotFound } from './tools.ts';

export class CriContainers {
  readonly #tools: CriTools;

  constructor(tools: CriTools) {
    this.#tools = tools;
  }

  /** @throws {CreateContainerError | ContainerConfigError} */
  async create(sandboxId: string, sandbox: FoundSandbox, spec: ContainerSpec): Promise<{ readonly id: string }> {
    const { changes, connection, images, terms } = this.#tools;
    const image = await images.status(spec.image);
    if (image === undefined) throw new CreateContainerError(`image ${JSON.stringify(spec.image)} is not on this node`);
    const violation = runAsNonRootViolation(spec, image);
    if (violation !== undefined) throw new ContainerConfigError(violation);
    const { name, attempt } = spec;
    const { pod, memory } = sandbox;
    const mark: ContainerMark = { kind: 'container', pod, sandboxId, name, attempt, image: spec.image };
    const request = {
      podSandboxId: sandboxId,
      config: containerConfigOf(terms, mark, { spec, sandbox: memory, image }),
      sandboxConfig: withPrivilege(
        sandboxConfigOf(terms, { ...memory, pod, attempt: sandbox.attempt, labels: {} }),
        spec.security.privileged === true,
      ),
    };
    try {
      await ensureTerminationFile(spec);
      await mkdir(path.dirname(logFileOf(terms, pod, spec)), { recursive: true, mode: 0o755 });
      const existing = await this.#existing(mark);
      if (existing !== undefined) return { id: existing };
      const made = await connection.call(runtimeCalls.createContainer, request);
      changes.poke();
      return { id: made.containerId };
    } catch (error) {
      if (error instanceof RuntimeUnavailableError) throw error;
      throw new CreateContainerError(messageOf(error), { cause: error });
    }
  }

  /** @throws {StartContainerError | ContainerNotFoundError} */
  async start(id: string): Promise<void> {
    const { changes, connection, inventory } = this.#tools;
    try {
      await connection.call(runtimeCalls.startContainer, { containerId: id });
    } catch (error) {
      if (error instanceof RuntimeUnavailableError) throw error;
      const found = await inventory.container(id);
      if (found === undefined) throw notFound(id, error);
      // It was started before, by a call whose answer was lost.
      const isStarted = found.status.state === 'running' || (found.status.state === 'exited' && !found.status.message);
      if (!isStarted) throw new StartContainerError(messageOf(error), { cause: error });
    } finally {
      changes.poke();
    }
  }

  async stop(id: string, graceSeconds: number): Promise<void> {
    const { changes, connection } = this.#tools;
    const timeoutMs = graceSeconds * 1000 + stopMarginMs;
    const request = { containerId: id, timeout: Math.max(0, Math.ceil(graceSeconds)) };
    await connection.call(runtimeCalls.stopContainer, request, { timeoutMs }).catch(ignoreNotFound);
    changes.poke();
  }

  /** With its logs. Does nothing if it is not there. */
  async remove(id: string): Promise<void> {
    const { changes, connection, inventory, terms } = this.#tools;
    const found = await inventory.container(id);
    if (found === undefined) return;
    const request = { containerId: id };
    // Not every runtime removes what runs.
    if (found.status.state === 'running') {
      await connection.call(runtimeCalls.stopContainer, { ...request, timeout: 0 }).catch(ignoreNotFound);
    }
    await connection.call(runtimeCalls.removeContainer, request).catch(ignoreNotFound);
    await removeLogs(logFileOf(terms, found.mark.pod, found.mark));
    changes.poke();
  }

  /** @throws {ContainerNotFoundError} */
  async update(id: string, resources: ContainerSpec['resources']): Promise<void> {
    const { connection, terms } = this.#tools;
    const linux = resourcesOf(terms, resources);
    await orNotFound(id, connection.call(runtimeCalls.updateContainerResources, { containerId: id, linux }));
  }

  /** The container that a broken call left, if it runs; any other is cleared away and made anew. */
  async #existing(mark: ContainerMark): Promise<string | undefined> {
    const { connection, inventory } = this.#tools;
    const filter = { podSandboxId: mark.sandboxId };
    const { containers } = await connection.call(runtimeCalls.listContainers, { filter });
    const same = containers.find(({ metadata }) => metadata?.name === mark.name && metadata.attempt === mark.attempt);
    if (same === undefined) return undefined;
    const found = await inventory.container(same.id);
    if (found?.status.state === 'running') return same.id;
    await this.remove(same.id);
    return undefined;
  }
}

type SandboxConfig = ReturnType<typeof sandboxConfigOf>;

/** A privileged container is refused in a sandbox that was not announced as such. */
function withPrivilege(config: SandboxConfig, privileged: boolean): SandboxConfig {
  return {
    ...config,
    linux: { ...config.linux, securityContext: { ...config.linux?.securityContext, privileged } },
  };
}
