/** etcdctl for tests: where it is, how it is run, and what of its output is the same everywhere. */
import { onPath } from './machine.ts';
import { type RunResult, run } from './run.ts';

/** Undefined where there is none. */
export const etcdctl: string | undefined = process.env.RAFTSMAN_ETCDCTL ?? (onPath('etcdctl') ? 'etcdctl' : undefined);

export interface EtcdctlOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
  /** Besides the environment of the tests. */
  readonly env?: Readonly<Record<string, string>>;
}

export function runEtcdctl(args: readonly string[], { env, ...options }: EtcdctlOptions = {}): Promise<RunResult> {
  return run(etcdctl ?? '', [...args], { env: { ...process.env, ETCDCTL_API: '3', ...env }, ...options });
}

/** Without what is different from cluster to cluster and from run to run. */
export function normalised({ stdout, stderr, code }: RunResult): string {
  const said = stderr
    .split('\n')
    .filter(line => !line.startsWith('{"level"'))
    .join('\n');
  return `${code} ${stdout}${said}`
    .replaceAll(/"(ClusterID|MemberID|RaftTerm)" : \d+/g, '$1')
    .replaceAll(/"(cluster_id|member_id|raft_term)":\d+/g, '$1')
    .replaceAll(/[0-9a-f]{16}/g, 'ID')
    .replaceAll(/127\.0\.0\.1:\d+/g, 'HOST');
}
