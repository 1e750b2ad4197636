/** The same chain for callers in the process: no socket between, but the same Exchange and the same answer. */
import { ApiError } from '../../api/status.ts';
import { readRequestInfo } from '../request-info.ts';
import type { ApiRequest, ApiResponse, Exchange, Identity, Reply } from '../types.ts';
import { withWarnings } from './connection.ts';
import type { RequestEnd } from './request-end.ts';

const EVERYONE = 'system:authenticated';
const NOBODY = 'system:unauthenticated';

export function inProcessExchange(
  request: ApiRequest,
  options: { readonly identity: Identity; readonly end: RequestEnd; readonly bodyBytesMax: number },
): Exchange {
  const { method, path: url, headers = {}, body } = request;
  const question = url.indexOf('?');
  const bytes = body === undefined ? new Uint8Array() : typeof body === 'string' ? Buffer.from(body) : body;
  const { identity } = options;
  const isNamed = identity.groups.some(group => group === EVERYONE || group === NOBODY);
  const groups = isNamed ? identity.groups : [...identity.groups, EVERYONE];
  return {
    method,
    url,
    query: new URLSearchParams(question < 0 ? '' : url.slice(question + 1)),
    headers,
    async readBody() {
      if (bytes.byteLength <= options.bodyBytesMax) return bytes;
      throw new ApiError('RequestEntityTooLarge', `Request entity too large: limit is ${options.bodyBytesMax}`);
    },
    streamBody: () => once(bytes),
    get signal() {
      return options.end.signal;
    },
    end: reason => options.end.end(reason),
    remoteAddress: '',
    localAddress: '',
    identity: { ...identity, groups },
    info: readRequestInfo(method, url),
    isInProcess: true,
    warnings: [],
    auditAnnotations: new Map(),
  };
}

export function toApiResponse(reply: Reply, warnings: readonly string[]): ApiResponse {
  if ('taken' in reply) throw new Error('a connection cannot be upgraded within the process');
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(withWarnings(reply.headers, warnings))) {
    headers[name] = typeof value === 'string' ? value : value.join(', ');
  }
  const { body } = reply;
  return body instanceof Uint8Array
    ? { status: reply.status, headers, body: once(body), whole: body }
    : { status: reply.status, headers, body };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.byteLength > 0) yield bytes;
}
