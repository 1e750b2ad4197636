/**
 * Ways to a port: of a pod, through the agent of its node, since a master needs no route into the pod network; of any other
 * address, by dialling. And which endpoints of a service are ready.
 */
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { endpointslices } from '../../api/generated/kinds.ts';
import type { Endpoint, EndpointSlice, Pod } from '../../api/generated/types.ts';
import { declarationOf } from '../../api/registry.ts';
import type { Core } from '../core.ts';
import { listPrefix } from '../keys.ts';
import { type AgentAddress, type AgentCredentials, dialAgent, locateAgent } from './agent.ts';
import { readAnswer } from './connections.ts';
import { noCredentials } from './log.ts';

/** What of the server is needed to reach others. */
export type Reach = Pick<Core, 'cache' | 'clock' | 'limits'>;

export interface PodReach {
  readonly core: Reach;
  /** Undefined where the server may not speak to agents. */
  readonly credentials: AgentCredentials | undefined;
}

const SLICE = declarationOf(endpointslices);
const SERVICE_NAME = 'kubernetes.io/service-name';
/** What an agent is asked for to get bytes to and from a pod's port (node/streams/tunnel.ts). */
const TUNNEL_PROTOCOL = 'tcp';

/** How a connection to a pod's port is opened. Throws 400 for a pod that is on no node. */
export function reachPod({ core, credentials }: PodReach, pod: Pod, port: string): () => Promise<Duplex> {
  const { name = '', namespace = '' } = pod.metadata ?? {};
  const agent = locateAgent(core, pod);
  const path = ['tunnel', namespace, name, port].map(encodeURIComponent).join('/');
  return () => openTunnel(core, { agent, path: `/${path}`, credentials });
}

interface Tunnel {
  readonly agent: AgentAddress;
  readonly path: string;
  readonly credentials: AgentCredentials | undefined;
}

async function openTunnel(core: Pick<Core, 'clock' | 'limits'>, { agent, path, credentials }: Tunnel): Promise<Duplex> {
  if (!credentials) throw noCredentials();
  const socket = await dialAgent(core, agent, credentials);
  socket.setNoDelay(true);
  const head = [
    `GET ${path} HTTP/1.1`,
    `Host: ${agent.host}:${agent.port}`,
    'Connection: Upgrade',
    `Upgrade: ${TUNNEL_PROTOCOL}`,
  ];
  socket.write(`${head.join('\r\n')}\r\n\r\n`);
  const { status, rest } = await readAnswer(core, socket, agent);
  if (status !== 101) {
    socket.destroy();
    throw new Error(rest.toString().trim() || `the agent of node ${agent.nodeName} answered ${status}`);
  }
  if (rest.length > 0) socket.unshift(rest);
  return socket;
}

/** One address behind a service that takes connections. */
export interface ReadyEndpoint {
  readonly endpoint: Endpoint;
  readonly port: number;
}

/** The endpoints of a service that are ready, for one of its ports by name, as the cache has them. */
export function readyEndpoints(
  core: Pick<Core, 'cache'>,
  { namespace, name, portName }: { readonly namespace: string; readonly name: string; readonly portName: string },
): ReadyEndpoint[] {
  const prefix = listPrefix(SLICE, namespace);
  const all = core.cache.resource(listPrefix(SLICE, '')).list(prefix);
  return all
    .filter(({ labels }) => labels[SERVICE_NAME] === name)
    .flatMap(object => {
      const { endpoints = [], ports = [] } = object.parse<EndpointSlice>();
      const port = ports.find(candidate => (candidate.name ?? '') === portName)?.port;
      if (port === undefined) return [];
      return endpoints
        .filter(({ conditions, addresses }) => conditions?.ready !== false && addresses.length > 0)
        .map(endpoint => ({ endpoint, port }));
    });
}

/** Opens a connection to an address. Rejects in the words of Go's net package. */
export function dialAddress(
  { clock, limits }: Pick<Core, 'clock' | 'limits'>,
  { host, port }: { readonly host: string; readonly port: string },
): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    if (!/^\d{1,5}$/.test(port)) return reject(new Error(`dial tcp: lookup tcp/${port}: unknown port`));
    const socket = connect({ host, port: Number(port), allowHalfOpen: true, noDelay: true });
    const fail = (why: string) => {
      cancel();
      socket.destroy();
      reject(new Error(why));
    };
    const at = `dial tcp ${host.includes(':') ? `[${host}]` : host}:${port}`;
    const cancel = clock.setTimeout(() => fail(`${at}: i/o timeout`), limits.agentAnswerMsMax);
    const failed = ({ code, message }: NodeJS.ErrnoException) => {
      if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') fail(`dial tcp: lookup ${host}: no such host`);
      else fail(`${at}: ${DIAL_ERRORS[code ?? ''] ?? message}`);
    };
    socket.once('error', failed);
    socket.once('connect', () => {
      cancel();
      socket.off('error', failed);
      resolve(socket);
    });
  });
}

const DIAL_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ETIMEDOUT: 'connect: connection timed out',
  ECONNRESET: 'connect: connection reset by peer',
};
