/** Commands that write, against a small API server in memory that keeps objects and notes what came. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import test, { type ExecutionContext } from 'ava';
import { mergePatch } from '../../control/api/patch/merge-patch.ts';
import { runInProcess } from '../../test/helpers/cli-in-process.ts';

interface Stored {
  metadata: { name: string; resourceVersion?: string; [key: string]: unknown };
  [key: string]: unknown;
}

interface Came {
  readonly method: string;
  readonly path: string;
  readonly body: Stored | undefined;
  readonly headers: readonly string[];
}

const resource = (name: string, kind: string, scope = 'Namespaced') => ({
  resource: name,
  responseKind: { kind },
  scope,
  singularResource: kind.toLowerCase(),
  verbs: ['get', 'list', 'create'],
});
const DISCOVERY = {
  kind: 'APIGroupDiscoveryList',
  items: [
    {
      versions: [
        {
          version: 'v1',
          resources: [
            resource('configmaps', 'ConfigMap'),
            resource('services', 'Service'),
            resource('pods', 'Pod'),
            resource('nodes', 'Node', 'Cluster'),
          ],
        },
      ],
    },
  ],
};

/** What the server refuses besides what is not there. */
type Refuse = (came: Came) => { readonly reason: string; readonly code: number } | undefined;

interface Api {
  readonly url: string;
  readonly came: readonly Came[];
  readonly objects: ReadonlyMap<string, Stored>;
  run(words: readonly string[], input?: string, env?: Record<string, string>): ReturnType<typeof runInProcess>;
  /** The bodies of the writes of this method. */
  sent(method: string): (Stored | undefined)[];
}

async function startApi(
  t: ExecutionContext,
  {
    objects: given = {},
    refuse = () => undefined,
  }: { objects?: Readonly<Record<string, Stored>>; refuse?: Refuse } = {},
): Promise<Api> {
  const objects = new Map(Object.entries(given));
  const came: Came[] = [];
  let version = 100;
  const server = http.createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const { pathname: path } = new URL(request.url ?? '/', 'http://x');
    const body = text === '' ? undefined : (JSON.parse(text) as Stored);
    const one: Came = { method: request.method ?? '', path, body, headers: request.rawHeaders };
    came.push(one);
    const answer = (value: unknown, code = 200) => {
      response.writeHead(code, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    };
    const fail = (reason: string, code: number) =>
      answer({ kind: 'Status', status: 'Failure', reason, message: `${reason} of ${path}`, code }, code);
    if (path === '/api') return answer(DISCOVERY);
    if (path === '/apis') return answer({ kind: 'APIGroupDiscoveryList', items: [] });
    const refused = refuse(one);
    if (refused) return fail(refused.reason, refused.code);
    const put = (key: string, object: Stored) => {
      const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(++version) } };
      objects.set(key, stored);
      answer(stored);
    };
    const old = objects.get(path);
    if (one.method === 'POST' && body) return put(`${path}/${body.metadata.name}`, body);
    if (one.method === 'GET' && /\/(configmaps|services|pods|nodes)$/.test(path)) {
      const items = [...objects].filter(([key]) => key.startsWith(`${path}/`)).map(([, object]) => object);
      return answer({ kind: 'List', metadata: {}, items });
    }
    if (!old) return fail('NotFound', 404);
    if (one.method === 'PATCH') return put(path, mergePatch(old, body) as Stored);
    if (one.method === 'PUT' && body) return put(path, body);
    if (one.method === 'DELETE') objects.delete(path);
    answer(old);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    came,
    objects,
    run: (words, input, env = {}) => runInProcess([...words, '-s', url], env, input),
    sent: method => came.filter(each => each.method === method).map(({ body }) => body),
  };
}

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
const SERVICES = '/api/v1/namespaces/default/services';
const configMap = (data: unknown, metadata: object = {}) =>
  JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', ...metadata }, data });

