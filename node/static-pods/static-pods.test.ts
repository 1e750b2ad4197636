/** Static pods of an agent on a scripted runtime: with the API, without it, and when files and mirrors change. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { RestClient } from '../../control/client/rest.ts';
import { until } from '../../control/client/testing/until.ts';
import { hasReason, type Node, nodes, type Pod, pods } from '../api.ts';
import type { PolicyEnforcer } from '../policy/enforcer.ts';
import { World } from '../testing/world.ts';

const MIRROR = 'kubernetes.io/config.mirror';
const SCAN_MS = 1_000;
const manifest = (image = 'app:1', more: object = {}) =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', labels: { app: 'web' } },
    spec: { containers: [{ name: 'app', image }], ...more },
  });

/** There is nothing to enforce as long as nobody says which policies there are. */
const idleEnforcer: PolicyEnforcer = {
  start: async () => {},
  apply: async () => {},
  isInPlace: async () => true,
  close: async () => {},
};

class StaticWorld {
  readonly world: World;
  readonly folder: string;

  constructor(world: World) {
    this.world = world;
    this.folder = join(world.dataDir, 'manifests');
  }

  static async create(t: ExecutionContext): Promise<StaticWorld> {
    const world = await World.create();
    t.teardown(() => world.close());
    const all = new StaticWorld(world);
    await mkdir(all.folder);
    return all;
  }

  start() {
    return this.world.startAgent({ timing: { manifestsScanMs: SCAN_MS } });
  }

  write(text: string, file = 'web.json'): Promise<void> {
    return writeFile(join(this.folder, file), text);
  }

  /** Lets time go on until it is so: the folder is read again, and what failed is tried again. */
  eventually(what: string, isTrue: () => Promise<boolean> | boolean): Promise<void> {
    return until(
      what,
      async () => {
        await this.world.clock.advance(SCAN_MS);
        return isTrue();
      },
      10_000,
    );
  }

