/**
 * A node, composed: joins the cluster at its first start, then runs the agent with the runtime, the network and the proxy
 * that this machine has.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Clock } from '../control/client/clock.ts';
import { HttpsTransport } from '../control/client/https.ts';
import { RestClient, readText } from '../control/client/rest.ts';
import { JoinError, openJoinSession } from '../control/join/client.ts';
import {
  type ClusterSettings,
  clusterSettingsSchema,
  joinNodeAnswerSchema,
  PATHS,
  serversAnswerSchema,
} from '../control/join/protocol.ts';
import { createRequest, fingerprint, type KeyPair } from '../control/pki/authority.ts';
import { loadKeyPair, saveKeyPair, writePrivately } from '../control/pki/files.ts';
import { parseToken } from '../control/pki/token.ts';
import { type Agent, createAgent } from './agent.ts';
import { createBridgeNetwork } from './network/bridge.ts';
import type { PodNetwork } from './network/network.ts';
import { createNoNetwork } from './network/none.ts';
import { chooseProxy } from './proxy/choose.ts';
import type { ServiceProxy } from './proxy/proxy.ts';
import { createDockerRuntime } from './runtime/docker/docker.ts';
import { createFakeRuntime } from './runtime/fake.ts';
import { createNativeRuntime } from './runtime/native/native.ts';
import { type Runtime, RuntimeUnavailableError } from './runtime/runtime.ts';

export type RuntimeName = 'docker' | 'native' | 'fake';

export interface NodeOptions {
  readonly name: string;
  readonly dataDir: string;
  readonly servers: readonly string[];
  readonly token: string | undefined;
  readonly listen: { readonly host: string; readonly port: number };
  readonly runtime: 'auto' | RuntimeName;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly { readonly key: string; readonly value?: string; readonly effect: string }[];
  readonly nodeIp: string | undefined;
}
/** What the process hands in. */
export interface NodeContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly delay: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly onSignal: (signals: readonly NodeJS.Signals[], callback: (signal: NodeJS.Signals) => void) => () => void;
}

/** A node that must not be started again as it is: a wrong token, another cluster's data. */
const EXIT_DO_NOT_RESTART = 3;
const JOIN_RETRY_MS = 250;
const JOIN_RETRY_MS_MAX = 5_000;
const SERVERS_REFRESH_MS = 30_000;
const CLUSTER_ID_LENGTH = 16;
/** What the node reports as its kubelet: the Kubernetes version whose behaviour it follows. */
const KUBELET_VERSION = 'v1.33.1+raftsman';

/** Runs a node until it is told to stop. */
export async function runAgent(options: NodeOptions, context: NodeContext): Promise<void> {
  const logger = pino(
    { level: context.env.RAFTSMAN_LOG ?? 'info', base: { node: options.name } },
    pino.destination({ dest: 2, sync: true }),
  );
  await mkdir(options.dataDir, { recursive: true, mode: 0o700 });
  const stop = new AbortController();
  const stopped = Promise.withResolvers<NodeJS.Signals>();
  const release = context.onSignal(['SIGTERM', 'SIGINT', 'SIGUSR2'], signal => {
    stop.abort();
    stopped.resolve(signal);
  });
  try {
    const runtimeName = await chooseRuntime(options.runtime, context.env);
    const membership = await loadOrJoin(options, { context, logger, signal: stop.signal });
    if (!membership) return;
    const parts = await assemble({
      name: options.name,
      dataDir: options.dataDir,
      runtime: runtimeName,
      env: context.env,
      clusterId: clusterIdOf(membership.authority),
    });
    const transport = new HttpsTransport({
      servers: membership.servers,
      clock: context.clock,
      random: context.random,
      tls: { ca: membership.authority, cert: membership.pair.certificate, key: membership.pair.key },
    });
    const agent = createAgent({
      name: options.name,
      client: new RestClient({ transport, clock: context.clock, userAgent: 'kubelet/v1.33 raftsman-agent' }),
      ...parts,
      dataDir: options.dataDir,
      clock: context.clock,
      random: context.random,
      logger,
      tls: { cert: membership.pair.certificate, key: membership.pair.key, clientCa: membership.authority },
      listen: options.listen,
      ...(options.nodeIp !== undefined && { addresses: [options.nodeIp] }),
      labels: options.labels,
      taints: [...options.taints],
      version: KUBELET_VERSION,
      clusterCIDR: membership.settings.clusterCIDR,
      serviceCIDR: membership.settings.serviceCIDR,
      resolvConf: await readFile('/etc/resolv.conf', 'utf8').catch(() => ''),
      canMount: process.getuid?.() === 0,
    });
    await agent.start();
    logger.info({ runtime: runtimeName, servers: membership.servers }, 'the node runs');
    const refresh = keepServers({ transport, dataDir: options.dataDir, context, signal: stop.signal });
    await end(agent, await stopped.promise);
    await refresh;
    await transport.close();
  } finally {
    release();
  }
}

/** Stops an agent as the signal asks: SIGUSR2 takes the pods along. */
async function end(agent: Agent, signal: NodeJS.Signals): Promise<void> {
  if (signal === 'SIGUSR2') await agent.drainAndRemove();
  else await agent.close();
}

/**
 * Turns `auto` into what this machine has.
 * @throws {RuntimeUnavailableError} with a sentence on what to install.
 */