test('--record remembers the command line, and says that it is on its way out', async t => {
  const api = await startApi(t);
  const outcome = await api.run(['apply', '--record', '-f', '-'], configMap({}));
  t.is(outcome.stdout, 'configmap/a created\n');
  t.is(outcome.stderr, 'Flag --record has been deprecated, --record will be removed in the future\n');
  const cause = `raftsman apply --record=true --filename=- --server=${api.url}`;
  const [created] = api.sent('POST');
  t.like(created, { metadata: { annotations: { 'kubernetes.io/change-cause': cause } } });
  await api.run(['label', 'configmap/a', 'x=y', '--record']);
  t.like(api.sent('PATCH')[0], {
    metadata: {
      labels: { x: 'y' },
      annotations: { 'kubernetes.io/change-cause': `raftsman label configmap/a x=y --record=true --server=${api.url}` },
    },
  });
  t.regex((await api.run(['delete', 'configmap', 'a', '--record'])).stderr, /unknown flag: --record/);
});

test('an object of a kind that is not served does not stop the others', async t => {
  const api = await startApi(t);
  const both = `${configMap({})}\n---\n{"apiVersion": "x.y/v1", "kind": "Bogus", "metadata": {"name": "b"}}\n`;
  for (const [verb, done] of [
    ['apply', 'created'],
    ['replace', 'replaced'],
    ['delete', 'deleted'],
  ] as const) {
    const outcome = await api.run([verb, '-f', '-'], both);
    t.is(outcome.stdout, verb === 'delete' ? 'configmap "a" deleted\n' : `configmap/a ${done}\n`);
    t.regex(outcome.stderr, /no matches for kind "Bogus" in version "x.y\/v1"\nensure CRDs are installed first\n$/);
    t.is(outcome.exitCode, 1);
  }
  t.is((await api.run(['diff', '-f', '-'], both)).stdout, '', 'what tells of all tells of none');
});

test('replace without a version takes the place of what is there', async t => {
  const api = await startApi(t, {
    objects: { [`${CONFIG_MAPS}/a`]: { metadata: { name: 'a', resourceVersion: '7' } } },
  });
  await api.run(['replace', '-f', '-'], configMap({ x: 'y' }));
  await api.run(['replace', '-f', '-'], configMap({ x: 'z' }, { resourceVersion: '8' }));
  t.deepEqual(
    api.sent('PUT').map(body => body?.metadata.resourceVersion),
    ['7', '8'],
  );
});

test('apply sends no nulls where it creates', async t => {
  const api = await startApi(t);
  await api.run(['apply', '-f', '-'], configMap({ x: null, y: 'z' }, { labels: null }));
  t.deepEqual(api.sent('POST')[0]?.data, { y: 'z' });
  t.false('labels' in (api.sent('POST')[0]?.metadata ?? {}));
});

const service = (address: string) =>
  JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' }, spec: { clusterIP: address } });

test('apply --force makes anew what cannot be changed, and puts back the old one if that fails', async t => {
  const refuse: Refuse = ({ method, body }) => {
    const address = (body?.spec as { clusterIP?: string } | undefined)?.clusterIP;
    const isRefused = method === 'PATCH' || (method === 'POST' && address === 'bad');
    return isRefused ? { reason: 'Invalid', code: 422 } : undefined;
  };
  const api = await startApi(t, { refuse });
  await api.run(['apply', '-f', '-'], service('one'));
  t.is((await api.run(['apply', '-f', '-'], service('two'))).exitCode, 1);
  t.deepEqual(api.objects.get(`${SERVICES}/a`)?.spec, { clusterIP: 'one' });
  t.is((await api.run(['apply', '--force', '-f', '-'], service('two'))).stdout, 'service/a configured\n');
  t.deepEqual(api.objects.get(`${SERVICES}/a`)?.spec, { clusterIP: 'two' });
  t.is((await api.run(['apply', '--force', '-f', '-'], service('bad'))).exitCode, 1);
  t.deepEqual(api.objects.get(`${SERVICES}/a`)?.spec, { clusterIP: 'two' });
});

