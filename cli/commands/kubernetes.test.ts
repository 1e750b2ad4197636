/** The commands against a small HTTP server that answers as a cluster would. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { WebSocketServer } from 'ws';
import { runInProcess as run } from '../../test/helpers/cli-in-process.ts';
import { kubernetesCommands, verbOf } from './kubernetes.ts';

const folders: string[] = [];
test.after.always('remove the folders', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
function newFolder(prefix: string): string {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  folders.push(folder);
  return folder;
}

const pods = {
  resource: 'pods',
  responseKind: { kind: 'Pod' },
  scope: 'Namespaced',
  singularResource: 'pod',
  shortNames: ['po'],
};
const discovery = {
  '/api': { kind: 'APIGroupDiscoveryList', items: [{ versions: [{ version: 'v1', resources: [pods] }] }] },
  '/apis': { kind: 'APIGroupDiscoveryList', items: [] },
};
const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'a', namespace: 'default', uid: 'u', managedFields: [{}] },
  spec: { containers: [{ name: 'c' }] },
};
const table = {
  kind: 'Table',
  columnDefinitions: [
    { name: 'Name', format: 'name', priority: 0 },
    { name: 'Ready', priority: 0 },
    { name: 'Node', priority: 1 },
  ],
  rows: [{ cells: ['a', '1/1', 'n1'], object: { metadata: { name: 'a', namespace: 'default', labels: { x: 'y' } } } }],
};
const missing = (name: string) => ({
  kind: 'Status',
  status: 'Failure',
  reason: 'NotFound',
  message: `pods "${name}" not found`,
  code: 404,
});

interface Cluster {
  readonly url: string;
  readonly requests: string[];
  /** The authorization headers that came. */
  readonly tokens: ReadonlySet<string>;
}

