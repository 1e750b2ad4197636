import test from 'ava';
import type { Container, Pod, Service } from '../api.ts';
import { ConfigError, expand, makeEnvironment, resourceValue, serviceVariables } from './environment.ts';
import { cpuShares, milliValue, oomScoreAdjustment, qosClassOf, quantityValue } from './quantity.ts';

const pod: Pod = {
  metadata: { name: 'web', namespace: 'ns', uid: 'u1', labels: { app: 'web' } },
  spec: { containers: [], serviceAccountName: 'robot' },
};

function environment(container: Partial<Container>, services: Service[] = []) {
  const variables = makeEnvironment({
    pod,
    container: { name: 'app', ...container },
    lookups: {
      configMap: name => (name === 'settings' ? { data: { color: 'blue', 'with.dot': 'x' } } : undefined),
      secret: name => (name === 'login' ? { data: { password: Buffer.from('sesame').toString('base64') } } : undefined),
    },
    podIP: '10.42.0.2',
    hostIP: '192.0.2.1',
    hostIPs: ['192.0.2.1'],
    nodeName: 'node-1',
    allocatable: { cpuMilli: 4000, memoryBytes: 8 * 2 ** 30, storageBytes: 64 * 2 ** 30 },
    services,
  });
  return Object.fromEntries(variables.map(({ name, value }) => [name, value]));
}

test('values, references and expansion', t => {
  const found = environment({
    envFrom: [{ prefix: 'S_', configMapRef: { name: 'settings' } }, { secretRef: { name: 'none', optional: true } }],
    env: [
      { name: 'A', value: 'one' },
      { name: 'B', value: '$(A) $(NONE) $$(A)' },
      { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'login', key: 'password' } } },
      { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
      { name: 'LABEL', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
      { name: 'MAYBE', valueFrom: { configMapKeyRef: { name: 'settings', key: 'none', optional: true } } },
      { name: 'S_color', value: 'red' },
    ],
  });
  t.like(found, {
    A: 'one',
    B: 'one $(NONE) $(A)',
    PASSWORD: 'sesame',
    NODE: 'node-1',
    LABEL: 'web',
    S_color: 'red',
    'S_with.dot': 'x',
  });
  t.false('MAYBE' in found);
});

test('what is missing is named', t => {
  const missing = (container: Partial<Container>) =>
    t.throws(() => environment(container), { instanceOf: ConfigError }).message;
  t.is(missing({ envFrom: [{ secretRef: { name: 'none' } }] }), 'secret "none" not found');
  const key = { configMapKeyRef: { name: 'settings', key: 'none' } };
  t.is(missing({ env: [{ name: 'A', valueFrom: key }] }), "couldn't find key none in ConfigMap ns/settings");
});

test('variables of services', t => {
  const services: Service[] = [
    {
      metadata: { name: 'kubernetes', namespace: 'default' },
      spec: { clusterIP: '10.43.0.1', ports: [{ name: 'https', port: 443 }] },
    },
    { metadata: { name: 'my-db', namespace: 'ns' }, spec: { clusterIP: '10.43.0.2', ports: [{ port: 5432 }] } },
    { metadata: { name: 'headless', namespace: 'ns' }, spec: { clusterIP: 'None', ports: [{ port: 1 }] } },
    { metadata: { name: 'foreign', namespace: 'other' }, spec: { clusterIP: '10.43.0.3', ports: [{ port: 1 }] } },
  ];
  const found = environment({ env: [{ name: 'DB', value: '$(MY_DB_SERVICE_HOST)' }] }, services);
  t.like(found, {
    DB: '10.43.0.2',
    KUBERNETES_SERVICE_HOST: '10.43.0.1',
    KUBERNETES_SERVICE_PORT: '443',
    KUBERNETES_SERVICE_PORT_HTTPS: '443',
    MY_DB_PORT: 'tcp://10.43.0.2:5432',
    MY_DB_PORT_5432_TCP_ADDR: '10.43.0.2',
  });
  t.false(Object.keys(found).some(name => name.startsWith('FOREIGN') || name.startsWith('HEADLESS')));
  const alone = serviceVariables(services, { ...pod, spec: { containers: [], enableServiceLinks: false } });
  t.deepEqual(
    [...alone.keys()].filter(name => !name.startsWith('KUBERNETES')),
    [],
  );
});

