import test from 'ava';
import * as fc from 'fast-check';
import { ApiError } from '../status.ts';
import { decodeProtobuf } from './decode.ts';
import { bytesField, encodeProtobuf as encode, numberField, text } from './testing/encode.ts';

/** What kubectl 1.33 sent for these commands, and the object that it meant. */
const CAPTURED: readonly (readonly [command: string, base64: string, object: object])[] = [
  [
    'create deployment web --image=nginx:1 --replicas=0 --port=80',
    'azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50EroBCh8KA3dlYhIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEogBCAASDAoKCgNhcHASA3dlYhpuChwKABIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEk4SMAoFbmdpbngSB25naW54OjEqADIKCgAQABhQIgAqAEIAagByAIABAIgBAJABAKIBABoAMgBCAEoAUgBYAGAAaACCAQCKAQCaAQDCAQAiAgoAKAA4ABoMCAAQABgAIAAoADgAGgAiAA==',
    {
      kind: 'Deployment',
      apiVersion: 'apps/v1',
      metadata: { name: 'web', labels: { app: 'web' } },
      spec: {
        replicas: 0,
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: { containers: [{ name: 'nginx', image: 'nginx:1', ports: [{ containerPort: 80 }] }] },
        },
      },
    },
  ],
  [
    'create configmap cm --from-literal=a=b --from-literal=e=',
    'azhzAAoPCgJ2MRIJQ29uZmlnTWFwEiMKEgoCY20SABoAIgAqADIAOABCABIGCgFhEgFiEgUKAWUSABoAIgA=',
    { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'cm' }, data: { a: 'b', e: '' } },
  ],
  [
    "create cronjob cj --image=busybox --schedule='* * * * *'",
    'azhzAAoTCghiYXRjaC92MRIHQ3JvbkpvYhKcAQoSCgJjahIAGgAiACoAMgA4AEIAEoMBCgkqICogKiAqICoaACp0ChIKAmNqEgAaACIAKgAyADgAQgASXjJcChAKABIAGgAiACoAMgA4AEIAEkgSIQoCY2oSB2J1c3lib3gqAEIAagByAIABAIgBAJABAKIBABoJT25GYWlsdXJlMgBCAEoAUgBYAGAAaACCAQCKAQCaAQDCAQAaABoAIgA=',
    {
      kind: 'CronJob',
      apiVersion: 'batch/v1',
      metadata: { name: 'cj' },
      spec: {
        schedule: '* * * * *',
        jobTemplate: {
          metadata: { name: 'cj' },
          spec: { template: { spec: { containers: [{ name: 'cj', image: 'busybox' }], restartPolicy: 'OnFailure' } } },
        },
      },
    },
  ],
  [
    'create secret generic s --from-literal=p=q',
    'azhzAAoMCgJ2MRIGU2VjcmV0Eh0KEQoBcxIAGgAiACoAMgA4AEIAEgYKAXASAXEaABoAIgA=',
    { kind: 'Secret', apiVersion: 'v1', metadata: { name: 's' }, data: { p: 'cQ==' } },
  ],
  [
    'create service clusterip svc --tcp=80:8080',
    'azhzAAoNCgJ2MRIHU2VydmljZRJpCh8KA3N2YxIAGgAiACoAMgA4AEIAWgoKA2FwcBIDc3ZjEkIKGwoHODAtODA4MBIDVENQGFAiBwgAEJA/GgAoABIKCgNhcHASA3N2YxoAIglDbHVzdGVySVA6AEIAUgBaAGAAaAAaAgoAGgAiAA==',
    {
      kind: 'Service',
      apiVersion: 'v1',
      metadata: { name: 'svc', labels: { app: 'svc' } },
      spec: {
        ports: [{ name: '80-8080', protocol: 'TCP', port: 80, targetPort: 8080 }],
        selector: { app: 'svc' },
        type: 'ClusterIP',
      },
    },
  ],
  [
    'create role r --verb=get --resource=pods',
    'azhzAAokChxyYmFjLmF1dGhvcml6YXRpb24uazhzLmlvL3YxEgRSb2xlEiIKEQoBchIAGgAiACoAMgA4AEIAEg0KA2dldBIAGgRwb2RzGgAiAA==',
    {
      kind: 'Role',
      apiVersion: 'rbac.authorization.k8s.io/v1',
      metadata: { name: 'r' },
      rules: [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }],
    },
  ],
  [
    'create token sa --duration=1h',
    'azhzAAooChhhdXRoZW50aWNhdGlvbi5rOHMuaW8vdjESDFRva2VuUmVxdWVzdBIdChAKABIAGgAiACoAMgA4AEIAEgMgkBwaBAoAEgAaACIA',
    {
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      spec: { expirationSeconds: 3600 },
      status: { token: '' },
    },
  ],
  [
    'create pdb p --selector=a=b --min-available=50%',
    'azhzAAogCglwb2xpY3kvdjESE1BvZERpc3J1cHRpb25CdWRnZXQSNgoRCgFwEgAaACIAKgAyADgAQgASFQoJCAEQABoDNTAlEggKBgoBYRIBYhoKCAAYACAAKAAwABoAIgA=',
    {
      kind: 'PodDisruptionBudget',
      apiVersion: 'policy/v1',
      metadata: { name: 'p' },
      spec: { minAvailable: '50%', selector: { matchLabels: { a: 'b' } } },
      status: { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 },
    },
  ],
  [
    'create quota q --hard=cpu=1,memory=1Gi',
    'azhzAAoTCgJ2MRINUmVzb3VyY2VRdW90YRI0ChEKAXESABoAIgAqADIAOABCABIdCgoKA2NwdRIDCgExCg8KBm1lbW9yeRIFCgMxR2kaABoAIgA=',
    { kind: 'ResourceQuota', apiVersion: 'v1', metadata: { name: 'q' }, spec: { hard: { cpu: '1', memory: '1Gi' } } },
  ],
  [
    'create priorityclass pc --value=0',
    'azhzAAolChRzY2hlZHVsaW5nLms4cy5pby92MRINUHJpb3JpdHlDbGFzcxIwChIKAnBjEgAaACIAKgAyADgAQgAQABgAIgAqFFByZWVtcHRMb3dlclByaW9yaXR5GgAiAA==',
    {
      kind: 'PriorityClass',
      apiVersion: 'scheduling.k8s.io/v1',
      metadata: { name: 'pc' },
      value: 0,
      preemptionPolicy: 'PreemptLowerPriority',
    },
  ],
];
for (const [command, base64, object] of CAPTURED) {
  test(`decodes what kubectl ${command} sends`, t => {
    t.deepEqual(decodeProtobuf(Buffer.from(base64, 'base64')) as object, object);
  });
}

