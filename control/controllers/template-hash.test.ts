import test from 'ava';
import { dumpPodTemplate } from './go-dump.ts';
import { revisionDataHash, templateHash } from './template-hash.ts';

const container = (name: string, image: string, more: object = {}) => ({
  name,
  image,
  resources: {},
  terminationMessagePath: '/dev/termination-log',
  terminationMessagePolicy: 'File',
  imagePullPolicy: image.includes(':') ? 'IfNotPresent' : 'Always',
  ...more,
});
const template = (app: string, ...containers: ReturnType<typeof container>[]) => ({
  metadata: { labels: { app } },
  spec: {
    containers,
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    securityContext: {},
    schedulerName: 'default-scheduler',
  },
});

/** What Kubernetes v1.33 was seen to give. */
test('hashes of templates are those of Kubernetes', t => {
  t.is(templateHash(template('d', container('x', 'x'))), '676865bc9');
  t.is(templateHash(template('w', container('x', 'x'))), '7b4d7648b8');
  const ports = [{ containerPort: 80, protocol: 'TCP' }];
  t.is(templateHash(template('web', container('nginx', 'nginx:1.25', { ports }))), 'dc64c95dd');
});

test('hashes of revisions are those of Kubernetes', t => {
  const data = (image: string) => ({
    spec: {
      template: {
        ...template('s', container('c', image)),
        metadata: { labels: { app: 's' }, creationTimestamp: null },
        $patch: 'replace',
      },
    },
  });
  t.is(revisionDataHash(data('x:1'), 0), '67c74788b8');
  t.is(revisionDataHash(data('x:2'), 0), '5dfd58bb4f');
  t.not(revisionDataHash(data('x:1'), 1), '67c74788b8');
});

test('another name is found after a collision, and the order of fields does not matter', t => {
  const one = template('d', container('x', 'x'));
  t.not(templateHash(one, 1), templateHash(one));
  t.is(templateHash({ spec: one.spec, metadata: one.metadata }), templateHash(one));
});

test('what a template can hold is told as Go lays it out', t => {
  const rich = {
    metadata: { labels: { b: '2', a: '1' }, creationTimestamp: null },
    spec: {
      hostNetwork: true,
      priority: 0,
      volumes: [{ name: 'v', emptyDir: { sizeLimit: '1Mi' } }],
      containers: [
        container('c', 'x', {
          resources: { requests: { memory: '64Mi', cpu: '100m' }, limits: { pods: '0' } },
          readinessProbe: { httpGet: { path: '/', port: 'web' }, periodSeconds: 10 },
          lifecycle: { preStop: { tcpSocket: { port: 80 } } },
        }),
      ],
    },
  };
  const text = dumpPodTemplate(rich);
  const parts = [
    'Labels:(map[string]string)map[a:1 b:2]',
    'HostNetwork:(bool)true',
    'Priority:(*int32)0',
    '[{Name:(string)v VolumeSource:(v1.VolumeSource){HostPath:(*v1.HostPathVolumeSource)<nil> EmptyDir:(*v1.EmptyDirVolumeSource){Medium:(v1.StorageMedium) SizeLimit:(*resource.Quantity){i:(resource.int64Amount){value:(int64)1048576 scale:(resource.Scale)0} d:(resource.infDecAmount){Dec:(*inf.Dec)<nil>} s:(string)1Mi Format:(resource.Format)BinarySI}}',
    'Requests:(v1.ResourceList)map[cpu:{i:(resource.int64Amount){value:(int64)100 scale:(resource.Scale)-3} d:(resource.infDecAmount){Dec:(*inf.Dec)<nil>} s:(string)100m Format:(resource.Format)DecimalSI} memory:{',
    'pods:{i:(resource.int64Amount){value:(int64)0 scale:(resource.Scale)0} d:(resource.infDecAmount){Dec:(*inf.Dec)<nil>} s:(string)0 Format:(resource.Format)}',
    'ReadinessProbe:(*v1.Probe){ProbeHandler:(v1.ProbeHandler){Exec:(*v1.ExecAction)<nil> HTTPGet:(*v1.HTTPGetAction){Path:(string)/ Port:(intstr.IntOrString){Type:(intstr.Type)1 IntVal:(int32)0 StrVal:(string)web}',
    'TCPSocket:(*v1.TCPSocketAction){Port:(intstr.IntOrString){Type:(intstr.Type)0 IntVal:(int32)80 StrVal:(string)}',
  ];
  for (const part of parts) t.true(text.includes(part), part);
});
