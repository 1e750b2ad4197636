/** `config`: what it prints, and what it makes of files. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import test from 'ava';
import { parse } from 'yaml';
import { runInProcess } from '../../test/helpers/cli-in-process.ts';

const folders: string[] = [];
test.after.always('remove the folders', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
function newFolder(prefix: string): string {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  folders.push(folder);
  return folder;
}

const CONFIG = {
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [
    { name: 'here', cluster: { server: 'https://127.0.0.1:6443', 'certificate-authority-data': 'Y2E=' } },
    { name: 'there', cluster: { server: 'https://10.0.0.1:6443', 'certificate-authority': 'ca.crt' } },
  ],
  users: [{ name: 'admin', user: { token: 's3cret' } }],
  contexts: [
    { name: 'lab', context: { cluster: 'here', user: 'admin' } },
    { name: 'prod', context: { cluster: 'there', user: 'admin', namespace: 'web' } },
  ],
  'current-context': 'lab',
  preferences: {},
};

function world(config: object = CONFIG) {
  const folder = newFolder('raftsman-config-');
  const path = join(folder, 'config');
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
  const run = (...words: string[]) => runInProcess(['config', ...words], { KUBECONFIG: path });
  return { folder, path, run, read: () => parse(readFileSync(path, 'utf8')) };
}

test('contexts are listed, and one is the current', async t => {
  const { run } = world();
  const { stdout } = await run('get-contexts');
  t.is(
    stdout,
    'CURRENT   NAME   CLUSTER   AUTHINFO   NAMESPACE\n' +
      '*         lab    here      admin      \n' +
      '          prod   there     admin      web\n',
  );
  t.is((await run('get-contexts', '-o', 'name')).stdout, 'lab\nprod\n');
  t.is((await run('current-context')).stdout, 'lab\n');
  t.is((await run('get-clusters')).stdout, 'NAME\nhere\nthere\n');
  t.is((await run('get-contexts', 'nope')).stderr, 'error: context nope not found\n');
});

test('view shows no secrets unless that is asked for', async t => {
  const { run, folder } = world();
  const shown = parse((await run('view')).stdout);
  t.is(shown.users[0].user.token, 'REDACTED');
  t.is(shown.clusters[0].cluster['certificate-authority-data'], 'DATA+OMITTED');
  t.is(shown.clusters[1].cluster['certificate-authority'], join(folder, 'ca.crt'));
  t.is(parse((await run('view', '--raw')).stdout).users[0].user.token, 's3cret');
  const small = parse((await run('view', '--minify')).stdout);
  t.deepEqual(
    small.clusters.map(({ name }: { name: string }) => name),
    ['here'],
  );
  t.is((await run('view', '-o', 'jsonpath={.contexts[*].name}')).stdout, 'lab prod');
});

test('contexts are switched, changed, renamed and deleted', async t => {
  const { run, read, path } = world();
  t.is((await run('use-context', 'prod')).stdout, 'Switched to context "prod".\n');
  t.is(read()['current-context'], 'prod');
  t.is((await run('use-context', 'nope')).stderr, 'error: no context exists with the name: "nope"\n');
  t.is((await run('set-context', '--current', '--namespace=team')).stdout, 'Context "prod" modified.\n');
  t.is(read().contexts[1].context.namespace, 'team');
  t.is((await run('set-context', 'new', '--cluster=here', '--user=admin')).stdout, 'Context "new" created.\n');
  t.deepEqual(read().contexts[2], { name: 'new', context: { cluster: 'here', user: 'admin' } });
  t.is((await run('rename-context', 'prod', 'live')).stdout, 'Context "prod" renamed to "live".\n');
  t.is(read()['current-context'], 'live');
  const deleted = await run('delete-context', 'live');
  t.is(deleted.stdout, `deleted context live from ${path}\n`);
  t.regex(deleted.stderr, /^warning: this removed your active context/);
  t.is((await run('delete-user', 'nobody')).stderr, `error: cannot delete user nobody, not in ${path}\n`);
  t.is(statSync(path).mode & 0o777, 0o600);
});

test('clusters and users are set, with certificates by path or whole', async t => {
  const { run, read, folder } = world();
  const file = join(folder, 'some.pem');
  writeFileSync(file, 'PEM');
  await run('set-cluster', 'there', `--certificate-authority=${file}`, '--embed-certs', '--server=https://x:1');
  t.deepEqual(read().clusters[1].cluster, { server: 'https://x:1', 'certificate-authority-data': 'UEVN' });
  await run('set-cluster', 'there', '--insecure-skip-tls-verify=true');
  t.deepEqual(read().clusters[1].cluster, { server: 'https://x:1', 'insecure-skip-tls-verify': true });
  await run('set-credentials', 'bob', `--client-key=${file}`);
  t.deepEqual(read().users[1], { name: 'bob', user: { 'client-key': file } });
  await run('set-credentials', 'bob', '--exec-command=login', '--exec-arg=a,b', '--exec-env=X=1');
  t.like(read().users[1].user.exec, { command: 'login', args: ['a', 'b'], env: [{ name: 'X', value: '1' }] });
});

test('single properties are set and unset', async t => {
  const { run, read } = world();
  t.is((await run('set', 'contexts.prod.namespace', 'x')).stdout, 'Property "contexts.prod.namespace" set.\n');
  t.is(read().contexts[1].context.namespace, 'x');
  await run('unset', 'contexts.prod.namespace');
  t.false('namespace' in read().contexts[1].context);
  await run('unset', 'users.admin');
  t.deepEqual(read().users, []);
  await run('unset', 'current-context');
  t.is((await run('current-context')).stderr, 'error: current-context is not set\n');
  t.regex((await run('set', 'nonsense.x', 'y')).stderr, /it begins with clusters, contexts, users or current-context/);
});

test('of several files the first that names a thing wins, and a thing that is changed stays in its file', async t => {
  const first = world({
    apiVersion: 'v1',
    kind: 'Config',
    contexts: [{ name: 'lab', context: { namespace: 'first' } }],
  });
  const second = world();
  const env = { KUBECONFIG: [first.path, join(first.folder, 'missing'), second.path].join(delimiter) };
  const run = (...words: string[]) => runInProcess(['config', ...words], env);
  const shown = parse((await run('view')).stdout);
  t.is(shown.contexts[0].context.namespace, 'first');
  t.is(shown['current-context'], 'lab');
  await run('set-context', 'prod', '--namespace=changed');
  t.is(second.read().contexts[1].context.namespace, 'changed');
  t.is(first.read().contexts.length, 1);
  await run('set-context', 'fresh', '--namespace=n');
  t.is(first.read().contexts[1].name, 'fresh');
});

test('a kubeconfig that does not exist yet is made', async t => {
  const folder = newFolder('raftsman-config-');
  const path = join(folder, 'deep', 'config');
  const outcome = await runInProcess(['config', 'set-cluster', 'c', '--server=https://x', '--kubeconfig', path]);
  t.is(outcome.stdout, 'Cluster "c" set.\n');
  t.deepEqual(parse(readFileSync(path, 'utf8')).clusters, [{ name: 'c', cluster: { server: 'https://x' } }]);
});
