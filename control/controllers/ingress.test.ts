/** The class of the agents and the addresses of Ingresses: the plan case by case, then the controller. */
import test from 'ava';
import * as kinds from '../api/generated/kinds.ts';
import type { Ingress, IngressClass, Node } from '../api/generated/types.ts';
import { ownClasses } from '../api/ingress.ts';
import { settle } from '../client/testing/manual-clock.ts';
import { until } from '../client/testing/until.ts';
import { ingressController } from './ingress.ts';
import { ownIngressClass, planIngressStatus } from './ingress-plan.ts';
import { newBench } from './testing/bench.ts';

const MERGE = 'application/merge-patch+json';
const nodeOf = (
  name: string,
  address: string,
  {
    ports = '80,443',
    labels = {},
    ready = 'True',
  }: { ports?: string; labels?: Record<string, string>; ready?: string } = {},
): Node => ({
  metadata: { name, labels, annotations: { 'raftsman.io/ingress-ports': ports } },
  status: {
    addresses: [{ type: 'InternalIP', address }],
    conditions: [{ type: 'Ready', status: ready }],
  },
});
const ingressOf = (name: string, ingressClassName = 'raftsman'): Ingress => ({
  metadata: { name, namespace: 'n' },
  spec: { ingressClassName, defaultBackend: { service: { name: 's', port: { number: 80 } } } },
});

test('the addresses are those of nodes that take requests', t => {
  const classes = ownClasses([ownIngressClass([])]);
  const nodes = [
    nodeOf('b', '10.0.0.2'),
    nodeOf('a', '10.0.0.1', { ports: '0,443' }),
    nodeOf('off', '10.0.0.3', { ports: '0,0' }),
    nodeOf('old', '10.0.0.4', { ports: '' }),
    nodeOf('dead', '10.0.0.5', { ready: 'Unknown' }),
    nodeOf('excluded', '10.0.0.6', { labels: { 'node.kubernetes.io/exclude-from-external-load-balancers': '' } }),
    nodeOf('forbidden', '10.0.0.7', { labels: { 'node-restriction.kubernetes.io/ingress': 'off' } }),
  ];
  t.deepEqual(planIngressStatus(ingressOf('i'), { nodes, classes }), [{ ip: '10.0.0.1' }, { ip: '10.0.0.2' }]);
  t.is(planIngressStatus(ingressOf('i', 'nginx'), { nodes, classes }), undefined);
});

test('the class is the default one unless there is one', t => {
  const isDefault = (classes: readonly IngressClass[]) => ownIngressClass(classes).metadata?.annotations !== undefined;
  const other = (marked: string): IngressClass => ({
    metadata: { name: 'nginx', annotations: { 'ingressclass.kubernetes.io/is-default-class': marked } },
  });
  t.true(isDefault([]));
  t.true(isDefault([other('false')]));
  t.false(isDefault([other('true')]));
});

test('a cluster whose nodes route has the class, and its Ingresses have addresses', async t => {
  const { client, start } = newBench(t);
  await client.create(kinds.ingresses, ingressOf('ours'));
  await client.create(kinds.ingresses, ingressOf('theirs', 'nginx'));
  await start(context => [ingressController(context)].filter(one => one !== undefined));
  await settle();
  t.is((await client.list(kinds.ingressclasses)).items.length, 0, 'no node routes yet');
  await client.create(kinds.nodes, nodeOf('a', '10.0.0.1'));
  const addresses = async (name: string) =>
    ((await client.get(kinds.ingresses, { namespace: 'n', name })).status?.loadBalancer?.ingress ?? []).map(
      ({ ip }) => ip,
    );
  await until('the address', async () => (await addresses('ours')).join() === '10.0.0.1');
  const own = await client.get(kinds.ingressclasses, { name: 'raftsman' });
  t.is(own.spec?.controller, 'raftsman.io/ingress');
  t.is(own.metadata?.annotations?.['ingressclass.kubernetes.io/is-default-class'], 'true');
  await client.create(kinds.nodes, nodeOf('b', '10.0.0.2'));
  await until('both', async () => (await addresses('ours')).join() === '10.0.0.1,10.0.0.2');
  const ports = (text: string) => ({ metadata: { annotations: { 'raftsman.io/ingress-ports': text } } });
  await client.patch(kinds.nodes, { name: 'a' }, { type: MERGE, body: ports('0,0') });
  await until('one', async () => (await addresses('ours')).join() === '10.0.0.2');
  t.deepEqual(await addresses('theirs'), []);
  await client.delete(kinds.ingressclasses, { name: 'raftsman' });
  await client.patch(kinds.nodes, { name: 'a' }, { type: MERGE, body: ports('80,443') });
  await settle();
  t.is((await client.list(kinds.ingressclasses)).items.length, 0, 'who removes the class is not given it again');
});

test('an address that somebody else wrote stands for half a minute', async t => {
  const { client, clock, start } = newBench(t);
  await client.create(kinds.nodes, nodeOf('a', '10.0.0.1'));
  await client.create(kinds.ingresses, ingressOf('ours'));
  await start(context => [ingressController(context)].filter(one => one !== undefined));
  const address = async () =>
    (await client.get(kinds.ingresses, { namespace: 'n', name: 'ours' })).status?.loadBalancer?.ingress?.[0]?.ip;
  await until('the address', async () => (await address()) === '10.0.0.1');
  const body = {
    metadata: { annotations: { mine: 'yes' } },
    status: { loadBalancer: { ingress: [{ ip: '169.1.1.1' }] } },
  };
  await client.patch(
    kinds.ingresses,
    { namespace: 'n', name: 'ours' },
    { type: MERGE, body },
    { subresource: 'status' },
  );
  await settle();
  t.is(await address(), '169.1.1.1');
  // Whatever else happens, and however often it is written again.
  await clock.advance(20_000);
  await client.create(kinds.ingressclasses, { metadata: { name: 'nginx' }, spec: { controller: 'x/y' } });
  await client.create(kinds.nodes, nodeOf('b', '10.0.0.2'));
  await settle();
  t.is(await address(), '169.1.1.1');
  const again = { status: { loadBalancer: { ingress: [{ ip: '169.1.1.2' }] } } };
  await client.patch(
    kinds.ingresses,
    { namespace: 'n', name: 'ours' },
    { type: MERGE, body: again },
    { subresource: 'status' },
  );
  await settle();
  t.is(await address(), '169.1.1.2');
  await clock.advance(10_000);
  await until('the address again', async () => (await address()) === '10.0.0.1');
  // Our own writes hold nothing back.
  await client.delete(kinds.nodes, { name: 'a' });
  await until('the address that is left', async () => (await address()) === '10.0.0.2');
});

test('where agents route nothing there is no controller', t => {
  const { start } = newBench(t, { options: { routesIngresses: false } });
  return t.notThrowsAsync(
    start(context => {
      t.is(ingressController(context), undefined);
      return [];
    }),
  );
});
