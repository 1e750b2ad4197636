/** How the API server reaches a node's agent: where it listens, and a TLS connection under the server's own name. */
import { type ConnectionOptions, checkServerIdentity, connect, type PeerCertificate, type TLSSocket } from 'node:tls';
import { nodes } from '../../api/generated/kinds.ts';
import type { Node, Pod } from '../../api/generated/types.ts';
import { declarationOf } from '../../api/registry.ts';
import { ApiError, badRequest } from '../../api/status.ts';
import type { Core } from '../core.ts';
import { cached } from '../verbs/get.ts';

/** The certificate with which the server shows itself to agents, and who signs theirs. */
export interface AgentCredentials {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

export interface AgentAddress {
  readonly nodeName: string;
  readonly host: string;
  readonly port: number;
}

const NODE = declarationOf(nodes);
const KUBELET_PORT = 10_250;
const ADDRESS_TYPES = ['InternalIP', 'ExternalIP', 'Hostname'];

/** Where the agent of the pod's node listens. Throws 400 for a pod that has no node, 500 for a node that tells no address. */
export function locateAgent(core: Pick<Core, 'cache'>, pod: Pod): AgentAddress {
  const nodeName = pod.spec?.nodeName;
  if (!nodeName) throw badRequest(`pod ${pod.metadata?.name} does not have a host assigned`);
  return locateNode(core, nodeName);
}

export function locateNode(core: Pick<Core, 'cache'>, nodeName: string): AgentAddress {
  const node = cached(core, NODE, '', nodeName)?.parse<Node>();
  const addresses = node?.status?.addresses ?? [];
  const host = ADDRESS_TYPES.map(type => addresses.find(address => address.type === type)?.address).find(Boolean);
  if (!host) throw new ApiError('', `no preferred addresses found; known addresses: []`, { code: 500 });
  return { nodeName, host, port: node?.status?.daemonEndpoints?.kubeletEndpoint?.Port || KUBELET_PORT };
}

/** Opens a connection to an agent. Rejects with 503 when it cannot be reached in time. */
export function dialAgent(
  core: Pick<Core, 'clock' | 'limits'>,
  { host, port, nodeName }: AgentAddress,
  credentials: AgentCredentials,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    // Node's types leave out that a TLS client may be half-open too.
    const options: ConnectionOptions & { allowHalfOpen: boolean } = {
      host,
      port,
      allowHalfOpen: true,
      ...tlsOptions(nodeName, credentials),
    };
    const socket = connect(options);
    const fail = (error: Error) => {
      cancel();
      socket.destroy();
      reject(unreachable({ host, port }, error));
    };
    const cancel = core.clock.setTimeout(
      () => fail(new Error('it did not answer in time')),
      core.limits.agentAnswerMsMax,
    );
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      cancel();
      socket.off('error', fail);
      resolve(socket);
    });
  });
}

export function unreachable({ host, port }: { readonly host: string; readonly port: number }, error: Error): ApiError {
  return new ApiError('InternalError', `error dialing backend: ${host}:${port}: ${error.message}`, { cause: error });
}

/** Agents' certificates name the node; that they also name its address is not needed. */
export function tlsOptions(nodeName: string, { key, cert, ca }: AgentCredentials): ConnectionOptions {
  return {
    key,
    cert,
    ca,
    ALPNProtocols: ['http/1.1'],
    checkServerIdentity(host: string, peer: PeerCertificate) {
      if (peer.subject?.CN === `system:node:${nodeName}`) return undefined;
      return checkServerIdentity(host, peer);
    },
  };
}
