/** What the words of `taint` and `cp` mean. */
import test from 'ava';
import { parsePlace, targetOf } from './cp.ts';
import { changedTaints, parseTaints } from './taint.ts';

test('taints are set and removed by key and effect', t => {
  t.deepEqual(parseTaints(['a=b:NoSchedule', 'c:NoExecute', 'd-', 'e:PreferNoSchedule-', 'f=g:NoSchedule-']), {
    set: [
      { key: 'a', value: 'b', effect: 'NoSchedule' },
      { key: 'c', effect: 'NoExecute' },
    ],
    removed: [
      { key: 'd', effect: undefined },
      { key: 'e', effect: 'PreferNoSchedule' },
      { key: 'f', effect: 'NoSchedule' },
    ],
  });
  t.throws(() => parseTaints(['a=b:Nope']), { message: /invalid taint effect: Nope/ });
  t.throws(() => parseTaints(['a=b']), { message: /invalid taint spec/ });
  t.throws(() => parseTaints(['a=b:NoSchedule', 'a=c:NoSchedule']), { message: /duplicated/ });
});

test('a taint that is there is changed only when that is said', t => {
  const node = { metadata: { name: 'n' }, spec: { taints: [{ key: 'a', value: 'b', effect: 'NoSchedule' }] } };
  const changes = parseTaints(['a=c:NoSchedule']);
  t.throws(() => changedTaints(node, changes, false), { message: /--overwrite is false/ });
  t.deepEqual(changedTaints(node, changes, true), [{ key: 'a', value: 'c', effect: 'NoSchedule' }]);
  t.deepEqual(changedTaints(node, parseTaints(['a-']), false), []);
  t.throws(() => changedTaints(node, parseTaints(['a:NoExecute-']), false), { message: /"a:NoExecute" not found/ });
});

test('a place is here or in a pod', t => {
  const place = (pod: string | undefined, namespace: string | undefined, path: string) => ({ pod, namespace, path });
  t.deepEqual(parsePlace('a/b'), place(undefined, undefined, 'a/b'));
  t.deepEqual(parsePlace('./a:b'), place(undefined, undefined, './a:b'));
  t.deepEqual(parsePlace('web:/tmp'), place('web', undefined, '/tmp'));
  t.deepEqual(parsePlace('prod/web:/tmp:x'), place('web', 'prod', '/tmp:x'));
  t.throws(() => parsePlace('a/b/c:/x'));
  t.throws(() => parsePlace('web:'));
});

test('an archive cannot write outside the target', t => {
  const told: string[] = [];
  const at = (source: string, name: string) =>
    targetOf({ name }, { source, local: '/here/dir', tell: line => told.push(line) });
  t.is(at('/var/log', 'var/log/'), '/here/dir');
  t.is(at('/var/log/', 'var/log/a/b'), '/here/dir/a/b');
  t.is(at('/var/log', 'var/log/../../etc/passwd'), undefined);
  t.is(at('/var/log', '../../x'), undefined);
  t.is(at('/var/log', 'var/logs'), undefined);
  t.is(told.length, 3);
});
