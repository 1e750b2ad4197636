/**
 * Many nodes in one process, without containers: `node test/bench/hollow-nodes.ts --kubeconfig FILE --port P --nodes N`. Each
 * has its Lease, renewed as often as an agent renews it, spread evenly over the time; all pods come by one watch, and are
 * said to run, or removed, as soon as they are seen. Once a quarter of a second it tells what it has seen, one JSON object a
 * line, until it is killed.
 */
import { parseArgs } from 'node:util';
import * as kinds from '../../control/api/generated/kinds.ts';
import type { Pod } from '../../control/api/generated/types.ts';
import { hasReason } from '../../control/api/status.ts';
import { microTimestamp, timestamp } from '../../control/client/clock.ts';
import { HttpsTransport } from '../../control/client/https.ts';
import { Informer } from '../../control/client/informer.ts';
import { objectKey } from '../../control/client/keys.ts';
import { silentLogger } from '../../control/client/logger.ts';
import { RestClient } from '../../control/client/rest.ts';
import { systemClock } from '../../control/client/system-clock.ts';
import { readKubeconfigCredentials } from '../../control/pki/kubeconfig.ts';

/** What the process tells. */
export interface HollowCounts {
  readonly nodes: number;
  /** Pods that have a node. */
  readonly bound: number;
  /** Of those, how many the server has taken as running. */
  readonly running: number;
  readonly failures: number;
}

const CONNECTIONS = 4;
const WRITES_CONCURRENT_MAX = 128;
const HEARTBEAT_MS = 10_000;
const TICK_MS = 250;
const STRATEGIC = 'application/strategic-merge-patch+json';

const { values } = parseArgs({
  options: {
    kubeconfig: { type: 'string', default: '' },
    port: { type: 'string', default: '6443' },
    nodes: { type: 'string', default: '1000' },
  },
});
const nodeCount = Number(values.nodes);
const { authority, certificate, key } = await readKubeconfigCredentials(values.kubeconfig);
const clients = Array.from({ length: CONNECTIONS }, () => {
  const servers = [`https://127.0.0.1:${values.port}`];
  const tls = { ca: authority, cert: certificate, key };
  const transport = new HttpsTransport({ servers, clock: systemClock, random: () => Math.random(), tls });
  return new RestClient({ transport, clock: systemClock, userAgent: 'hollow-nodes' });
});
let turn = 0;
const client = () => clients[turn++ % clients.length] as RestClient;
const names = Array.from({ length: nodeCount }, (_, index) => `hollow-${index + 1}`);
const counts = { nodes: 0, failures: 0 };
const bound = new Set<string>();
const running = new Set<string>();
const leaving = new Set<string>();
/** Newest first would starve the oldest: a queue. */
const waiting: Pod[] = [];
let writing = 0;
let addresses = 0;

setInterval(() => {
  console.log(JSON.stringify({ ...counts, bound: bound.size, running: running.size } satisfies HollowCounts));
}, TICK_MS);
await inParallel(names, async name => {
  for (;;) {
    try {
      return await register(name);
    } catch (error) {
      fail(error);
    }
  }
});
void beat();
await follow();

async function register(name: string): Promise<void> {
  const now = timestamp(Date.now());
  const size = { cpu: '64', memory: '256Gi', pods: '110', 'ephemeral-storage': '100Gi' };
  const condition = (type: string) => ({
    type,
    status: type === 'Ready' ? 'True' : 'False',
    reason: 'Hollow',
    message: 'as if',
    lastHeartbeatTime: now,
    lastTransitionTime: now,
  });
  const conditions = ['MemoryPressure', 'DiskPressure', 'PIDPressure', 'Ready'].map(condition);
  const labels = { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' };
  const status = { capacity: size, allocatable: size, conditions };
  await made(client().create(kinds.nodes, { metadata: { name, labels }, status }));
  await client().patch(kinds.nodes, { name }, { type: STRATEGIC, body: { status } }, { subresource: 'status' });
  const metadata = { name, namespace: 'kube-node-lease' };
  const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime: microTimestamp(Date.now()) };
  await made(client().create(kinds.leases, { metadata, spec }));
  counts.nodes++;
}