  async mirror(): Promise<Pod | undefined> {
    try {
      return await this.world.pod('web-node-1');
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  /** The mirror, once it shows a pod that runs. */
  async runs(isRight: (mirror: Pod) => boolean = () => true): Promise<Pod> {
    let seen: Pod | undefined;
    await this.eventually('the mirror shows that the pod runs', async () => {
      seen = await this.mirror();
      return seen?.status?.phase === 'Running' && isRight(seen);
    });
    return seen ?? {};
  }
}

test('a file becomes a pod with a mirror, and ends with the file', async t => {
  const all = await StaticWorld.create(t);
  await all.write(manifest());
  await all.start();
  const { metadata, status } = await all.runs();
  const hash = metadata?.annotations?.[MIRROR];
  t.is(hash, metadata?.annotations?.['kubernetes.io/config.hash']);
  t.not(hash, metadata?.uid);
  t.is(metadata?.annotations?.['kubernetes.io/config.source'], 'file');
  t.regex(metadata?.annotations?.['kubernetes.io/config.seen'] ?? '', /^2026-/);
  t.is(metadata?.labels?.app, 'web');
  const node = await all.world.client.get<Node>(nodes, { name: 'node-1' });
  t.like(metadata?.ownerReferences?.[0], { kind: 'Node', name: 'node-1', uid: node.metadata?.uid, controller: true });
  t.is(status?.podIP, '10.42.0.2');
  t.deepEqual([...all.world.network.addresses.keys()], [hash]);
  await rm(join(all.folder, 'web.json'));
  await all.eventually('the mirror is gone', async () => (await all.mirror()) === undefined);
  t.deepEqual(all.world.runtime.all(), []);
  t.is(all.world.network.addresses.size, 0);
});

test('a mirror that is deleted comes back, and its pod goes on', async t => {
  const all = await StaticWorld.create(t);
  await all.write(manifest());
  await all.start();
  const { metadata } = await all.runs();
  await all.world.markDeleted('web-node-1', 30);
  await all.runs(mirror => mirror.metadata?.uid !== metadata?.uid);
  await all.world.client.delete(pods, { namespace: 'default', name: 'web-node-1' }, { gracePeriodSeconds: 0 });
  await all.runs();
  t.deepEqual(
    all.world.runtime.calls.filter(call => call.startsWith('start') || call.startsWith('stop')),
    ['start app#0'],
  );
});

test('a file that changes replaces the pod: the new one begins when the old one is gone', async t => {
  const all = await StaticWorld.create(t);
  await all.write(manifest());
  await all.start();
  const { metadata } = await all.runs();
  await all.write(manifest('app:2'));
  const after = await all.runs(mirror => mirror.spec?.containers[0]?.image === 'app:2');
  t.not(after.metadata?.annotations?.[MIRROR], metadata?.annotations?.[MIRROR]);
  t.is(all.world.runtime.all().length, 1);
  const { calls } = all.world.runtime;
  t.true(calls.findIndex(call => call.startsWith('removeSandbox')) < calls.lastIndexOf('createSandbox web-node-1'));
});

test('mirrors that belong to no file go, and no other pod', async t => {
  const all = await StaticWorld.create(t);
  const annotations = { [MIRROR]: 'of-old' };
  await all.world.client.create(pods, {
    metadata: { name: 'web-node-1', namespace: 'default', annotations },
    spec: { nodeName: 'node-1', containers: [{ name: 'app', image: 'app:1' }] },
  });
  await all.world.createPod('other');
  await all.start();
  await all.eventually('the mirror is gone', async () => (await all.mirror()) === undefined);
  const other = await all.world.untilPod('other', 'runs', ({ status }) => status?.phase === 'Running');
  t.is(other.metadata?.deletionTimestamp, undefined);
  t.deepEqual(
    all.world.runtime.calls.filter(call => call.startsWith('createSandbox')),
    ['createSandbox other'],
  );
});

test('a broken file is told of and harms nobody', async t => {
  const all = await StaticWorld.create(t);
  await all.write('{', 'broken.json');
  await all.write(manifest());
  await all.start();
  await all.runs();
  const told = async () => (await all.world.events('node-1')).filter(text => text.startsWith('FailedValidation'));
  await all.eventually('the node tells of it', async () => (await told()).length > 0);
  const events = await told();
  t.regex(
    events.join('\n'),
    /^FailedValidation: Error in static pod manifest broken.json: couldn't parse as pod[^\n]*$/,
  );
});

test('static pods run while no master answers, also after a restart of the agent', async t => {
  const all = await StaticWorld.create(t);
  const { world } = all;
  const agent = await all.start();
  await agent.close();
  await all.write(manifest());
  const transport = { request: () => Promise.reject(new Error('no master answers')), close: async () => {} };
  const client = new RestClient({ transport, clock: world.clock, userAgent: 'test' });
  await world.beginAgent({ client, policyEnforcer: idleEnforcer, timing: { manifestsScanMs: SCAN_MS } });
  await all.eventually('the container runs', () => world.runtime.running('app') !== undefined);
  t.is(world.network.started?.podCIDR, '10.42.0.0/24');
  world.runtime.exit('app', 1);
  await all.eventually('it was started again', () => world.runtime.running('app')?.spec.attempt === 1);
  await world.agent?.close();
  await all.start();
  const { status } = await all.runs();
  t.is(status?.containerStatuses?.[0]?.restartCount, 1);
  t.is(world.runtime.calls.filter(call => call.startsWith('createSandbox')).length, 1);
});

test('what the API says of a pod does not make it static', async t => {
  const all = await StaticWorld.create(t);
  await all.world.client.create(pods, {
    metadata: { name: 'web-node-1', namespace: 'default', annotations: { 'kubernetes.io/config.source': 'file' } },
    spec: { nodeName: 'node-1', containers: [{ name: 'app', image: 'app:1' }], activeDeadlineSeconds: 3_600 },
  });
  const short = { 'memory.available': { capacity: 1_000, available: 1 } };
  await all.world.startAgent({ observeSupplies: async () => short, timing: { evictionObserveMs: SCAN_MS } });
  await all.eventually('it is evicted', async () => (await all.mirror())?.status?.reason === 'Evicted');
  t.pass();
});
