/** What is asked of the authorizers: who wants to do what, free of how the question came. */
import type { Identity, RequestInfo } from '../types.ts';

/** One question (apiserver: authorizer.Attributes). */
export interface Attributes {
  readonly identity: Identity;
  readonly verb: string;
  readonly isResource: boolean;
  /** For what is no resource. */
  readonly path: string;
  readonly group: string;
  readonly namespace: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  /** The field selector of a list or watch. */
  readonly fieldSelector?: string;
}

/** allow, with the reason that reviews show; or not, with what speaks against it. */
export type Verdict =
  | { readonly allowed: true; readonly reason?: string }
  | { readonly allowed: false; readonly reason?: string };

const NOTHING = { path: '', group: '', namespace: '', resource: '', subresource: '', name: '' } as const;

/** A question about a resource, besides the one that a request asks. */
export function resourceAttributes(
  identity: Identity,
  asked: Pick<Attributes, 'verb' | 'resource'> & Partial<Omit<Attributes, 'identity' | 'isResource' | 'path'>>,
): Attributes {
  return { ...NOTHING, ...asked, identity, isResource: true };
}

/** The question that a request asks. A list or watch of one object by its name counts as being about it. */
export function attributesOf(identity: Identity, info: RequestInfo, query: URLSearchParams): Attributes {
  const { verb, isResource, path, group, namespace, resource, subresource } = info;
  const isOfMany = isResource && info.name === '' && (verb === 'list' || verb === 'watch');
  const name = isOfMany ? selectedName(query) : info.name;
  const selector = isOfMany ? query.get('fieldSelector') : null;
  return {
    ...{ identity, verb, isResource, path, group, namespace, resource, subresource, name },
    ...(selector !== null && { fieldSelector: selector }),
  };
}

/** The name that a field selector demands, if it is one that a path could have; else ''. */
function selectedName(query: URLSearchParams): string {
  for (const term of (query.get('fieldSelector') ?? '').split(',')) {
    const [, name] = /^metadata\.name==?([^=!\\]+)$/.exec(term) ?? [];
    if (name && !/[/%]/.test(name) && name !== '.' && name !== '..') return name;
  }
  return '';
}
