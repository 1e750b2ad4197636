/** Drivers come and go by their sockets, and the API hears of it. */
import { rm } from 'node:fs/promises';
import test from 'ava';
import { until } from '../../../control/client/testing/until.ts';
import { csinodes, nodes } from '../../api.ts';
import { TestCsiDriver } from '../../testing/csi-driver.ts';
import { Refusal } from '../../testing/grpc-server.ts';
import { CsiBench, DRIVER } from './testing/bench.ts';
import { highestSupported } from './versions.ts';

const driversOf = async ({ client }: CsiBench) => (await client.get(csinodes, { name: 'node-1' })).spec.drivers;

test('a driver registers: CSINode, labels of topology, its name for the node; and is taken out with its socket', async t => {
  const bench = await CsiBench.make(t);
  await until('a node without drivers has its object too', () =>
    driversOf(bench).then(
      drivers => drivers.length === 0,
      () => false,
    ),
  );
  const topology = { 'topology.test.example/zone': 'z1', 'topology.test.example/rack': 'r1' };
  const driver = await bench.startDriver({ topology, volumesMax: 7, nodeId: 'n-1' });
  t.deepEqual(driver.notices, [{ pluginRegistered: true, error: '' }]);
  const entry = {
    name: DRIVER,
    nodeID: 'n-1',
    topologyKeys: ['topology.test.example/rack', 'topology.test.example/zone'],
    allocatable: { count: 7 },
  };
  t.deepEqual(await driversOf(bench), [entry]);
  const node = await bench.client.get(nodes, { name: 'node-1' });
  const csiNode = await bench.client.get(csinodes, { name: 'node-1' });
  t.deepEqual(csiNode.metadata?.ownerReferences, [
    { apiVersion: 'v1', kind: 'Node', name: 'node-1', uid: node.metadata?.uid ?? '' },
  ]);
  t.like(node.metadata, {
    labels: topology,
    annotations: { 'csi.volume.kubernetes.io/nodeid': JSON.stringify({ [DRIVER]: 'n-1' }) },
  });
  await driver.stop();
  await until('the driver is gone', async () => (await driversOf(bench)).length === 0);
  await until('its name for the node too', async () => {
    const { metadata } = await bench.client.get(nodes, { name: 'node-1' });
    return metadata?.annotations?.['csi.volume.kubernetes.io/nodeid'] === undefined;
  });
  const pod = bench.pod('u1', { csi: { driver: DRIVER } });
  await t.throwsAsync(bench.mount(pod), { message: /Ephemeral/ });
});

test('one that comes back with another name for the node replaces what was known', async t => {
  const bench = await CsiBench.make(t);
  const first = await bench.startDriver({ nodeId: 'old' });
  await bench.agent.stop();
  await first.stop();
  const second = new TestCsiDriver({ kubeletDir: bench.kubeletDir, nodeId: 'new' });
  t.teardown(() => second.stop());
  await second.start();
  await bench.startAgent();
  await bench.untilRegistered(second);
  t.deepEqual(await driversOf(bench), [{ name: DRIVER, nodeID: 'new', topologyKeys: [] }]);
});

test('a CSINode of which the server serves no list of drivers', async t => {
  const bench = await CsiBench.make(t);
  await bench.agent.stop();
  const known = await bench.client.get(csinodes, { name: 'node-1' }).catch(() => undefined);
  if (known) await bench.client.delete(csinodes, { name: 'node-1' });
  await bench.client.create(csinodes, { metadata: { name: 'node-1' }, spec: JSON.parse('{"drivers":null}') });
  await bench.startAgent();
  await bench.startDriver();
  t.deepEqual(
    (await driversOf(bench)).map(({ name }) => name),
    [DRIVER],
  );
});

test('what an earlier agent knew and is no more is taken out', async t => {
  const bench = await CsiBench.make(t);
  const stays = await bench.startDriver({ name: 'a.example' });
  const goes = await bench.startDriver({ name: 'b.example' });
  await bench.agent.stop();
  await goes.stop();
  await bench.startAgent();
  await bench.untilRegistered(stays);
  await until('only one is left', async () => (await driversOf(bench)).length === 1);
  t.deepEqual(
    (await driversOf(bench)).map(({ name }) => name),
    ['a.example'],
  );
});

