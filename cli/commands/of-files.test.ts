/** What commands do with the objects of files, against a small HTTP server that answers as a cluster would. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { runInProcess as run } from '../../test/helpers/cli-in-process.ts';
import { checkPair } from './key-pair.ts';

const resource = (name: string, kind: string, shortName: string) => ({
  resource: name,
  responseKind: { kind },
  scope: 'Namespaced',
  singularResource: kind.toLowerCase(),
  shortNames: [shortName],
});
const group = (name: string, versions: readonly string[], resources: readonly object[]) => ({
  metadata: { name },
  versions: versions.map(version => ({ version, resources })),
});
const discovery: Readonly<Record<string, unknown>> = {
  '/api': {
    kind: 'APIGroupDiscoveryList',
    items: [
      group(
        '',
        ['v1'],
        [
          resource('pods', 'Pod', 'po'),
          resource('services', 'Service', 'svc'),
          { ...resource('nodes', 'Node', 'no'), scope: 'Cluster' },
        ],
      ),
    ],
  },
  '/apis': {
    kind: 'APIGroupDiscoveryList',
    items: [
      group(
        'apps',
        ['v1'],
        [{ ...resource('deployments', 'Deployment', 'deploy'), subresources: [{ subresource: 'scale' }] }],
      ),
      group('autoscaling', ['v2', 'v1'], [resource('horizontalpodautoscalers', 'HorizontalPodAutoscaler', 'hpa')]),
    ],
  },
};

interface Sent {
  readonly line: string;
  readonly body: Readonly<Record<string, unknown>>;
}

interface SmallCluster {
  readonly url: string;
  readonly sent: readonly Sent[];
  /** When a watch has begun. */
  readonly watched: Promise<void>;
}

/** Has every pod that is asked for; what is written comes back. */
async function startCluster(t: ExecutionContext): Promise<SmallCluster> {
  const sent: Sent[] = [];
  const { promise: watched, resolve: tellWatched } = Promise.withResolvers<void>();
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://x');
      const text = Buffer.concat(chunks).toString();
      const body = text === '' ? undefined : JSON.parse(text);
      const known = discovery[pathname];
      if (!known) sent.push({ line: `${request.method} ${pathname}`, body });
      response.writeHead(200, { 'content-type': 'application/json' });
      const [, namespace, name] =
        /\/namespaces\/([^/]+)\/\w+\/([^/]+)$/.exec(pathname) ?? /\/v1(\/)nodes\/(\w+)$/.exec(pathname) ?? [];
      const kind = pathname.includes('/services/') ? 'Service' : 'Pod';
      const pod = { kind, apiVersion: 'v1', metadata: { name, namespace, uid: 'u', resourceVersion: '7' } };
      if (searchParams.has('watch')) response.write('\n', () => tellWatched());
      else if (known) response.end(JSON.stringify(known));
      else if (request.method === 'POST') response.end(text);
      else if (name !== undefined) response.end(JSON.stringify(pod));
      else response.end(JSON.stringify({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items: [pod] }));
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sent, watched };
}

