/** Questions about oneself and others: who am I, may I. Answered from the request and the authorizer, never stored. */
import type {
  SelfSubjectAccessReview,
  SelfSubjectReview,
  SubjectAccessReview,
  SubjectAccessReviewSpec,
} from '../api/generated/types.ts';
import { badRequest, type FieldError, invalid } from '../api/status.ts';
import { decide } from './auth/authorization.ts';
import type { VirtualResource } from './discovery.ts';
import { identityOf } from './exchange.ts';
import { jsonReply } from './http/replies.ts';
import type { Exchange, Identity, Reply, RequestInfo } from './types.ts';
import { readValue } from './verbs/body.ts';

const AUTHORIZATION = { group: 'authorization.k8s.io', version: 'v1', namespaced: false } as const;
const AUTHENTICATION = { group: 'authentication.k8s.io', version: 'v1', namespaced: false } as const;

interface Review extends VirtualResource {
  answer(exchange: Exchange, sent: unknown): object;
}

const reviews: readonly Review[] = [
  {
    ...AUTHORIZATION,
    kind: 'SelfSubjectAccessReview',
    plural: 'selfsubjectaccessreviews',
    singular: 'selfsubjectaccessreview',
    answer: (exchange, sent) => answerAccess(sent as SelfSubjectAccessReview, identityOf(exchange)),
  },
  {
    ...AUTHORIZATION,
    kind: 'SubjectAccessReview',
    plural: 'subjectaccessreviews',
    singular: 'subjectaccessreview',
    answer: (_exchange, sent) => {
      const review = sent as SubjectAccessReview;
      const { user = '', groups = [] } = review.spec ?? {};
      return answerAccess(review, { user, groups }, user === '' && groups.length === 0);
    },
  },
  {
    ...AUTHENTICATION,
    kind: 'SelfSubjectReview',
    plural: 'selfsubjectreviews',
    singular: 'selfsubjectreview',
    answer: (exchange, sent) => {
      const { user, groups, uid, extra } = identityOf(exchange);
      const userInfo = { username: user, groups, ...(uid && { uid }), ...(extra && { extra }) };
      return { ...(sent as SelfSubjectReview), status: { userInfo } };
    },
  },
];

/** For discovery. */
export const REVIEWS: readonly VirtualResource[] = reviews.map(({ answer: _, ...resource }) => resource);

/** Answers the review that a POST asks for; undefined if the resource is none. Throws 400, 422. */
export async function answerReview(exchange: Exchange): Promise<Reply | undefined> {
  const { group, version, resource } = exchange.info;
  const review = reviews.find(
    candidate => candidate.group === group && candidate.version === version && candidate.plural === resource,
  );
  if (!review) return undefined;
  const sent = await readValue(exchange);
  if (typeof sent !== 'object' || sent === null) throw badRequest('a review needs an object as its body');
  const answer = review.answer(exchange, sent);
  const meta = { kind: review.kind, apiVersion: `${group}/${version}` };
  return jsonReply(201, { metadata: {}, ...answer, ...meta });
}

function answerAccess(
  review: SelfSubjectAccessReview | SubjectAccessReview,
  identity: Identity,
  isSubjectMissing = false,
): object {
  const { resourceAttributes: resource, nonResourceAttributes: path }: Partial<SubjectAccessReviewSpec> =
    review.spec ?? {};
  const errors: FieldError[] = [];
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
    path: path?.path ?? '',
    isResource: resource !== undefined,
    verb: (resource ?? path)?.verb ?? '',
    group: resource?.group ?? '',
    version: resource?.version ?? '',
    namespace: resource?.namespace ?? '',
    resource: resource?.resource ?? '',
    subresource: resource?.subresource ?? '',
    name: resource?.name ?? '',
    rest: '',
  };
  const known = { ...identity, groups: [...identity.groups, 'system:authenticated'] };
  const verdict = decide({ identity: known, info, query: new URLSearchParams() });
  const reason = verdict.allowed ? undefined : verdict.reason;
  return { ...review, status: { allowed: verdict.allowed, ...(reason && { reason }) } };
}