test('refused: no driver, no version, a second one of the same name; all are told why', async t => {
  const bench = await CsiBench.make(t);
  const make = (options: object) => new TestCsiDriver({ kubeletDir: bench.kubeletDir, ...options });
  const refusal = async (driver: TestCsiDriver) => {
    t.teardown(() => driver.stop());
    await driver.start();
    await until('it is told', () => driver.notices.length > 0);
    t.false(driver.notices[0]?.pluginRegistered);
    return driver.notices[0]?.error ?? '';
  };
  t.regex(
    await refusal(make({ name: 'dra.example', type: 'DRAPlugin' })),
    /no handler registered for plugin type: DRAP/,
  );
  t.regex(
    await refusal(make({ name: 'old.example', versions: ['0.3.0'] })),
    /none of the versions specified \["0.3.0"\]/,
  );
  t.deepEqual(await driversOf(bench), []);
  await bench.startDriver({ nodeId: 'first' });
  const again = await refusal(make({ socketName: 'z' }));
  t.regex(again, /another CSI driver named csi.test.example is already registered with version 1.0.0/);
  t.deepEqual(
    (await driversOf(bench)).map(({ nodeID }) => nodeID),
    ['first'],
  );
});

test('of two with the same name the newer version is called', async t => {
  const bench = await CsiBench.make(t);
  await bench.startDriver({ nodeId: 'old' });
  const newer = new TestCsiDriver({
    ...{ kubeletDir: bench.kubeletDir, socketName: 'z', versions: ['1.1.0'], nodeId: 'new' },
  });
  t.teardown(() => newer.stop());
  await newer.start();
  await bench.untilRegistered(newer);
  t.deepEqual(
    (await driversOf(bench)).map(({ nodeID }) => nodeID),
    ['new'],
  );
});

test('a driver that fails to answer at first is asked again', async t => {
  const bench = await CsiBench.make(t);
  const driver = new TestCsiDriver({ kubeletDir: bench.kubeletDir });
  t.teardown(() => driver.stop());
  driver.refused.set('NodeGetInfo', new Refusal(14, 'still starting'));
  await driver.start();
  await until('it is told', () => driver.notices.length > 0);
  t.regex(driver.notices[0]?.error ?? '', /rpc error: code = Unavailable desc = still starting/);
  driver.refused.clear();
  await until('it is registered', () => driver.notices.at(-1)?.pluginRegistered === true);
  t.is((await driversOf(bench)).length, 1);
});

test('a place that contradicts the node’s labels is refused', async t => {
  const bench = await CsiBench.make(t);
  const node = await bench.client.get(nodes, { name: 'node-1' });
  await bench.client.update(nodes, { ...node, metadata: { ...node.metadata, labels: { 'x.example/zone': 'a' } } });
  const driver = new TestCsiDriver({ kubeletDir: bench.kubeletDir, topology: { 'x.example/zone': 'b' } });
  t.teardown(() => driver.stop());
  await driver.start();
  await until('it is told', () => driver.notices.length > 0);
  t.regex(driver.notices[0]?.error ?? '', /topology value collision: driver reported "x.example\/zone":"b" but .*"a"/);
});

test('a socket without anybody behind it does not keep others from registering', async t => {
  const bench = await CsiBench.make(t);
  const dead = await bench.startDriver({ name: 'dead.example' });
  await rm(dead.registrar);
  await until('it is out', async () => (await driversOf(bench)).length === 0);
  const driver = await bench.startDriver();
  t.deepEqual(
    (await driversOf(bench)).map(({ name }) => name),
    [driver.name],
  );
});

test('versions: the highest of 1.x', t => {
  t.deepEqual(highestSupported(['1.0.0', 'v1.12.0', '1.9', '2.0.0', '0.3.0', 'x']), [1, 12, 0]);
  t.is(highestSupported(['0.3.0', '2.0.0', '']), undefined);
});
