import test from 'ava';
import type { StatefulSet, Volume } from '../generated/types.ts';
import { statefulSet } from '../kinds/stateful-sets.ts';
import { validateStatefulSet } from './stateful-set.ts';

/** Its container mounts the volumes named. */
function setOf(
  mounts: readonly string[],
  { volumes, claims }: { volumes?: Volume[]; claims?: readonly string[] },
): StatefulSet {
  const set: StatefulSet = {
    metadata: { name: 's', namespace: 'n' },
    spec: {
      serviceName: 's',
      selector: { matchLabels: { app: 's' } },
      template: {
        metadata: { labels: { app: 's' } },
        spec: {
          containers: [
            { name: 'c', image: 'a:1', volumeMounts: mounts.map(name => ({ name, mountPath: `/${name}` })) },
          ],
          ...(volumes && { volumes }),
        },
      },
      volumeClaimTemplates: (claims ?? []).map(name => ({
        metadata: { name },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } },
      })),
    },
  };
  statefulSet.defaults(set);
  return set;
}
const errorsOf = (set: StatefulSet) => validateStatefulSet(set).map(({ field, message }) => `${field}: ${message}`);

test('a claim template is a volume of its name, also in place of one that the pods have', t => {
  t.deepEqual(errorsOf(setOf(['data', 'home'], { claims: ['data'], volumes: [{ name: 'home', emptyDir: {} }] })), []);
  t.deepEqual(errorsOf(setOf(['data'], { claims: ['data'], volumes: [{ name: 'data', emptyDir: {} }] })), []);
});

test('what is neither volume nor claim cannot be mounted', t => {
  t.deepEqual(errorsOf(setOf(['other'], { claims: ['data'] })), [
    'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "other"',
  ]);
});
