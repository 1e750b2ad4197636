/**
 * The JavaScript client while masters are killed in turn: a hundred informers over ten kinds hold, in the end, what a fresh
 * list holds; and of three clients that elect a leader by a Lease never two take themselves for it.
 * RAFTSMAN_INFORMER_SECONDS says how long; `npm test` runs a short form.
 */
import {
  ApiException,
  CoordinationV1Api,
  KubeConfig,
  type KubernetesObject,
  KubernetesObjectApi,
  type ListWatch,
  makeInformer,
  PatchStrategy,
  V1MicroTime,
} from '@kubernetes/client-node';
import test, { type ExecutionContext } from 'ava';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { until } from '../helpers/run.ts';

const SECONDS = Number(process.env.RAFTSMAN_INFORMER_SECONDS ?? 25);
const INFORMERS_A_KIND = 10;
const MASTERS = 3;
const RESTART_DELAY_S = 1;
/** Between two kills; a master that died is back and ready by then. */
const KILL_EVERY_MS = 8_000;
/** An informer that lost its watch starts it again after this. */
const INFORMER_RESTART_MS = 200;
const OBJECTS_A_KIND = 20;
const NAMESPACE = 'informed';

interface Watched {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  /** What a new object has besides its name. */
  readonly body: object;
}

const LABELS = { app: 'x' };
const POD_TEMPLATE = { metadata: { labels: LABELS }, spec: { containers: [{ name: 'c', image: 'example.org/x:1' }] } };
const KINDS: readonly Watched[] = [
  { group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap', body: { data: { a: '1' } } },
  { group: '', version: 'v1', plural: 'secrets', kind: 'Secret', body: { stringData: { a: '1' } } },
  { group: '', version: 'v1', plural: 'services', kind: 'Service', body: { spec: { ports: [{ port: 80 }] } } },
  { group: '', version: 'v1', plural: 'serviceaccounts', kind: 'ServiceAccount', body: {} },
  { group: '', version: 'v1', plural: 'pods', kind: 'Pod', body: { spec: POD_TEMPLATE.spec } },
  {
    group: 'apps',
    version: 'v1',
    plural: 'deployments',
    kind: 'Deployment',
    body: { spec: { replicas: 1, selector: { matchLabels: LABELS }, template: POD_TEMPLATE } },
  },
  { group: 'apps', version: 'v1', plural: 'replicasets', kind: 'ReplicaSet', body: {} },
  { group: 'coordination.k8s.io', version: 'v1', plural: 'leases', kind: 'Lease', body: { spec: {} } },
  { group: 'rbac.authorization.k8s.io', version: 'v1', plural: 'roles', kind: 'Role', body: { rules: [] } },
  { group: 'discovery.k8s.io', version: 'v1', plural: 'endpointslices', kind: 'EndpointSlice', body: {} },
];
/** The controllers make these. */
const MADE_BY_CONTROLLERS = new Set(['replicasets', 'endpointslices']);

let cluster: TestCluster | undefined;
test.after.always('stop the cluster', async () => {
  await cluster?.remove();
});

test('informers and leader election while masters are killed', async t => {
  t.timeout((SECONDS + 240) * 1000);
  const running = await newCluster({ masters: MASTERS, nodes: 1, args: ['--restart-delay', String(RESTART_DELAY_S)] });
  cluster = running;
  await running.start();
  const config = new KubeConfig();
  config.loadFromFile(running.kubeconfig);
  const objects = KubernetesObjectApi.makeApiClient(config);
  await objects.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });

  const informers = KINDS.flatMap(kind => Array.from({ length: INFORMERS_A_KIND }, () => new Informed(config, kind)));
  t.teardown(() => Promise.all(informers.map(informer => informer.stop())));
  await Promise.all(informers.map(informer => informer.start()));

  const end = Date.now() + SECONDS * 1000;
  const isOver = () => Date.now() >= end;
  const kills = killInTurn(running, isOver);
  const writes = write(config, isOver);
  const terms = await Promise.all(['a', 'b', 'c'].map(name => candidate(config, name, isOver)));
  const [killed, written] = await Promise.all([kills, writes]);

  t.log(
    `${killed} masters killed, ${written} writes, ${informers.length} informers, ${terms.flat().length} terms held`,
  );
  t.true(killed > 0 && written > KINDS.length);
  noTwoAtOnce(t, terms.flat());

  for (const kind of KINDS) {
    await until(
      `the informers of ${kind.plural} to hold what a list holds`,
      async () => {
        const wanted = versions((await objects.list(apiVersionOf(kind), kind.kind, NAMESPACE)).items);
        for (const informer of informers) {
          if (informer.kind !== kind) continue;
          const held = versions(informer.held());
          if (held !== wanted) throw new Error(`an informer holds\n${held}\nand a list\n${wanted}`);
        }
        return true;
      },
      90_000,
    );
  }
});

