import test from 'ava';
import { validateIngressStatus, validateServiceStatus } from './load-balancer-status.ts';

const errorsOf = (entry: object, type = 'LoadBalancer', before: object = {}) => {
  const status = (ingress: object[]) => ({ loadBalancer: { ingress } });
  return validateServiceStatus({ spec: { type }, status: status([entry]) }, { status: status([before]) }).map(
    ({ field, message }) => `${field}: ${message}`,
  );
};

test('addresses of a balanced Service', t => {
  t.deepEqual(errorsOf({ ip: '192.0.2.1', ipMode: 'VIP' }), []);
  t.deepEqual(errorsOf({ ip: '2001:db8::1', ipMode: 'Proxy', hostname: 'a.example' }), []);
  t.deepEqual(errorsOf({ hostname: 'a.example' }), []);
  t.deepEqual(errorsOf({ ip: '192.0.2.1' }), [
    'status.loadBalancer.ingress[0].ipMode: Required value: must be specified when `ip` is set',
  ]);
  t.deepEqual(errorsOf({ hostname: 'a.example', ipMode: 'VIP' }), [
    'status.loadBalancer.ingress[0].ipMode: Forbidden: may not be specified when `ip` is not set',
  ]);
  t.deepEqual(errorsOf({ ip: '192.0.2.1', ipMode: 'x' }), [
    'status.loadBalancer.ingress[0].ipMode: Unsupported value: "x": supported values: "Proxy", "VIP"',
  ]);
  t.deepEqual(errorsOf({ hostname: '192.0.2.1' }), [
    'status.loadBalancer.ingress[0].hostname: Invalid value: "192.0.2.1": must be a DNS name, not an IP address',
  ]);
  t.deepEqual(errorsOf({ ip: 'x', ipMode: 'VIP' }), [
    'status.loadBalancer.ingress[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
  ]);
  t.deepEqual(errorsOf({ ip: 'x', ipMode: 'VIP' }, 'LoadBalancer', { ip: 'x' }), []);
  t.deepEqual(errorsOf({ ip: '192.0.2.1', ipMode: 'VIP' }, 'ClusterIP'), [
    "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'",
  ]);
});

test('addresses of an Ingress', t => {
  const status = { loadBalancer: { ingress: [{ ip: 'x' }, { hostname: '-' }, { ip: '192.0.2.1' }] } };
  t.deepEqual(
    validateIngressStatus({ status }, {}).map(({ field }) => field),
    ['status.loadBalancer.ingress[0].ip', 'status.loadBalancer.ingress[1].hostname'],
  );
  t.deepEqual(validateIngressStatus({ status: { loadBalancer: {} } }, {}), []);
});
