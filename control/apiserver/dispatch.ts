/** The end of the chain: finds out which verb on which resource, or which document, a request is about, and runs it. */
import type { KindDeclaration, Subresource } from '../api/kind.ts';
import { ApiError, notFound } from '../api/status.ts';
import type { AuthenticationOptions } from './auth/authentication.ts';
import type { Authorizer } from './auth/authorizer.ts';
import type { ServiceAccountTokens } from './auth/service-account-tokens.ts';
import { answerComponents, isComponentStatus } from './component-statuses.ts';
import type { Core, ResourceRequest } from './core.ts';
import type { Discovery } from './discovery.ts';
import { findRoute, identityOf, methodNotAllowed } from './exchange.ts';
import { dumpFor } from './fairness/dump.ts';
import type { Fairness } from './fairness/fairness.ts';
import { answerHealth, type HealthOptions } from './health.ts';
import { prettyReply } from './http/pretty.ts';
import { bytesReply, jsonReply, pageNotFound, textReply } from './http/replies.ts';
import { resourceName } from './keys.ts';
import type { OpenApiDocuments } from './openapi.ts';
import { answerOpenId, OPENID_PATHS } from './openid.ts';
import { answerReview } from './reviews.ts';
import { admitConnect } from './subresources/admit-connect.ts';
import type { Subresources } from './subresources/subresources.ts';
import type { Exchange, Handler, Reply, Route, RouteResponse } from './types.ts';
import { create } from './verbs/create.ts';
import { remove, removeCollection } from './verbs/delete.ts';
import { get } from './verbs/get.ts';
import { list } from './verbs/list.ts';
import { patch } from './verbs/patch.ts';
import { update } from './verbs/update.ts';
import { watch } from './verbs/watch.ts';

/** Fields of `/version`. */
export interface VersionInfo {
  readonly major: string;
  readonly minor: string;
  /** The oldest and the present minor version whose behaviour is served (KEP-4330). */
  readonly emulationMajor: string;
  readonly emulationMinor: string;
  readonly minCompatibilityMajor: string;
  readonly minCompatibilityMinor: string;
  readonly gitVersion: string;
  readonly gitCommit: string;
  readonly gitTreeState: string;
  readonly buildDate: string;
  readonly goVersion: string;
  readonly compiler: string;
  readonly platform: string;
}

export interface DispatchOptions {
  readonly core: Core;
  readonly discovery: Discovery;
  readonly health: HealthOptions;
  readonly version: VersionInfo;
  readonly openApi: OpenApiDocuments;
  readonly subresources: Subresources;
  readonly routes: readonly Route[];
  readonly authentication: AuthenticationOptions;
  readonly authorizer: Authorizer;
  /** Undefined where service accounts have no tokens. */
  readonly tokens: ServiceAccountTokens | undefined;
  readonly fairness: Fairness;
  readonly moreMetrics: (() => Promise<string>) | undefined;
}

type Verb = (core: Core, request: ResourceRequest) => Promise<Reply>;

const VERBS: Readonly<Record<string, Verb>> = {
  get,
  list,
  watch,
  create,
  update,
  patch,
  delete: remove,
  deletecollection: removeCollection,
};

export function createDispatcher(options: DispatchOptions): Handler {
  return async exchange => {
    const route = findRoute(options.routes, exchange);
    if (route) return runRoute(route, exchange);
    return exchange.info.isResource ? resourceReply(options, exchange) : documentReply(options, exchange);
  };
}

async function runRoute(route: Route, exchange: Exchange): Promise<Reply> {
  const { method, info, query, headers, signal, remoteAddress } = exchange;
  const body = await exchange.readBody();
  const request = { method, path: info.path, query, headers, body, signal, remoteAddress };
  return routeReply(await route.handler(request, identityOf(exchange)));
}

function routeReply({ status, headers = {}, body }: RouteResponse): Reply {
  if (body === undefined) return bytesReply(status, new Uint8Array(), headers);
  if (typeof body === 'string') return textReply(status, body, headers);
  if (body instanceof Uint8Array) return bytesReply(status, body, headers);
  return Symbol.asyncIterator in body
    ? bytesReply(status, body as AsyncIterable<Uint8Array>, headers)
    : jsonReply(status, body, headers);
}

async function documentReply(options: DispatchOptions, exchange: Exchange): Promise<Reply> {
  const { info, method } = exchange;
  const found = await findDocument(options, exchange);
  if (!found) return pageNotFound();
  if (method === 'GET' || (method === 'HEAD' && info.path !== '/metrics')) return found();
  throw methodNotAllowed();
}

/** The document behind a path, not made yet. */
async function findDocument(
  options: DispatchOptions,
  exchange: Exchange,
): Promise<(() => Reply | Promise<Reply>) | undefined> {
  const { path } = exchange.info;
  switch (path) {
    case '/':
      return () => prettyReply(jsonReply(200, { paths: rootPaths(options) }));
    case '/version':
    case '/version/':
      return () => prettyReply(jsonReply(200, options.version));
    case '/metrics':
      return async () => {
        const { registry } = options.core.metrics;
        const [own, more = ''] = await Promise.all([registry.metrics(), options.moreMetrics?.()]);
        return textReply(200, own + more, { 'content-type': registry.contentType });
      };
  }
  const dump = dumpFor(path, options.fairness.scheduler);
  if (dump !== undefined) return () => textReply(200, dump);
  const reply =
    (await answerHealth(exchange, options.health)) ??
    (options.tokens && (await answerOpenId(exchange, options.tokens))) ??
    (path.startsWith('/openapi/') ? await options.openApi.answer(exchange) : undefined) ??
    (/^\/apis?(\/|$)/.test(path) ? (options.discovery.answer(exchange) ?? notFoundStatus()) : undefined);
  return reply && (() => reply);
}

