/** The masters that a node may ask, kept on its disk and up to date. */
import { join } from 'node:path';
import type { HttpsTransport } from '../../control/client/https.ts';
import { readText } from '../../control/client/rest.ts';
import { type ClusterSettings, PATHS, serversAnswerSchema } from '../../control/join/protocol.ts';
import { writePrivately } from '../../control/pki/files.ts';
import type { NodeContext } from '../node-options.ts';
import { serverList } from './server-list.ts';

/** Soon at first: the others may be joining at the same time. */
const SERVERS_REFRESH_MS_MIN = 1_000;
const SERVERS_REFRESH_MS_MAX = 30_000;

export async function saveServers(
  dataDir: string,
  servers: readonly string[],
  settings: ClusterSettings,
): Promise<void> {
  await writePrivately(join(dataDir, 'cluster.json'), `${JSON.stringify({ servers, settings }, undefined, 2)}\n`);
}

export interface KeepServersOptions {
  readonly transport: HttpsTransport;
  readonly dataDir: string;
  /** Those that the node was started with. */
  readonly given: readonly string[];
  readonly settings: ClusterSettings;
  readonly context: Pick<NodeContext, 'delay'>;
  readonly signal: AbortSignal;
}

/** Learns of masters that came and went, so that the node never depends on the one through which it joined. */
export async function keepServers({
  transport,
  dataDir,
  given,
  settings,
  context,
  signal,
}: KeepServersOptions): Promise<void> {
  for (let delayMs = SERVERS_REFRESH_MS_MIN; !signal.aborted; delayMs = Math.min(delayMs * 2, SERVERS_REFRESH_MS_MAX)) {
    try {
      const response = await transport.request({ method: 'GET', path: PATHS.servers, signal });
      const { servers } = serversAnswerSchema.parse(JSON.parse(await readText(response.body)));
      const list = serverList(servers, given);
      if (servers.length > 0 && list.join() !== transport.servers.join()) {
        transport.setServers(list);
        await saveServers(dataDir, servers, settings);
      }
    } catch {
      // Nobody answers: the list on disk stays as it is.
    }
    await context.delay(delayMs, signal).catch(() => {});
  }
}