function newFolder(t: ExecutionContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'raftsman-of-files-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

const pod = (name: string, more = '') => `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}${more}}\n`;
const broken = 'apiVersion: v1\nind: Pod\nmetadata: {name: c}\n';

test('a file with a mistake keeps no other from being read', async t => {
  const { url } = await startCluster(t);
  const folder = newFolder(t, { 'a.yaml': pod('a'), 'more/b.yaml': `${broken}---\n${pod('b')}`, 'z.yaml': pod('z') });
  const label = await run(['label', '-R', '-f', folder, 'x=y', '-s', url]);
  t.is(label.stdout, 'pod/a labeled\npod/b labeled\npod/z labeled\n');
  const told = `unable to decode "${folder}/more/b.yaml": Object 'Kind' is missing in '{"apiVersion":"v1","ind":"Pod","metadata":{"name":"c"}}'\n`;
  t.deepEqual([label.stderr, label.exitCode], [`error: ${told}`, 1]);
  const get = await run(['get', '-R', '-f', folder, '-o', 'name', '-s', url]);
  t.deepEqual([get.stdout, get.stderr, get.exitCode], ['pod/a\npod/b\npod/z\n', `error: ${told}`, 1]);
});

test('what is to be created is checked first: a mistake ends its file, not the others', async t => {
  const { url } = await startCluster(t);
  const folder = newFolder(t, { 'a.yaml': `${pod('a')}---\n${broken}---\n${pod('b')}`, 'z.yaml': pod('z') });
  const create = await run(['create', '-f', folder, '-s', url]);
  t.is(create.stdout, 'pod/a created\npod/z created\n');
  t.is(
    create.stderr,
    `error: error validating "${folder}/a.yaml": error validating data: kind not set; if you choose to ignore these errors, turn validation off with --validate=false\n`,
  );
  t.is(create.exitCode, 1);
});

test('nothing is pruned that a mistake kept from being read', async t => {
  const { url, sent } = await startCluster(t);
  for (const mistake of [broken, 'apiVersion: example.com/v1\nkind: Unserved\nmetadata: {name: u}\n']) {
    const folder = newFolder(t, { 'a.yaml': pod('a', ', labels: {x: y}'), 'b.yaml': mistake });
    const words = ['apply', '-f', folder, '--prune', '-l', 'x', '--prune-allowlist=core/v1/Pod', '-s', url];
    const apply = await run(words);
    t.deepEqual([apply.stdout, apply.exitCode], ['pod/a configured\n', 1]);
  }
  t.false(sent.some(({ line }) => line.startsWith('DELETE') || line.endsWith('/pods')));
});

test('objects of kinds that are not served keep none of a file from being shown', async t => {
  const { url } = await startCluster(t);
  const unserved = 'apiVersion: example.com/v1\nkind: Unserved\nmetadata: {name: u}\n';
  const told =
    'resource mapping not found for name: "u" namespace: "" from "STDIN": no matches for kind "Unserved" in version "example.com/v1"\nensure CRDs are installed first\n';
  const both = await run(['get', '-f', '-', '-o', 'name', '-s', url], {}, `${unserved}---\n${pod('a')}`);
  t.deepEqual([both.stdout, both.stderr, both.exitCode], ['pod/a\n', `error: ${told}`, 1]);
  const list = await run(['get', '-f', '-', '-o', 'jsonpath={.kind}', '-s', url], {}, `${unserved}---\n${pod('a')}`);
  t.is(list.stdout, 'List');
  const none = await run(['get', '-f', '-', '-o', 'yaml', '-s', url], {}, unserved);
  t.deepEqual([none.stdout, none.stderr, none.exitCode], ['', `error: ${told}`, 1]);
  const watch = await run(['get', '-f', '-', '-w', '-s', url], {}, `${unserved}---\n${pod('a')}`);
  t.deepEqual([watch.stdout, watch.stderr, watch.exitCode], ['', `error: ${told}`, 1]);
});

test('nothing is edited while there is a mistake in a file', async t => {
  const { url, sent } = await startCluster(t);
  const folder = newFolder(t, { 'a.yaml': pod('a'), 'b.yaml': broken });
  const edit = await run(['edit', '-f', folder, '-s', url], { EDITOR: 'false' });
  t.is(edit.exitCode, 1);
  t.deepEqual(sent, []);
});

test('what was written out of a cluster can be created again', async t => {
  const { url, sent } = await startCluster(t);
  for (const verb of ['create', 'apply']) {
    const { exitCode } = await run([verb, '-f', '-', '-s', url], {}, pod('a', ', resourceVersion: "7", uid: u'));
    t.is(exitCode, 0);
  }
  t.deepEqual(
    sent.filter(({ line }) => line.startsWith('POST')).map(({ body }) => body.metadata),
    [{ name: 'a', namespace: 'default', uid: 'u' }],
  );
});

test('objects of a file are looked for in the namespaces that stand there', async t => {
  const { url, sent } = await startCluster(t);
  await run(['get', '-f', '-', '-o', 'name', '-s', url], {}, pod('a', ', namespace: other'));
  t.deepEqual(
    sent.map(({ line }) => line),
    ['GET /api/v1/namespaces/other/pods/a'],
  );
});

test('delete, describe and label take a kustomization', async t => {
  const { url, sent } = await startCluster(t);
  const folder = newFolder(t, { 'kustomization.yaml': 'resources: [a.yaml]\n', 'a.yaml': pod('a') });
  t.is((await run(['delete', '-k', folder, '--wait=false', '-s', url])).stdout, 'pod "a" deleted\n');
  t.is((await run(['label', '-k', folder, 'x=y', '-s', url])).stdout, 'pod/a labeled\n');
  t.regex((await run(['describe', '-k', folder, '--show-events=false', '-s', url])).stdout, /^Name: +a\n/);
  t.true(sent.length > 0);
});

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: ${'d'.repeat(70)}, labels: {app: d}}
spec:
  selector: {matchLabels: {app: d}}
  template: {spec: {containers: [{name: c, ports: [{containerPort: 80}]}]}}
