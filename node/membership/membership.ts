/** How a node becomes a member of its cluster: with a join token once, then with what it keeps on its disk. */
import { mkdir, readFile } from 'node:fs/promises';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { JoinError, openJoinSession } from '../../control/join/client.ts';
import {
  type ClusterSettings,
  clusterSettingsSchema,
  joinNodeAnswerSchema,
  PATHS,
  serversAnswerSchema,
} from '../../control/join/protocol.ts';
import { createRequest, fingerprint, type KeyPair } from '../../control/pki/authority.ts';
import { loadKeyPair, saveKeyPair, writePrivately } from '../../control/pki/files.ts';
import { parseToken } from '../../control/pki/token.ts';
import type { Logger } from '../logger.ts';
import type { NodeContext, NodeOptions } from '../node-options.ts';
import { serverList } from './server-list.ts';
import { saveServers } from './servers.ts';

/** A node that must not be started again as it is: a wrong token, another cluster's data. */
const EXIT_DO_NOT_RESTART = 3;
const JOIN_RETRY_MS = 250;
const JOIN_RETRY_MS_MAX = 5_000;
const CLUSTER_ID_LENGTH = 16;
const HOSTS_MAX = 32;

/** What a node knows of its cluster, kept in `DIR/pki` and `DIR/cluster.json`. */
export interface NodeMembership {
  readonly pair: KeyPair;
  readonly authority: string;
  readonly servers: readonly string[];
  readonly settings: ClusterSettings;
}
export interface JoinTools {
  readonly context: NodeContext;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/**
 * What was kept, else what a master answers; undefined if the process is told to stop first. Throws with an `exitCode` what no
 * new start would mend.
 */
export async function loadOrJoin(options: NodeOptions, tools: JoinTools): Promise<NodeMembership | undefined> {
  const folder = join(options.dataDir, 'pki');
  const pair = await loadKeyPair(folder, 'node');
  if (pair) {
    const [authority, text] = await Promise.all([
      readFile(join(folder, 'ca.crt'), 'utf8'),
      readFile(join(options.dataDir, 'cluster.json'), 'utf8'),
    ]);
    const known = serversAnswerSchema.extend({ settings: clusterSettingsSchema }).parse(JSON.parse(text));
    return { pair, authority, servers: serverList(known.servers, options.servers), settings: known.settings };
  }
  if (options.token === undefined) {
    throw Object.assign(
      new Error(
        'this node has not joined yet: give a token with --token (`raftsman token create --role node` on a master makes one)',
      ),
      { exitCode: EXIT_DO_NOT_RESTART },
    );
  }
  return joinCluster(options, options.token, tools);
}

/** Asks one master after the other until one takes the node in; undefined if the process is told to stop first. */
async function joinCluster(
  options: NodeOptions,
  tokenText: string,
  { context, logger, signal }: JoinTools,
): Promise<NodeMembership | undefined> {
  const token = parseToken(tokenText);
  const { request, key } = await createRequest(`system:node:${options.name}`);
  for (let delayMs = JOIN_RETRY_MS; ; delayMs = Math.min(delayMs * 1.5, JOIN_RETRY_MS_MAX)) {
    for (const server of options.servers) {
      try {
        const session = await openJoinSession(server, token);
        const answer = await session.call(
          PATHS.joinNode,
          { name: options.name, request, hosts: ownHosts(options.nodeIp) },
          joinNodeAnswerSchema,
        );
        const { certificate, authority, servers, settings } = answer;
        const membership = { pair: { certificate, key }, authority, servers, settings };
        await saveMembership(options.dataDir, membership);
        return { ...membership, servers: serverList(servers, options.servers) };
      } catch (error) {
        if (!(error instanceof JoinError)) throw error;
        if (!error.retriable) throw Object.assign(error, { exitCode: EXIT_DO_NOT_RESTART });
        logger.info({ server, reason: error.message }, 'not joined yet');
      }
    }
    if (signal.aborted) return undefined;
    await context.delay(delayMs, signal).catch(() => {});
  }
}

async function saveMembership(dataDir: string, { pair, authority, servers, settings }: NodeMembership): Promise<void> {
  await mkdir(join(dataDir, 'pki'), { recursive: true, mode: 0o700 });
  await writePrivately(join(dataDir, 'pki', 'ca.crt'), authority);
  await saveServers(dataDir, servers, settings);
  // The certificate last: its presence means that all is there.
  await saveKeyPair(join(dataDir, 'pki'), 'node', pair);
}

/** Short, and another for each cluster: it goes into names on the machine. */
export const clusterIdOf = (authority: string) => fingerprint(authority).slice(0, CLUSTER_ID_LENGTH);

/** What the node's certificate is for. */
function ownHosts(nodeIp: string | undefined): readonly string[] {
  const addresses = Object.values(networkInterfaces())
    .flatMap(list => list ?? [])
    .filter(({ address }) => !address.startsWith('fe80'));
  return [
    ...new Set([
      ...(nodeIp ? nodeIp.split(',') : []),
      '127.0.0.1',
      hostname(),
      ...addresses.map(({ address }) => address),
    ]),
  ].slice(0, HOSTS_MAX);
}