async function startCluster(t: ExecutionContext): Promise<Cluster> {
  const requests: string[] = [];
  const deleted = new Set<string>();
  const tokens = new Set<string>();
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://x');
      tokens.add(request.headers.authorization ?? '');
      requests.push(`${request.method} ${request.url} ${Buffer.concat(chunks)}`);
      const answer = (body: unknown, code = 200) => {
        response.writeHead(code, { 'content-type': 'application/json', warning: '299 - "be \\"careful\\""' });
        response.end(JSON.stringify(body));
      };
      const known = discovery[url.pathname as keyof typeof discovery];
      const name = /\/pods\/(\w+)$/.exec(url.pathname)?.[1];
      if (known) answer(known);
      else if (name !== undefined && (name !== 'a' || deleted.has(name))) answer(missing(name), 404);
      else if (request.method === 'DELETE') answer(deleted.add('a') && pod);
      else if (request.headers.accept?.includes('as=Table')) answer(table);
      else if (name === undefined) answer({ kind: 'PodList', apiVersion: 'v1', items: [{ metadata: pod.metadata }] });
      else answer(pod);
    });
  });
  const sockets = new WebSocketServer({ server, handleProtocols: () => 'v5.channel.k8s.io' });
  sockets.on('connection', (socket, request) => {
    requests.push(`EXEC ${request.url}`);
    socket.on('message', (data: Buffer) => {
      if (data[0] === 0) socket.send(Buffer.concat([Buffer.of(1), data.subarray(1)]));
      if (data[0] !== 255) return;
      const status = {
        status: 'Failure',
        reason: 'NonZeroExitCode',
        details: { causes: [{ reason: 'ExitCode', message: '3' }] },
      };
      socket.send(Buffer.concat([Buffer.of(3), Buffer.from(JSON.stringify(status))]));
      socket.close(1000);
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    sockets.close();
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, tokens };
}

test('get shows the server’s tables', async t => {
  const { url } = await startCluster(t);
  const plain = await run(['get', 'po', '-s', url]);
  t.is(plain.stdout, 'NAME   READY\na      1/1\n');
  t.true(plain.stderr.includes('Warning: be "careful"'));
  t.is(
    (await run(['-s', url, 'get', 'pods', '-A', '-o=wide', '--show-labels'])).stdout,
    'NAMESPACE   NAME   READY   NODE   LABELS\ndefault     a      1/1     n1     x=y\n',
  );
});

test('-k gives the objects of a kustomization, and kustomize prints them', async t => {
  const { url } = await startCluster(t);
  const folder = newFolder('raftsman-kustomization-');
  writeFileSync(join(folder, 'kustomization.yaml'), 'resources: [pod.yaml]\nlabels: [{pairs: {x: "y"}}]\n');
  writeFileSync(join(folder, 'pod.yaml'), 'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n');
  const printed = 'apiVersion: v1\nkind: Pod\nmetadata:\n  labels:\n    x: "y"\n  name: a\n';
  t.is((await run(['kustomize', folder])).stdout, printed);
  t.is((await run(['get', '-k', folder, '-o', 'name', '-s', url])).stdout, 'pod/a\n');
  t.is((await run(['create', '-k', folder, '--dry-run=client', '-s', url])).stdout, 'pod/a created (dry run)\n');
  const both = await run(['create', '-k', folder, '-f', '-', '-s', url]);
  t.is(both.stderr, 'error: only one of -f or -k can be specified\n');
  t.is(both.exitCode, 1);
  const target = join(folder, 'out.yaml');
  t.is((await run(['kustomize', folder, '-o', target])).stdout, '');
  t.is(readFileSync(target, 'utf8'), printed);
  t.regex(
    (await run(['kustomize', join(folder, 'none')])).stderr,
    /^error: must build at directory: not a valid directory: /,
  );
});

test('get prints objects in the form that is asked for', async t => {
  const { url } = await startCluster(t);
  const get = async (format: string) => (await run(['get', 'pods', '-o', format, '-s', url])).stdout;
  t.is(await get('name'), 'pod/a\n');
  t.is(await get('jsonpath={.items[*].metadata.uid}'), 'u');
  t.is(await get('custom-columns=NAME:.metadata.name,X:.x'), 'NAME   X\na      <none>\n');
  t.false((await get('yaml')).includes('managedFields'));
});

test('what the server refuses is told as kubectl tells it', async t => {
  const { url } = await startCluster(t);
  const outcome = await run(['get', 'pod/nope', '-s', url]);
  t.regex(outcome.stderr, /^Error from server \(NotFound\): pods "nope" not found$/m);
  t.is(outcome.exitCode, 1);
  t.regex((await run(['get', 'nopes', '-s', url])).stderr, /error: the server doesn't have a resource type "nopes"/);
});

test('delete waits until the object is gone', async t => {
  const { url, requests } = await startCluster(t);
  const outcome = await run(['delete', 'pod', 'a', '-s', url, '--grace-period=5']);
  t.is(outcome.stdout, 'pod "a" deleted\n');
  t.true(requests.some(request => /^DELETE .*"propagationPolicy":"Background","gracePeriodSeconds":5/.test(request)));
  t.regex(requests.at(-1) ?? '', /^GET .*\/pods\/a/);
});

test('exec passes input and output on and ends with the command’s exit code', async t => {
  const { url, requests } = await startCluster(t);
  const outcome = await run(['exec', '-i', 'a', '-s', url, '--', 'sh', '-c', 'cat; exit 3'], {}, 'hello');
  t.is(outcome.stdout, 'hello');
  t.regex(outcome.stderr, /command terminated with exit code 3/);
  t.is(outcome.exitCode, 3);
  t.true(
    requests.some(
      request =>
        request.startsWith('EXEC') &&
        request.includes('command=sh&command=-c&command=cat%3B+exit+3&container=c&stdin=true'),
    ),
  );
});

test('a server that is not there, and files that are no kubeconfig, are one clear line', async t => {
  const refused = await run(['get', 'pods', '-s', 'http://127.0.0.1:1']);
  t.is(
    refused.stderr,
    'The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?\n',
  );
  t.is(refused.exitCode, 1);
  t.regex((await run(['get', 'pods'])).stderr, /^error: no kubeconfig was found: .*\n$/);
  t.regex(
    (await run(['get', 'pods', '--kubeconfig', '/none'])).stderr,
    /^error: stat \/none: no such file or directory\n$/,
  );

  const directory = newFolder('raftsman-kubeconfig-');
  const write = (text: string) => {
    const path = join(directory, 'config');
    writeFileSync(path, text);
    return { KUBECONFIG: path };
  };
  t.regex(
    (await run(['get', 'pods'], write('apiVersion: apps/v1\nkind: Deployment\n'))).stderr,
    /it is no kubeconfig: apiVersion/,
  );
  t.regex((await run(['get', 'pods'], write('a: [\n'))).stderr, /^error: error loading config file /);
  const config = (user: string) =>
    `apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\nusers: [{name: u, user: ${user}}]\ncurrent-context: x\n`;
  t.regex(
    (await run(['get', 'pods'], write(config('{exec: {command: x}}')))).stderr,
    /exec plugin: invalid apiVersion ""/,
  );
  t.regex(
    (await run(['get', 'pods', '--context', 'q'], write(config('{}')))).stderr,
    /^Error in configuration: context was not found for specified context: q\n$/,
  );
  t.regex(
    (await run(['get', 'pods'], write(config('{client-key: none.pem}')))).stderr,
    /unable to read client-key .*none\.pem/,
  );
});

test('a program that the kubeconfig names gives the credentials', async t => {
  const directory = newFolder('raftsman-plugin-');
  const path = join(directory, 'config');
  const answer = {
    apiVersion: 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    status: { token: 'from-plugin' },
  };
  const { url, requests, tokens } = await startCluster(t);
  const user = (script: string, more: object) => ({
    exec: {
      apiVersion: answer.apiVersion,
      command: 'sh',
      args: ['-c', script],
      env: [{ name: 'EXTRA', value: 'x' }],
      ...more,
    },
  });
  const write = (script: string, more: object = { interactiveMode: 'Never' }) => {
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { server: url } }],
      users: [{ name: 'u', user: user(script, more) }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    };
    writeFileSync(path, JSON.stringify(config));
    return { KUBECONFIG: path, PATH: process.env.PATH ?? '' };
  };
  const good = await run(['get', 'pods'], write(`test "$EXTRA" = x && echo '${JSON.stringify(answer)}'`));
  t.is(good.exitCode, 0, good.stderr);
  t.true(requests.length > 0);
  t.true(tokens.has('Bearer from-plugin'));
  const failing = await run(['get', 'pods'], write('exit 4'));
  const refused = 'Unable to connect to the server: getting credentials:';
  t.is(failing.stderr, `${refused} exec: executable sh failed with exit code 4\n`);
  const text = await run(['get', 'pods'], write('echo x'));
  t.true(text.stderr.startsWith(`${refused} decoding stdout: couldn't get version/kind; json parse error: `));
  const missing = await run(
    ['get', 'pods'],
    write('', { command: 'nosuchprogram', installHint: 'Get it.', interactiveMode: 'Never' }),
  );
  t.true(missing.stderr.startsWith(`${refused} exec: executable nosuchprogram not found\n\nIt looks like you`));
  t.true(missing.stderr.endsWith('\n\nGet it.\n'));
  const mute = await run(['get', 'pods'], write('', {}));
  t.is(mute.stderr, 'error: interactiveMode must be specified for u to use exec authentication plugin\n');
  // Who proves otherwise who he is needs no program.
  t.is((await run(['get', 'pods', '--token=x'], write('exit 4'))).exitCode, 0);
  t.is((await run(['get', 'pods', '--username=x', '--password=y'], write('exit 4'))).exitCode, 0);
  const foreign = await run(['get', 'pods'], write('echo "{}"'));
  t.regex(foreign.stderr, /plugin returned version/);
});

test('the verb is found behind flags and their values', t => {
  t.is(verbOf(['get', 'pods']), 'get');
  t.is(verbOf(['-n', 'prod', '--kubeconfig', 'x', 'logs', 'a']), 'logs');
  t.is(verbOf(['--namespace=prod', '-A', 'describe']), 'describe');
  t.is(verbOf(['--help']), undefined);
});

test('every command can be loaded and has examples', async t => {
  for (const name of Object.keys(kubernetesCommands)) {
    if (name === '__complete') continue;
    const { stdout } = await run([name, '--help']);
    t.regex(stdout, /Examples:/, name);
  }
});

test('several failures are told at the end, one a line, and do not stop the rest', async t => {
  const { url } = await startCluster(t);
  const outcome = await run(['label', 'pods', 'nope', 'neither', 'x=y', '-s', url]);
  t.regex(outcome.stderr, /pods "nope" not found/);
  t.is(outcome.exitCode, 1);
});

test('a flag with an optional value takes it behind an equals sign only', async t => {
  const { url, requests } = await startCluster(t);
  const outcome = await run(['delete', 'pod', 'a', '--dry-run=server', '-s', url]);
  t.is(outcome.stdout, 'pod "a" deleted (server dry run)\n');
  t.true(requests.some(request => request.startsWith('DELETE') && request.includes('"dryRun":["All"]')));
});
