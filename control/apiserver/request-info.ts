/**
 * What a request's path and method mean. The grammar is Kubernetes' (apiserver/pkg/endpoints/request/requestinfo.go):
 * `/api/v1` and `/apis/GROUP/VERSION`, then `[watch/][namespaces/NS/]RESOURCE[/NAME[/SUBRESOURCE[/…]]]`.
 */
import type { RequestInfo } from './types.ts';

const VERBS: Readonly<Record<string, string>> = {
  POST: 'create',
  GET: 'get',
  HEAD: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};
/** Subresources of namespaces; anything else below `namespaces/NS/` is a resource inside NS. */
const NAMESPACE_SUBRESOURCES = new Set(['status', 'finalize']);

/**
 * Reads the meaning of `method url`. Never throws: what is no resource path is a plain path.
 *
 * @param query the one of `url`, if the caller has read it already
 */
export function readRequestInfo(method: string, url: string, query: URLSearchParams = queryOf(url)): RequestInfo {
  const question = url.indexOf('?');
  const path = question < 0 ? url : url.slice(0, question);
  const plain: RequestInfo = {
    path,
    isResource: false,
    verb: method.toLowerCase(),
    group: '',
    version: '',
    namespace: '',
    resource: '',
    subresource: '',
    name: '',
    rest: '',
  };
  const parts = path.split('/').slice(1).map(decode);
  const isLegacy = parts[0] === 'api';
  const start = isLegacy ? 2 : 3;
  if ((!isLegacy && parts[0] !== 'apis') || parts.length <= start || parts[start] === '') return plain;
  const group = isLegacy ? '' : (parts[1] ?? '');
  const version = parts[start - 1] ?? '';
  let rest = parts.slice(start);
  let isWatch = false;
  if (rest[0] === 'watch' && rest.length > 1) {
    isWatch = true;
    rest = rest.slice(1);
  }
  const { namespace, parts: tail } = splitNamespace(rest);
  const [resource = '', name = '', subresource = '', ...more] = tail;
  const verb = isWatch ? 'watch' : verbOf(method, name, query);
  return {
    path,
    isResource: true,
    verb,
    group,
    version,
    namespace,
    resource,
    name,
    subresource,
    rest: more.join('/'),
  };
}

/** What stands behind the question mark of a URL. */
export function queryOf(url: string): URLSearchParams {
  const question = url.indexOf('?');
  return new URLSearchParams(question < 0 ? '' : url.slice(question + 1));
}

function decode(part: string): string {
  if (!part.includes('%')) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function splitNamespace(parts: string[]): { namespace: string; parts: string[] } {
  if (parts[0] !== 'namespaces' || parts.length < 2) return { namespace: '', parts };
  const namespace = parts[1] ?? '';
  const isInside = parts.length > 2 && parts[2] !== '' && !NAMESPACE_SUBRESOURCES.has(parts[2] ?? '');
  return { namespace, parts: isInside ? parts.slice(2) : parts };
}

function verbOf(method: string, name: string, query: URLSearchParams): string {
  const verb = VERBS[method] ?? method.toLowerCase();
  if (name !== '') return verb;
  if (verb === 'get') return isTrue(query.get('watch')) ? 'watch' : 'list';
  return verb === 'delete' ? 'deletecollection' : verb;
}

/** A boolean query parameter: only `0` and `false` are false (apimachinery/pkg/runtime/conversion.go), and what is not there. */
export function isTrue(value: string | null): boolean {
  return value !== null && value !== '0' && value.toLowerCase() !== 'false';
}
