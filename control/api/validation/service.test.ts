import test from 'ava';
import { validateService } from './service.ts';

test('addresses that make no sense are all that is told', t => {
  const ports = [{ port: 80, nodePort: 30_001, protocol: 'TCP', targetPort: 80 }];
  const spec = {
    type: 'ClusterIP',
    sessionAffinity: 'None',
    externalIPs: ['x'],
    externalTrafficPolicy: 'Cluster',
    ports,
  };
  const fields = (clusterIP: string) =>
    validateService({ spec: { ...spec, clusterIP, clusterIPs: [clusterIP] } }).map(({ field }) => field);
  t.deepEqual(fields('nope'), ['spec.clusterIPs[0]']);
  t.deepEqual(fields('10.96.0.9'), ['spec.externalIPs[0]', 'spec.ports[0].nodePort', 'spec.internalTrafficPolicy']);
});