export async function chooseRuntime(choice: 'auto' | RuntimeName, env: NodeContext['env']): Promise<RuntimeName> {
  if (choice === 'fake') return choice;
  const isRoot = process.getuid?.() === 0;
  if (process.platform !== 'linux' || !isRoot) {
    throw new RuntimeUnavailableError(
      `pods need ${process.platform === 'linux' ? 'root' : 'Linux'}, for their network: ${process.platform === 'linux' ? 'run it as root (sudo)' : 'use a Linux machine'}, or try --runtime fake, which only pretends to run pods`,
    );
  }
  if (choice === 'native') return choice;
  const docker = createDockerRuntime({
    clusterId: 'probe',
    nodeName: 'probe',
    ...(env.DOCKER_HOST && { dockerHost: env.DOCKER_HOST }),
  });
  try {
    await docker.start();
    return 'docker';
  } catch (error) {
    if (choice === 'docker') throw error;
    return 'native';
  } finally {
    await docker.close();
  }
}

/** Removes what an agent that was killed left on this machine: containers, mounts, links, routes, rules. */
export async function removeNodeRemains(options: {
  readonly name: string;
  readonly dataDir: string;
  readonly runtime: RuntimeName;
  readonly env: NodeContext['env'];
}): Promise<void> {
  const authority = await readFile(join(options.dataDir, 'pki', 'ca.crt'), 'utf8').catch(() => undefined);
  if (authority === undefined || options.runtime === 'fake') return;
  const { runtime, network, proxy } = await assemble({ ...options, clusterId: clusterIdOf(authority) });
  await proxy?.close({ remove: true });
  await runtime.start();
  for (const sandbox of await runtime.list()) await runtime.removeSandbox(sandbox.id);
  await network.close({ remove: true });
  await runtime.close();
}

interface Parts {
  readonly runtime: Runtime;
  readonly network: PodNetwork;
  readonly proxy?: ServiceProxy;
}
interface PartsOptions {
  readonly name: string;
  readonly dataDir: string;
  readonly runtime: RuntimeName;
  readonly clusterId: string;
  readonly env: NodeContext['env'];
}

async function assemble({ name, dataDir, runtime, clusterId, env }: PartsOptions): Promise<Parts> {
  if (runtime === 'fake') return { runtime: createFakeRuntime({ nodeName: name }), network: createNoNetwork() };
  const network = createBridgeNetwork({ clusterId, nodeName: name, dataDir });
  const { proxy } = await chooseProxy({ clusterId, nodeName: name });
  if (runtime === 'native')
    return {
      runtime: createNativeRuntime({ dataDir: join(dataDir, 'native') }),
      network,
      proxy,
    };
  return {
    runtime: createDockerRuntime({
      clusterId,
      nodeName: name,
      ...(env.DOCKER_HOST && { dockerHost: env.DOCKER_HOST }),
    }),
    network,
    proxy,
  };
}

/** What a node knows of its cluster, kept in `DIR/pki` and `DIR/cluster.json`. */
interface NodeMembership {
  readonly pair: KeyPair;
  readonly authority: string;
  readonly servers: readonly string[];
  readonly settings: ClusterSettings;
}
interface JoinTools {
  readonly context: NodeContext;
  readonly logger: pino.Logger;
  readonly signal: AbortSignal;
}

async function loadOrJoin(options: NodeOptions, tools: JoinTools): Promise<NodeMembership | undefined> {
  const folder = join(options.dataDir, 'pki');
  const pair = await loadKeyPair(folder, 'node');
  if (pair) {
    const [authority, text] = await Promise.all([
      readFile(join(folder, 'ca.crt'), 'utf8'),
      readFile(join(options.dataDir, 'cluster.json'), 'utf8'),
    ]);
    const known = serversAnswerSchema.extend({ settings: clusterSettingsSchema }).parse(JSON.parse(text));
    return { pair, authority, servers: [...new Set([...known.servers, ...options.servers])], settings: known.settings };
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
        const pair = { certificate: answer.certificate, key };
        await saveMembership(options.dataDir, {
          pair,
          authority: answer.authority,
          servers: answer.servers,
          settings: answer.settings,
        });
        return {
          pair,
          authority: answer.authority,
          servers: [...new Set([...answer.servers, server])],
          settings: answer.settings,
        };
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

const saveServers = (dataDir: string, servers: readonly string[], settings: ClusterSettings) =>
  writePrivately(join(dataDir, 'cluster.json'), `${JSON.stringify({ servers, settings }, undefined, 2)}\n`);

/** Learns of masters that came and went, so that the node never depends on the one through which it joined. */
async function keepServers({
  transport,
  dataDir,
  context,
  signal,
}: {
  readonly transport: HttpsTransport;
  readonly dataDir: string;
  readonly context: NodeContext;
  readonly signal: AbortSignal;
}): Promise<void> {
  const file = join(dataDir, 'cluster.json');
  while (!signal.aborted) {
    try {
      const response = await transport.request({ method: 'GET', path: PATHS.servers, signal });
      const { servers } = serversAnswerSchema.parse(JSON.parse(await readText(response.body)));
      const { settings } = JSON.parse(await readFile(file, 'utf8')) as { settings: ClusterSettings };
      if (servers.length > 0 && servers.join() !== transport.servers.join()) {
        transport.setServers(servers);
        await saveServers(dataDir, servers, settings);
      }
    } catch {
      // Nobody answers: the list on disk stays as it is.
    }
    await context.delay(SERVERS_REFRESH_MS, signal).catch(() => {});
  }
}

const clusterIdOf = (authority: string) => fingerprint(authority).slice(0, CLUSTER_ID_LENGTH);

function ownHosts(nodeIp: string | undefined): readonly string[] {
  const addresses = Object.values(networkInterfaces())
    .flatMap(list => list ?? [])
    .filter(({ address }) => !address.startsWith('fe80'));
  return [
    ...new Set([...(nodeIp ? [nodeIp] : []), '127.0.0.1', hostname(), ...addresses.map(({ address }) => address)]),
  ].slice(0, 32);
}
