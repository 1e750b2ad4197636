/** Bad input: one line that says what is wrong and what to do, the exit code kubectl would give, and nothing half done. */

import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { newCluster, raftsmanCommand, type TestCluster } from '../helpers/cluster.ts';
import { type RunOptions, type RunResult, run } from '../helpers/run.ts';

let folder = '';
let cluster: TestCluster;
test.before('a cluster of one master', async () => {
  folder = await mkdtemp(join(tmpdir(), 'raftsman-errors-'));
  cluster = await newCluster({ masters: 1, nodes: 1 });
  await cluster.start();
});
test.after.always('stop it', async () => {
  await cluster?.remove();
  await rm(folder, { recursive: true, force: true });
});

const [program, main] = raftsmanCommand;
const raftsman = (args: readonly string[], options: RunOptions = {}) => run(program, [main, ...args], options);

/** One line on stderr, nothing on stdout. */
function refused(t: ExecutionContext, result: RunResult, code: number, pattern: RegExp): void {
  t.is(result.code, code, result.stdout + result.stderr);
  t.regex(result.stderr, pattern);
  t.is(result.stdout, '');
  // kubectl's own sentence for a missing kind has a second line.
  const lines = result.stderr
    .trimEnd()
    .split('\n')
    .filter(line => line !== 'ensure CRDs are installed first');
  t.is(lines.length, 1, result.stderr);
}

const withCluster: readonly (readonly [string, readonly string[], number, RegExp, string?])[] = [
  [
    'an unknown kind of resource',
    ['get', 'unicorns'],
    1,
    /^error: the server doesn't have a resource type "unicorns"$/m,
  ],
  [
    'a name that is not there',
    ['get', 'pod', 'nobody'],
    1,
    /^Error from server \(NotFound\): pods "nobody" not found$/m,
  ],
  [
    'a kind that nobody serves',
    ['apply', '-f', '-'],
    1,
    /no matches for kind "Unicorn" in version "magic\/v1"/,
    'apiVersion: magic/v1\nkind: Unicorn\nmetadata:\n  name: u\n',
  ],
  ['malformed YAML', ['create', '-f', '-'], 1, /^error: .*(YAML|yaml)/m, 'apiVersion: v1\nkind: [Pod\n'],
  [
    'an invalid object',
    ['create', '-f', '-'],
    1,
    /^The Pod "p" is invalid: spec.containers: Required value$/m,
    'apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n  containers: []\n',
  ],
  ['a file that is not there', ['apply', '-f', '/no/such/file.yaml'], 1, /^error: .*\/no\/such\/file\.yaml/m],
];
for (const [what, args, code, pattern, input] of withCluster) {
  test.serial(`${what} is refused in one line`, async t => {
    refused(t, await cluster.raftsman(args, input === undefined ? {} : { input }), code, pattern);
  });
}

test.serial('an unreadable kubeconfig is named', async t => {
  const file = join(folder, 'kubeconfig');
  await writeFile(file, 'clusters: [');
  refused(t, await raftsman(['get', 'pods', '--kubeconfig', file]), 1, /^error: .*kubeconfig/);
  refused(t, await raftsman(['get', 'pods', '--kubeconfig', join(folder, 'absent')]), 1, /^error: .*absent/);
});

test.serial('a server that does not answer is named', async t => {
  refused(
    t,
    await cluster.raftsman(['get', 'pods', '--server', 'https://127.0.0.1:1']),
    1,
    /^The connection to the server 127\.0\.0\.1:1 was refused - did you specify the right host or port\?$/m,
  );
});

test.serial('a wrong flag gives usage exit code 2 and starts nothing', async t => {
  const result = await raftsman(['up', '--masters', 'many', '--data-dir', join(folder, 'never')]);
  t.is(result.code, 2);
  t.regex(result.stderr, /--masters.*whole number/);
  await t.throwsAsync(readdir(join(folder, 'never')));
  t.is((await raftsman(['up', '--no-such-flag'])).code, 2);
});

test.serial('a port in use is named before anything is started', async t => {
  const server = createServer();
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const directory = join(folder, 'busy');
  refused(
    t,
    await raftsman(['up', '--runtime', 'fake', '--port', String(port), '--data-dir', directory]),
    1,
    new RegExp(`^error: port ${port}, .* is in use`),
  );
  server.close();
  await t.throwsAsync(readdir(join(directory, 'master-1')));
});

test.serial('a wrong token joins neither a master nor a node', async t => {
  const server = `https://127.0.0.1:${cluster.port}`;
  const wrong = 'abcdef.0123456789abcdef';
  for (const args of [
    ['agent', '--name', 'stranger', '--server', server, '--runtime', 'fake', '--listen', '127.0.0.1:0'],
    [
      'server',
      '--name',
      'stranger',
      '--join',
      server,
      '--listen',
      '127.0.0.1:0',
      '--peer-listen',
      '127.0.0.1:0',
      '--no-agent',
    ],
  ]) {
    const directory = join(folder, `stranger-${args[0]}`);
    const result = await raftsman([...args, '--token', wrong, '--data-dir', directory]);
    t.not(result.code, 0);
    t.regex(result.stderr, /does not accept the token: it is wrong or has expired/);
  }
  const pinned = `raftsman:${'0'.repeat(64)}:${wrong}`;
  const result = await raftsman([
    'agent',
    '--name',
    'stranger',
    '--server',
    server,
    '--runtime',
    'fake',
    '--token',
    pinned,
    '--data-dir',
    join(folder, 'foreign'),
  ]);
  t.regex(result.stderr, /belongs to another cluster than the token/);
});

test.serial('data of a newer version is refused', async t => {
  const directory = join(folder, 'newer');
  await mkdir(directory);
  await writeFile(join(directory, 'cluster.json'), '{"version": 2}');
  refused(t, await raftsman(['up', '--data-dir', directory]), 1, /^error: .* newer raftsman/);
});

test.serial('a Docker that does not answer is named', async t => {
  const result = await raftsman(
    ['up', '--runtime', 'docker', '--data-dir', join(folder, 'no-docker'), '--port', '29400'],
    {
      env: { ...process.env, DOCKER_HOST: 'unix:///no/such/docker.sock' },
    },
  );
  refused(
    t,
    result,
    1,
    process.getuid?.() === 0
      ? /^error: no Docker Engine answers at unix:\/\/\/no\/such\/docker\.sock/
      : /^error: pods need root/,
  );
});

test.serial('status and down of nothing say so', async t => {
  refused(t, await raftsman(['status', '--data-dir', join(folder, 'nothing')]), 1, /^error: there is no cluster in /);
  refused(t, await raftsman(['down', '--data-dir', join(folder, 'nothing')]), 1, /^error: there is no cluster in /);
});
