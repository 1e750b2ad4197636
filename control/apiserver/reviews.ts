/** Questions about oneself and others: who am I, may I. Answered from the request and the authorizer, never stored. */
import type {
  LocalSubjectAccessReview,
  ResourceRule,
  SelfSubjectAccessReview,
  SelfSubjectReview,
  SelfSubjectRulesReview,
  SubjectAccessReview,
  SubjectAccessReviewSpec,
  SubjectRulesReviewStatus,
  TokenReview,
  TokenReviewStatus,
  UserInfo,
} from '../api/generated/types.ts';
import { badRequest, type FieldError, invalid } from '../api/status.ts';
import { type AuthenticationOptions, authenticateToken } from './auth/authentication.ts';
import { decide } from './auth/authorization.ts';
import type { VirtualResource } from './discovery.ts';
import { identityOf } from './exchange.ts';
import { jsonReply } from './http/replies.ts';
import type { Exchange, Identity, Reply, RequestInfo } from './types.ts';
import { readValue } from './verbs/body.ts';

const AUTHORIZATION = { group: 'authorization.k8s.io', version: 'v1', namespaced: false } as const;
const AUTHENTICATION = { group: 'authentication.k8s.io', version: 'v1', namespaced: false } as const;

interface Review extends VirtualResource {
  /** Further versions that are answered but not listed: kubectl 1.27 asks who it is in one of them. */
  readonly oldVersions?: readonly string[];
  answer(asked: Asked): object | Promise<object>;
}
interface Asked {
  readonly exchange: Exchange;
  readonly sent: object;
  readonly authentication: AuthenticationOptions;
}

const reviews: readonly Review[] = [
  {
    ...AUTHORIZATION,
    kind: 'SelfSubjectAccessReview',
    plural: 'selfsubjectaccessreviews',
    singular: 'selfsubjectaccessreview',
    answer: ({ exchange, sent }) => answerAccess(sent as SelfSubjectAccessReview, identityOf(exchange)),
  },
  {
    ...AUTHORIZATION,
    kind: 'SelfSubjectRulesReview',
    plural: 'selfsubjectrulesreviews',
    singular: 'selfsubjectrulesreview',
    answer: ({ exchange, sent }) => answerRules(sent as SelfSubjectRulesReview, identityOf(exchange)),
  },
  {
    ...AUTHORIZATION,
    kind: 'SubjectAccessReview',
    plural: 'subjectaccessreviews',
    singular: 'subjectaccessreview',
    answer: ({ sent }) => answerSubjectAccess(sent as SubjectAccessReview),
  },
  {
    ...AUTHORIZATION,
    namespaced: true,
    kind: 'LocalSubjectAccessReview',
    plural: 'localsubjectaccessreviews',
    singular: 'localsubjectaccessreview',
    answer: ({ exchange, sent }) => answerLocalAccess(sent as LocalSubjectAccessReview, exchange.info.namespace),
  },
  {
    ...AUTHENTICATION,
    kind: 'SelfSubjectReview',
    plural: 'selfsubjectreviews',
    singular: 'selfsubjectreview',
    oldVersions: ['v1beta1', 'v1alpha1'],
    answer: ({ exchange, sent }) => ({
      ...(sent as SelfSubjectReview),
      status: { userInfo: userInfo(identityOf(exchange)) },
    }),
  },
  {
    ...AUTHENTICATION,
    kind: 'TokenReview',
    plural: 'tokenreviews',
    singular: 'tokenreview',
    answer: ({ sent, authentication }) => answerToken(sent as TokenReview, authentication),
  },
];

/** For discovery. */
export const REVIEWS: readonly VirtualResource[] = reviews.map(
  ({ answer: _answer, oldVersions: _old, ...resource }) => resource,
);

/** Answers the review that a POST asks for; undefined if the resource is none. Throws 400, 422. */
export async function answerReview(
  exchange: Exchange,
  authentication: AuthenticationOptions,
): Promise<Reply | undefined> {
  const { group, version, resource, namespace } = exchange.info;
  const review = reviews.find(
    candidate =>
      candidate.group === group &&
      candidate.plural === resource &&
      (candidate.version === version || candidate.oldVersions?.includes(version)) &&
      candidate.namespaced === (namespace !== ''),
  );
  if (!review) return undefined;
  const sent = await readValue(exchange);
  if (typeof sent !== 'object' || sent === null) throw badRequest('a review needs an object as its body');
  const answer = await review.answer({ exchange, sent, authentication });
  const meta = { kind: review.kind, apiVersion: `${group}/${version}` };
  return jsonReply(201, { metadata: {}, ...answer, ...meta });
}

function userInfo({ user, groups, uid, extra }: Identity): UserInfo {
  return {
    username: user,
    ...(uid && { uid }),
    groups: [...groups],
    ...(extra && Object.keys(extra).length > 0 && { extra: structuredClone(extra) as Record<string, string[]> }),
  };
}

