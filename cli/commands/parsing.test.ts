/** What the words of `taint` and `cp` mean. */
import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { extract, pack } from 'tar-stream';
import { parsePlace, targetOf, unpack } from './cp.ts';
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

test('CVE-2019-11246, CVE-2019-11251: an archive cannot name a place outside the target', t => {
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

test('CVE-2019-1002101, CVE-2019-11249: links of an archive lead nowhere, as they are not made', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'raftsman-cp-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const archive = pack();
  archive.entry({ name: 'data/out', type: 'symlink', linkname: '../outside' });
  archive.entry({ name: 'data/out/planted' }, 'x');
  archive.entry({ name: 'data/hard', type: 'link', linkname: '/etc/hostname' });
  archive.entry({ name: 'data/hard', mode: 0o4755 }, 'x');
  archive.finalize();
  const told: string[] = [];
  const unpacking = { source: '/data', local: join(folder, 'here'), tell: (text: string) => told.push(text) };
  await unpack(archive.pipe(extract()), unpacking);
  t.deepEqual(readdirSync(folder, { recursive: true }).map(String).sort(), [
    ...['here', 'here/hard', 'here/out', 'here/out/planted'],
  ]);
  t.true(lstatSync(join(folder, 'here/out')).isDirectory());
  const { nlink, mode } = lstatSync(join(folder, 'here/hard'));
  t.deepEqual([nlink, mode & 0o7000], [1, 0], 'a file of its own, without rights of its owner');
  t.is(told.length, 2);
});
