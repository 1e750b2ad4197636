/** Which subresource is served by what: one line each. */
import type { KindDeclaration } from '../../api/kind.ts';
import type { ServiceAccountTokens } from '../auth/service-account-tokens.ts';
import type { Core, ResourceRequest } from '../core.ts';
import type { Exchange, Reply } from '../types.ts';
import { get } from '../verbs/get.ts';
import { patch } from '../verbs/patch.ts';
import { update } from '../verbs/update.ts';
import { bind, bindByBody } from './binding.ts';
import { evict } from './eviction.ts';
import { finalizeNamespace } from './finalize.ts';
import { podLog } from './log.ts';
import { proxy } from './proxy.ts';
import { scale } from './scale.ts';
import { podStream, type StreamOptions } from './streams.ts';
import { tokenRequest } from './token.ts';

export type SubresourceHandler = (core: Core, request: ResourceRequest) => Promise<Reply>;

export interface Subresources {
  find(kind: KindDeclaration, name: string): SubresourceHandler | undefined;
  /** POST of a Binding to `bindings`, as schedulers of old did. */
  legacyBinding(exchange: Exchange): Promise<Reply>;
}

/** The parts of an object that are written on their own: the kind's strategy knows which part is meant. */
const partOfObject: SubresourceHandler = (core, request) => {
  switch (request.info.verb) {
    case 'update':
      return update(core, request);
    case 'patch':
      return patch(core, request);
    default:
      return get(core, request);
  }
};

export interface SubresourceOptions extends StreamOptions {
  /** Undefined where the server has no key to sign with. */
  readonly tokens: ServiceAccountTokens | undefined;
}

export function createSubresources(core: Core, { tokens, ...streams }: SubresourceOptions): Subresources {
  const handlers: Readonly<Record<string, SubresourceHandler>> = {
    status: partOfObject,
    ephemeralcontainers: partOfObject,
    resize: partOfObject,
    approval: partOfObject,
    scale,
    'namespaces/finalize': finalizeNamespace,
    'pods/binding': bind,
    'pods/eviction': evict,
    'pods/log': podLog(streams),
    'pods/exec': podStream(streams, 'exec'),
    'pods/attach': podStream(streams, 'attach'),
    'pods/portforward': podStream(streams, 'portForward'),
    'serviceaccounts/token': tokenRequest(tokens),
    proxy: proxy(streams),
  };
  return {
    find: (kind, name) => handlers[`${kind.plural}/${name}`] ?? handlers[name],
    legacyBinding: exchange => bindByBody(core, exchange),
  };
}
