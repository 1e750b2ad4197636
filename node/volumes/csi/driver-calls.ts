/** Calls of drivers about volumes, as all that is done with them needs it: to a registered driver, in time, in turn. */
import type { Clock } from '../../clock.ts';
import { KeyedMutex } from '../../mutex.ts';
import { VolumeError } from '../content.ts';
import type { Sources } from '../sources.ts';
import { CsiDriverMissingError, callSocket } from './driver.ts';
import { volumeCallTimeoutMs } from './limits.ts';
import type { Driver, DriverRegistry } from './registry.ts';
import type { CsiVolume, SecretName } from './volume.ts';

export interface DriverCallsOptions {
  readonly drivers: Pick<DriverRegistry, 'find'>;
  readonly sources: Pick<Sources, 'secret'>;
  readonly clock: Clock;
}

export class DriverCalls {
  readonly #options: DriverCallsOptions;
  readonly #mutex = new KeyedMutex();
  readonly #closing = new AbortController();

  constructor(options: DriverCallsOptions) {
    this.#options = options;
  }

  /** Aborts when the agent stops. */
  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  /** Ends calls that are under way. */
  close(): void {
    this.#closing.abort();
  }

  /** Undefined if no driver of this name is registered now. */
  find(name: string): Driver | undefined {
    return this.#options.drivers.find(name);
  }

  /** Throws {@link CsiDriverMissingError}. */
  driver(name: string): Driver {
    const driver = this.find(name);
    if (driver) return driver;
    throw new CsiDriverMissingError(`driver name ${name} not found in the list of registered CSI drivers`);
  }

  /** Calls that concern one volume follow each other. */
  inTurn<T>({ driver, handle }: Pick<CsiVolume, 'driver' | 'handle'>, work: () => Promise<T>): Promise<T> {
    return this.#mutex.run(`${driver}/${handle}`, work);
  }

  /** Throws {@link CsiError}. */
  call<I, O>(
    { socketPath }: Driver,
    target: Parameters<typeof callSocket<I, O>>[1],
    request: Parameters<typeof callSocket<I, O>>[2],
    timeoutMs = volumeCallTimeoutMs,
  ): Promise<O> {
    const { clock } = this.#options;
    return callSocket({ socketPath, clock }, target, request, { timeoutMs, signal: this.#closing.signal });
  }

  /** The texts of a Secret that the driver is told. Throws {@link VolumeError} if it is not there. */
  async secrets(
    { name }: Pick<CsiVolume, 'name'>,
    secret: SecretName | undefined,
  ): Promise<Readonly<Record<string, string>>> {
    if (!secret) return {};
    const found = await this.#options.sources.secret(secret.namespace, secret.name);
    if (!found) throw new VolumeError(name, `secret ${secret.namespace}/${secret.name} not found`);
    const texts = Object.entries(found.data ?? {}).map(([key, value]) => [
      key,
      Buffer.from(value, 'base64').toString('utf8'),
    ]);
    return Object.fromEntries(texts);
  }
}
