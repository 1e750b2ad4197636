import test from 'ava';
import { isCritical } from '../pods/admission.ts';
import { ManifestError, readManifest } from './manifest.ts';

const YAML = `apiVersion: v1
kind: Pod
metadata: {name: web, uid: mine, annotations: {a: b, kubernetes.io/config.source: api}, finalizers: [x/y]}
spec:
  containers: [{name: c, image: "nginx:1"}]
`;
const read = (text: string, file = 'web.yaml') => readManifest({ text, file, nodeName: 'node-1' });

test('a manifest becomes a pod of the node, defaulted as the API server does', t => {
  const pod = read(YAML);
  t.like(pod.metadata, { name: 'web-node-1', namespace: 'default' });
  const { uid = '', annotations, finalizers } = pod.metadata ?? {};
  t.regex(uid, /^[0-9a-f]{32}$/);
  t.is(finalizers, undefined);
  t.deepEqual(annotations, { a: 'b', 'kubernetes.io/config.hash': uid, 'kubernetes.io/config.source': 'file' });
  t.like(pod.spec, { nodeName: 'node-1', restartPolicy: 'Always', terminationGracePeriodSeconds: 30 });
  t.deepEqual(pod.spec?.tolerations, [{ operator: 'Exists', effect: 'NoExecute' }]);
  t.is(pod.spec?.containers[0]?.imagePullPolicy, 'IfNotPresent');
  t.true(isCritical(pod));
});

test('the UID follows what the manifest says, not how it is written', t => {
  const { uid } = read(YAML).metadata ?? {};
  t.is(read(`# a word\n${YAML}`).metadata?.uid, uid);
  const json =
    '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"},"spec":{"containers":[{"name":"c","image":"n"}]}}';
  t.is(read(json).metadata?.name, 'web-node-1');
  t.not(read(YAML.replace('nginx:1', 'nginx:2')).metadata?.uid, uid);
  t.not(read(YAML, 'other.yaml').metadata?.uid, uid);
});

const broken: readonly (readonly [string, string, RegExp])[] = [
  ['nothing', '', /^invalid pod: metadata.name: Required value/],
  ['no YAML', 'a: b: c', /couldn't parse as pod: .*mapping values/],
  ['another kind', 'apiVersion: v1\nkind: Service\nmetadata: {name: a}\n', /couldn't parse as pod/],
  ['a field of another type', YAML.replace('name: c', 'name: [c]'), /couldn't parse as pod/],
  ['no name', YAML.replace('name: web, ', ''), /^invalid pod: metadata.name: /],
  ['a name that is none', YAML.replace('name: web', 'name: ../x'), /^invalid pod: metadata.name: /],
  [
    'no image',
    YAML.replace('image: "nginx:1"', 'tty: true'),
    /^invalid pod: spec.containers\[0\].image: Required value/,
  ],
];
for (const [what, text, message] of broken)
  test(`refused: ${what}`, t => {
    const error = t.throws(() => read(text), { instanceOf: ManifestError });
    t.regex(error?.message ?? '', message);
  });

test('a static pod has no volume of an image: whether the cluster has them is not for the node to say', t => {
  const volumes = [{ name: 'v', image: { reference: 'data:1' } }];
  const text = JSON.stringify({
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web' } },
    spec: { volumes, containers: [{ name: 'c', image: 'x' }] },
  });
  t.throws(() => read(text), {
    instanceOf: ManifestError,
    message: 'invalid pod: spec.volumes[0].image: not for static pods',
  });
});
