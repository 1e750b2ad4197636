import test from 'ava';
import type { CronJob, Deployment, Pod, PodSpec } from '../generated/types.ts';
import type { StrategyContext } from '../kind.ts';
import { cronJob } from './cron-jobs.ts';
import { pod } from './pods.ts';
import { deployment } from './workloads.ts';

const context = (isOn: boolean): StrategyContext => ({
  now: '2026-01-02T03:04:05Z',
  newUid: () => 'u',
  user: { name: 'admin', groups: [] },
  subresource: '',
  ...(isOn && { features: { ImageVolume: true } }),
});
const spec = (): PodSpec => ({
  volumes: [
    { name: 'kept', emptyDir: {} },
    { name: 'files', image: { reference: 'data' } },
  ],
  containers: ['a', 'b'].map(name => ({
    name,
    image: 'x',
    volumeMounts: ['kept', 'files'].map(volume => ({ name: volume, mountPath: `/${volume}` })),
  })),
});
const podOf = (): Pod => ({ metadata: { name: 'p', namespace: 'n' }, spec: spec() });
const volumeNames = (given: PodSpec | undefined) => given?.volumes?.map(({ name }) => name);
const mountNames = (given: PodSpec | undefined) =>
  given?.containers.map(({ volumeMounts }) => volumeMounts?.map(({ name }) => name).join());

test('volumes of images are dropped with their mounts, unless the cluster has them switched on', t => {
  const off = podOf();
  pod.prepareForCreate(off, context(false));
  t.deepEqual(volumeNames(off.spec), ['kept']);
  t.deepEqual(mountNames(off.spec), ['kept', 'kept']);
  const on = podOf();
  pod.defaults(on);
  pod.prepareForCreate(on, context(true));
  t.deepEqual(volumeNames(on.spec), ['kept', 'files']);
  t.deepEqual(mountNames(on.spec), ['kept,files', 'kept,files']);
  t.deepEqual(on.spec?.volumes?.[1]?.image, { reference: 'data', pullPolicy: 'Always' }, 'the policy is a container’s');
});

test('templates lose them too', t => {
  const one: Deployment = { metadata: { name: 'd' }, spec: { selector: {}, template: { spec: spec() } } };
  deployment.prepareForCreate(one, context(false));
  t.deepEqual(volumeNames(one.spec?.template.spec), ['kept']);
  const many: CronJob = {
    metadata: { name: 'c' },
    spec: { schedule: '* * * * *', jobTemplate: { spec: { template: { spec: spec() } } } },
  };
  cronJob.prepareForCreate(many, context(false));
  t.deepEqual(volumeNames(many.spec?.jobTemplate.spec?.template.spec), ['kept']);
});

test('an object that has one keeps them when it is changed, also after they were switched off', t => {
  const old = podOf();
  const changed = podOf();
  pod.prepareForUpdate(changed, old, context(false));
  t.deepEqual(volumeNames(changed.spec), ['kept', 'files']);
  const without = podOf();
  pod.prepareForCreate(without, context(false));
  const added = podOf();
  pod.prepareForUpdate(added, without, context(false));
  t.deepEqual(volumeNames(added.spec), ['kept']);
});
