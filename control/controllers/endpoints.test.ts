/** Endpoints as k/k pkg/controller/endpoint makes them: subsets, their bound, and whose they are. */
import test from 'ava';
import * as kinds from '../api/generated/kinds.ts';
import type { EndpointSubset, Endpoints, Pod, Service } from '../api/generated/types.ts';
import { settle } from '../client/testing/manual-clock.ts';
import { until } from '../client/testing/until.ts';
import { endpointsController, planEndpoints } from './endpoints.ts';
import { newBench } from './testing/bench.ts';
import { LAST_CHANGE_TRIGGER_TIME } from './trigger-times.ts';

const service = (spec: Service['spec'] = {}, metadata: object = {}): Service => ({
  metadata: { name: 's', namespace: 'n', ...metadata },
  spec: { selector: { app: 'a' }, ports: [{ name: 'web', port: 80 }], clusterIP: '10.96.0.9', ...spec },
});
const pod = (name: string, ips: readonly string[], { ports = {}, ready = true } = {}): Pod => ({
  metadata: { name, namespace: 'n', uid: name, labels: { app: 'a' } },
  spec: {
    containers: [
      {
        name: 'c',
        ports: Object.entries(ports).map(([port, containerPort]) => ({
          name: port,
          containerPort: Number(containerPort),
        })),
      },
    ],
  },
  status: {
    podIP: ips[0] ?? '',
    podIPs: ips.map(ip => ({ ip })),
    conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
  },
});
const brief = ({ subsets = [] }: Endpoints) =>
  subsets.map(({ addresses = [], notReadyAddresses = [], ports = [] }) => [
    addresses.map(({ ip }) => ip).join(' '),
    notReadyAddresses.map(({ ip }) => ip).join(' '),
    ports.map(({ name, port }) => `${name}:${port}`).join(' '),
  ]);

test('ports that the very same pods have share a subset', t => {
  const named = service({
    ports: [
      { name: 'web', port: 80, targetPort: 'http' },
      { name: 'sec', port: 443, targetPort: 'https' },
    ],
  });
  const both = pod('both', ['10.42.0.2'], { ports: { http: 8080, https: 8443 } });
  const one = pod('one', ['10.42.0.10'], { ports: { http: 8080 }, ready: false });
  const other = pod('other', ['10.42.0.3'], { ports: { http: 9090 } });
  t.deepEqual(brief(planEndpoints(named, [both, one, other], undefined)), [
    ['10.42.0.2', '10.42.0.10', 'web:8080'],
    ['10.42.0.2', '', 'sec:8443'],
    ['10.42.0.3', '', 'web:9090'],
  ]);
  t.deepEqual(brief(planEndpoints(named, [pod('none', ['10.42.0.4'])], undefined)), [], 'a pod without such a port');
  const bare = service({ ports: [], clusterIP: 'None' });
  t.deepEqual(brief(planEndpoints(bare, [both], undefined)), [['10.42.0.2', '', '']], 'headless, without ports');
});

test('the address is of the Service’s first family, whichever the pod names first', t => {
  const two = pod('p', ['fd42::2', '10.42.0.2']);
  t.deepEqual(brief(planEndpoints(service({ ipFamilies: ['IPv4'] }), [two], undefined)), [['10.42.0.2', '', 'web:80']]);
  t.deepEqual(brief(planEndpoints(service({ ipFamilies: ['IPv6'] }), [two], undefined)), [['fd42::2', '', 'web:80']]);
});

test('labels are the Service’s, but the one that says that it is headless', t => {
  const labels = { team: 'x', 'service.kubernetes.io/headless': '' };
  const managed = { 'endpoints.kubernetes.io/managed-by': 'endpoint-controller' };
  t.deepEqual(planEndpoints(service({}, { labels }), [], undefined).metadata?.labels, { team: 'x', ...managed });
  t.deepEqual(planEndpoints(service({ clusterIP: 'None' }, { labels }), [], undefined).metadata?.labels, {
    ...labels,
    ...managed,
  });
});

test('a thousand addresses at most, ready ones first, of each subset in proportion', t => {
  const pods = (count: number, port: number, ready: boolean) =>
    Array.from({ length: count }, (_, at) =>
      pod(`${port}-${ready}-${at}`, [`10.${port % 250}.${Number(ready) * 100 + Math.floor(at / 250)}.${at % 250}`], {
        ports: { http: port },
        ready,
      }),
    );
  const named = service({ ports: [{ name: 'web', port: 80, targetPort: 'http' }] });
  const counts = (list: readonly Pod[]) => {
    const { subsets = [], metadata } = planEndpoints(named, list, undefined);
    const size = ({ addresses = [], notReadyAddresses = [] }: EndpointSubset) => [
      addresses.length,
      notReadyAddresses.length,
    ];
    return [subsets.map(size), metadata?.annotations?.['endpoints.kubernetes.io/over-capacity']];
  };
  t.deepEqual(counts([...pods(500, 1, true), ...pods(500, 2, true)]), [
    [
      [500, 0],
      [500, 0],
    ],
    undefined,
  ]);
  t.deepEqual(counts([...pods(900, 1, true), ...pods(300, 2, true)]), [
    [
      [750, 0],
      [250, 0],
    ],
    'truncated',
  ]);
  t.deepEqual(counts([...pods(800, 1, true), ...pods(300, 1, false), ...pods(100, 2, false)]), [
    [
      [800, 150],
      [0, 50],
    ],
    'truncated',
  ]);
  t.deepEqual(counts([...pods(1_200, 1, true), ...pods(300, 2, false)]), [[[1_000, 0]], 'truncated']);
});

test('Endpoints go with their Service, whoever made them, and say when the change came about', async t => {
  const { client, start } = newBench(t);
  const at = (name: string) => ({ namespace: 'n', name });
  await client.create(kinds.endpoints, {
    metadata: { ...at('left'), labels: { 'endpoints.kubernetes.io/managed-by': 'endpoint-controller' } },
  });
  await client.create(kinds.endpoints, { metadata: at('alone') });
  await client.create(kinds.services, { ...service({}), metadata: at('manual'), spec: { ports: [{ port: 80 }] } });
  await client.create(kinds.endpoints, { metadata: at('manual') });
  await start(context => [endpointsController(context)]);
  const made = await client.create(kinds.services, service());
  const names = async () => (await client.list(kinds.endpoints)).items.map(({ metadata }) => metadata?.name).sort();
  await until(
    'the Service has its own, and what was left over is gone',
    async () => (await names()).join() === 'alone,manual,s',
  );
  const { metadata } = await client.get(kinds.endpoints, at('s'));
  t.is(metadata?.annotations?.[LAST_CHANGE_TRIGGER_TIME], made.metadata?.creationTimestamp);
  await client.delete(kinds.services, at('manual'));
  await client.delete(kinds.services, at('s'));
  await until('both are gone', async () => (await names()).join() === 'alone');
  await client.patch(kinds.endpoints, at('alone'), { type: 'application/merge-patch+json', body: { subsets: null } });
  await settle();
  t.deepEqual(await names(), ['alone']);
});
