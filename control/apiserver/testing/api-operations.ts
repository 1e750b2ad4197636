/** Objects of the kinds whose API operations the conformance suite of Kubernetes v1.33 goes through, and their status. */
import { createRequest } from '../../pki/authority.ts';

export interface Case {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly kind: string;
  readonly isNamespaced: boolean;
  /** The first of three objects has index 0. */
  object(index: number): { readonly metadata?: object; readonly [field: string]: unknown };
  /** Sent to the status subresource, where there is one. */
  readonly status?: object;
  /** What becomes of it, where the server adds to it. */
  readonly statusAfter?: object;
  /** Where status lies under a path of its own besides. */
  readonly subresources?: readonly string[];
}

const { request: REQUEST } = await createRequest('e2e');

/** Kinds of networks, nodes, leases, budgets, certificates and flows. */
export const cases: readonly Case[] = [
  {
    group: 'networking.k8s.io',
    version: 'v1',
    resource: 'ingresses',
    kind: 'Ingress',
    isNamespaced: true,
    object: () => ({ spec: { defaultBackend: { service: { name: 'default-backend', port: { number: 80 } } } } }),
    status: { loadBalancer: { ingress: [{ ip: '169.1.1.1' }] } },
  },
  {
    group: 'networking.k8s.io',
    version: 'v1',
    resource: 'ingressclasses',
    kind: 'IngressClass',
    isNamespaced: false,
    object: () => ({ spec: { controller: 'example.com/controller' } }),
  },
  {
    group: 'networking.k8s.io',
    version: 'v1',
    resource: 'networkpolicies',
    kind: 'NetworkPolicy',
    isNamespaced: true,
    object: () => ({ spec: { podSelector: { matchLabels: { pod: 'a' } }, ingress: [], policyTypes: ['Ingress'] } }),
  },
  {
    group: 'networking.k8s.io',
    version: 'v1',
    resource: 'servicecidrs',
    kind: 'ServiceCIDR',
    isNamespaced: false,
    object: index => ({ spec: { cidrs: [`2001:db8:${index + 1}::/64`] } }),
    status: {
      conditions: [
        {
          type: 'StatusUpdate',
          status: 'True',
          reason: 'E2E',
          message: 'x',
          lastTransitionTime: '2026-01-01T00:00:00Z',
        },
      ],
    },
  },
  {
    group: 'networking.k8s.io',
    version: 'v1',
    resource: 'ipaddresses',
    kind: 'IPAddress',
    isNamespaced: false,
    object: index => ({
      metadata: { name: `192.168.2.${index + 1}` },
      spec: { parentRef: { group: 'apps', resource: 'testing', namespace: 'ns', name: 'fake' } },
    }),
  },
  {
    group: 'discovery.k8s.io',
    version: 'v1',
    resource: 'endpointslices',
    kind: 'EndpointSlice',
    isNamespaced: true,
    object: index => ({ addressType: 'IPv4', endpoints: [{ addresses: [`1.2.3.${index}`] }] }),
  },
  {
    group: '',
    version: 'v1',
    resource: 'endpoints',
    kind: 'Endpoints',
    isNamespaced: true,
    object: () => ({ subsets: [{ addresses: [{ ip: '10.0.0.24' }], ports: [{ name: 'http', port: 80 }] }] }),
  },
  {
    group: '',
    version: 'v1',
    resource: 'services',
    kind: 'Service',
    isNamespaced: true,
    object: () => ({
      spec: {
        type: 'LoadBalancer',
        loadBalancerClass: 'example.com/internal-vip',
        ports: [{ name: 'http', port: 80 }],
      },
    }),
    status: { loadBalancer: { ingress: [{ ip: '203.0.113.1' }] } },
    statusAfter: { loadBalancer: { ingress: [{ ip: '203.0.113.1', ipMode: 'VIP' }] } },
  },
  {
    group: '',
    version: 'v1',
    resource: 'nodes',
    kind: 'Node',
    isNamespaced: false,
    object: () => ({ spec: { unschedulable: true } }),
    status: { nodeInfo: { bootID: 'x', kernelVersion: '6' } },
  },
  {
    group: 'coordination.k8s.io',
    version: 'v1',
    resource: 'leases',
    kind: 'Lease',
    isNamespaced: true,
    object: () => ({
      spec: {
        holderIdentity: 'holder',
        leaseDurationSeconds: 30,
        acquireTime: '2026-01-01T00:00:00.000000Z',
        renewTime: '2026-01-01T00:00:05.000000Z',
        leaseTransitions: 0,
      },
    }),
  },
  {
    group: 'policy',
    version: 'v1',
    resource: 'poddisruptionbudgets',
    kind: 'PodDisruptionBudget',
    isNamespaced: true,
    object: () => ({ spec: { selector: { matchLabels: { foo: 'bar' } }, minAvailable: '1%' } }),
    status: {
      observedGeneration: 1,
      disruptedPods: { x: '2026-01-01T00:00:00Z' },
      disruptionsAllowed: 0,
      currentHealthy: 0,
      desiredHealthy: 0,
      expectedPods: 0,
    },
  },
  {
    group: 'certificates.k8s.io',
    version: 'v1',
    resource: 'certificatesigningrequests',
    kind: 'CertificateSigningRequest',
    isNamespaced: false,
    object: () => ({
      spec: {
        request: Buffer.from(REQUEST).toString('base64'),
        signerName: 'example.com/e2e',
        usages: ['digital signature', 'key encipherment', 'server auth'],
      },
    }),
    status: { conditions: [{ type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'x' }] },
    subresources: ['approval', 'status'],
  },
  {
    group: 'flowcontrol.apiserver.k8s.io',
    version: 'v1',
    resource: 'flowschemas',
    kind: 'FlowSchema',
    isNamespaced: false,
    object: () => ({
      spec: {
        matchingPrecedence: 10_000,
        priorityLevelConfiguration: { name: 'global-default' },
        distinguisherMethod: { type: 'ByUser' },
        rules: [
          {
            subjects: [{ kind: 'User', user: { name: 'example-e2e-non-existent-user' } }],
            nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
          },
        ],
      },
    }),
    status: {
      conditions: [
        { type: 'E2E', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z', reason: 'E2E', message: 'x' },
      ],
    },
  },
  {
    group: 'flowcontrol.apiserver.k8s.io',
    version: 'v1',
    resource: 'prioritylevelconfigurations',
    kind: 'PriorityLevelConfiguration',
    isNamespaced: false,
    object: () => ({
      spec: { type: 'Limited', limited: { nominalConcurrencyShares: 2, limitResponse: { type: 'Reject' } } },
    }),
    status: {
      conditions: [
        { type: 'E2E', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z', reason: 'E2E', message: 'x' },
      ],
    },
  },
];