/** Names and versions, sorted: one line an object. */
function versions(items: readonly KubernetesObject[]): string {
  return items
    .map(({ metadata }) => `${metadata?.namespace}/${metadata?.name} ${metadata?.resourceVersion}`)
    .sort()
    .join('\n');
}

const apiVersionOf = ({ group, version }: Watched) => (group === '' ? version : `${group}/${version}`);

/** One informer, started again whenever its watch ended with an error, as the client's documentation shows. */
class Informed {
  readonly kind: Watched;
  readonly #informer: ListWatch<KubernetesObject>;
  #isStopped = false;

  constructor(config: KubeConfig, kind: Watched) {
    this.kind = kind;
    const { group, plural } = kind;
    const path = `/${group === '' ? 'api' : 'apis'}/${apiVersionOf(kind)}/namespaces/${NAMESPACE}/${plural}`;
    const objects = KubernetesObjectApi.makeApiClient(config);
    const list = () => objects.list(apiVersionOf(kind), kind.kind, NAMESPACE);
    this.#informer = makeInformer(config, path, list) as ListWatch<KubernetesObject>;
    this.#informer.on('error', () => {
      setTimeout(() => {
        if (!this.#isStopped) void this.start();
      }, INFORMER_RESTART_MS);
    });
  }

  async start(): Promise<void> {
    await this.#informer.start();
  }

  held(): readonly KubernetesObject[] {
    return this.#informer.list();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#informer.stop();
  }
}

/** Kills one master after the other; `raftsman up` has each back. Resolves with how many. */
async function killInTurn(running: TestCluster, isOver: () => boolean): Promise<number> {
  let killed = 0;
  for (; !isOver(); killed++) {
    process.kill(await running.pidOf(`master-${(killed % MASTERS) + 1}`), 'SIGKILL');
    const backAt = Date.now() + KILL_EVERY_MS;
    await until('the next kill', () => isOver() || Date.now() >= backAt, 2 * KILL_EVERY_MS);
  }
  return killed;
}

/** Creates, changes and deletes without end. What a dying master leaves unanswered may have happened or not. */
async function write(config: KubeConfig, isOver: () => boolean): Promise<number> {
  const objects = KubernetesObjectApi.makeApiClient(config);
  const kinds = KINDS.filter(({ plural }) => !MADE_BY_CONTROLLERS.has(plural));
  let written = 0;
  for (let round = 0; !isOver(); round++) {
    const name = `x-${round % OBJECTS_A_KIND}`;
    const done = await Promise.all(
      kinds.map(kind => {
        const header = { apiVersion: apiVersionOf(kind), kind: kind.kind, metadata: { name, namespace: NAMESPACE } };
        const isNew = round % (3 * OBJECTS_A_KIND) < OBJECTS_A_KIND;
        const isLast = round % (3 * OBJECTS_A_KIND) >= 2 * OBJECTS_A_KIND;
        const labelled = { ...header, metadata: { ...header.metadata, labels: { round: String(round) } } };
        return isTolerated(
          isNew
            ? objects.create({ ...header, ...kind.body })
            : isLast
              ? objects.delete(header)
              : objects.patch(labelled, undefined, undefined, undefined, undefined, PatchStrategy.MergePatch),
        );
      }),
    );
    written += done.filter(Boolean).length;
  }
  return written;
}

