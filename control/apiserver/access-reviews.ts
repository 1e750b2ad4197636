/** What access reviews answer: may I, may he, and what may I at all. Put to the same authorizer that requests go through. */
import type {
  LocalSubjectAccessReview,
  NonResourceAttributes,
  NonResourceRule,
  ResourceRule,
  SelfSubjectAccessReview,
  SelfSubjectRulesReview,
  SubjectAccessReview,
  SubjectAccessReviewSpec,
  SubjectRulesReviewStatus,
} from '../api/generated/types.ts';
import { badRequest, type FieldError, invalid } from '../api/status.ts';
import { goQuote, invalidText, invalidValue, invalidWithoutValue } from '../api/validation/errors.ts';
import type { Attributes } from './auth/attributes.ts';
import { nodeNameOf } from './auth/authorization.ts';
import type { Authorizer } from './auth/authorizer.ts';
import { aggregate } from './auth/rbac/rbac-authorizer.ts';
import type { Identity } from './types.ts';

type AccessReview = SelfSubjectAccessReview | SubjectAccessReview | LocalSubjectAccessReview;

/** May I? Throws 422. */
export async function answerSelf(
  review: SelfSubjectAccessReview,
  identity: Identity,
  authorizer: Authorizer,
): Promise<object> {
  refuse(problemsOfAttributes(review));
  return answerAccess(review, identity, authorizer);
}

/** May he? Throws 422. */
export async function answerSubject(review: SubjectAccessReview, authorizer: Authorizer): Promise<object> {
  refuse([...problemsOfAttributes(review), ...problemsOfSubject(review)]);
  return answerAccess(review, subjectOf(review), authorizer);
}

/** May he, in this namespace? Throws 422. */
export async function answerLocal(
  review: LocalSubjectAccessReview,
  namespace: string,
  authorizer: Authorizer,
): Promise<object> {
  const { resourceAttributes: resource, nonResourceAttributes: path } = review.spec ?? {};
  const problems = [...problemsOfAttributes(review), ...problemsOfSubject(review)];
  const given = resource?.namespace ?? '';
  if (resource && given !== namespace) {
    problems.push(invalidValue('spec.resourceAttributes.namespace', given, 'must match metadata.namespace'));
  }
  if (path) {
    problems.push(invalidText('spec.nonResourceAttributes', goPath(path), 'disallowed on this kind of request'));
  }
  refuse(problems);
  return answerAccess(review, subjectOf(review), authorizer);
}

function refuse(problems: readonly FieldError[]): void {
  if (problems.length > 0) throw invalid({ group: 'authorization.k8s.io', kind: '' }, '', problems);
}

function problemsOfAttributes({ spec }: AccessReview): FieldError[] {
  const { resourceAttributes: resource, nonResourceAttributes: path }: Partial<SubjectAccessReviewSpec> = spec ?? {};
  if (resource && path) {
    const detail = 'cannot be specified in combination with resourceAttributes';
    return [invalidText('spec.nonResourceAttributes', goPath(path), detail)];
  }
  if (resource || path) return [];
  const detail = '"null": exactly one of nonResourceAttributes or resourceAttributes must be specified';
  return [invalidWithoutValue('spec.resourceAttributes', detail)];
}

function problemsOfSubject({ spec }: SubjectAccessReview | LocalSubjectAccessReview): FieldError[] {
  const { user = '', groups = [] } = spec ?? {};
  if (user !== '' || groups.length > 0) return [];
  return [invalidValue('spec.user', '', 'at least one of user or group must be specified')];
}

const goPath = ({ path = '', verb = '' }: NonResourceAttributes): string =>
  `authorization.NonResourceAttributes{Path:${goQuote(path)}, Verb:${goQuote(verb)}}`;

/** Exactly as named: who is asked about is in no group besides. */
const subjectOf = ({ spec }: SubjectAccessReview | LocalSubjectAccessReview): Identity => ({
  user: spec?.user ?? '',
  groups: spec?.groups ?? [],
  ...(spec?.uid && { uid: spec.uid }),
  ...(spec?.extra && { extra: spec.extra }),
});

async function answerAccess(review: AccessReview, identity: Identity, authorizer: Authorizer): Promise<object> {
  const { resourceAttributes: resource, nonResourceAttributes: path }: Partial<SubjectAccessReviewSpec> =
    review.spec ?? {};
  const asked: Attributes = {
    identity,
    verb: (resource ?? path)?.verb ?? '',
    isResource: resource !== undefined,
    path: path?.path ?? '',
    group: resource?.group ?? '',
    namespace: resource?.namespace ?? '',
    resource: resource?.resource ?? '',
    subresource: resource?.subresource ?? '',
    name: resource?.name ?? '',
  };
  const { allowed, reason } = await authorizer.authorize(asked);
  return { ...review, status: { allowed, ...(reason && { reason }) } };
}

/** What may I at all? Nodes are told that this is not all of it: what they may depends on their pods. */
export async function answerRules(
  review: SelfSubjectRulesReview,
  identity: Identity,
  authorizer: Authorizer,
): Promise<object> {
  const { namespace } = review.spec ?? {};
  if (!namespace) throw badRequest('no namespace on request');
  const { rules, errors } = await authorizer.rulesFor(identity, namespace);
  const resourceRules: ResourceRule[] = [];
  const nonResourceRules: NonResourceRule[] = [];
  for (const { verbs, apiGroups, resources, resourceNames, nonResourceURLs } of rules) {
    if (resources && resources.length > 0) {
      resourceRules.push({
        verbs,
        ...(apiGroups && { apiGroups }),
        resources,
        ...(resourceNames && { resourceNames }),
      });
    }
    if (nonResourceURLs && nonResourceURLs.length > 0) nonResourceRules.push({ verbs, nonResourceURLs });
  }
  const problems = [
    ...(nodeNameOf(identity) === undefined ? [] : ['node authorizer does not support user rule resolution']),
    ...errors,
  ];
  const status: SubjectRulesReviewStatus = {
    resourceRules,
    nonResourceRules,
    incomplete: problems.length > 0,
    ...(problems.length > 0 && { evaluationError: aggregate(problems) }),
  };
  return { spec: {}, status };
}
