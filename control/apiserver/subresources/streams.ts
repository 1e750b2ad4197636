/**
 * exec, attach and port-forward: the client's connection is joined with one to the agent of the pod's node. The server
 * rewrites the request's head and then passes bytes both ways without looking at them, so SPDY and WebSocket alike go
 * through; a half-closed side stays half-closed. What fails before the upgrade is answered as a Status.
 */

import type { Pod } from '../../api/generated/types.ts';
import { badRequest } from '../../api/status.ts';
import type { Core, ResourceRequest } from '../core.ts';
import { isTrue } from '../request-info.ts';
import type { Exchange, Reply } from '../types.ts';
import { readConsistent } from '../verbs/get.ts';
import { type AgentAddress, type AgentCredentials, dialAgent, locateAgent } from './agent.ts';
import { countStream, pipeBothWays, readAnswer } from './connections.ts';
import { chooseContainer } from './containers.ts';
import { noCredentials } from './log.ts';
import { statusOfText } from './stream-answer.ts';
import type { SubresourceHandler } from './subresources.ts';

export interface StreamOptions {
  /** Undefined where the server may not speak to agents. */
  readonly credentials: AgentCredentials | undefined;
}
export type StreamKind = 'exec' | 'attach' | 'portForward';

/** Headers of the client that the agent must not see, or sees as its own. */
const OWN_HEADERS = new Set(['host', 'authorization', 'content-length', 'transfer-encoding', 'expect', 'cookie']);

export function podStream({ credentials }: StreamOptions, stream: StreamKind): SubresourceHandler {
  return async (core, request) => {
    const { info, kind, exchange } = request;
    const object = await readConsistent(core, kind, { namespace: info.namespace, name: info.name });
    const pod = object.parse<Pod>();
    const path = agentPath(stream, request, pod);
    const agent = locateAgent(core, pod);
    if (!credentials) throw noCredentials();
    if (!exchange.upgrade) throw badRequest('Upgrade request required');
    return joinStreams(core, exchange, { agent, path, credentials });
  };
}

/** The path that a kubelet serves (k/k:pkg/registry/core/pod/strategy.go, pkg/kubelet/server). Throws 400. */
function agentPath(stream: StreamKind, { info, exchange }: ResourceRequest, pod: Pod): string {
  const { query } = exchange;
  const asked = new URLSearchParams();
  const parts = [stream, info.namespace, info.name];
  if (stream === 'portForward') {
    for (const port of query.getAll('ports').flatMap(list => list.split(','))) asked.append('port', port);
  } else {
    parts.push(chooseContainer(pod, query.get('container') ?? ''));
    const flags = { stdin: 'input', stdout: 'output', stderr: 'error', tty: 'tty' };
    for (const [name, agentName] of Object.entries(flags)) if (isTrue(query.get(name))) asked.set(agentName, '1');
    for (const argument of stream === 'exec' ? query.getAll('command') : []) asked.append('command', argument);
  }
  return `/${parts.map(encodeURIComponent).join('/')}?${asked}`;
}

interface StreamTarget {
  readonly agent: AgentAddress;
  readonly path: string;
  readonly credentials: AgentCredentials;
}

async function joinStreams(core: Core, exchange: Exchange, target: StreamTarget): Promise<Reply> {
  const { upgrade } = exchange;
  if (!upgrade) throw badRequest('Upgrade request required');
  const release = countStream(core);
  try {
    const agent = await dialAgent(core, target.agent, target.credentials);
    agent.setNoDelay(true);
    agent.write(requestHead(exchange, target));
    const answer = await readAnswer(core, agent, target.agent);
    if (answer.status !== 101) {
      agent.destroy();
      throw statusOfText(answer.status, answer.rest.toString());
    }
    upgrade.socket.write(answer.head);
    if (upgrade.head.byteLength > 0) agent.write(upgrade.head);
    if (answer.rest.length > 0) upgrade.socket.write(answer.rest);
    pipeBothWays(upgrade.socket, agent, release);
    return { status: 101, taken: true };
  } catch (error) {
    release();
    throw error;
  }
}

function requestHead({ method, headers, remoteAddress }: Exchange, { agent, path }: StreamTarget): string {
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${agent.host}:${agent.port}`];
  for (const [name, value] of Object.entries(headers)) if (!OWN_HEADERS.has(name)) lines.push(`${name}: ${value}`);
  lines.push(`X-Forwarded-For: ${remoteAddress}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}
