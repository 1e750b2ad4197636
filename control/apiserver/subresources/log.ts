/** GET of a container's log: fetched from the agent of the pod's node, passed on as it comes. */

import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Pod } from '../../api/generated/types.ts';
import { ApiError, badRequest, type FieldError, invalid } from '../../api/status.ts';
import type { Core, ResourceRequest } from '../core.ts';
import { bytesReply } from '../http/replies.ts';
import { isTrue } from '../request-info.ts';
import type { Reply } from '../types.ts';
import { readConsistent } from '../verbs/get.ts';
import { type AgentAddress, locateAgent, tlsOptions, unreachable } from './agent.ts';
import { countStream } from './connections.ts';
import { chooseContainer } from './containers.ts';
import { readAll, statusOfText } from './stream-answer.ts';
import type { StreamOptions } from './streams.ts';
import type { SubresourceHandler } from './subresources.ts';

const FLAGS = ['follow', 'previous', 'timestamps'];
const NUMBERS = ['sinceSeconds', 'tailLines', 'limitBytes'];
const TEXTS = ['sinceTime', 'stream'];
const ERROR_BYTES_MAX = 4_096;

export function podLog(options: StreamOptions): SubresourceHandler {
  return async (core, request) => {
    const { info, kind, exchange } = request;
    const query = readLogQuery(request);
    const object = await readConsistent(core, kind, { namespace: info.namespace, name: info.name });
    const pod = object.parse<Pod>();
    const container = chooseContainer(pod, exchange.query.get('container') ?? '');
    // A pod without a node has no log yet; kube-apiserver answers with nothing.
    if (!pod.spec?.nodeName) return bytesReply(204, new Uint8Array(), {});
    const agent = locateAgent(core, pod);
    const path = ['containerLogs', info.namespace, info.name, container].map(encodeURIComponent).join('/');
    return fetchLog(core, request, { agent, path: `/${path}?${query}`, credentials: options.credentials });
  };
}

/** What the agent is asked. Throws 400, 422. */
function readLogQuery({ exchange, info }: ResourceRequest): URLSearchParams {
  const { query } = exchange;
  const asked = new URLSearchParams();
  for (const name of FLAGS) if (isTrue(query.get(name))) asked.set(name, 'true');
  const errors: FieldError[] = [];
  for (const name of NUMBERS) {
    const text = query.get(name);
    if (text === null || text === '') continue;
    if (!/^-?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
    const min = name === 'tailLines' ? 0 : 1;
    if (Number(text) < min) {
      const bound = min === 0 ? 'must be greater than or equal to 0' : 'must be greater than 0';
      errors.push({ type: 'FieldValueInvalid', field: name, message: `Invalid value: ${text}: ${bound}` });
    }
    asked.set(name, text);
  }
  if (errors.length > 0) throw invalid({ group: '', kind: 'PodLogOptions' }, info.name, errors);
  for (const name of TEXTS) {
    const text = query.get(name);
    if (text) asked.set(name, text);
  }
  return asked;
}

interface LogTarget {
  readonly agent: AgentAddress;
  readonly path: string;
  readonly credentials: StreamOptions['credentials'];
}

/** The log counts as a stream until the agent's answer is at its end or broken off. Throws 429 where there are too many. */
async function fetchLog(core: Core, { exchange }: ResourceRequest, target: LogTarget): Promise<Reply> {
  const release = countStream(core);
  let answer: IncomingMessage;
  try {
    answer = await ask(core, target, exchange.signal);
  } catch (error) {
    release();
    throw error;
  }
  answer.once('close', release);
  if (answer.statusCode !== 200) {
    const text = await readAll(answer, ERROR_BYTES_MAX);
    throw statusOfText(answer.statusCode ?? 500, text);
  }
  return bytesReply(200, answer, { 'content-type': 'text/plain' });
}

function ask(core: Core, { agent, path, credentials }: LogTarget, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    if (!credentials) return reject(noCredentials());
    const outgoing = httpsRequest({
      host: agent.host,
      port: agent.port,
      path,
      method: 'GET',
      agent: false,
      signal,
      ...tlsOptions(agent.nodeName, credentials),
    });
    const cancel = core.clock.setTimeout(
      () => outgoing.destroy(new Error('it did not answer in time')),
      core.limits.agentAnswerMsMax,
    );
    outgoing.once('response', answer => {
      cancel();
      resolve(answer);
    });
    outgoing.once('error', error => {
      cancel();
      reject(unreachable(agent, error));
    });
    outgoing.end();
  });
}

export function noCredentials(): ApiError {
  return new ApiError('', 'this server has no certificate to show to agents', { code: 501 });
}
