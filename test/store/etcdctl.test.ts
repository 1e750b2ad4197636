/**
 * etcd's own client on our store: the same commands against three raftsman members (processes, mutual TLS) and, where Debian's
 * `etcd-server` is there, against a real etcd, whose answers ours have to equal. Needs `etcdctl` 3.4 or later on the PATH or
 * in RAFTSMAN_ETCDCTL.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ImplementationFn } from 'ava';
import { TestAuthority } from '../../raft/transport/testing/certificates.ts';
import { freePort } from '../../raft/transport/testing/free-port.ts';
import { findEtcd, TestEtcd } from '../../store/testing/etcd.ts';
import type { DoorMemberOptions } from '../helpers/etcd-door-member.ts';
import { type EtcdctlOptions, etcdctl, normalised, runEtcdctl } from '../helpers/etcdctl.ts';
import type { RunResult } from '../helpers/run.ts';

const realEtcd = findEtcd();

const MEMBER = fileURLToPath(new URL('../helpers/etcd-door-member.ts', import.meta.url));
const members: { options: DoorMemberOptions; process: ChildProcess }[] = [];
let folder = '';
let tlsFile = '';
let real: TestEtcd | undefined;

function etcdctlTest(title: string, body: ImplementationFn<[]>): void {
  if (etcdctl === undefined) test.skip(`${title} (needs etcdctl on the PATH or in RAFTSMAN_ETCDCTL)`, body);
  else test.serial(title, body);
}

async function startMember(name: string, more: Partial<DoorMemberOptions> = {}): Promise<DoorMemberOptions> {
  const [peerPort, servePort, etcdPort] = [await freePort(), await freePort(), await freePort()];
  const options = { name, dataDir: join(folder, name), peerPort, servePort, etcdPort, tlsFile, ...more };
  const child = spawn(process.execPath, [MEMBER, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
  members.push({ options, process: child });
  await new Promise<void>((resolve, reject) => {
    child.once('exit', code => reject(new Error(`${name} ended with ${code}`)));
    child.stdout?.once('data', () => resolve());
  });
  return options;
}

test.before(async () => {
  if (etcdctl === undefined) return;
  folder = await mkdtemp(join(tmpdir(), 'raftsman-etcdctl-'));
  const tls = await (await TestAuthority.create()).issue('etcdctl test');
  tlsFile = join(folder, 'tls.json');
  await writeFile(tlsFile, JSON.stringify(tls));
  for (const [name, text] of Object.entries(tls)) await writeFile(join(folder, `${name}.pem`), text);
  const first = await startMember('a');
  for (const name of ['b', 'c']) await startMember(name, { join: first.servePort });
  if (realEtcd !== undefined) real = await TestEtcd.start(realEtcd);
});

test.after.always(async () => {
  await real?.stop();
  for (const member of members) member.process.kill('SIGKILL');
  if (folder !== '') await rm(folder, { recursive: true, force: true });
});

/** On all of our members, or on those named. */
function ours(args: readonly string[], options: EtcdctlOptions & { readonly only?: readonly number[] } = {}) {
  const { only, ...more } = options;
  const ports = only ?? members.map(member => member.options.etcdPort).slice(0, 3);
  const access = ['ca', 'cert', 'key'].map(
    name => `--${name === 'ca' ? 'cacert' : name}=${join(folder, `${name}.pem`)}`,
  );
  const endpoints = `--endpoints=${ports.map(port => `https://127.0.0.1:${port}`).join()}`;
  return runEtcdctl([endpoints, ...access, ...args], more);
}

function theirs(args: readonly string[], options: EtcdctlOptions = {}): Promise<RunResult> {
  const endpoints = `--endpoints=${real?.endpoints.join() ?? ''}`;
  return runEtcdctl([endpoints, ...args], options);
}