test('resources as variables', t => {
  const container = { name: 'app', resources: { limits: { cpu: '1500m', memory: '64Mi' }, requests: {} } };
  const at = { pod, container, allocatable: { cpuMilli: 4000, memoryBytes: 1024, storageBytes: 64 * 2 ** 30 } };
  t.is(resourceValue({ resource: 'limits.cpu' }, at), '2');
  t.is(resourceValue({ resource: 'limits.cpu', divisor: '1m' }, at), '1500');
  t.is(resourceValue({ resource: 'limits.memory', divisor: '1Mi' }, at), '64');
  t.is(resourceValue({ resource: 'limits.memory' }, { ...at, container: { name: 'app' } }), '1024');
  t.is(resourceValue({ resource: 'requests.cpu' }, at), '0');
  t.is(resourceValue({ resource: 'limits.ephemeral-storage', divisor: '1Gi' }, at), '64', 'the node’s');
  t.is(resourceValue({ resource: 'requests.ephemeral-storage' }, at), '0');
  const nothing = { name: 'app', resources: { limits: { cpu: '0', memory: '0' } } };
  t.is(resourceValue({ resource: 'limits.cpu' }, { ...at, container: nothing }), '4');
  t.is(resourceValue({ resource: 'limits.memory' }, { ...at, container: nothing }), '1024');
});

test('expansion leaves what it does not know', t => {
  t.is(
    expand('$(A)$(B) $ $( $$', name => (name === 'A' ? '1' : undefined)),
    '1$(B) $ $( $',
  );
});

test('quantities', t => {
  t.is(quantityValue('64Mi'), 64 * 2 ** 20);
  t.is(quantityValue('1e3'), 1000);
  t.is(quantityValue('5k'), 5000);
  t.is(quantityValue('nonsense'), undefined);
  t.is(milliValue('100m'), 100);
  t.is(milliValue('0.3'), 300);
  t.is(milliValue(2), 2000);
  t.is(cpuShares(0), 2);
  t.is(cpuShares(250), 256);
});

test('quality of service, and who is killed first', t => {
  const of = (resources: Container['resources']): Pod => ({
    spec: { containers: [{ name: 'app', ...(resources && { resources }) }] },
  });
  const guaranteed = of({ limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '1000m', memory: '1024Mi' } });
  const burstable = of({ requests: { memory: '1Gi' } });
  t.is(qosClassOf(of(undefined)), 'BestEffort');
  t.is(qosClassOf(guaranteed), 'Guaranteed');
  t.is(qosClassOf(burstable), 'Burstable');
  const score = (of: Pod) => oomScoreAdjustment(of, of.spec?.containers[0] ?? { name: '' }, 4 * 2 ** 30);
  t.is(score(of(undefined)), 1000);
  t.is(score(guaranteed), -997);
  t.is(score(burstable), 750);
  const critical = (priorityClassName: string): Pod => ({
    spec: { containers: [{ name: 'app' }], priority: 2_000_000_000, priorityClassName },
  });
  t.is(score(critical('system-node-critical')), -997);
  t.is(score(critical('system-cluster-critical')), 1000);
  const side: Container = { name: 'side', restartPolicy: 'Always', resources: { requests: { memory: '1Mi' } } };
  const served = { spec: { ...burstable.spec, containers: burstable.spec?.containers ?? [], initContainers: [side] } };
  t.is(oomScoreAdjustment(served, side, 4 * 2 ** 30), 750, 'a sidecar no sooner than those that it serves');
});
