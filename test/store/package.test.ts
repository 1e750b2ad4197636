/** The package as somebody else's program sees it: packed, installed, the example of docs/embedding.md run word for word. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { freePortsInARow } from '../../raft/transport/testing/free-port.ts';
import { mustRun, run, until } from '../helpers/run.ts';

const root = join(import.meta.dirname, '../..');
const PACK_TIMEOUT_MS = 180_000;
const INSTALL_TIMEOUT_MS = 240_000;

/** A folder of a program that has installed the packed package. */
async function installed(): Promise<{ readonly folder: string; readonly how: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-package-'));
  // Among other tests, which run what is built, it must not be built again under them.
  if (process.env.RAFTSMAN_BUILT === undefined) {
    await mustRun('npm', ['run', 'build'], { cwd: root, timeoutMs: PACK_TIMEOUT_MS });
  }
  const packed = await mustRun('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
    cwd: root,
    timeoutMs: PACK_TIMEOUT_MS,
  });
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  const wanted = ['--no-audit', '--no-fund', '--prefer-offline', join(folder, filename), '@types/node@24'];
  const { code } = await run('npm', ['install', ...wanted], { cwd: folder, timeoutMs: INSTALL_TIMEOUT_MS });
  if (code === 0) return { folder, how: 'installed by npm' };
  // Without a registry the package is still unpacked as npm would; what it needs is lent.
  await rm(join(folder, 'node_modules'), { recursive: true, force: true });
  await lend(folder, filename);
  return { folder, how: 'unpacked, with the dependencies of this clone' };
}

async function lend(folder: string, tarball: string): Promise<void> {
  const modules = join(folder, 'node_modules');
  await mkdir(modules, { recursive: true });
  for (const name of await readdir(join(root, 'node_modules'))) {
    if (!name.startsWith('.')) await symlink(join(root, 'node_modules', name), join(modules, name));
  }
  await mustRun('tar', ['-xzf', join(folder, tarball), '-C', folder]);
  await cp(join(folder, 'package'), join(modules, 'raftsman'), { recursive: true });
}

/** The documented program, and what it has printed. */
function start(folder: string, args: readonly string[]) {
  const child: ChildProcessWithoutNullStreams = spawn(process.execPath, ['kv.mjs', ...args], { cwd: folder });
  let output = '';
  child.stdout.on('data', data => (output += data));
  child.stderr.on('data', data => (output += data));
  const hasPrinted = (line: string) => output.split('\n').includes(line);
  return {
    child,
    say: (line: string) => child.stdin.write(`${line}\n`),
    printed: (line: string, who: string) =>
      until(`${who} prints «${line}»`, () => hasPrinted(line) || (child.exitCode !== null && fail(output))),
    forget: () => (output = ''),
  };
}

function fail(output: string): never {
  throw new Error(`the program ended: ${output}`);
}

test('the example runs from the installed package, in three processes, and its types hold', async t => {
  t.timeout(PACK_TIMEOUT_MS * 2 + INSTALL_TIMEOUT_MS);
  const { folder, how } = await installed();
  t.log(how);
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const page = await readFile(join(root, 'docs/embedding.md'), 'utf8');
  const [, program] = /```js\n([\s\S]*?)```/.exec(page) ?? [];
  await writeFile(join(folder, 'kv.mjs'), program ?? t.fail('the page has an example'));

  // The program listens on the port it is given and on the next.
  const pair = async () => String(await freePortsInARow(2));
  const [a, b, c] = [await pair(), await pair(), await pair()] as const;
  const first = start(folder, [a]);
  t.teardown(() => first.child.kill('SIGKILL'));
  await first.printed('ready', 'the first');
  const second = start(folder, [b, a]);
  t.teardown(() => second.child.kill('SIGKILL'));
  const third = start(folder, [c, a, b]);
  t.teardown(() => third.child.kill('SIGKILL'));
  await second.printed('ready', 'the second');
  await third.printed('ready', 'the third');

  second.say('color=blue');
  for (const one of [first, second, third]) await one.printed('put color blue', 'each');
  third.say('color');
  await third.printed('get color blue', 'the third');

  first.child.kill('SIGKILL');
  await once(first.child, 'exit');
  third.say('color=green');
  await second.printed('put color green', 'one of the two that are left');
  const again = start(folder, [a, b, c]);
  t.teardown(() => again.child.kill('SIGKILL'));
  await again.printed('ready', 'the one that came back');
  again.say('color');
  await again.printed('get color green', 'the one that came back');

  // One at a time, so that each of them goes while there is a quorum.
  for (const one of [again, third, second]) {
    one.child.stdin.end();
    const [code] = await once(one.child, 'exit');
    t.is(code, 0, 'it ends by itself when its input does');
  }

  await writeFile(join(folder, 'user.ts'), USER_PROGRAM);
  const options = '--noEmit --strict --skipLibCheck false --module nodenext --target es2024 --types node --lib';
  const checked = await run(
    join(root, 'node_modules/.bin/tsc'),
    [...options.split(' '), 'es2024,esnext.disposable,esnext.iterator', 'user.ts'],
    { cwd: folder },
  );
  t.is(checked.stdout + checked.stderr, '');
  t.is(checked.code, 0);
});

/** What somebody with TypeScript writes; the last line must not be accepted. */
const USER_PROGRAM = `
import { createRaftNode, type RaftNode } from 'raftsman/raft';
import { connectStore, type EmbedOptions, embedStore, type OpenStore, prefixEnd, type StoreClient } from 'raftsman/store';

const options: EmbedOptions = { dataDir: 'data', listen: '127.0.0.1:7001', limits: { quotaBytes: 1e9 } };
const store: OpenStore = await embedStore(options);
const client: StoreClient = store.client;
const revision: number = (await client.put('/a', new Uint8Array())).revision;
const { signal } = new AbortController();
for await (const { events } of client.watch({ key: '/', end: prefixEnd('/'), startRevision: revision, signal })) {
  const value: Uint8Array | undefined = events[0]?.item.value;
  console.log(value?.length);
}
const remote: StoreClient = connectStore({ addresses: ['127.0.0.1:7001'] });
const node: Pick<RaftNode, 'propose'> = store.raft;
console.log(remote, node, createRaftNode);
// @ts-expect-error: an address is a string
await embedStore({ dataDir: 'data', listen: 7001 });
`;
