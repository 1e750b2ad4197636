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

/** Reads the meaning of `method url`. Never throws: what is no resource path is a plain path. */
export function readRequestInfo(method: string, url: string): RequestInfo {
  const question = url.indexOf('?');
  const path = question < 0 ? url : url.slice(0, question);
  const query = question < 0 ? '' : url.slice(question + 1);
  const parts = path.split('/');
  // Most paths escape nothing.
  if (path.includes('%')) for (const [index, part] of parts.entries()) parts[index] = decode(part);
  // Behind the empty part before the first slash.
  const isLegacy = parts[1] === 'api';
  const start = isLegacy ? 3 : 4;
  if ((!isLegacy && parts[1] !== 'apis') || parts.length <= start || parts[start] === '') return plain(method, path);
  const isWatch = parts[start] === 'watch' && parts.length > start + 1;
  const from = isWatch ? start + 1 : start;
  const namespace = parts[from] === 'namespaces' ? (parts[from + 1] ?? '') : '';
  const at = isInNamespace(parts, from) ? from + 2 : from;
  const name = parts[at + 1] ?? '';
  return {
    path,
    isResource: true,
    verb: isWatch ? 'watch' : verbOf(method, name, query),
    group: isLegacy ? '' : (parts[2] ?? ''),
    version: parts[start - 1] ?? '',
    namespace,
    resource: parts[at] ?? '',
    name,
    subresource: parts[at + 2] ?? '',
    rest: parts.length > at + 3 ? parts.slice(at + 3).join('/') : '',
  };
}

/** A path that is none of a resource. */
function plain(method: string, path: string): RequestInfo {
  return {
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
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** True if what follows `namespaces/NS/` is a resource inside of it, and not the namespace's own. */
function isInNamespace(parts: readonly string[], from: number): boolean {
  if (parts[from] !== 'namespaces' || parts.length <= from + 2) return false;
  const inside = parts[from + 2] ?? '';
  return inside !== '' && !NAMESPACE_SUBRESOURCES.has(inside);
}

function verbOf(method: string, name: string, query: string): string {
  const verb = VERBS[method] ?? method.toLowerCase();
  if (name !== '') return verb;
  if (verb === 'get') return isWatchQuery(query) ? 'watch' : 'list';
  return verb === 'delete' ? 'deletecollection' : verb;
}

/** Only `0` and `false` are false (apimachinery/pkg/runtime/conversion.go). */
function isWatchQuery(query: string): boolean {
  if (!query.includes('watch')) return false;
  return isTrue(new URLSearchParams(query).get('watch'));
}

/** A boolean query parameter: present and neither `0` nor `false`. */
export function isTrue(value: string | null): boolean {
  return value !== null && value !== '0' && value.toLowerCase() !== 'false';
}
