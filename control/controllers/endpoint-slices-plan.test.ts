import test from 'ava';
import type { Pod, Service, ServicePort } from '../api/generated/types.ts';
import { planSlices } from './endpoint-slices-plan.ts';

const service = (ports: ServicePort[]): Service => ({
  metadata: { name: 's', namespace: 'n', uid: 's' },
  spec: { selector: { app: 'a' }, ports, clusterIP: '10.96.0.9' },
});
const pod: Pod = {
  metadata: { name: 'p', namespace: 'n', uid: 'p', labels: { app: 'a' } },
  spec: { containers: [], nodeName: 'x' },
  status: { podIP: '10.91.0.1', conditions: [{ type: 'Ready', status: 'True' }] },
};
const web = { name: 'web', port: 80, targetPort: 8080 };
const num = { name: 'num', port: 81, targetPort: 9090 };

test("a slice's ports have an order of their own, whatever the Service's", t => {
  const plan = (ports: ServicePort[], slices = [] as ReturnType<typeof planSlices>['create']) =>
    planSlices({ service: service(ports), pods: [pod], slices, nodeOf: () => undefined });
  const [slice] = plan([num, web]).create;
  t.deepEqual(
    slice?.ports?.map(({ name }) => name),
    ['web', 'num'],
  );
  t.deepEqual(plan([web, num], slice ? [slice] : []), { create: [], update: [], remove: [] });
});
