/** What volumes demand of a pod's node, and why a pod waits for them. */
import test from 'ava';
import type {
  CSINode,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
  Volume,
} from '../../api/generated/types.ts';
import { ClusterSnapshot } from '../snapshot.ts';
import { answer } from '../testing/answer.ts';

const ZONE = 'topology.kubernetes.io/zone';
const OLD_ZONE = 'failure-domain.beta.kubernetes.io/zone';
const REGION = 'topology.kubernetes.io/region';
const node = (name: string, zone?: string): Node => ({
  metadata: { name, labels: { name, ...(zone && { [ZONE]: zone }) } },
  status: { allocatable: { cpu: '4', memory: '8Gi', pods: '10' } },
});
const pod = (name: string, volumes: readonly Volume[], more: { priority?: number; on?: string } = {}): Pod => ({
  metadata: { name, uid: name, namespace: 'n' },
  spec: {
    containers: [{ name: 'c', image: 'x' }],
    volumes: [...volumes],
    priority: more.priority ?? 0,
    ...(more.on && { nodeSelector: { name: more.on } }),
  },
});
const using = (...names: string[]): Volume[] =>
  names.map(claimName => ({ name: claimName, persistentVolumeClaim: { claimName } }));
interface ClaimOptions {
  readonly className?: string;
  readonly size?: string;
  readonly modes?: string[];
  readonly volume?: string;
  readonly more?: Partial<PersistentVolumeClaim>;
}
const claim = (
  name: string,
  { className, size = '1Gi', modes, volume, more }: ClaimOptions = {},
): PersistentVolumeClaim => ({
  metadata: {
    name,
    namespace: 'n',
    uid: name,
    ...(volume && { annotations: { 'pv.kubernetes.io/bind-completed': 'yes' } }),
    ...more?.metadata,
  },
  spec: {
    accessModes: modes ?? ['ReadWriteOnce'],
    resources: { requests: { storage: size } },
    ...(className && { storageClassName: className }),
    ...(volume && { volumeName: volume }),
  },
  ...(more?.status && { status: more.status }),
});
const only = (...names: string[]) => ({
  required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'name', operator: 'In', values: names }] }] },
});
const volume = (
  name: string,
  spec: PersistentVolume['spec'],
  labels: Record<string, string> = {},
): PersistentVolume => ({
  metadata: { name, labels },
  spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], storageClassName: 'wait', ...spec },
  status: { phase: spec?.claimRef ? 'Bound' : 'Available' },
});
const storageClass = (name: string, more: Partial<StorageClass> = {}): StorageClass => ({
  metadata: { name },
  provisioner: 'kubernetes.io/no-provisioner',
  volumeBindingMode: 'WaitForFirstConsumer',
  ...more,
});
const csi = (handle: string) => ({ csi: { driver: 'd.io', volumeHandle: handle } });
const limited = (name: string, count: number): CSINode => ({
  metadata: { name },
  spec: { drivers: [{ name: 'd.io', nodeID: name, allocatable: { count } }] },
});

interface Storage {
  readonly claims?: readonly PersistentVolumeClaim[];
  readonly volumes?: readonly PersistentVolume[];
  readonly classes?: readonly StorageClass[];
  readonly csiNodes?: readonly CSINode[];
  readonly placed?: readonly (readonly [Pod, string])[];
  /** Volumes and nodes. */
  readonly attached?: readonly (readonly [string, string])[];
}
const HOPELESS = 'preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.';
const waits = (why: string) => `0/2 nodes are available: ${why}. ${HOPELESS}`;
const FULL =
  '0/2 nodes are available: 2 node(s) exceed max volume count. preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod.';
