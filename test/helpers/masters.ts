/** Asking a cluster's masters: who leads, and stopping, killing and counting them one by one. */
import { type Api, connectApi } from './api.ts';
import type { TestCluster } from './cluster.ts';
import { until } from './run.ts';

/** The name of the master that leads, as this server knows it. */
export async function leaderName(api: Api): Promise<string> {
  return until('a leader', async () => {
    const { status, body } = await api.call('GET', '/raftsman/v1/status');
    const { leader, members } = body as { leader: string | null; members: { id: string; name: string }[] };
    return status === 200 && members.find(member => member.id === leader)?.name;
  });
}

/** Talks to this one master, past the stable address. */
export function connectMaster(cluster: TestCluster, name: string): Promise<Api> {
  return connectApi(cluster.kubeconfig, cluster.port + Number(name.split('-')[1]));
}

/** The masters of a cluster of three but this one. */
export const othersOf = (name: string): readonly string[] =>
  ['master-1', 'master-2', 'master-3'].filter(other => other !== name);

/** A figure of a master's /metrics; 0 if it has none. */
export async function figureOf(api: Api, name: string): Promise<number> {
  const { body } = await api.call('GET', '/metrics');
  return Number(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'm').exec(String(body))?.[1] ?? 0);
}