const COMPARED: readonly (readonly [command: string, input?: string])[] = [
  ['put a 1'],
  ['put b 2'],
  ['put c 3'],
  ['put a 4 --prev-kv'],
  ['get a'],
  ['get a --rev=2'],
  ['get a --rev=1'],
  ['get a --rev=100'],
  ['get a c'],
  ['get --prefix='],
  ['get --from-key b'],
  ['get a z --keys-only'],
  ['get a z --limit=2 --sort-by=MODIFY --order=DESCEND'],
  ['get a z --sort-by=VALUE'],
  ['get a z --sort-by=VERSION --order=DESCEND --print-value-only'],
  ['get a --consistency=s -w json'],
  ['get a z -w fields'],
  ['del b --prev-kv'],
  ['del nothing'],
  ['del zz --prefix'],
  ['txn', 'mod("a") > "0"\nvalue("c") = "3"\n\nput x 1\nget a\ndel c\n\nput y 2\n\n'],
  ['txn', 'ver("a") = "77"\n\nput x 1\n\nget x\nget a\n\n'],
  ['txn', '\nput d 1\nput d 2\n\n\n'],
  ['compaction 4'],
  ['compaction 4'],
  ['compaction 1000'],
  ['get a --rev=2'],
  ['lease timetolive 123 --keys'],
  ['lease revoke 123'],
  ['lease keep-alive --once 99'],
  ['put k v --lease=1234567'],
  ['put a --ignore-value'],
  ['put nope --ignore-value'],
  ['put a 9 --ignore-lease'],
  ['get a -w fields'],
  ['alarm list'],
  ['auth enable'],
  ['user list'],
  ['role list'],
  ['user get x'],
  ['member remove 1234'],
  ['member promote 1234'],
  ['member update 1234 --peer-urls=http://127.0.0.1:1'],
];

etcdctlTest('every command answers as on a real etcd', async t => {
  if (real === undefined) {
    t.log('not compared: needs etcd on the PATH or in RAFTSMAN_ETCD');
    t.pass();
    return;
  }
  for (const [command, input] of COMPARED) {
    const args = command.split(' ');
    const options = input === undefined ? {} : { input };
    const [mine, reference] = await Promise.all([ours(args, options), theirs(args, options)]);
    t.is(normalised(mine), normalised(reference), command);
  }
});

etcdctlTest('put, get, del over three members', async t => {
  const [one = 0, two = 0, three = 0] = members.map(member => member.options.etcdPort);
  t.is((await ours(['put', '/e/a', '1'], { only: [one] })).stdout, 'OK\n');
  t.is((await ours(['get', '/e/a', '--print-value-only'], { only: [two] })).stdout, '1\n');
  t.is((await ours(['del', '/e/a'], { only: [three] })).stdout, '1\n');
  t.is((await ours(['get', '/e/a'], { only: [one] })).stdout, '');
});

etcdctlTest('watch shows what happened and what happens', async t => {
  await ours(['put', '/w', '1']);
  const { stdout } = await ours(['get', '/w', '-w', 'fields']);
  const revision = /"ModRevision" : (\d+)/.exec(stdout)?.[1];
  const watching = ours(['watch', '/w', `--rev=${revision}`, '--prev-kv'], { timeoutMs: 5_000 });
  await ours(['put', '/w', '2']);
  await ours(['del', '/w']);
  t.is((await watching).stdout, 'PUT\n/w\n1\nPUT\n/w\n1\n/w\n2\nDELETE\n/w\n2\n/w\n\n');
});

etcdctlTest('leases: the time to live is the same on every member', async t => {
  const id = /lease (\S+) granted/.exec((await ours(['lease', 'grant', '600'])).stdout)?.[1] ?? '';
  await ours(['put', '/l', '1', `--lease=${id}`]);
  for (const { options } of members.slice(0, 3)) {
    const { stdout } = await ours(['lease', 'timetolive', id, '--keys'], { only: [options.etcdPort] });
    t.regex(stdout, /granted with TTL\(600s\), remaining\((600|5\d\d)s\), attached keys\(\[\/l\]\)/);
  }
  t.regex((await ours(['lease', 'keep-alive', '--once', id])).stdout, /keepalived with TTL\(600\)/);
  t.regex((await ours(['lease', 'list'])).stdout, new RegExp(id));
  await ours(['lease', 'revoke', id]);
  t.is((await ours(['get', '/l'])).stdout, '');
});

etcdctlTest('endpoints: status, health, equal hashes', async t => {
  const status = (await ours(['endpoint', 'status'])).stdout.trim().split('\n');
  t.is(status.length, 3);
  t.is(status.filter(line => line.split(', ')[4] === 'true').length, 1);
  const health = await ours(['endpoint', 'health']);
  t.is((health.stdout + health.stderr).match(/is healthy/g)?.length, 3);
  const hashes = (await ours(['endpoint', 'hashkv'])).stdout
    .trim()
    .split('\n')
    .map(line => line.split(', ')[1]);
  t.deepEqual([hashes.length, new Set(hashes).size], [3, 1]);
});

