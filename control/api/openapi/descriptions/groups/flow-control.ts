/** The group flowcontrol.apiserver.k8s.io: who gets which part of the API server when there is much to do. */
import type { TextTable } from '../texts.ts';

const VERBS = 'Verbs, such as get, list, create; "*" alone is all.';

export const FLOW_CONTROL: TextTable = {
  prefix: 'io.k8s.api.flowcontrol.v1.',
  texts: {
    FlowSchema: {
      itself:
        'FlowSchema says into which priority level some requests fall, and which of them belong together as a flow. Flows of a level get equal parts of it.',
      spec: 'Which requests are meant and where they fall.',
      status: 'Whether the schema can be used.',
    },
    FlowSchemaSpec: {
      itself: 'FlowSchemaSpec says which requests are meant and where they fall.',
      distinguisherMethod: 'What tells the flows apart. Missing: all requests are one flow.',
      matchingPrecedence:
        'Schemas with lower numbers are asked first, and the first that fits counts; of equal ones that whose name comes first. 1 to 10000, 1000 by default; 1 only for the schema exempt.',
      priorityLevelConfiguration:
        'The level that the requests fall into. If there is none of that name, the schema is passed over.',
      rules: 'Which requests are meant; one rule that fits is enough. Empty: none.',
    },
    FlowDistinguisherMethod: {
      itself: 'FlowDistinguisherMethod says what tells the flows of a schema apart.',
      type: '"ByUser": one flow for each user. "ByNamespace": one for each namespace.',
    },
    PriorityLevelConfigurationReference: {
      itself: 'PriorityLevelConfigurationReference names a priority level.',
      name: 'Name of the PriorityLevelConfiguration.',
    },
    PolicyRulesWithSubjects: {
      itself:
        'PolicyRulesWithSubjects fits requests by who sends them and what they ask for: one of the subjects and one of the rules has to fit.',
      nonResourceRules: 'Requests for paths that are no resources. This list or resourceRules has to have something.',
      resourceRules: 'Requests for resources. This list or nonResourceRules has to have something.',
      subjects: 'Who sends the requests; at least one.',
    },
    Subject: {
      itself: 'Subject is who sends requests. Only the field that kind names is set.',
      group: 'A group of users.',
      kind: '"User", "Group" or "ServiceAccount".',
      serviceAccount: 'A service account.',
      user: 'A user.',
    },
    GroupSubject: {
      itself: 'GroupSubject is all users of a group.',
      name: 'Name of the group; "*" is all.',
    },
    UserSubject: {
      itself: 'UserSubject is one user.',
      name: 'Name of the user; "*" is all.',
    },
    ServiceAccountSubject: {
      itself: 'ServiceAccountSubject is one service account, or all of a namespace.',
      name: 'Name of the service account; "*" is all of the namespace.',
      namespace: 'Namespace of the service account.',
    },
    ResourcePolicyRule: {
      itself:
        'ResourcePolicyRule fits requests for resources: verb, group and resource have to fit, and the namespace, or clusterScope where there is none.',
      apiGroups: 'API groups; "" is the core group, "*" alone is all.',
      clusterScope: 'True if requests are meant that name no namespace. False by default.',
      namespaces:
        'Namespaces of requests that name one; "*" alone is all. Empty: none, and then clusterScope has to be true.',
      resources: 'Resources and subresources in the plural, such as pods and pods/status; "*" alone is all.',
      verbs: VERBS,
    },
    NonResourcePolicyRule: {
      itself: 'NonResourcePolicyRule fits requests for paths that are no resources.',
      nonResourceURLs: 'Paths, such as /healthz. "/healthz/*" is all below it, "*" alone all.',
      verbs: VERBS,
    },
    FlowSchemaStatus: {
      itself: 'FlowSchemaStatus is how a schema stands.',
      conditions: 'What holds of the schema: "Dangling" is true where its priority level does not exist.',
    },
    FlowSchemaCondition: {
      itself: 'FlowSchemaCondition is one thing that holds, or does not, of a schema.',
    },
    PriorityLevelConfiguration: {
      itself:
        'PriorityLevelConfiguration is a part of the API server: how many requests may be served at once out of it, and what becomes of the others.',
      spec: 'What the level has, and what becomes of requests that find no room.',
      status: 'How the level stands.',
    },
    PriorityLevelConfigurationSpec: {
      itself: 'PriorityLevelConfigurationSpec says what a level has.',
      exempt: 'Settings of a level whose requests never wait. Only with the type "Exempt".',
      limited: 'Settings of a level with bounds. Only with the type "Limited".',
      type: '"Limited": requests may have to wait. "Exempt": they never do; only the level named exempt has it.',
    },
    ExemptPriorityLevelConfiguration: {
      itself: 'ExemptPriorityLevelConfiguration is a level whose requests are served at once, however many there are.',
      lendablePercent: 'How much of its seats others may use while they are free, in percent, 0 to 100. 0 by default.',
      nominalConcurrencyShares:
        'Share of the seats that is set aside for the level. 0 by default: nothing, which does not hold its requests back.',
    },
    LimitedPriorityLevelConfiguration: {
      itself: 'LimitedPriorityLevelConfiguration is a level with bounds.',
      borrowingLimitPercent:
        'How many seats of others the level may use, in percent of its own. Missing: as many as are lent; 0: none.',
      lendablePercent: 'How much of its seats others may use while they are free, in percent, 0 to 100. 0 by default.',
      limitResponse: 'What becomes of requests that find no seat.',
      nominalConcurrencyShares:
        'Share of the seats that the level has as its own: the seats of the server are divided by the shares of all levels. 30 by default; 0 gives none.',
    },
    LimitResponse: {
      itself: 'LimitResponse says what becomes of requests that find no seat.',
      queuing: 'How they wait. Only with the type "Queue".',
      type: '"Queue" lets them wait, "Reject" turns them away with 429.',
    },
    QueuingConfiguration: {
      itself:
        'QueuingConfiguration says how requests wait. Each flow has a hand of the queues, and a request goes to the shortest of it, so that one flow that floods leaves others a way.',
      handSize:
        'How many of the queues a flow has; 8 by default, at most queues. More give a flow more ways around others, and a flood more queues to fill.',
      queueLengthLimit: 'How many requests may wait in one queue; 50 by default. More are turned away with 429.',
      queues: 'How many queues there are; 64 by default, at most 10000000. 1 puts all flows into one.',
    },
    PriorityLevelConfigurationStatus: {
      itself: 'PriorityLevelConfigurationStatus is how a level stands.',
      conditions: 'What holds of the level.',
    },
    PriorityLevelConfigurationCondition: {
      itself: 'PriorityLevelConfigurationCondition is one thing that holds, or does not, of a level.',
    },
  },
};