for (const object of [
  {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: {
      name: 'p',
      creationTimestamp: '2026-01-02T03:04:05Z',
      managedFields: [{ manager: 'm', fieldsType: 'FieldsV1', fieldsV1: { 'f:spec': { '.': {} } } }],
      ownerReferences: [{ kind: 'K', name: 'o', uid: 'u', apiVersion: 'v1', controller: false }],
    },
    spec: {
      volumes: [
        { name: 'e', emptyDir: {} },
        { name: 'h', hostPath: { path: '/x', type: '' } },
      ],
      containers: [
        {
          name: 'c',
          resources: { limits: { cpu: '100m' } },
          livenessProbe: { httpGet: { port: 'web' }, initialDelaySeconds: 3 },
          readinessProbe: { tcpSocket: { port: 80 } },
          securityContext: { runAsUser: 0, privileged: false },
        },
      ],
      terminationGracePeriodSeconds: 0,
      hostIPC: true,
      tolerations: [{ operator: 'Exists' }, {}],
    },
    status: { podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }] },
  },
  {
    kind: 'Lease',
    apiVersion: 'coordination.k8s.io/v1',
    spec: { holderIdentity: 'h', renewTime: '2026-01-02T03:04:05.000123Z', leaseTransitions: 0 },
  },
  { kind: 'ControllerRevision', apiVersion: 'apps/v1', data: { spec: { a: [1] } }, revision: 0 },
  { kind: 'PriorityClass', apiVersion: 'scheduling.k8s.io/v1', value: -10 },
  { kind: 'DeleteOptions', apiVersion: 'apps/v1', gracePeriodSeconds: 0, propagationPolicy: 'Background' },
  {
    kind: 'APIService',
    apiVersion: 'apiregistration.k8s.io/v1',
    metadata: { name: 'v1alpha1.wardle.example.com' },
    spec: {
      service: { namespace: 'n', name: 'sample-api', port: 7443 },
      group: 'wardle.example.com',
      version: 'v1alpha1',
      caBundle: 'Y2E=',
      groupPriorityMinimum: 2000,
      versionPriority: 200,
    },
  },
  {
    kind: 'CustomResourceDefinition',
    apiVersion: 'apiextensions.k8s.io/v1',
    metadata: { name: 'foos.example.com' },
    spec: {
      group: 'example.com',
      names: { plural: 'foos', singular: 'foo', kind: 'Foo', listKind: 'FooList' },
      scope: 'Namespaced',
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              $schema: 's',
              type: 'object',
              'x-kubernetes-preserve-unknown-fields': true,
              required: ['a'],
              properties: {
                a: { type: 'string', default: 'A', enum: ['A', 'B'], maxLength: 5 },
                b: { type: 'number', maximum: 1.5, minimum: -2, multipleOf: 0.25 },
                c: { type: 'array', items: { type: 'object', additionalProperties: { type: 'integer' } } },
                d: { type: 'object', additionalProperties: true, default: { e: [null, 1] } },
                e: { type: 'object', additionalProperties: false, dependencies: { a: ['b'], c: { type: 'string' } } },
                f: { items: [{ type: 'string' }, { type: 'integer' }], anyOf: [{ type: 'string' }] },
              },
              'x-kubernetes-validations': [{ rule: 'true', messageExpression: "'x'" }],
            },
          },
          subresources: { status: {}, scale: { specReplicasPath: '.spec.r', statusReplicasPath: '.status.r' } },
          additionalPrinterColumns: [{ name: 'A', type: 'string', jsonPath: '.a' }],
          selectableFields: [{ jsonPath: '.a' }],
        },
      ],
      conversion: {
        strategy: 'Webhook',
        webhook: {
          clientConfig: { service: { namespace: 'n', name: 's', path: '/crdconvert', port: 9443 }, caBundle: 'Y2E=' },
          conversionReviewVersions: ['v1', 'v1beta1'],
        },
      },
    },
    status: {
      conditions: [{ type: '', status: '', message: 'updated' }],
      acceptedNames: { plural: '', kind: '' },
      storedVersions: ['v1'],
    },
  },
  {
    kind: 'NetworkPolicy',
    apiVersion: 'networking.k8s.io/v1',
    spec: { podSelector: {}, ingress: [{}] },
  },
]) {
  test(`reads back a ${object.kind}`, t => {
    t.deepEqual(decodeProtobuf(encode(object)) as object, object);
  });
}

