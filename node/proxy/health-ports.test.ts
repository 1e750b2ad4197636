import test, { type ExecutionContext } from 'ava';
import { freePort } from '../../raft/transport/testing/free-port.ts';
import type { EndpointSlice, Service } from '../api.ts';
import type { Logger } from '../logger.ts';
import { HealthPorts, ProxyHealth, planServiceHealth } from './health-ports.ts';

const service = (spec: Service['spec']): Service => ({
  metadata: { namespace: 'default', name: 'web' },
  spec: { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 30_999, ...spec },
});
const slice = (endpoints: EndpointSlice['endpoints'], namespace = 'default'): EndpointSlice => ({
  metadata: { namespace, name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
  addressType: 'IPv4',
  endpoints,
});

test('ready endpoints on this node count, each once', t => {
  const slices = [
    slice([
      { addresses: ['10.0.0.1'], nodeName: 'here', conditions: { ready: true } },
      { addresses: ['10.0.0.2'], nodeName: 'here' },
      { addresses: ['10.0.0.3'], nodeName: 'there' },
      { addresses: ['10.0.0.4'], nodeName: 'here', conditions: { ready: false, serving: true, terminating: true } },
    ]),
    slice([{ addresses: ['10.0.0.1'], nodeName: 'here' }]),
    slice([{ addresses: ['10.0.0.9'], nodeName: 'here' }], 'elsewhere'),
  ];
  t.deepEqual(planServiceHealth([service({})], slices, 'here'), [
    { port: 30_999, namespace: 'default', name: 'web', localEndpoints: 2 },
  ]);
  t.deepEqual(planServiceHealth([service({ externalTrafficPolicy: 'Cluster' })], slices, 'here'), []);
  t.deepEqual(planServiceHealth([service({ healthCheckNodePort: 0 })], slices, 'here'), []);
  const labels = { 'service.kubernetes.io/service-proxy-name': 'other' };
  const left = { ...service({}), metadata: { ...service({}).metadata, labels } };
  t.deepEqual(planServiceHealth([left], slices, 'here'), [], 'it is another proxy’s to answer for');
});

async function answer(port: number) {
  const response = await fetch(`http://127.0.0.1:${port}/healthz`, { headers: { connection: 'close' } });
  return {
    status: response.status,
    weight: response.headers.get('x-load-balancing-endpoint-weight'),
    body: await response.json(),
  };
}

function started(t: ExecutionContext, warnings: string[] = []): HealthPorts {
  const note = (_details: object, message: string) => void warnings.push(message);
  const logger: Logger = { debug: note, info: note, warn: note, error: note };
  const ports = new HealthPorts(logger);
  t.teardown(() => ports.close());
  return ports;
}

test('a port answers as long as its service has it', async t => {
  const ports = started(t);
  const port = await freePort();
  const says = { port, namespace: 'default', name: 'web' };
  await ports.sync([{ ...says, localEndpoints: 2 }]);
  const service = { namespace: 'default', name: 'web' };
  t.deepEqual(await answer(port), {
    status: 200,
    weight: '2',
    body: { service, localEndpoints: 2, serviceProxyHealthy: true },
  });
  await ports.sync([{ ...says, localEndpoints: 0 }]);
  t.like(await answer(port), { status: 503, weight: '0' });
  await ports.sync([]);
  await t.throwsAsync(answer(port));
});

test('a port that is taken keeps nobody else from theirs, and is tried again', async t => {
  const warnings: string[] = [];
  const [holder, ports] = [started(t), started(t, warnings)];
  const [taken, free] = [await freePort(), await freePort()];
  const says = { namespace: 'default', name: 'web', localEndpoints: 1 };
  await holder.sync([{ ...says, port: taken }]);
  const both = [taken, free].map(port => ({ ...says, port, localEndpoints: 3 }));
  await ports.sync(both);
  t.is((await answer(free)).weight, '3');
  t.is((await answer(taken)).weight, '1');
  t.deepEqual(warnings, ['a service’s healthCheckNodePort is taken here']);
  await holder.sync([]);
  await ports.sync(both);
  t.is((await answer(taken)).weight, '3');
});

test('a node whose rules have not followed for a minute is passed over', async t => {
  const health = new ProxyHealth();
  let now = 0;
  const logger: Logger = { debug: t.log, info: t.log, warn: t.log, error: t.log };
  const ports = new HealthPorts(logger, () => health.isHealthy(now));
  t.teardown(() => ports.close());
  const port = await freePort();
  await ports.sync([{ port, namespace: 'default', name: 'web', localEndpoints: 1 }]);
  const said = async () => {
    const { status, body } = await answer(port);
    return [status, (body as { serviceProxyHealthy: boolean }).serviceProxyHealthy];
  };
  health.tell(false, 0);
  now = 59_999;
  health.tell(false, now);
  t.deepEqual(await said(), [200, true]);
  now = 60_000;
  t.deepEqual(await said(), [503, false]);
  health.tell(true, now);
  t.deepEqual(await said(), [200, true]);
});
