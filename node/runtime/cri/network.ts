/** Has the runtime take up the network configuration that makes empty namespaces. */
import { type Clock, delay } from '../clock.ts';
import { RuntimeUnavailableError } from '../runtime.ts';
import { type CriConnection, messageOf } from './connection.ts';
import { networkReadyTimeoutMs, settlePollMs } from './limits.ts';
import { cniDirectoriesIn, installNetwork } from './network-config.ts';
import { runtimeCalls } from './services.ts';

export interface RuntimeInfo {
  readonly name: string;
  /** Of the runtime's verbose status. */
  readonly info: Readonly<Record<string, string>>;
}

/**
 * Resolves once the configuration is in use.
 * @throws {RuntimeUnavailableError} what stands against it
 */
export async function ensureNetwork(
  connection: CriConnection,
  { name, info }: RuntimeInfo,
  clock: Clock,
): Promise<void> {
  const directories = cniDirectoriesIn(info);
  if (directories === undefined) {
    throw new RuntimeUnavailableError(
      `${name} does not tell where its CNI plugins and configurations are: containerd 1.6 or CRI-O 1.25 or later is needed`,
    );
  }
  try {
    await installNetwork(directories);
  } catch (error) {
    throw new RuntimeUnavailableError(
      `the network configuration for ${name} cannot be written to ${directories.configurations} and ${directories.plugins}: ${messageOf(error)}`,
      { cause: error },
    );
  }
  const deadline = clock.now() + networkReadyTimeoutMs;
  for (;;) {
    const { status } = await connection.call(runtimeCalls.status, { verbose: false });
    const network = status?.conditions.find(condition => condition.type === 'NetworkReady');
    if (network?.status === true) return;
    if (clock.now() >= deadline) {
      throw new RuntimeUnavailableError(
        `${name} does not take up the network configuration in ${directories.configurations}: ${network?.message ?? 'no reason given'}`,
      );
    }
    await delay(clock, settlePollMs);
  }
}
