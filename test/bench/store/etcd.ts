/** Three members of Debian's etcd with their defaults, with or without mutual TLS, on the same disk as ours. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePorts } from '../../../raft/transport/testing/free-port.ts';
import { residentBytes } from '../resident.ts';
import { EtcdConnection } from './etcd-grpc.ts';
import { MEMBERS, type System, type Tls } from './system.ts';

const PROGRAM = '/usr/bin/etcd';
const READY_MS = 30_000;

/** What to install, or undefined if it is there. */
export function etcdMissing(): string | undefined {
  return existsSync(PROGRAM)
    ? undefined
    : 'apt-get install --no-install-recommends etcd-server (guard it with policy-rc.d)';
}

export async function etcdVersion(): Promise<string> {
  const { stdout } = await promisify(execFile)(PROGRAM, ['--version']);
  return stdout.split('\n')[0] ?? 'etcd';
}

/** Without `tls` the members and their clients talk in plain text. */
export async function startEtcd({ folder, tls }: { folder: string; tls?: Tls }): Promise<System> {
  await mkdir(folder, { recursive: true });
  const ports = await freePorts(2 * MEMBERS);
  const scheme = tls === undefined ? 'http' : 'https';
  const url = (port: number | undefined) => `${scheme}://127.0.0.1:${port}`;
  const flags = tls === undefined ? [] : await tlsFlags(folder, tls);
  const cluster = Array.from({ length: MEMBERS }, (_, i) => `m${i}=${url(ports[i])}`).join(',');
  let members: ChildProcess[] = [];
  const start = () => {
    members = Array.from({ length: MEMBERS }, (_, i) => {
      const args = ['--name', `m${i}`, '--data-dir', join(folder, String(i))];
      args.push('--listen-peer-urls', url(ports[i]), '--initial-advertise-peer-urls', url(ports[i]));
      args.push('--listen-client-urls', url(ports[MEMBERS + i]), '--advertise-client-urls', url(ports[MEMBERS + i]));
      args.push('--initial-cluster', cluster, '--log-level', 'error', ...flags);
      return spawn(PROGRAM, args, { stdio: ['ignore', 'ignore', 'ignore'] });
    });
  };
  const stop = async () => {
    const gone = members.map(child => new Promise(resolve => child.once('exit', resolve)));
    for (const child of members) child.kill('SIGKILL');
    await Promise.all(gone);
  };
  start();
  const urls = ports.slice(MEMBERS).map(url);
  const system: System = {
    name: tls === undefined ? 'etcd, plain text' : 'etcd',
    target: async () => ({ protocol: 'etcd', urls: await leaderFirst(urls, tls), ...(tls && { tls }) }),
    residentBytes: () => Promise.all(members.map(child => residentBytes(child.pid as number))),
    restart: async () => {
      await stop();
      start();
      await untilReady(urls, tls);
    },
    stop,
  };
  try {
    await untilReady(urls, tls);
    return system;
  } catch (error) {
    await system.stop();
    throw error;
  }
}

async function tlsFlags(folder: string, tls: Tls): Promise<string[]> {
  const path = (name: string) => join(folder, name);
  await writeFile(path('key.pem'), tls.key, { mode: 0o600 });
  await writeFile(path('cert.pem'), tls.cert);
  await writeFile(path('ca.pem'), tls.ca);
  return ['', 'peer-'].flatMap(prefix => [
    `--${prefix}cert-file=${path('cert.pem')}`,
    `--${prefix}key-file=${path('key.pem')}`,
    `--${prefix}trusted-ca-file=${path('ca.pem')}`,
    `--${prefix}client-cert-auth`,
  ]);
}

async function untilReady(urls: readonly string[], tls: Tls | undefined): Promise<void> {
  const endAt = Date.now() + READY_MS;
  for (;;) {
    try {
      await leaderFirst(urls, tls);
      return;
    } catch (error) {
      if (Date.now() > endAt) throw new Error(`etcd was not ready within ${READY_MS} ms`, { cause: error });
      await new Promise(resolve => setTimeout(resolve, 100));
    }
  }
}

/** Asks all who leads. @throws where nobody does */
export async function leaderFirst(urls: readonly string[], tls: Tls | undefined): Promise<string[]> {
  const roles = await Promise.all(
    urls.map(async url => {
      const connection = await EtcdConnection.open(url, tls);
      try {
        return await connection.isLeader();
      } finally {
        connection.close();
      }
    }),
  );
  const leader = urls.filter((_, i) => roles[i]);
  if (leader.length !== 1) throw new Error('no leader yet');
  return [...leader, ...urls.filter((_, i) => !roles[i])];
}
