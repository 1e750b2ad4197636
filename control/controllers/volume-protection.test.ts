import test from 'ava';
import { persistentvolumeclaims, persistentvolumes, pods } from '../api/generated/kinds.ts';
import type { PersistentVolume, PersistentVolumeClaim, Pod } from '../api/generated/types.ts';
import { ApiError } from '../api/status.ts';
import { CLAIM_PROTECTION, VOLUME_PROTECTION } from '../api/volume-protection.ts';
import { Informers } from '../client/informers.ts';
import { silentLogger } from '../client/logger.ts';
import { RestClient } from '../client/rest.ts';
import { ManualClock, settle } from '../client/testing/manual-clock.ts';
import { MemoryApi } from '../client/testing/memory-api.ts';
import { until } from '../client/testing/until.ts';
import type { ControllerContext } from './context.ts';
import {
  claimProtectionController,
  isClaimInUse,
  isVolumeInUse,
  planRelease,
  volumeProtectionController,
} from './volume-protection.ts';

const podWith = (claimName: string, nodeName?: string): Pod => ({
  metadata: { name: 'p', namespace: 'ns' },
  spec: {
    containers: [],
    volumes: [{ name: 'v', persistentVolumeClaim: { claimName } }],
    ...(nodeName && { nodeName }),
  },
});
const claim: PersistentVolumeClaim = { metadata: { name: 'c', namespace: 'ns' } };

test('a claim is in use by a pod of its namespace that has a node', t => {
  t.true(isClaimInUse(claim, [podWith('c', 'node')]));
  t.false(isClaimInUse(claim, [podWith('c')]));
  t.false(isClaimInUse(claim, [podWith('other', 'node')]));
  t.false(isClaimInUse({ metadata: { name: 'c', namespace: 'elsewhere' } }, [podWith('c', 'node')]));
  const ephemeral = (metadata: object = {}): Pod => ({
    metadata: { name: 'p', namespace: 'ns', uid: 'u', ...metadata },
    spec: { containers: [], nodeName: 'node', volumes: [{ name: 'v', ephemeral: {} }] },
  });
  const owned = (uid: string): PersistentVolumeClaim => ({
    metadata: {
      name: 'p-v',
      namespace: 'ns',
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'p', uid, controller: true }],
    },
  });
  t.true(isClaimInUse(owned('u'), [ephemeral()]));
  t.false(isClaimInUse(owned('another'), [ephemeral()]), 'it was made for somebody else');
  const leaving = { deletionTimestamp: '2024-01-01T00:00:00Z' };
  t.true(isClaimInUse(owned('u'), [ephemeral({ ...leaving, deletionGracePeriodSeconds: 30 })]));
  t.false(isClaimInUse(owned('u'), [ephemeral({ ...leaving, deletionGracePeriodSeconds: 0 })]), 'its node put it down');
  const putDown = {
    ...podWith('c', 'node'),
    metadata: { name: 'p', namespace: 'ns', ...leaving, deletionGracePeriodSeconds: 0 },
  };
  t.true(isClaimInUse(claim, [putDown]), 'other claims are held to the end');
});

test('a volume is in use while it is bound', t => {
  t.true(isVolumeInUse({ status: { phase: 'Bound' } }));
  t.false(isVolumeInUse({ status: { phase: 'Released' } }));
});

test('only what is going, unused and still held is let go', t => {
  const going = { metadata: { name: 'c', deletionTimestamp: '2024-01-01T00:00:00Z', finalizers: ['a', 'b'] } };
  t.deepEqual(planRelease(going, 'a', false)?.metadata?.finalizers, ['b']);
  t.is(planRelease(going, 'a', true), undefined);
  t.is(planRelease(going, 'c', false), undefined);
  t.is(planRelease({ metadata: { name: 'c', finalizers: ['a'] } }, 'a', false), undefined);
  t.deepEqual(going.metadata.finalizers, ['a', 'b'], 'the given object stays as it is');
});

