/** Questions about oneself and others: who am I, may I. Answered from the request and the authorizer, never stored. */
import type {
  LocalSubjectAccessReview,
  SelfSubjectAccessReview,
  SelfSubjectReview,
  SelfSubjectRulesReview,
  SubjectAccessReview,
  TokenReview,
  TokenReviewStatus,
  UserInfo,
} from '../api/generated/types.ts';
import { decodeAs } from '../api/schema/decode.ts';
import { badRequest } from '../api/status.ts';
import { answerLocal, answerRules, answerSelf, answerSubject } from './access-reviews.ts';
import { type AuthenticationOptions, authenticateToken } from './auth/authentication.ts';
import type { Authorizer } from './auth/authorizer.ts';
import type { VirtualResource } from './discovery.ts';
import { identityOf } from './exchange.ts';
import { negotiate } from './http/negotiate.ts';
import { jsonReply } from './http/replies.ts';
import type { Exchange, Identity, Reply } from './types.ts';
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
  readonly authorizer: Authorizer;
}

const reviews: readonly Review[] = [
  {
    ...AUTHORIZATION,
    kind: 'SelfSubjectAccessReview',
    plural: 'selfsubjectaccessreviews',
    singular: 'selfsubjectaccessreview',
    answer: ({ exchange, sent, authorizer }) =>
      answerSelf(sent as SelfSubjectAccessReview, identityOf(exchange), authorizer),
  },
  {
    ...AUTHORIZATION,
    kind: 'SelfSubjectRulesReview',
    plural: 'selfsubjectrulesreviews',
    singular: 'selfsubjectrulesreview',
    answer: ({ exchange, sent, authorizer }) =>
      answerRules(sent as SelfSubjectRulesReview, identityOf(exchange), authorizer),
  },
  {
    ...AUTHORIZATION,
    kind: 'SubjectAccessReview',
    plural: 'subjectaccessreviews',
    singular: 'subjectaccessreview',
    answer: ({ sent, authorizer }) => answerSubject(sent as SubjectAccessReview, authorizer),
  },
  {
    ...AUTHORIZATION,
    namespaced: true,
    kind: 'LocalSubjectAccessReview',
    plural: 'localsubjectaccessreviews',
    singular: 'localsubjectaccessreview',
    answer: ({ exchange, sent, authorizer }) =>
      answerLocal(sent as LocalSubjectAccessReview, exchange.info.namespace, authorizer),
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

/** Answers the review that a POST asks for; undefined if the resource is none. Throws 400, 406, 422. */
export async function answerReview(
  exchange: Exchange,
  { authentication, authorizer }: Pick<Asked, 'authentication' | 'authorizer'>,
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
  negotiate(exchange.headers.accept, { isPlain: true });
  const value = await readValue(exchange);
  if (typeof value !== 'object' || value === null) throw badRequest('a review needs an object as its body');
  const sent = decodeAs<object>(`io.k8s.api.${group.split('.')[0]}.v1.${review.kind}`, value, review.kind);
  const answer = await review.answer({ exchange, sent, authentication, authorizer });
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
  const holder = await authenticateToken(token, { audiences }, authentication);
  const status: TokenReviewStatus = holder
    ? {
        authenticated: true,
        user: userInfo(holder.identity),
        ...(holder.audiences.length > 0 && { audiences: [...holder.audiences] }),
      }
    : { user: {}, error: 'invalid bearer token' };
  return { ...review, status };
}