test('drops what Go writes though it is empty', t => {
  const full = {
    kind: 'Service',
    apiVersion: 'v1',
    metadata: { name: '', generation: 0 },
    spec: { clusterIP: '', ports: [{ port: 0, targetPort: 0, nodePort: 0 }], publishNotReadyAddresses: false },
    status: { loadBalancer: {} },
  };
  t.deepEqual(decodeProtobuf(encode(full)) as object, {
    kind: 'Service',
    apiVersion: 'v1',
    spec: { ports: [{ port: 0 }] },
  });
});

test('skips fields that it does not know', t => {
  const body = [...encode({ kind: 'ConfigMap', apiVersion: 'v1' })];
  const raw = [...numberField(99, 5), ...bytesField(98, [1, 2]), ...bytesField(1, bytesField(1, text('n')))];
  const typeMeta = [...bytesField(1, text('v1')), ...bytesField(2, text('ConfigMap'))];
  const extended = Uint8Array.from([...body.slice(0, 4), ...bytesField(1, typeMeta), ...bytesField(2, raw)]);
  t.deepEqual(decodeProtobuf(extended) as object, { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'n' } });
});

test('refuses what is no such message with a bad request', t => {
  const refused = (body: Uint8Array) => t.throws(() => decodeProtobuf(body), { instanceOf: ApiError })?.message;
  t.regex(refused(text('{}')) ?? '', /does not appear to be a protobuf message/);
  t.regex(refused(Uint8Array.of(0x6b, 0x38, 0x73, 0, 10, 200)) ?? '', /unexpected EOF/);
  const unknown = bytesField(1, [...bytesField(1, text('x/v1')), ...bytesField(2, text('Nope'))]);
  t.is(refused(Uint8Array.from([0x6b, 0x38, 0x73, 0, ...unknown])), 'no kind "Nope" is registered for version "x/v1"');
});

test('whatever the bytes, it either decodes or refuses with a bad request', t => {
  const result = fc.check(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom('Pod', 'Service', 'Event'), (raw, kind) => {
      const typeMeta = [...bytesField(1, text('v1')), ...bytesField(2, text(kind))];
      try {
        return (
          'kind' in
          decodeProtobuf(Uint8Array.from([0x6b, 0x38, 0x73, 0, ...bytesField(1, typeMeta), ...bytesField(2, raw)]))
        );
      } catch (error) {
        return error instanceof ApiError && error.code === 400;
      }
    }),
    { numRuns: 2000 },
  );
  t.false(result.failed, JSON.stringify(result.counterexample));
});