test('what a patch was refused for is told with the patch', async t => {
  const api = await startApi(t, {
    refuse: ({ method }) => (method === 'PATCH' ? { reason: 'Forbidden', code: 403 } : undefined),
  });
  await api.run(['apply', '-f', '-'], service('one'));
  const { stderr } = await api.run(['apply', '-f', '-'], service('two'));
  t.true(stderr.startsWith('Error from server (Forbidden): error when applying patch:\n{"metadata":{"annotations":'));
  t.true(
    stderr.endsWith(
      `to:\nResource: "/v1, Resource=services", GroupVersionKind: "/v1, Kind=Service"\nName: "a", Namespace: "default"\nfor: "STDIN": error when patching "STDIN": Forbidden of ${SERVICES}/a\n`,
    ),
  );
});

test('an empty selector of nodes means none, not all', async t => {
  const api = await startApi(t, { objects: { '/api/v1/nodes/n': { metadata: { name: 'n' } } } });
  for (const verb of ['cordon', 'uncordon', 'drain']) {
    const outcome = await api.run([verb, '--selector=']);
    t.regex(outcome.stderr, /^error: You must provide one or more resources/);
    t.is(outcome.exitCode, 1);
  }
  t.deepEqual(api.sent('PATCH'), []);
});

test('drain does not wait for pods that should have been gone for longer than it is told to', async t => {
  const metadata = { name: 'p', namespace: 'default', uid: 'u' };
  const pod = { metadata, spec: { nodeName: 'n', containers: [] } };
  const api = await startApi(t, {
    objects: {
      '/api/v1/nodes/n': { metadata: { name: 'n' } },
      '/api/v1/pods/p': pod,
      // Its node is dead: it was asked to go and does not.
      '/api/v1/namespaces/default/pods/p': {
        ...pod,
        metadata: { ...metadata, deletionTimestamp: '2026-01-01T00:00:00Z' },
      },
    },
  });
  const { stdout } = await api.run(['drain', 'n', '--force', '--skip-wait-for-delete-timeout=5']);
  t.is(
    stdout,
    'node/n cordoned\nevicting pod default/p\npod "p" has DeletionTimestamp older than 5 seconds, skipping\nnode/n drained\n',
  );
});

test('groups are impersonated one by one: their names may hold commas', async t => {
  const api = await startApi(t);
  await api.run(['get', 'configmaps', '-o', 'name', '--as=me', '--as-group=b', '--as-group=,,,a']);
  const { headers } = api.came.find(({ path }) => path === CONFIG_MAPS) ?? { headers: [] };
  const groups = headers.filter(
    (_, index) => index % 2 === 1 && headers[index - 1]?.toLowerCase() === 'impersonate-group',
  );
  t.deepEqual(groups, ['b', ',,,a']);
});

/** What an editor makes of a text: a program of sed. */
const editing = (program: string) => ({ KUBE_EDITOR: `sed -i ${program}`, TMPDIR: tmpdir() });

test('edit: several objects are one text, of which only what was changed is sent', async t => {
  const object = (name: string) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'default', uid: name, managedFields: [{ manager: 'me' }] },
    data: { [name]: 'old' },
  });
  const api = await startApi(t, { objects: { [`${CONFIG_MAPS}/a`]: object('a'), [`${CONFIG_MAPS}/b`]: object('b') } });
  const words = ['edit', 'configmaps', 'a', 'b', '--output-patch'];
  const outcome = await api.run(words, '', editing('/a:.old/s/old/new/'));
  t.is(outcome.stdout, 'Patch: {"data":{"a":"new"}}\nconfigmap/a edited\nconfigmap/b skipped\n');
  t.deepEqual(api.sent('PATCH'), [{ data: { a: 'new' } }] as unknown[] as Stored[]);
  const untouched = await api.run(['edit', 'configmaps', 'a', 'b'], '', editing('s/x/x/'));
  t.deepEqual([untouched.stdout, untouched.stderr], ['', 'Edit cancelled, no changes made.\n']);
});

