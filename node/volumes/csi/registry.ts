/**
 * The CSI drivers of this node: those whose registrar has a socket in a certain folder, as drivers are registered with a
 * kubelet (pkg/kubelet/pluginmanager). A driver is known from the moment at which it said what it can do until its socket
 * goes; a socket that was made anew is a new driver.
 */
import { lstat, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, sleep } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import { retryDelayMs } from '../../pods/back-off.ts';
import { isMissing } from '../atomic-directory.ts';
import { callSocket, socketPathOf } from './driver.ts';
import { registerCallTimeoutMs, registerRetryMs, registerRetryMsMax, socketsMax, socketsScanMs } from './limits.ts';
import type { DriverFacts, NodeInfo } from './node-info.ts';
import { nodeCalls, registrationCalls } from './services.ts';
import { compareVersions, highestSupported } from './versions.ts';

/** A driver that can be called. */
export interface Driver {
  readonly name: string;
  readonly socketPath: string;
  /** `nodeCapability` in messages.ts. */
  readonly capabilities: ReadonlySet<number>;
}

export interface DriverRegistryOptions {
  /** Where registrars put their sockets. */
  readonly folder: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly nodeInfo: Pick<NodeInfo, 'add' | 'remove' | 'ensure'>;
  /** Which node object stands for this node now; undefined before it is registered. */
  readonly nodeUid: () => string | undefined;
  readonly scanMs?: number;
}

interface Registered extends Driver {
  readonly version: readonly number[];
  readonly facts: DriverFacts;
  /** The registrar's socket. */
  readonly registrar: string;
}

/** A socket in the folder. */
interface Registrar {
  /** Another one for a socket that was made anew. */
  readonly identity: string;
  readonly abort: AbortController;
  state: 'running' | 'failed' | 'registered';
  failures: number;
  retryAt: number;
  name?: string;
}

/** What a registrar is told of its registration. */
class RegistrationError extends Error {
  override readonly name = 'RegistrationError';
  readonly code = 'NODE_CSI_REGISTRATION';
}

export class DriverRegistry {
  readonly #options: DriverRegistryOptions;
  readonly #registrars = new Map<string, Registrar>();
  readonly #drivers = new Map<string, Registered>();
  readonly #running = new Set<Promise<void>>();
  /** Drivers whose socket went, and which the API is still to be told of. */
  readonly #leaving = new Set<string>();
  /** The node object that was told of all drivers. */
  #toldUid: string | undefined;
  /** What an earlier agent told the API of drivers that are no more is taken back once all that are here are known. */
  #inherited: readonly string[] = [];

  constructor(options: DriverRegistryOptions) {
    this.#options = options;
  }

  /** Undefined if no driver of this name is registered. */
  find(name: string): Driver | undefined {
    return this.#drivers.get(name);
  }

