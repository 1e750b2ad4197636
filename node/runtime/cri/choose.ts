/** Whether a machine's CRI runtime is one to take without being told to. */
import { readdir } from 'node:fs/promises';
import { type Clock, systemClock } from '../clock.ts';
import { CriConnection, containerdEndpoint, identify, messageOf } from './connection.ts';
import { cniDirectoriesIn, configurationName } from './network-config.ts';
import { runtimeCalls } from './services.ts';

/**
 * Why `--runtime auto` leaves it alone; undefined if it takes it. One whose network somebody has configured belongs to a
 * kubelet or another cluster, and raftsman would put its own network configuration before theirs.
 */
export async function whyNotChosen(
  endpoint: string = containerdEndpoint,
  clock: Clock = systemClock,
): Promise<string | undefined> {
  let connection: CriConnection | undefined;
  try {
    connection = new CriConnection(endpoint, clock);
    const { name } = await identify(connection);
    const { info } = await connection.call(runtimeCalls.status, { verbose: true });
    const directories = cniDirectoriesIn(info);
    if (directories === undefined) return `${name} does not tell where its network configuration is`;
    const files = await readdir(directories.configurations).catch(() => []);
    const other = files.find(file => /\.(conf|conflist|json)$/.test(file) && file !== configurationName);
    return other && `${name} has a network configuration of somebody else's: ${directories.configurations}/${other}`;
  } catch (error) {
    return messageOf(error);
  } finally {
    connection?.close();
  }
}