test('create --edit creates what a person left, and on a dry run nothing', async t => {
  const api = await startApi(t);
  const words = ['create', '--edit', '-f', '-'];
  const outcome = await api.run(words, configMap({ k: 'old' }), editing('s/old/new/'));
  t.is(outcome.stdout, 'configmap/a created\n');
  t.like(api.sent('POST')[0], { data: { k: 'new' } });
  const dry = await api.run([...words, '--dry-run=client'], configMap({ k: 'old' }), editing('s/old/new/'));
  t.is(dry.stdout, 'configmap/a created (dry run)\n');
  t.is(api.sent('POST').length, 1);
});

test('delete --dry-run=client asks the server for nothing', async t => {
  const api = await startApi(t);
  const outcome = await api.run(['delete', 'configmaps', 'nothere', '--dry-run=client']);
  t.deepEqual([outcome.stdout, outcome.exitCode], ['configmap "nothere" deleted (dry run)\n', 0]);
  t.false(api.came.some(({ path }) => path.startsWith(CONFIG_MAPS)));
});

test('the flags of create -f are not those of its generators', async t => {
  const api = await startApi(t);
  t.regex((await api.run(['create', 'configmap', 'a', '--edit'])).stderr, /unknown flag: --edit/);
});

test('apply --overwrite=false leaves what others changed', async t => {
  const api = await startApi(t);
  await api.run(['apply', '-f', '-'], configMap({ a: '1', b: '1' }));
  await api.run(['patch', 'configmaps', 'a', '--type=merge', '-p', '{"data":{"a":"2"}}']);
  const count = api.sent('PATCH').length;
  const refused = await api.run(['apply', '-f', '-', '--overwrite=false'], configMap({ a: '1', b: '2' }));
  t.is(refused.exitCode, 1);
  t.regex(refused.stderr, /conflicts with changes made from original to current:\ndata:\n {2}a: "2"/);
  t.is(api.sent('PATCH').length, count);
  t.is((await api.run(['apply', '-f', '-'], configMap({ a: '1', b: '2' }))).stdout, 'configmap/a configured\n');
});

test('replace --force and apply --force delete as --cascade and --grace-period say', async t => {
  const api = await startApi(t, {
    refuse: ({ method }) => (method === 'PATCH' ? { reason: 'Invalid', code: 422 } : undefined),
  });
  await api.run(['apply', '-f', '-'], configMap({ a: '1' }));
  const how = ['--force', '--cascade=orphan', '--grace-period=0'];
  await api.run(['apply', '-f', '-', ...how], configMap({ a: '2' }));
  await api.run(['replace', '-f', '-', ...how], configMap({ a: '3' }));
  const bodies = api.sent('DELETE') as unknown[];
  t.is(bodies.length, 2);
  for (const body of bodies) t.like(body, { propagationPolicy: 'Orphan', gracePeriodSeconds: 0 });
});

test('scale --timeout waits until there are as many, and gives up', async t => {
  const name = '/api/v1/namespaces/default/pods/a';
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' } };
  const api = await startApi(t, { objects: { [name]: pod, [`${name}/scale`]: { ...pod, status: { replicas: 2 } } } });
  const words = ['scale', 'pod/a', '--timeout=1s', '-s', api.url];
  t.is((await runInProcess([...words, '--replicas=2'])).stdout, 'pod/a scaled\n');
  let now = 0;
  const clock = { now: () => (now += 100), setTimeout: () => () => undefined };
  const late = await runInProcess([...words, '--replicas=3'], {}, '', { clock });
  t.deepEqual([late.stdout, late.stderr], ['', 'error: timed out waiting for "a" to be synced\n']);
});
