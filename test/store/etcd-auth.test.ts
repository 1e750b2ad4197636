/**
 * Users, roles and permissions with etcd's own client: a raftsman member (a process, mutual TLS) and, where Debian's
 * `etcd-server` is there, a real etcd that knows its clients by their certificates too, whose answers ours have to equal.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ImplementationFn } from 'ava';
import { TestAuthority } from '../../raft/transport/testing/certificates.ts';
import { freePort } from '../../store/testing/cluster.ts';
import { findEtcd, TestEtcd } from '../../store/testing/etcd.ts';
import type { DoorMemberOptions } from '../helpers/etcd-door-member.ts';
import { type EtcdctlOptions, etcdctl, normalised, runEtcdctl } from '../helpers/etcdctl.ts';

const MEMBER = fileURLToPath(new URL('../helpers/etcd-door-member.ts', import.meta.url));
const realEtcd = findEtcd();
let folder = '';
let options: DoorMemberOptions | undefined;
let member: ChildProcess | undefined;
let real: TestEtcd | undefined;

function etcdctlTest(title: string, body: ImplementationFn<[]>): void {
  if (etcdctl === undefined) test.skip(`${title} (needs etcdctl on the PATH or in RAFTSMAN_ETCDCTL)`, body);
  else test.serial(title, body);
}

async function startMember(): Promise<void> {
  const child = spawn(process.execPath, [MEMBER, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
  member = child;
  await new Promise<void>((resolve, reject) => {
    child.once('exit', code => reject(new Error(`the member ended with ${code}`)));
    child.stdout?.once('data', () => resolve());
  });
}

async function killMember(): Promise<void> {
  const ended = new Promise(resolve => member?.once('exit', resolve));
  member?.kill('SIGKILL');
  await ended;
}

test.before(async () => {
  if (etcdctl === undefined) return;
  folder = await mkdtemp(join(tmpdir(), 'raftsman-etcd-auth-'));
  const authority = await TestAuthority.create();
  // Nobody's name; a user's; root's.
  for (const name of ['stranger', 'carol', 'root']) {
    const tls = await authority.issue(name);
    for (const [part, text] of Object.entries(tls)) await writeFile(join(folder, `${name}.${part}`), text);
    await writeFile(join(folder, `${name}.json`), JSON.stringify(tls));
  }
  const [peerPort, servePort, etcdPort] = [await freePort(), await freePort(), await freePort()];
  const tlsFile = join(folder, 'stranger.json');
  options = { name: 'a', dataDir: join(folder, 'a'), peerPort, servePort, etcdPort, tlsFile };
  await startMember();
  if (realEtcd === undefined) return;
  const file = (part: string) => join(folder, `stranger.${part}`);
  real = await TestEtcd.start(realEtcd, {
    scheme: 'https',
    args: ['--client-cert-auth', '--trusted-ca-file', file('ca'), '--cert-file', file('cert'), '--key-file', file('key')],
  });
});

test.after.always(async () => {
  await real?.stop();
  if (member?.exitCode === null) await killMember();
  if (folder !== '') await rm(folder, { recursive: true, force: true });
});

type Asked = EtcdctlOptions & { readonly as?: string };

function at(endpoint: string, args: readonly string[], { as = 'stranger', ...more }: Asked) {
  const file = (part: string) => join(folder, `${as}.${part}`);
  const access = [`--cacert=${file('ca')}`, `--cert=${file('cert')}`, `--key=${file('key')}`];
  return runEtcdctl([`--endpoints=${endpoint}`, ...access, ...args], more);
}

function ours(args: readonly string[], asked: Asked = {}) {
  return at(`https://127.0.0.1:${options?.etcdPort}`, args, asked);
}

function theirs(args: readonly string[], asked: Asked = {}) {
  return at(real?.endpoints[0] ?? '', args, asked);
}

const COMPARED: readonly (readonly [command: string, asked?: Asked])[] = JSON.parse(process.env.PROBE ?? '[]');

etcdctlTest('every command answers as on a real etcd', async t => {
  for (const [command, asked = {}] of COMPARED) {
    const args = command.split(' ');
    const mine = normalised(await ours(args, asked));
    const reference = normalised(await theirs(args, asked));
    t.log(command, mine === reference ? '=' : `\n  OURS  ${mine}\n  THEIRS ${reference}`);
  }
  t.pass();
});