etcdctlTest('move-leader', async t => {
  const leaderAndOther = async () => {
    const lines = (await ours(['endpoint', 'status'])).stdout
      .trim()
      .split('\n')
      .map(line => line.split(', '));
    return [lines.find(line => line[4] === 'true')?.[1], lines.find(line => line[4] === 'false')?.[1]] as const;
  };
  const [leader, other] = await leaderAndOther();
  t.regex((await ours(['move-leader', other ?? ''])).stdout, new RegExp(`from ${leader} to ${other}`));
  t.is((await leaderAndOther())[0], other);
});

etcdctlTest('a member is added as a learner, started, promoted, removed', async t => {
  const peerPort = await freePort();
  const added = await ours(['member', 'add', 'd', '--learner', `--peer-urls=https://127.0.0.1:${peerPort}`]);
  const id = /Member (\S+) added/.exec(added.stdout)?.[1] ?? t.fail(added.stderr);
  t.regex((await ours(['member', 'list'])).stdout, new RegExp(`${id}, unstarted, .*, true`));
  const early = await ours(['member', 'promote', id]);
  t.regex(early.stderr, /can only promote a learner member which is in sync with leader/);
  await startMember('d', { join: members[0]?.options.servePort ?? 0, isLearner: true, peerPort });
  const deadline = performance.now() + 60_000;
  let promoted = await ours(['member', 'promote', id]);
  while (promoted.code !== 0 && performance.now() < deadline) promoted = await ours(['member', 'promote', id]);
  t.regex(promoted.stdout, /promoted in cluster/);
  t.regex((await ours(['member', 'list'])).stdout, new RegExp(`${id}, started, d, .*, false`));
  t.regex((await ours(['member', 'remove', id])).stdout, /removed from cluster/);
  t.notRegex((await ours(['member', 'list'])).stdout, new RegExp(id));
});

etcdctlTest('locks and elections', async t => {
  t.is((await ours(['lock', 'my-lock', 'echo', 'held'])).stdout, 'held\n');
  const campaign = ours(['elect', 'my-election', 'me'], { timeoutMs: 6_000 });
  const heard = await ours(['elect', 'my-election', '--listen'], { timeoutMs: 5_000 });
  t.regex(heard.stdout, /my-election\/\w+\nme/);
  t.regex((await campaign).stdout, /my-election\/\w+\nme/);
});

etcdctlTest('a snapshot has all keys, and a real etcd can be restored from it', async t => {
  for (let number = 0; number < 50; number++) await ours(['put', `/s/${number}`, 'v'.repeat(number * 300)]);
  const file = join(folder, 'snapshot.db');
  t.is((await ours(['snapshot', 'save', file], { only: [members[1]?.options.etcdPort ?? 0] })).code, 0);
  const status = await runEtcdctl(['snapshot', 'status', file, '-w', 'json']);
  t.like(JSON.parse(status.stdout), { revision: Number((await revisionOf()) ?? 0) });
  const restored = await runEtcdctl(['snapshot', 'restore', file, '--data-dir', join(folder, 'restored')]);
  t.is(restored.code, 0, restored.stderr);
});

async function revisionOf(): Promise<string | undefined> {
  return /"Revision" : (\d+)/.exec((await ours(['get', 'nothing', '-w', 'fields'])).stdout)?.[1];
}

etcdctlTest('check perf runs its whole load', async t => {
  const { stdout, stderr } = await ours(['check', 'perf', '--load=s'], { timeoutMs: 120_000 });
  // Whether it passes is for the machine to say; that it ran without errors is for us.
  t.regex(stdout + stderr, /(PASS|FAIL|too low|Throughput)/);
  t.notRegex(stdout + stderr, /too many errors/);
});

etcdctlTest('check datascale finds the memory of the members in their figures', async t => {
  // Where it fetches figures etcdctl 3.4 asks the system's authorities, not the one it is given.
  const env = { SSL_CERT_FILE: join(folder, 'ca.pem') };
  const only = [members[0]?.options.etcdPort ?? 0];
  // The whole load takes minutes; without the figures it ends at once, and says so.
  const { code, stdout, stderr } = await ours(['check', 'datascale', '--load=s'], { only, timeoutMs: 3_000, env });
  t.is(code, 124, stdout + stderr);
  t.regex(stdout, /Start data scale check/);
  t.notRegex(stdout + stderr, /FAIL|fetch error/);
});