  /** Follows the folder until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger, folder, scanMs = socketsScanMs } = this.#options;
    await mkdir(folder, { recursive: true, mode: 0o750 }).catch((error: unknown) =>
      logger.warn({ error, folder }, 'there is no folder for CSI drivers to register in'),
    );
    while (!signal.aborted) {
      try {
        await this.#scan();
        await this.#tellChanges();
      } catch (error) {
        logger.debug({ error }, 'CSI drivers could not be looked at');
      }
      await sleep(clock, scanMs, signal);
    }
    for (const { abort } of this.#registrars.values()) abort.abort();
    await Promise.all(this.#running);
  }

  async #scan(): Promise<void> {
    const sockets = await this.#sockets();
    for (const [path, registrar] of this.#registrars) {
      if (sockets.get(path) !== registrar.identity) this.#drop(path, registrar);
    }
    const now = this.#options.clock.now();
    for (const [path, identity] of sockets) {
      const known = this.#registrars.get(path);
      if (known && (known.state !== 'failed' || known.retryAt > now)) continue;
      const registrar = known ?? { identity, abort: new AbortController(), state: 'running', failures: 0, retryAt: 0 };
      this.#registrars.set(path, registrar);
      this.#begin(path, registrar);
    }
  }

  /** Sockets by their path, each with what tells it from an earlier one there. */
  async #sockets(): Promise<ReadonlyMap<string, string>> {
    const { folder } = this.#options;
    const names = await readdir(folder).catch((error: unknown) => {
      if (isMissing(error)) return [];
      throw error;
    });
    const sockets = new Map<string, string>();
    for (const name of names.sort()) {
      if (name.startsWith('.') || sockets.size >= socketsMax) continue;
      const path = join(folder, name);
      const stats = await lstat(path, { bigint: true }).catch((error: unknown) => {
        if (isMissing(error)) return undefined;
        throw error;
      });
      if (stats?.isSocket()) sockets.set(path, `${stats.dev}:${stats.ino}:${stats.ctimeNs}`);
    }
    return sockets;
  }

  #begin(path: string, registrar: Registrar): void {
    registrar.state = 'running';
    const { clock, logger } = this.#options;
    const work = this.#register(path, registrar)
      .then(
        () => {
          registrar.state = 'registered';
          registrar.failures = 0;
        },
        (error: unknown) => {
          if (registrar.abort.signal.aborted) return;
          registrar.failures++;
          registrar.retryAt = clock.now() + retryDelayMs(registrar.failures, registerRetryMs, registerRetryMsMax);
          registrar.state = 'failed';
          const reason = error instanceof Error ? error.message : String(error);
          logger.warn({ socket: path, reason }, 'a CSI driver could not be registered');
        },
      )
      .finally(() => this.#running.delete(work));
    this.#running.add(work);
  }

  async #register(path: string, registrar: Registrar): Promise<void> {
    const { clock, logger, nodeInfo } = this.#options;
    const options = { timeoutMs: registerCallTimeoutMs, signal: registrar.abort.signal };
    const at = { socketPath: path, clock };
    const info = await callSocket(at, registrationCalls.getInfo, {}, options);
    registrar.name = info.name;
    try {
      const driver = await this.#meet(path, info, options.signal);
      options.signal.throwIfAborted();
      // It can be called from now on: what an earlier agent mounted is unmounted also while the API is away.
      this.#drivers.set(driver.name, driver);
      this.#leaving.delete(driver.name);
      await nodeInfo.add(driver.facts);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const text = `RegisterPlugin error -- plugin registration failed with err: ${message}`;
      await callSocket(at, registrationCalls.notify, { pluginRegistered: false, error: text }, options).catch(() => {});
      throw error;
    }
    await callSocket(at, registrationCalls.notify, { pluginRegistered: true }, options);
    logger.info({ driver: info.name }, 'CSI driver registered');
  }

  /** Asks a driver what it is. Throws {@link RegistrationError} for one that cannot be used, and what it answers itself. */
  async #meet(
    registrar: string,
    info: {
      readonly type: string;
      readonly name: string;
      readonly endpoint: string;
      readonly supportedVersions: readonly string[];
    },
    signal: AbortSignal,
  ): Promise<Registered> {
    const { type, name, endpoint, supportedVersions } = info;
    if (type !== 'CSIPlugin')
      throw new RegistrationError(`no handler registered for plugin type: ${type} at socket ${registrar}`);
    const version = highestSupported(supportedVersions);
    if (!name || !version)
      throw new RegistrationError(
        `CSI driver ${JSON.stringify(name)}: none of the versions specified ${JSON.stringify(supportedVersions)} are supported`,
      );
    const known = this.#drivers.get(name);
    if (known && known.registrar !== registrar && compareVersions(known.version, version) >= 0)
      throw new RegistrationError(
        `another CSI driver named ${name} is already registered with version ${known.version.join('.')}`,
      );
    const socketPath = socketPathOf(endpoint || registrar);
    const at = { socketPath, clock: this.#options.clock };
    const options = { timeoutMs: registerCallTimeoutMs, signal };
    const { nodeId, maxVolumesPerNode, accessibleTopology } = await callSocket(at, nodeCalls.getInfo, {}, options);
    const { capabilities } = await callSocket(at, nodeCalls.getCapabilities, {}, options);
    return {
      ...{ name, version, socketPath, registrar },
      facts: { name, nodeId, volumesMax: maxVolumesPerNode, topology: accessibleTopology?.segments ?? {} },
      capabilities: new Set(capabilities.flatMap(({ rpc }) => rpc?.type ?? [])),
    };
  }

  #drop(path: string, { abort, name = '' }: Registrar): void {
    abort.abort();
    this.#registrars.delete(path);
    if (this.#drivers.get(name)?.registrar !== path) return;
    this.#drivers.delete(name);
    this.#leaving.add(name);
    this.#options.logger.info({ driver: name }, 'CSI driver gone');
  }

  /** What the API is to hear of drivers that went, and of all of them where the node's object is a new one. */
  async #tellChanges(): Promise<void> {
    const { nodeInfo, nodeUid } = this.#options;
    const uid = nodeUid();
    if (uid === undefined) return;
    if (uid !== this.#toldUid) {
      this.#inherited = await nodeInfo.ensure();
      for (const { facts } of this.#drivers.values()) await nodeInfo.add(facts);
      this.#toldUid = uid;
    }
    const isAllKnown = [...this.#registrars.values()].every(({ state }) => state === 'registered');
    const inherited = isAllKnown ? this.#inherited : [];
    const leaving = [...inherited, ...this.#leaving].filter(name => !this.#drivers.has(name));
    if (leaving.length > 0) await nodeInfo.remove(leaving);
    if (isAllKnown) this.#inherited = [];
    for (const name of leaving) this.#leaving.delete(name);
  }
}