/** A second attempt may find what the first one made. */
async function made(creation: Promise<unknown>): Promise<void> {
  await creation.catch(error => {
    if (!hasReason(error, 'AlreadyExists')) throw error;
  });
}

/** A few nodes at each tick, so that the server never sees a crowd of heartbeats. */
async function beat(): Promise<void> {
  const each = Math.ceil((nodeCount * TICK_MS) / HEARTBEAT_MS);
  for (let at = 0; ; at = (at + each) % nodeCount) {
    const some = names.slice(at, at + each);
    const body = { spec: { renewTime: microTimestamp(Date.now()) } };
    const type = 'application/merge-patch+json' as const;
    const key = (name: string) => ({ namespace: 'kube-node-lease', name });
    void Promise.all(some.map(name => client().patch(kinds.leases, key(name), { type, body }))).catch(fail);
    await new Promise(resolve => setTimeout(resolve, TICK_MS));
  }
}

/** As agents follow their pods: page by page, and from where a watch ended. Of each pod only what is needed stays. */
async function follow(): Promise<void> {
  const informer = new Informer<Pod>({
    client: client(),
    kind: kinds.pods,
    clock: systemClock,
    random: () => Math.random(),
    logger: silentLogger,
    keep: ({ apiVersion, kind, metadata, spec, status }) => ({
      apiVersion,
      kind,
      metadata: {
        ...objectKey({ metadata }),
        uid: metadata?.uid,
        resourceVersion: metadata?.resourceVersion,
        deletionTimestamp: metadata?.deletionTimestamp,
      },
      spec: {
        nodeName: spec?.nodeName,
        containers: (spec?.containers ?? []).map(({ name, image }) => ({ name, image })),
      },
      status: { phase: status?.phase },
    }),
  });
  informer.addHandler({ added: see, updated: see, deleted: forget });
  await informer.run(new AbortController().signal);
}

/** The first failure is told in full: a bench whose nodes fail measures nothing. */
function fail(error: unknown): void {
  if (counts.failures++ === 0) console.error('a hollow node failed:', error);
}

function forget(pod: Pod): void {
  for (const set of [bound, running, leaving]) set.delete(pod.metadata?.uid ?? '');
}

function see(pod: Pod): void {
  const uid = pod.metadata?.uid ?? '';
  if (!pod.spec?.nodeName) return;
  const isLeaving = pod.metadata?.deletionTimestamp !== undefined;
  if (isLeaving ? leaving.has(uid) : bound.has(uid)) return;
  if (isLeaving) leaving.add(uid);
  else {
    bound.add(uid);
    if (pod.status?.phase === 'Running') {
      running.add(uid);
      return;
    }
  }
  waiting.push(pod);
  if (writing < WRITES_CONCURRENT_MAX) void drain();
}

async function drain(): Promise<void> {
  writing++;
  for (let pod = waiting.shift(); pod; pod = waiting.shift()) {
    try {
      if (pod.metadata?.deletionTimestamp) await client().delete(kinds.pods, objectKey(pod), { gracePeriodSeconds: 0 });
      else await run(pod);
    } catch (error) {
      if (hasReason(error, 'NotFound')) continue;
      fail(error);
      waiting.push(pod);
      await new Promise(resolve => setTimeout(resolve, TICK_MS));
    }
  }
  writing--;
}

async function run(pod: Pod): Promise<void> {
  const now = timestamp(Date.now());
  const number = ++addresses;
  const podIP = `10.${64 + ((number >> 16) & 63)}.${(number >> 8) & 255}.${number & 255}`;
  const { name = '', image = '' } = pod.spec?.containers[0] ?? {};
  const condition = (type: string) => ({ type, status: 'True', lastTransitionTime: now });
  const status = {
    phase: 'Running',
    podIP,
    podIPs: [{ ip: podIP }],
    startTime: now,
    conditions: ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady'].map(condition),
    containerStatuses: [
      { name, image, imageID: '', ready: true, started: true, restartCount: 0, state: { running: { startedAt: now } } },
    ],
  };
  const body = { metadata: { uid: pod.metadata?.uid }, status };
  await client().patch(kinds.pods, objectKey(pod), { type: STRATEGIC, body }, { subresource: 'status' });
  running.add(pod.metadata?.uid ?? '');
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: WRITES_CONCURRENT_MAX }, worker));
}