const WAIT = [storageClass('wait')];
const cases: readonly [string, Pod, Storage, string][] = [
  ['a claim that is not there', pod('p', using('c')), {}, waits('persistentvolumeclaim "c" not found')],
  [
    'a claim that is leaving',
    pod('p', using('c')),
    {
      claims: [
        claim('c', { more: { metadata: { name: 'c', namespace: 'n', deletionTimestamp: '2026-01-01T00:00:00Z' } } }),
      ],
    },
    waits('persistentvolumeclaim "c" is being deleted'),
  ],
  [
    'a claim that lost its volume',
    pod('p', using('c')),
    { claims: [claim('c', { volume: 'v', more: { status: { phase: 'Lost' } } })] },
    waits('persistentvolumeclaim "c" bound to non-existent persistentvolume "v"'),
  ],
  [
    'a claim that is to be bound by others',
    pod('p', using('c')),
    { claims: [claim('c')] },
    waits('pod has unbound immediate PersistentVolumeClaims'),
  ],
  [
    'a claim that somebody has yet to make',
    pod('p', [{ name: 'v', ephemeral: {} }]),
    {},
    waits('waiting for ephemeral volume controller to create the persistentvolumeclaim "p-v"'),
  ],
  [
    'another’s claim of that name',
    pod('p', [{ name: 'v', ephemeral: {} }]),
    { claims: [claim('p-v', { volume: 'v' })] },
    waits('PVC n/p-v was not created for pod n/p (pod is not owner)'),
  ],
  [
    'no volume at hand',
    pod('p', using('c')),
    { claims: [claim('c', { className: 'wait' })], classes: WAIT },
    waits("2 node(s) didn't find available persistent volumes to bind"),
  ],
  [
    'a volume elsewhere',
    pod('p', using('c')),
    { claims: [claim('c', { volume: 'v' })], volumes: [volume('v', { nodeAffinity: only('z') })] },
    waits("2 node(s) didn't match PersistentVolume's node affinity"),
  ],
  [
    'a volume that is not there',
    pod('p', using('c')),
    { claims: [claim('c', { volume: 'v' })] },
    waits('persistentvolume "v" not found'),
  ],
  [
    'its volume is on one node',
    pod('p', using('c')),
    { claims: [claim('c', { volume: 'v' })], volumes: [volume('v', { nodeAffinity: only('b') })] },
    'b',
  ],
  [
    'a free volume is on one node',
    pod('p', using('c')),
    { claims: [claim('c', { className: 'wait' })], classes: WAIT, volumes: [volume('v', { nodeAffinity: only('b') })] },
    'b',
  ],
  [
    'a volume that is too small, of another mode, or another’s',
    pod('p', using('c')),
    {
      claims: [claim('c', { className: 'wait', size: '2Gi' })],
      classes: WAIT,
      volumes: [
        volume('small', {}),
        volume('block', { capacity: { storage: '2Gi' }, volumeMode: 'Block' }),
        volume('taken', { capacity: { storage: '2Gi' }, claimRef: { namespace: 'n', name: 'x', uid: 'x' } }),
        volume('shared', { capacity: { storage: '2Gi' }, accessModes: ['ReadOnlyMany'] }),
      ],
    },
    waits("2 node(s) didn't find available persistent volumes to bind"),
  ],
  [
    'two claims, one volume',
    pod('p', using('c', 'd')),
    { claims: ['c', 'd'].map(name => claim(name, { className: 'wait' })), classes: WAIT, volumes: [volume('v', {})] },
    waits("2 node(s) didn't find available persistent volumes to bind"),
  ],
  [
    'a large and a small claim share two volumes rightly',
    pod('p', using('large', 'small')),
    {
      claims: [claim('large', { className: 'wait', size: '2Gi' }), claim('small', { className: 'wait' })],
      classes: WAIT,
      volumes: [
        volume('v2', { capacity: { storage: '2Gi' }, nodeAffinity: only('b') }),
        volume('v1', { nodeAffinity: only('b') }),
      ],
    },
    'b',
  ],
  [
    'volumes are made where the class allows it',
    pod('p', using('c')),
    {
      claims: [claim('c', { className: 'made' })],
      classes: [
        storageClass('made', {
          provisioner: 'x.io/p',
          allowedTopologies: [{ matchLabelExpressions: [{ key: 'name', values: ['b'] }] }],
        }),
      ],
    },
    'b',
  ],
  [
    'a claim that was given a node before stays there',
    pod('p', using('c')),
    {
      claims: [
        claim('c', {
          className: 'made',
          more: { metadata: { name: 'c', namespace: 'n', annotations: { 'volume.kubernetes.io/selected-node': 'b' } } },
        }),
      ],
      classes: [storageClass('made', { provisioner: 'x.io/p' })],
    },
    'b',
  ],
  [
    'a volume of a zone',
    pod('p', using('c')),
    { claims: [claim('c', { volume: 'v' })], volumes: [volume('v', {}, { [ZONE]: 'z2__z3' })] },
    'b',
  ],
  [
    'a volume of no zone here',
    pod('p', using('c')),
    { claims: [claim('c', { volume: 'v' })], volumes: [volume('v', {}, { [ZONE]: 'z9' })] },
    waits('2 node(s) had no available volume zone'),
  ],
  [
    'a volume of the next zone, written with a blank',
    pod('p', using('c')),
    { claims: [claim('c', { volume: 'v' })], volumes: [volume('v', {}, { [ZONE]: 'z3__ z2' })] },
    'b',
  ],
  [
    'a volume with a label that names an empty zone says nothing',
    pod('p', using('c'), { on: 'a' }),
    { claims: [claim('c', { volume: 'v' })], volumes: [volume('v', {}, { [ZONE]: 'z9__' })] },
    'a',
  ],
  [
    'a volume with the zone’s old label and nodes with the new one',
    pod('p', using('c')),
    { claims: [claim('c', { volume: 'v' })], volumes: [volume('v', {}, { [OLD_ZONE]: 'z2' })] },
    'b',
  ],
  [
    'a volume with both labels demands both',
    pod('p', using('c')),
    { claims: [claim('c', { volume: 'v' })], volumes: [volume('v', {}, { [ZONE]: 'z2', [OLD_ZONE]: 'z1' })] },
    waits('2 node(s) had no available volume zone'),
  ],
  [
    'a volume that names a region, which no node does',
    pod('p', using('c')),
    { claims: [claim('c', { volume: 'v' })], volumes: [volume('v', {}, { [ZONE]: 'z2', [REGION]: 'r' })] },
    waits('2 node(s) had no available volume zone'),
  ],
  [
    'a node that can attach no more',
    pod('p', using('c')),
    {
      claims: [claim('c', { volume: 'v' }), claim('d', { volume: 'w' })],
      volumes: [volume('v', csi('1')), volume('w', csi('2'))],
      csiNodes: [limited('a', 1), limited('b', 1)],
      placed: [[pod('x', using('d')), 'a']],
    },
    'b',
  ],
  [
    'a volume that has gone counts for the driver of its claim’s class',
    pod('p', using('c')),
    {
      claims: [claim('c', { volume: 'v' }), claim('d', { volume: 'gone', className: 'made' })],
      classes: [storageClass('made', { provisioner: 'd.io' })],
      volumes: [volume('v', csi('1'))],
      csiNodes: [limited('a', 1), limited('b', 0)],
      placed: [[pod('x', using('d')), 'a']],
    },
    FULL,
  ],
  [
    'what is attached counts where it is attached, though no pod uses it',
    pod('p', using('c')),
    {
      claims: [claim('c', { volume: 'v' })],
      volumes: [volume('v', csi('1')), volume('w', csi('2'))],
      csiNodes: [limited('a', 1), limited('b', 0)],
      attached: [['w', 'a']],
    },
    FULL,
  ],
  [
    'the same volume attached once is enough',
    pod('p', using('c'), { on: 'a' }),
    {
      claims: [claim('c', { volume: 'v' })],
      volumes: [volume('v', csi('1'))],
      csiNodes: [limited('a', 1)],
      placed: [[pod('x', using('c')), 'a']],
    },
    'a',
  ],
  [
    'a node without any driver, of which the server serves none and no empty list',
    pod('p', using('c'), { on: 'a' }),
    {
      claims: [claim('c', { volume: 'v' })],
      volumes: [volume('v', csi('1'))],
      csiNodes: [{ metadata: { name: 'a' }, spec: JSON.parse('{"drivers":null}') }],
    },
    'a',
  ],
  [
    'nodes that can attach no more',
    pod('p', using('c')),
    {
      claims: [claim('c', { volume: 'v' })],
      volumes: [volume('v', csi('1'))],
      csiNodes: [limited('a', 0), limited('b', 0)],
    },
    FULL,
  ],
  [
    'a claim for one pod alone',
    pod('p', using('c')),
    {
      claims: [claim('c', { volume: 'v', modes: ['ReadWriteOncePod'] })],
      volumes: [volume('v', {})],
      placed: [[pod('x', using('c')), 'a']],
    },
    '0/2 nodes are available: 2 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode. preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod.',
  ],
  [
    'a claim for one pod alone, which is less important',
    pod('p', using('c'), { priority: 5 }),
    {
      claims: [claim('c', { volume: 'v', modes: ['ReadWriteOncePod'] })],
      volumes: [volume('v', {})],
      placed: [[pod('x', using('c')), 'a']],
    },
    'evict x on a',
  ],
  [
    'a disk that is in use',
    pod('p', [{ name: 'v', gcePersistentDisk: { pdName: 'd' } }]),
    { placed: [[pod('x', [{ name: 'v', gcePersistentDisk: { pdName: 'd', readOnly: true } }]), 'a']] },
    'b',
  ],
];
for (const [name, wanted, storage, expected] of cases) {
  test(name, t => {
    const snapshot = new ClusterSnapshot();
    snapshot.setNode(node('a', 'z1'));
    snapshot.setNode(node('b', 'z2'));
    const { claims, volumes, classes, csiNodes, placed, attached } = storage;
    for (const each of claims ?? []) snapshot.volumes.claims.set(each);
    for (const each of volumes ?? []) snapshot.volumes.volumes.set(each);
    for (const each of classes ?? []) snapshot.volumes.classes.set(each);
    for (const each of csiNodes ?? []) snapshot.volumes.csiNodes.set(each);
    for (const [each, on] of placed ?? []) snapshot.setPod(each, on);
    for (const [persistentVolumeName, nodeName] of attached ?? []) {
      snapshot.volumes.attachments.set({
        metadata: { name: persistentVolumeName },
        spec: { attacher: 'd.io', nodeName, source: { persistentVolumeName } },
      });
    }
    t.is(answer(wanted, snapshot), expected);
  });
}

