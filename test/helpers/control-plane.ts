/**
 * A whole control plane in one process: API server with roles and admission on a store in memory, scheduler, all controllers
 * under their own accounts, and nodes that claim to run whatever they are given.
 */
import type { ExecutionContext } from 'ava';
import * as kinds from '../../control/api/generated/kinds.ts';
import type { Pod } from '../../control/api/generated/types.ts';
import type { Kind, KubernetesObject } from '../../control/api/kind.ts';
import { hasReason } from '../../control/api/status.ts';
import { createHarness, type Harness, silentLogger } from '../../control/apiserver/testing/harness.ts';
import { serviceAccountKey } from '../../control/apiserver/testing/service-account-key.ts';
import type { ApiRequest, PatchType } from '../../control/client/client.ts';
import { timestamp } from '../../control/client/clock.ts';
import { Informers } from '../../control/client/informers.ts';
import { RestClient } from '../../control/client/rest.ts';
import { systemClock } from '../../control/client/system-clock.ts';
import { startControllers } from '../../control/controllers/all.ts';
import { CONTROLLER_MANAGER, controllerUser, type InternalUser, SCHEDULER } from '../../control/leader/accounts.ts';
import { runScheduler } from '../../control/scheduler/scheduler.ts';
import { until } from './run.ts';

const ADMIN = { user: 'admin', groups: ['system:masters'] };
/** Nobody keeps the nodes' leases up. */
const NODE_GRACE_MS = 3_600_000;

export interface ControlPlane {
  readonly client: RestClient;
  /** The server itself, for who speaks HTTP to it. */
  readonly api: Pick<Harness, 'call' | 'create' | 'watch' | 'store'>;
  /** What nodes make of a pod; by default all are ready. To be followed by {@link settle}. */
  health: (pod: Pod) => 'ready' | 'running' | 'stuck';
  /** Has the nodes look at all their pods again. */
  settle(): Promise<void>;
  get<T extends KubernetesObject>(kind: Kind<T>, name: string): Promise<T>;
  list<T extends KubernetesObject>(kind: Kind<T>, labelSelector?: string): Promise<readonly T[]>;
  /** In the test's namespace; a merge patch if not said otherwise. */
  patch<T extends KubernetesObject>(
    kind: Kind<T>,
    name: string,
    body: object,
    how?: { type?: PatchType; subresource?: string },
  ): Promise<T>;
  /** Waits until the object is so. */
  becomes<T extends KubernetesObject>(
    kind: Kind<T>,
    name: string,
    what: string,
    isSo: (object: T) => boolean,
  ): Promise<void>;
}

export const NAMESPACE = 'n';

export async function createControlPlane(
  t: ExecutionContext,
  nodes: readonly string[] = ['a', 'b'],
): Promise<ControlPlane> {
  const harness = await createHarness({ withRoles: true, overrides: { serviceAccountKey: serviceAccountKey() } });
  const clientOf = ({ user, groups }: InternalUser) =>
    new RestClient({
      clock: systemClock,
      userAgent: 'test',
      transport: {
        request: (request: ApiRequest) => harness.server.handle(request, { user, groups }),
        close: async () => {},
      },
    });
  const client = clientOf(ADMIN);
  for (const name of nodes) await client.create(kinds.nodes, node(name));
  await client.create(kinds.namespaces, { metadata: { name: NAMESPACE } });

  const stop = new AbortController();
  const common = { clock: systemClock, random: () => 0.5, logger: silentLogger, signal: stop.signal, identity: 'm' };
  const informers = new Informers({ ...common, client: clientOf(CONTROLLER_MANAGER) });
  const pods = informers.for<Pod>(kinds.pods);
  const plane: ControlPlane = {
    client,
    api: harness,
    health: () => 'ready',
    settle: async () => {
      await Promise.all(pods.list().map(pod => settle(client, pod, plane.health(pod))));
    },
    get: (kind, name) => client.get(kind, { namespace: NAMESPACE, name }),
    list: async (kind, labelSelector) =>
      (await client.list(kind, { namespace: NAMESPACE, ...(labelSelector && { labelSelector }) })).items,
    patch: (kind, name, body, { type = 'application/merge-patch+json', subresource } = {}) =>
      client.patch(kind, { namespace: NAMESPACE, name }, { type, body }, { ...(subresource && { subresource }) }),
    becomes: async (kind, name, what, isSo) => {
      await until(`${kind.kind} ${name}: ${what}`, async () => isSo(await plane.get(kind, name)), 30_000);
    },
  };
  const look = (pod: Pod) =>
    void settle(client, pod, plane.health(pod)).catch(error => {
      // The server may close in the midst of it.
      if (!stop.signal.aborted) throw error;
    });
  pods.addHandler({ added: look, updated: look });
  const running = [
    runScheduler({ ...common, informers, client: clientOf(SCHEDULER) }),
    startControllers({
      ...common,
      informers,
      client: clientOf(CONTROLLER_MANAGER),
      clientFor: account => clientOf(controllerUser(account)),
      options: { rootCa: 'CA', nodeHealth: { gracePeriodMs: NODE_GRACE_MS } },
    }),
  ];
  t.teardown(async () => {
    stop.abort();
    await Promise.all(running);
    await harness.close();
  });
  await until('the service account', async () => (await plane.list(kinds.serviceaccounts)).length > 0);
  return plane;
}

const node = (name: string) => ({
  metadata: { name, labels: { 'kubernetes.io/hostname': name } },
  status: {
    allocatable: { cpu: '64', memory: '256Gi', pods: '500' },
    conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: now(), lastTransitionTime: now() }],
  },
});
const now = () => timestamp(systemClock.now());

/** What an agent would do with the pod now. */
async function settle(client: RestClient, pod: Pod, health: 'ready' | 'running' | 'stuck'): Promise<void> {
  const { namespace = '', name = '', uid = '', deletionTimestamp } = pod.metadata ?? {};
  const phase = pod.status?.phase;
  if (!pod.spec?.nodeName || phase === 'Failed' || phase === 'Succeeded') return;
  const isReady = pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
  const wanted = health === 'ready' ? 'True' : 'False';
  try {
    if (deletionTimestamp)
      return void (await client.delete(kinds.pods, { namespace, name }, { uid, gracePeriodSeconds: 0 }));
    if (health === 'stuck' || (phase === 'Running' && isReady === (health === 'ready'))) return;
    const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== 'Ready');
    const conditions = [...others, { type: 'Ready', status: wanted, lastTransitionTime: now() }];
    const body = {
      metadata: { uid },
      status: { phase: 'Running', podIP: '10.91.0.1', podIPs: [{ ip: '10.91.0.1' }], conditions },
    };
    await client.patch(
      kinds.pods,
      { namespace, name },
      { type: 'application/merge-patch+json', body },
      { subresource: 'status' },
    );
  } catch (error) {
    // It changed or went meanwhile: its watch brings it again.
    if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
  }
}
