import test from 'ava';
import type { Pod, PodSpec } from '../generated/types.ts';
import { validatePod, validatePodUpdate } from './pod.ts';
import { validatePodTemplate } from './pod-spec.ts';

const pod = (more: Partial<Pod> = {}): Pod => ({
  metadata: { name: 'p', namespace: 'n' },
  spec: { containers: [{ name: 'c', image: 'x' }] },
  ...more,
});

const COST = 'controller.kubernetes.io/pod-deletion-cost';
for (const [cost, isFine] of [
  ['0', true],
  ['-1', true],
  ['2147483647', true],
  ['-2147483648', true],
  ['2147483648', false],
  ['+1', false],
  ['01', false],
  ['', false],
  ['abc', false],
] as const) {
  test(`the deletion cost ${JSON.stringify(cost)} is ${isFine ? 'fine' : 'refused'}`, t => {
    const messages = validatePod(pod({ metadata: { annotations: { [COST]: cost } } }))
      .filter(({ field }) => field.includes(COST))
      .map(({ message }) => message);
    t.deepEqual(messages, isFine ? [] : [`Invalid value: ${JSON.stringify(cost)}: must be a 32bit integer`]);
  });
}

test('only a node that reports resources can resize', t => {
  const running = (resources?: object): Pod =>
    pod({
      status: {
        containerStatuses: [
          {
            name: 'c',
            image: 'x',
            imageID: '',
            ready: true,
            restartCount: 0,
            state: { running: {} },
            ...(resources && { resources }),
          },
        ],
      },
    });
  const messages = (old: Pod) => validatePodUpdate(pod(), old, 'resize').map(({ message }) => message);
  t.deepEqual(messages(running()), ['Forbidden: Pod running on node without support for resize']);
  t.deepEqual(messages(running({})), []);
  t.deepEqual(messages(pod()), []);
});

test('a spec that a write leaves the very value that it was is not judged again', t => {
  const old = pod({ spec: { containers: [] } });
  const fields = (now: Pod, before?: Pod) => validatePod(now, before).map(({ field }) => field);
  t.true(fields(old).includes('spec.containers'));
  t.deepEqual(fields({ ...old, status: { podIPs: [{ ip: 'x' }] } }, old), ['status.podIPs[0]']);
  t.deepEqual(fields(structuredClone(old), old), fields(old));
});

test('volumes of images: what Kubernetes 1.33 says of them', t => {
  const withVolume = (volume: object) =>
    pod({
      spec: {
        volumes: [{ name: 'v', ...volume }],
        containers: [
          { name: 'c', image: 'x', volumeMounts: [{ name: 'v', mountPath: '/v', subPath: 'part', readOnly: true }] },
        ],
      },
    });
  const said = (volume: object) =>
    validatePod(withVolume(volume))
      .filter(({ field }) => field.includes('olume'))
      .map(({ field, message }) => `${field}: ${message}`);
  const path = 'spec.volumes[0]';
  t.deepEqual(said({ image: { reference: 'data:1', pullPolicy: 'IfNotPresent' } }), []);
  t.deepEqual(said({ image: { reference: '', pullPolicy: 'Never' } }), [`${path}.image.reference: Required value`]);
  t.deepEqual(said({ image: { reference: 'data:1' } }), [`${path}.image.pullPolicy: Required value`]);
  t.deepEqual(said({ image: { reference: 'data:1', pullPolicy: 'Often' } }), [
    `${path}.image.pullPolicy: Unsupported value: "Often": supported values: "Always", "IfNotPresent", "Never"`,
  ]);
  t.deepEqual(said({ emptyDir: {}, image: { reference: 'data:1', pullPolicy: 'Never' } }), [
    `${path}.image: Forbidden: may not specify more than 1 volume type`,
  ]);
  t.deepEqual(
    validatePodTemplate(
      { spec: { ...withVolume({ image: { pullPolicy: 'Never' } }).spec, containers: [] } as PodSpec },
      'template',
    ).filter(({ field }) => field.includes('volumes')),
    [],
    'a template may leave the reference open',
  );
});
