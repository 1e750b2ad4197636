/** The group authorization.k8s.io: who may do what. */
import type { TextTable } from '../texts.ts';

export const AUTHORIZATION: TextTable = {
  prefix: 'io.k8s.api.authorization.v1.',
  texts: {
    SubjectAccessReview: {
      itself: 'SubjectAccessReview asks whether somebody may do something. It is answered and not stored.',
      spec: 'The question: who wants to do what.',
      status: 'The answer: whether it is allowed.',
    },
    LocalSubjectAccessReview: {
      itself:
        'LocalSubjectAccessReview asks whether somebody may do something in one namespace, that of the address it is sent to. So the right to ask can be given namespace by namespace.',
      spec: 'The question: who wants to do what.',
      status: 'The answer: whether it is allowed.',
    },
    SelfSubjectAccessReview: {
      itself: 'SelfSubjectAccessReview asks whether you may do something. Everybody may ask; kubectl auth can-i does.',
      spec: 'The question: what you want to do.',
      status: 'The answer: whether it is allowed.',
    },
    SubjectAccessReviewSpec: {
      itself:
        'SubjectAccessReviewSpec says who wants to do what. It has user or groups, and either resourceAttributes or nonResourceAttributes.',
      extra: 'More about the user, as whoever vouches for him would tell it.',
      groups: 'Groups that the user belongs to. None is added.',
      nonResourceAttributes: 'What is to be done, if it is about a path that is no resource.',
      resourceAttributes: 'What is to be done, if it is about a resource.',
      uid: 'UID of the user.',
      user: 'Name of the user. Without groups it has to be there.',
    },
    SelfSubjectAccessReviewSpec: {
      itself: 'SelfSubjectAccessReviewSpec says what you want to do: it has one of the two fields.',
      nonResourceAttributes: 'What is to be done, if it is about a path that is no resource.',
      resourceAttributes: 'What is to be done, if it is about a resource.',
    },
    ResourceAttributes: {
      itself: 'ResourceAttributes is something that is to be done to a resource.',
      fieldSelector: 'Which objects a list, a watch or a deletecollection is narrowed down to, by their fields.',
      group: 'API group; "*" is all, empty the core group.',
      labelSelector: 'Which objects a list, a watch or a deletecollection is narrowed down to, by their labels.',
      name: 'Name of the object. Empty: any.',
      namespace: 'Namespace of the object. Empty: of all namespaces, or none if the resource is in none.',
      resource: 'Resource in the plural, such as pods; "*" is all.',
      subresource: 'Subresource, such as log. Empty: the object itself.',
      verb: 'What is to be done, such as get, list, watch, create, update, patch, delete; "*" is all.',
      version: 'API version; "*" is all.',
    },
    NonResourceAttributes: {
      itself: 'NonResourceAttributes is a request for a path that is no resource.',
      path: 'Path of the URL, such as /metrics.',
      verb: 'Method of the request in lower case, such as get.',
    },
    FieldSelectorAttributes: {
      itself: 'FieldSelectorAttributes is a field selector, in one of two forms.',
      rawSelector: 'The selector as it stands in a URL. What of it cannot be read does not count.',
      requirements: 'The selector part by part; all of them hold.',
    },
    LabelSelectorAttributes: {
      itself: 'LabelSelectorAttributes is a label selector, in one of two forms.',
      rawSelector: 'The selector as it stands in a URL. What of it cannot be read does not count.',
      requirements: 'The selector part by part; all of them hold.',
    },
    SubjectAccessReviewStatus: {
      itself: 'SubjectAccessReviewStatus is the answer whether something is allowed.',
      allowed: 'True if it is allowed.',
      denied:
        'True if somebody has said no, so that nobody else was asked. Not allowed and not denied: nobody allows it.',
      evaluationError: 'What went wrong on the way to the answer. The answer may be right all the same.',
      reason: 'Why it is allowed, or not, in words.',
    },
    SelfSubjectRulesReview: {
      itself:
        'SelfSubjectRulesReview asks for all that you may do in a namespace, for programs that show it. To find out whether one thing is allowed, ask with a SelfSubjectAccessReview.',
      spec: 'The question: in which namespace.',
      status: 'The answer: what you may do there.',
    },
    SelfSubjectRulesReviewSpec: {
      itself: 'SelfSubjectRulesReviewSpec says what the question is about.',
      namespace: 'The namespace. It is required.',
    },
    SubjectRulesReviewStatus: {
      itself: 'SubjectRulesReviewStatus lists what somebody may do in a namespace.',
      evaluationError: 'What went wrong. What is listed is right, but something may be missing.',
      incomplete: 'True if something may be missing, for instance because an authorizer cannot list its rules.',
      nonResourceRules: 'What is allowed with paths that are no resources. The order means nothing.',
      resourceRules: 'What is allowed with resources. The order means nothing; rules may overlap.',
    },
    ResourceRule: {
      itself: 'ResourceRule is something that is allowed with resources.',
      apiGroups: 'API groups; "" is the core group, "*" all.',
      resourceNames: 'Names of objects that the rule is about. Empty: all.',
      resources: 'Resources and subresources in the plural; "*" is all, "*/scale" the subresource of all of them.',
      verbs: 'What is allowed, such as get, list, create; "*" is all.',
    },
    NonResourceRule: {
      itself: 'NonResourceRule is something that is allowed with paths that are no resources.',
      nonResourceURLs: 'Paths. "*" is all, and at the end of one all below it.',
      verbs: 'Methods in lower case, such as get; "*" is all.',
    },
  },
};