test('claims and volumes go when their last user has gone', async t => {
  const clock = new ManualClock();
  const client = new RestClient({ transport: new MemoryApi(clock), clock, userAgent: 'test' });
  const stop = new AbortController();
  const common = { client, clock, random: () => 0.5, logger: silentLogger };
  const informers = new Informers(common);
  const context: ControllerContext = {
    ...common,
    informers,
    signal: stop.signal,
    options: {},
    recorder: () => ({ record: () => undefined }),
  };
  const controllers = [claimProtectionController(context), volumeProtectionController(context)];
  informers.start(stop.signal);
  await informers.waitForSync(stop.signal);
  const running = controllers.map(controller => controller.run());
  t.teardown(async () => {
    stop.abort();
    await Promise.all(running);
  });
  await client.create(persistentvolumeclaims, {
    ...claim,
    metadata: { ...claim.metadata, finalizers: [CLAIM_PROTECTION] },
  });
  const volume: PersistentVolume = { metadata: { name: 'v', finalizers: [VOLUME_PROTECTION] } };
  await client.create(persistentvolumes, volume);
  await client.create(pods, podWith('c', 'node'));
  const claimKey = { namespace: 'ns', name: 'c' };
  await client.delete(persistentvolumeclaims, claimKey);
  await client.delete(persistentvolumes, { name: 'v' });
  const isGone = async (ask: Promise<unknown>) =>
    ask.then(
      () => false,
      () => true,
    );
  await until('the volume to be gone', () => isGone(client.get(persistentvolumes, { name: 'v' })));
  t.false(await isGone(client.get(persistentvolumeclaims, claimKey)), 'the pod still uses it');
  await client.delete(pods, { namespace: 'ns', name: 'p' });
  await until('the claim to be gone', () => isGone(client.get(persistentvolumeclaims, claimKey)));
  t.pass();
});

test('a claim stays while a pod uses it that the cache does not know yet; a lost finalizer is given back', async t => {
  const clock = new ManualClock();
  const api = new MemoryApi(clock);
  const client = new RestClient({ transport: api, clock, userAgent: 'test' });
  const stop = new AbortController();
  const common = { client, clock, random: () => 0.5, logger: silentLogger };
  const informers = new Informers(common);
  // The list of pods is empty, and no news of them comes.
  api.intercept = ({ path }) =>
    path.startsWith('/api/v1/pods') && path.includes('watch=') ? new ApiError('InternalError', 'later') : undefined;
  const context: ControllerContext = {
    ...common,
    informers,
    signal: stop.signal,
    options: {},
    recorder: () => ({ record: () => undefined }),
  };
  const controllers = [claimProtectionController(context), volumeProtectionController(context)];
  informers.start(stop.signal);
  await informers.waitForSync(stop.signal);
  const running = controllers.map(controller => controller.run());
  t.teardown(async () => {
    stop.abort();
    await Promise.all(running);
  });
  await client.create(pods, podWith('c', 'node'));
  await client.create(persistentvolumeclaims, claim);
  await client.create(persistentvolumes, { metadata: { name: 'v' } });
  const finalizersOf = async () => [
    (await client.get(persistentvolumeclaims, { namespace: 'ns', name: 'c' })).metadata?.finalizers,
    (await client.get(persistentvolumes, { name: 'v' })).metadata?.finalizers,
  ];
  await until('both are protected', async () => (await finalizersOf()).every(list => list?.length === 1));
  t.deepEqual(await finalizersOf(), [[CLAIM_PROTECTION], [VOLUME_PROTECTION]]);
  await client.delete(persistentvolumeclaims, { namespace: 'ns', name: 'c' });
  const asked = () =>
    api.requests.some(({ method, path }) => method === 'GET' && path.startsWith('/api/v1/namespaces/ns/pods'));
  await until('the API is asked', asked);
  await settle();
  t.deepEqual((await finalizersOf())[0], [CLAIM_PROTECTION]);
});
