/** What a test needs of the machine, and whether it is here. A test that lacks something is skipped by name, with the reason. */
import test, { type ImplementationFn } from 'ava';
import { whyNoContainerd } from '../../node/runtime/cri/test-containerd.ts';
import { findEtcd } from '../../store/testing/etcd.ts';
import { answer, findKubectls, onPath } from './machine.ts';

const checks = {
  root: () => (process.getuid?.() === 0 ? undefined : 'root'),
  docker: () => (answer('docker', ['version', '--format', '{{.Server.Version}}']) ? undefined : 'a Docker engine'),
  containerd: () => (whyNoContainerd() === undefined ? undefined : 'containerd and runc'),
  kubectl: () => (findKubectls().length > 0 ? undefined : 'kubectl on the PATH or in RAFTSMAN_KUBECTLS'),
  'kubectl 1.33': () =>
    findKubectls().some(({ version }) => version === '1.33')
      ? undefined
      : 'kubectl 1.33 on the PATH or in RAFTSMAN_KUBECTLS',
  iproute2: () => (onPath('ip') ? undefined : 'the ip command (iproute2)'),
  nftables: () => (answer('nft', ['list', 'tables']) === undefined ? 'the nft command (nftables) and root' : undefined),
  e2fsprogs: () => (onPath('mkfs.ext4') ? undefined : 'mkfs.ext4 (e2fsprogs)'),
  busybox: () => (onPath('busybox') ? undefined : 'busybox (busybox-static)'),
  nginx: () => (onPath('nginx') || answer('/usr/sbin/nginx', ['-v']) !== undefined ? undefined : 'nginx (nginx-light)'),
  etcd: () => (findEtcd() ? undefined : 'etcd (etcd-server) on the PATH or in RAFTSMAN_ETCD'),
  dig: () => (onPath('dig') ? undefined : 'dig (dnsutils)'),
  curl: () => (onPath('curl') ? undefined : 'curl'),
} as const;
export type Requirement = keyof typeof checks;

/** `test.serial`, or a skipped test whose title says what is missing. */
export function testWith(requirements: readonly Requirement[]) {
  const missing = requirements.map(requirement => checks[requirement]()).filter(lack => lack !== undefined);
  return (title: string, body: ImplementationFn<[]>): void => {
    if (missing.length === 0) test.serial(title, body);
    else test.skip(`${title} (needs ${missing.join(', ')})`, body);
  };
}
