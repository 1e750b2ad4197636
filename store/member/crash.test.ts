import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { TestAuthority } from '../../raft/transport/testing/certificates.ts';
import { freePort } from '../../raft/transport/testing/free-port.ts';
import { systemClock } from '../clock.ts';
import type { CrashChildOptions } from '../testing/crash-child.ts';
import { openStore } from './open.ts';

const CHILD = new URL('../testing/crash-child.ts', import.meta.url).href;
const SCRIPT = `import { writeForEver } from ${JSON.stringify(CHILD)};
await writeForEver(JSON.parse(process.argv[1]), { random: Math.random, say: line => process.stdout.write(line) });`;

/** Lets a process write until it has acknowledged so much, kills it in the act, and gives what it had acknowledged. */
async function writeAndKill(options: CrashChildOptions, count: number): Promise<string[]> {
  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  await new Promise<void>((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.split('\n').length > count) child.kill('SIGKILL');
    });
    child.on('close', (_code, signal) =>
      signal === 'SIGKILL' ? resolve() : reject(new Error('the writer ended by itself')),
    );
  });
  // A last line that was cut off in the middle was not read.
  return output.split('\n').slice(0, -1);
}

test('killed in the act again and again, a member alone loses nothing that it acknowledged', async t => {
  const root = await mkdtemp(join(tmpdir(), 'raftsman-crash-'));
  const tls = await (await TestAuthority.create()).issue('one');
  const port = await freePort();
  const peer = { address: `127.0.0.1:${port}`, listen: { host: '127.0.0.1', port }, tls };
  const options: CrashChildOptions = { dataDir: join(root, 'one'), name: 'one', peer, clientUrl: '' };
  const acknowledged: string[] = [];
  for (const count of [10, 200, 400]) {
    acknowledged.push(...(await writeAndKill(options, count)));
    const store = await openStore({
      ...options,
      beginning: { type: 'bootstrap' },
      clock: systemClock,
      random: Math.random,
      onFatal: error => {
        throw error;
      },
    });
    const { items, revision } = await store.client.range({ key: '/w/', end: '/w0' });
    const found = new Set(items.map(item => item.key.slice('/w/'.length)));
    t.deepEqual(
      acknowledged.filter(number => !found.has(number)),
      [],
    );
    t.is(revision, Math.max(...items.map(item => item.modRevision)));
    await store.close();
  }
  await rm(root, { recursive: true });
});