/** Whether it was done; what a master that dies does to a request is no failure of the test. */
async function isTolerated(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (
      error instanceof ApiException &&
      error.code >= 400 &&
      error.code < 500 &&
      ![404, 409, 410, 429].includes(error.code)
    )
      throw error;
    return false;
  }
}

/** What a candidate took itself for the leader for, from the answer that told it so to when it gave up by itself. */
interface Term {
  readonly name: string;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** As in client-go, ten times as fast. */
const LEASE_MS = 1_500;
const RENEW_DEADLINE_MS = 1_000;
const RETRY_MS = 200;
const LOCK = 'leader';

/** Client-go's leader election: who sees a lease unchanged for its whole length takes it; who cannot renew in time gives up. */
async function candidate(config: KubeConfig, name: string, isOver: () => boolean): Promise<Term[]> {
  const leases = config.makeApiClient(CoordinationV1Api);
  const terms: Term[] = [];
  let seen = { version: '', atMs: 0 };
  let held: { fromMs: number; untilMs: number } | undefined;
  while (!isOver()) {
    const askedMs = Date.now();
    if (held !== undefined && askedMs >= held.untilMs) {
      terms.push({ name, ...held });
      held = undefined;
    }
    try {
      const isMine = await withDeadline(tryHold(), RENEW_DEADLINE_MS);
      // It counts from the question: what the answer took is gone of the lease.
      if (isMine) held = { fromMs: held?.fromMs ?? Date.now(), untilMs: askedMs + RENEW_DEADLINE_MS };
    } catch {
      // The next round says whether it is still held.
    }
    const nextMs = Date.now() + RETRY_MS;
    await until('the next try', () => Date.now() >= nextMs, 10 * RETRY_MS);
  }
  if (held !== undefined) terms.push({ name, ...held });
  return terms;

  async function tryHold(): Promise<boolean> {
    const spec = {
      holderIdentity: name,
      leaseDurationSeconds: Math.ceil(LEASE_MS / 1000),
      renewTime: new V1MicroTime(),
    };
    const lease = await leases
      .readNamespacedLease({ name: LOCK, namespace: NAMESPACE })
      .catch(async (error: unknown) => {
        if (!(error instanceof ApiException) || error.code !== 404) throw error;
        return leases.createNamespacedLease({ namespace: NAMESPACE, body: { metadata: { name: LOCK }, spec } });
      });
    const version = lease.metadata?.resourceVersion ?? '';
    if (version !== seen.version) seen = { version, atMs: Date.now() };
    const isFree = Date.now() >= seen.atMs + LEASE_MS;
    if (lease.spec?.holderIdentity !== name && !isFree) return false;
    const next = { metadata: { name: LOCK, resourceVersion: version }, spec };
    const replaced = await leases.replaceNamespacedLease({ name: LOCK, namespace: NAMESPACE, body: next });
    seen = { version: replaced.metadata?.resourceVersion ?? '', atMs: Date.now() };
    return true;
  }
}

function withDeadline<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error('no answer in time')), timeoutMs);
  return Promise.race([work, promise]).finally(() => clearTimeout(timer));
}

function noTwoAtOnce(t: ExecutionContext, terms: readonly Term[]): void {
  t.true(terms.length > 0, 'somebody led');
  const ordered = [...terms].sort((a, b) => a.fromMs - b.fromMs);
  for (const [index, term] of ordered.entries()) {
    const next = ordered[index + 1];
    if (next === undefined || next.name === term.name) continue;
    t.true(next.fromMs >= term.untilMs, `${next.name} led before ${term.name} had given up`);
  }
}