test('storage capacity is looked at for drivers that tell it', t => {
  const snapshot = new ClusterSnapshot();
  for (const name of ['a', 'b']) snapshot.setNode(node(name));
  snapshot.volumes.claims.set(claim('c', { className: 'made', size: '5Gi' }));
  snapshot.volumes.classes.set(storageClass('made', { provisioner: 'd.io' }));
  t.is(answer(pod('p', using('c')), snapshot), 'a');
  snapshot.volumes.csiDrivers.set({ metadata: { name: 'd.io' }, spec: { storageCapacity: true } });
  t.is(answer(pod('p', using('c')), snapshot), waits('2 node(s) did not have enough free storage'));
  const capacity = (name: string, gibibytes: number) => ({
    metadata: { name, namespace: 'n' },
    storageClassName: 'made',
    capacity: `${gibibytes}Gi`,
    nodeTopology: { matchLabels: { name } },
  });
  snapshot.volumes.capacities.set(capacity('a', 4));
  snapshot.volumes.capacities.set(capacity('b', 6));
  t.is(answer(pod('p', using('c')), snapshot), 'b');
});

test('a node with a zone by the old name only does not match a volume with the new one', t => {
  const snapshot = new ClusterSnapshot();
  snapshot.setNode({ ...node('a'), metadata: { name: 'a', labels: { [OLD_ZONE]: 'z1' } } });
  snapshot.volumes.claims.set(claim('new', { volume: 'new' }));
  snapshot.volumes.claims.set(claim('old', { volume: 'old' }));
  snapshot.volumes.volumes.set(volume('new', {}, { [ZONE]: 'z1' }));
  snapshot.volumes.volumes.set(volume('old', {}, { [OLD_ZONE]: 'z1' }));
  t.is(answer(pod('p', using('old')), snapshot), 'a');
  t.regex(
    answer(pod('p', using('new')), snapshot),
    /^0\/1 nodes are available: 1 node\(s\) had no available volume zone\./,
  );
});

test('an attachment that has gone leaves its place', t => {
  const snapshot = new ClusterSnapshot();
  snapshot.setNode(node('a'));
  snapshot.volumes.claims.set(claim('c', { volume: 'v' }));
  for (const each of [volume('v', csi('1')), volume('w', csi('2'))]) snapshot.volumes.volumes.set(each);
  snapshot.volumes.csiNodes.set(limited('a', 1));
  const attachment = {
    metadata: { name: 'x' },
    spec: { attacher: 'd.io', nodeName: 'a', source: { persistentVolumeName: 'w' } },
  };
  snapshot.volumes.attachments.set(attachment);
  t.regex(answer(pod('p', using('c')), snapshot), /exceed max volume count/);
  snapshot.volumes.attachments.delete(attachment);
  t.is(answer(pod('p', using('c')), snapshot), 'a');
});