function rootPaths({ discovery, health, routes, tokens }: DispatchOptions): string[] {
  const checks = (root: string, list: HealthOptions['live']) => [
    `/${root}`,
    ...list.map(({ name }) => `/${root}/${name}`),
  ];
  return [
    ...discovery.paths(),
    ...checks('healthz', health.ready),
    ...checks('livez', health.live),
    ...checks('readyz', health.ready),
    ...(tokens ? OPENID_PATHS : []),
    '/metrics',
    '/openapi/v2',
    '/openapi/v3',
    '/version',
    ...routes.map(({ path }) => path),
  ].sort();
}

async function resourceReply(options: DispatchOptions, exchange: Exchange): Promise<Reply> {
  const { info, method } = exchange;
  const { discovery, core } = options;
  const kind = await core.kinds.locate(info.group, info.version, info.resource);
  if (!kind) {
    const review = method === 'POST' && info.name === '' ? await answerReview(exchange, options) : undefined;
    if (review) return review;
    const isOfBuiltIn = info.group === '' || (discovery.isGroup(info.group) && core.kinds.isBuiltInGroup(info.group));
    if (!isOfBuiltIn && !isVirtual(options, exchange)) return pageNotFound();
    if (info.group === '' && info.resource === 'bindings' && method === 'POST') {
      return options.subresources.legacyBinding(exchange);
    }
    if (isVirtual(options, exchange)) throw methodNotAllowed();
    return notFoundStatus();
  }
  if (kind.form && !fitsScope(kind, info)) return pageNotFound();
  const isProxy = info.subresource === 'proxy';
  if ((method === 'HEAD' || method === 'OPTIONS') && !isProxy) throw methodNotAllowed();
  if (kind.deprecation) exchange.warnings.push(kind.deprecation);
  const request: ResourceRequest = { exchange, info, identity: identityOf(exchange), kind };
  if (info.subresource !== '') return subresourceReply(options, request);
  if (isComponentStatus(kind)) return answerComponents(options.core, request, allowedVerb(request));
  return VERBS[allowedVerb(request)]?.(options.core, request) ?? notFoundStatus();
}

/** What is sent and answered, never stored. */
const isVirtual = ({ discovery }: DispatchOptions, { info }: Exchange) =>
  discovery.isGroupVersion(info.group, info.version) &&
  (/reviews$/.test(info.resource) || (info.group === '' && info.resource === 'bindings'));

/** True if the path names a namespace where the kind has one, and none where it has not; lists may be of all. */
function fitsScope({ namespaced }: KindDeclaration, { namespace, verb }: ResourceRequest['info']): boolean {
  if (!namespaced) return namespace === '';
  return namespace !== '' || verb === 'list' || verb === 'watch';
}

/** The verb, if the kind has it and the path fits it. Throws 404, 405. */
function allowedVerb({ kind, info, exchange }: ResourceRequest): string {
  const isInNamespace = info.namespace !== '' && info.resource !== 'namespaces';
  if (isInNamespace && !kind.namespaced) throw notFoundError();
  const needsNamespace = kind.namespaced && !isInNamespace;
  if (needsNamespace && info.name !== '') throw notFoundError();
  const isCollectionVerb = ['list', 'watch', 'create', 'deletecollection'].includes(info.verb);
  const isWatchOfOne = info.verb === 'watch' && info.name !== '';
  if (isCollectionVerb !== (info.name === '') && !isWatchOfOne) throw methodNotAllowed();
  if (needsNamespace && exchange.method !== 'GET') throw methodNotAllowed();
  if (!kind.verbs.includes(info.verb)) throw methodNotAllowed();
  if (info.verb === 'create' && kind.form?.isTerminating) {
    throw new ApiError('MethodNotAllowed', 'create not allowed while custom resource definition is terminating');
  }
  return info.verb;
}

async function subresourceReply({ core, subresources }: DispatchOptions, request: ResourceRequest): Promise<Reply> {
  const { kind, info } = request;
  const isInNamespace = info.namespace !== '' && info.resource !== 'namespaces';
  if (kind.namespaced !== isInNamespace || info.name === '') throw notFoundError();
  const declared = findSubresource(kind, info.subresource);
  if (!declared && kind.form) throw notFound(resourceName(kind), info.name);
  const handler = declared && subresources.find(kind, declared.name);
  if (!handler) throw notFoundError();
  // A proxy takes every method there is.
  if (!declared.verbs.includes(info.verb) && declared.name !== 'proxy') throw methodNotAllowed();
  await admitConnect(core, request);
  return handler(core, request);
}

function findSubresource(kind: KindDeclaration, name: string): Subresource | undefined {
  return kind.subresources.find(candidate => candidate.name === name);
}

const notFoundError = () =>
  new ApiError('NotFound', 'the server could not find the requested resource', { details: {} });
function notFoundStatus(): never {
  throw notFoundError();
}
