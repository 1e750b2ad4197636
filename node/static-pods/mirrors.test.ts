import test from 'ava';
import type { Pod } from '../api.ts';
import { fullName } from './folder.ts';
import { isMirror, MIRROR_ANNOTATION, makeMirror, planMirrors } from './mirrors.ts';

const node = { metadata: { name: 'n', uid: 'node-uid' } };
const staticPod = (name: string, uid: string): Pod => ({
  metadata: { name, namespace: 'default', uid, labels: { app: name }, annotations: { a: 'b' }, finalizers: ['x/y'] },
  spec: { containers: [{ name: 'c' }] },
});
const mirrorOf = (pod: Pod, more: object = {}): Pod => {
  const mirror = makeMirror(pod, node);
  return { ...mirror, metadata: { ...mirror.metadata, uid: `mirror-of-${pod.metadata?.uid}`, ...more } };
};
const web = staticPod('web', 'one');
const changed = staticPod('web', 'two');
const ordinary: Pod = { metadata: { name: 'web', namespace: 'default', uid: 'u' } };

test('a mirror says whose it is', t => {
  const mirror = makeMirror(web, node);
  t.deepEqual(mirror.metadata, {
    name: 'web',
    namespace: 'default',
    labels: { app: 'web' },
    annotations: { a: 'b', [MIRROR_ANNOTATION]: 'one' },
    ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'n', uid: 'node-uid', controller: true }],
  });
  t.deepEqual(mirror.spec, web.spec);
  t.true(isMirror(mirror));
  t.false(isMirror(web));
});

interface Case {
  readonly running?: Pod;
  readonly isEnding?: boolean;
  readonly known?: Pod;
  readonly plan: 'create' | 'remove' | 'nothing';
}
const cases: Readonly<Record<string, Case>> = {
  'none yet': { running: web, plan: 'create' },
  'there it is': { running: web, known: mirrorOf(web), plan: 'nothing' },
  'somebody deletes it': { running: web, known: mirrorOf(web, { deletionTimestamp: 'now' }), plan: 'remove' },
  'it shows an older manifest': { running: changed, known: mirrorOf(web), plan: 'remove' },
  'no file wants it': { known: mirrorOf(web), plan: 'remove' },
  'its pod is on its way out': { running: web, isEnding: true, known: mirrorOf(web), plan: 'nothing' },
  'it was never made and its pod ends': { running: web, isEnding: true, plan: 'nothing' },
  'a pod of the API has the name': { running: web, known: ordinary, plan: 'nothing' },
  'a pod of the API': { known: ordinary, plan: 'nothing' },
};
for (const [name, { running, isEnding, known, plan }] of Object.entries(cases))
  test(name, t => {
    const { create, remove } = planMirrors({
      running: new Map(running ? [[fullName(running), running]] : []),
      ending: new Set(isEnding ? ['default/web'] : []),
      known: known ? [known] : [],
    });
    t.deepEqual(create, plan === 'create' ? [running] : []);
    t.deepEqual(remove, plan === 'remove' ? [known] : []);
  });