`;

test('what stands in a file is exposed as it stands there', async t => {
  const { url, sent } = await startCluster(t);
  const overrides = '{"metadata":{"annotations":{"a":"b"}}}';
  const words = ['expose', '-f', '-', '--overrides', overrides, '--save-config', '-s', url];
  t.is((await run(words, {}, deployment)).stdout, `service/${'d'.repeat(63)} exposed\n`);
  const [{ line, body } = { line: '', body: {} }, ...more] = sent;
  t.deepEqual([line, more], ['POST /api/v1/namespaces/default/services', []]);
  t.deepEqual(body.spec, { ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }], selector: { app: 'd' } });
  const { annotations } = body.metadata as { annotations: Record<string, string> };
  t.deepEqual(Object.keys(annotations).sort(), ['a', 'kubectl.kubernetes.io/last-applied-configuration']);
  const unselected = await run(['expose', '-f', '-', '-s', url], {}, deployment.replace(/ *selector.*\n/, ''));
  t.is(
    unselected.stderr,
    "error: couldn't retrieve selectors via --selector flag or introspection: invalid deployment: no selectors, therefore cannot be exposed\n",
  );
});

test('set selector sends the version that it is for', async t => {
  const { url, sent } = await startCluster(t);
  await run(['set', 'selector', 'service/s', 'a=b', '--resource-version=1', '-s', url]);
  t.deepEqual(sent.at(-1), {
    line: 'PATCH /api/v1/namespaces/default/services/s',
    body: { metadata: { resourceVersion: '1' }, spec: { selector: { a: 'b' } } },
  });
});

test('set --local shows what kubectl’s types never leave out', async t => {
  const { url } = await startCluster(t);
  const service = 'apiVersion: v1\nkind: Service\nmetadata: {name: s}\n';
  const words = ['set', 'selector', '-f', '-', 'a=b', '--local', '-o', 'yaml', '-s', url];
  t.is(
    (await run(words, {}, service)).stdout,
    'apiVersion: v1\nkind: Service\nmetadata:\n  creationTimestamp: null\n  name: s\nspec:\n  selector:\n    a: b\nstatus:\n  loadBalancer: {}\n',
  );
});

test('a short name stands for the long one and its group, whatever version stands beside it', async t => {
  const { url, sent } = await startCluster(t);
  for (const word of ['hpa.v1.autoscaling', 'hpa.autoscal', 'horizontalpodautoscalers.v1.autoscaling']) {
    await run(['get', word, '-o', 'name', '-s', url]);
  }
  t.deepEqual(
    sent.map(({ line }) => line.split('/')[3]),
    ['v2', 'v2', 'v1'],
  );
});

test('nothing is noted of what is only shown, but its cause is', async t => {
  const { url } = await startCluster(t);
  for (const words of [
    ['run', 'p', '--image=i'],
    ['run', 'p', '--image=i', '--expose', '--port=80'],
    ['autoscale', '--max=2', '-f', '-'],
    ['expose', '-f', '-'],
  ]) {
    const output = [
      '--save-config',
      '--record',
      '--dry-run=client',
      '-o',
      'go-template={{range $key, $_ := .metadata.annotations}}{{$key}} {{end}}',
      '-s',
      url,
    ];
    const { stdout, stderr } = await run([...words, ...output], {}, deployment);
    t.regex(stdout, /^(?:kubernetes\.io\/change-cause )+$/, stderr);
  }
});

test('a watch ends when the time for a request is over', async t => {
  const { url, watched } = await startCluster(t);
  const clock = {
    now: () => 0,
    // The time is over when the watch has begun.
    setTimeout: (callback: () => void, delayMs: number) => {
      let isOn = delayMs === 3_600_000;
      void watched.then(() => isOn && callback());
      return () => {
        isOn = false;
      };
    },
  };
  const watch = await run(['get', 'pods', '-w', '-o', 'name', '--request-timeout=1h', '-s', url], {}, '', { clock });
  t.is(watch.stdout, 'pod/\n');
  t.deepEqual([watch.stderr, watch.exitCode], ['', 0]);
});

test('what was applied last is noted anew by replace, also without --save-config', async t => {
  const { url, sent } = await startCluster(t);
  const noted = ', annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}"}';
  for (const text of [pod('a', noted), pod('a')]) await run(['replace', '-f', '-', '-s', url], {}, text);
  const notes = sent
    .filter(({ line }) => line.startsWith('PUT'))
    .map(({ body }) => (body.metadata as { annotations?: Record<string, string> }).annotations);
  const text = '{"apiVersion":"v1","kind":"Pod","metadata":{"annotations":{},"name":"a","namespace":"default"}}\n';
  t.deepEqual(notes, [{ 'kubectl.kubernetes.io/last-applied-configuration': text }, undefined]);
});

test('who names a namespace is warned when what has none is deleted', async t => {
  const { url } = await startCluster(t);
  const warned = await run(['delete', 'nodes', 'n', 'm', '-n', 'x', '--wait=false', '-s', url]);
  t.is(warned.stderr, 'Warning: deleting cluster-scoped resources, not scoped to the provided namespace\n');
  t.is((await run(['delete', 'nodes', 'n', '--wait=false', '-s', url])).stderr, '');
});

test('a certificate goes with its own key only', t => {
  const certificate = Buffer.from('-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n');
  const key = Buffer.from('-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n');
  const nothing = Buffer.from('x');
  for (const [pair, message] of [
    [
      { certificate: key, key: certificate },
      'failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched',
    ],
    [{ certificate: nothing, key }, 'failed to find any PEM data in certificate input'],
    [{ certificate, key: certificate }, 'found a certificate rather than a key in the PEM for the private key'],
    [{ certificate, key: nothing }, 'failed to find any PEM data in key input'],
  ] as const) {
    t.is(t.throws(() => checkPair(pair))?.message, `error: tls: ${message}`);
  }
  t.regex(t.throws(() => checkPair({ certificate, key }))?.message ?? '', /^error: tls: failed to parse private key: /);
});