async function answerToken(review: TokenReview, authentication: AuthenticationOptions): Promise<object> {
  const { token = '', audiences = [] } = review.spec ?? {};
  if (token === '') throw badRequest('token is required for TokenReview in authentication');
  const holder = await authenticateToken(token, audiences, authentication);
  const status: TokenReviewStatus = holder
    ? {
        authenticated: true,
        user: userInfo(holder.identity),
        ...(holder.audiences.length > 0 && { audiences: [...holder.audiences] }),
      }
    : { user: {}, error: 'invalid bearer token' };
  return { ...review, status };
}

/** What one may do, as rules. Until there are roles, that is everything, or only to ask such questions. */
function answerRules(review: SelfSubjectRulesReview, identity: Identity): object {
  if (!review.spec?.namespace) throw badRequest('no namespace on request');
  const everything = ['*'];
  const isAllPowerful = decide({
    identity,
    info: { ...NOTHING, isResource: true, verb: '*', group: '*', resource: '*', namespace: review.spec.namespace },
    query: new URLSearchParams(),
  }).allowed;
  const isNode = identity.groups.includes('system:nodes');
  const status: SubjectRulesReviewStatus = {
    resourceRules: [
      ...(isAllPowerful ? [{ verbs: everything, apiGroups: everything, resources: everything }] : []),
      ...SELF_RULES,
    ],
    nonResourceRules: isAllPowerful
      ? [{ verbs: everything, nonResourceURLs: everything }]
      : [{ verbs: ['get'], nonResourceURLs: READABLE_PATHS }],
    incomplete: isNode && !isAllPowerful,
    ...(isNode && !isAllPowerful && { evaluationError: 'node authorizer does not support user rule resolution' }),
  };
  return { ...review, status };
}

const SELF_RULES: ResourceRule[] = [
  {
    verbs: ['create'],
    apiGroups: ['authorization.k8s.io'],
    resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
  },
  { verbs: ['create'], apiGroups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'] },
];
const READABLE_PATHS = [
  '/api',
  '/api/*',
  '/apis',
  '/apis/*',
  '/healthz',
  '/livez',
  '/openapi',
  '/openapi/*',
  '/readyz',
  '/version',
  '/version/',
];
const NOTHING: RequestInfo = {
  path: '',
  isResource: false,
  verb: '',
  group: '',
  version: '',
  namespace: '',
  resource: '',
  subresource: '',
  name: '',
  rest: '',
};

function answerSubjectAccess(review: SubjectAccessReview, problems: readonly FieldError[] = []): object {
  const { user = '', groups = [] } = review.spec ?? {};
  return answerAccess(review, { user, groups }, { isSubjectMissing: user === '' && groups.length === 0, problems });
}

function answerLocalAccess(review: LocalSubjectAccessReview, namespace: string): object {
  const given = review.spec?.resourceAttributes?.namespace ?? '';
  const problems: FieldError[] = [];
  if (review.spec?.resourceAttributes && given !== namespace) {
    const message = `Invalid value: ${JSON.stringify(given)}: must match metadata.namespace`;
    problems.push({ type: 'FieldValueInvalid', field: 'spec.resourceAttributes.namespace', message });
  }
  if (review.spec?.nonResourceAttributes) {
    const message = 'Invalid value: disallowed on this kind of request';
    problems.push({ type: 'FieldValueInvalid', field: 'spec.nonResourceAttributes', message });
  }
  return answerSubjectAccess(review, problems);
}

interface AccessProblems {
  readonly isSubjectMissing?: boolean;
  /** What is wrong besides. */
  readonly problems?: readonly FieldError[];
}

function answerAccess(
  review: SelfSubjectAccessReview | SubjectAccessReview,
  identity: Identity,
  { isSubjectMissing = false, problems = [] }: AccessProblems = {},
): object {
  const { resourceAttributes: resource, nonResourceAttributes: path }: Partial<SubjectAccessReviewSpec> =
    review.spec ?? {};
  const errors: FieldError[] = [...problems];
  if (!resource && !path) {
    const message =
      'Invalid value: "null": exactly one of nonResourceAttributes or resourceAttributes must be specified';
    errors.push({ type: 'FieldValueInvalid', field: 'spec.resourceAttributes', message });
  }
  if (isSubjectMissing) {
    const message = 'Invalid value: "": at least one of user or group must be specified';
    errors.push({ type: 'FieldValueInvalid', field: 'spec.user', message });
  }
  if (errors.length > 0) throw invalid({ group: 'authorization.k8s.io', kind: '' }, '', errors);
  const info: RequestInfo = {
    ...NOTHING,
    path: path?.path ?? '',
    isResource: resource !== undefined,
    verb: (resource ?? path)?.verb ?? '',
    group: resource?.group ?? '',
    version: resource?.version ?? '',
    namespace: resource?.namespace ?? '',
    resource: resource?.resource ?? '',
    subresource: resource?.subresource ?? '',
    name: resource?.name ?? '',
  };
  const known = { ...identity, groups: [...identity.groups, 'system:authenticated'] };
  const verdict = decide({ identity: known, info, query: new URLSearchParams() });
  const reason = verdict.allowed ? undefined : verdict.reason;
  return { ...review, status: { allowed: verdict.allowed, ...(reason && { reason }) } };
}
