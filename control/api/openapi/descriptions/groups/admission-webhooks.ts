/** The group admissionregistration.k8s.io: webhooks that change or refuse requests. */
import type { TextTable } from '../texts.ts';

const WEBHOOK = {
  admissionReviewVersions:
    'Versions of AdmissionReview that the server understands, the preferred one first. One of them has to be v1 or v1beta1.',
  clientConfig: 'Where the server is.',
  failurePolicy:
    'What happens if the server does not answer as it should: "Fail", the default, refuses the request, "Ignore" lets it pass.',
  matchConditions:
    'Expressions in CEL that all have to be true of a request, or the server is not asked about it; at most 64. Where one fails, failurePolicy counts, unless another is false.',
  matchPolicy:
    'Whether rules fit a request that came in another version of the kind: "Equivalent", the default, converts it and asks; "Exact" does not ask.',
  name: 'Name of the webhook: a domain of three parts or more, such as check.example.com. Each once.',
  namespaceSelector:
    'Labels of the namespaces whose requests are asked about. For namespaces it is their own labels; what is in no namespace always fits. By default all.',
  objectSelector:
    'Labels of the objects that are asked about: that of the object before or after the request has to fit. By default all. Users may set the labels of their objects, so it is no safeguard.',
  rules:
    'Which requests are asked about; one that fits is enough. Webhook configurations and admission policies themselves are never asked about.',
  sideEffects:
    'Whether the server does anything else when it is asked: "None", or "NoneOnDryRun" where it does, but not for trial runs. "Some" and "Unknown" are refused.',
  timeoutSeconds: 'Seconds that the server may take; 1 to 30, 10 by default. Then failurePolicy counts.',
} as const;

const RULE = {
  apiGroups: 'API groups; "" is the core group, "*" alone is all.',
  apiVersions: 'API versions; "*" alone is all.',
  operations: 'What is done: "CREATE", "UPDATE", "DELETE", "CONNECT", or "*" alone for all.',
  resources:
    'Resources in the plural, such as pods. "pods/status" is a subresource, "pods/*" all of them, "*/scale" that of all resources, "*" all resources, "*/*" these and all subresources.',
  scope:
    'Whether objects in namespaces are meant: "Namespaced", "Cluster" for the others, or "*", the default, for both.',
} as const;

export const ADMISSION_WEBHOOKS: TextTable = {
  prefix: 'io.k8s.api.admissionregistration.v1.',
  texts: {
    MutatingWebhookConfiguration: {
      itself:
        'MutatingWebhookConfiguration names servers that are asked about requests before they are stored, and may change the objects.',
      webhooks:
        'The servers, asked one after the other: in the order of this list, and configurations in that of their names.',
    },
    MutatingWebhook: {
      itself: 'MutatingWebhook is a server that may change or refuse some requests.',
      ...WEBHOOK,
      reinvocationPolicy:
        'Whether the server is asked once more when others have changed the object after it: "IfNeeded" or "Never", the default. Its changes have to bear being made twice.',
    },
    ValidatingWebhookConfiguration: {
      itself:
        'ValidatingWebhookConfiguration names servers that are asked about requests, in the form in which they would be stored, and may refuse them.',
      webhooks: 'The servers. All are asked at the same time; one that refuses is enough.',
    },
    ValidatingWebhook: {
      itself: 'ValidatingWebhook is a server that may refuse some requests.',
      ...WEBHOOK,
    },
    RuleWithOperations: {
      itself: 'RuleWithOperations fits requests by what they do with which resources.',
      ...RULE,
    },
    NamedRuleWithOperations: {
      itself:
        'NamedRuleWithOperations fits requests by what they do with which resources, and with which of their objects.',
      ...RULE,
      resourceNames: 'Names of objects. Empty: all.',
    },
    WebhookClientConfig: {
      itself: 'WebhookClientConfig says where a server is: either url or service is set.',
      caBundle:
        'Certificates, in PEM and then base64, of who may have signed that of the server. If missing, it is those that the machine trusts.',
      service: 'A Service that leads to the server. The certificate has to be for NAME.NAMESPACE.svc.',
      url: 'Address of the server: https://HOST:PORT/PATH, without user, query or fragment.',
    },
    ServiceReference: {
      itself: 'ServiceReference names a Service that is called.',
      name: 'Name of the Service.',
      namespace: 'Namespace of the Service.',
      path: 'Path of the URL that is called.',
      port: 'Port of the Service; 443 by default.',
    },
    MatchCondition: {
      itself: 'MatchCondition is an expression that has to be true of a request.',
      expression:
        'Expression in CEL that gives true or false. It knows object, oldObject, request and authorizer; in policies also params.',
      name: 'Name of the condition, for messages and metrics; with a domain before it, if you like. Each once.',
    },
  },
};
