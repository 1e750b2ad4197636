/**
 * The JavaScript client while masters are killed in turn: a hundred informers over ten kinds hold, in the end, what a fresh
 * list holds; and of three clients that elect a leader by a Lease never two take themselves for it.
 * RAFTSMAN_INFORMER_SECONDS says how long; `npm test` runs a short form.
 */
import {
  ApiException,
  CoordinationV1Api,
  CustomObjectsApi,
  KubeConfig,
  type KubernetesListObject,
  type KubernetesObject,
  type ListWatch,
  makeInformer,
  V1MicroTime,
} from '@kubernetes/client-node';
import test, { type ExecutionContext } from 'ava';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { until } from '../helpers/run.ts';

const SECONDS = Number(process.env.RAFTSMAN_INFORMER_SECONDS ?? 40);
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
  const objects = new Objects(config);
  await objects.create('namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });

  const informers = KINDS.flatMap(kind => Array.from({ length: INFORMERS_A_KIND }, () => new Informed(config, kind)));
  await Promise.all(informers.map(informer => informer.start()));

  const end = Date.now() + SECONDS * 1000;
  const isOver = () => Date.now() >= end;
  const kills = killInTurn(running, isOver);
  const writes = write(objects, isOver);
  const terms = await Promise.all(['a', 'b', 'c'].map(name => candidate(config, name, isOver)));
  const [killed, written] = await Promise.all([kills, writes]);

  t.log(`${killed} masters killed, ${written} writes, ${informers.length} informers, ${terms.flat().length} terms held`);
  t.true(killed > 0 && written > KINDS.length);
  noTwoAtOnce(t, terms.flat());

  for (const kind of KINDS) {
    await until(
      `the informers of ${kind.plural} to hold what a list holds`,
      async () => {
        const wanted = versions((await objects.list(kind)).items);
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
  for (const informer of informers) await informer.stop();
});

/** Names and versions, sorted: one line an object. */
function versions(items: readonly KubernetesObject[]): string {
  return items
    .map(({ metadata }) => `${metadata?.namespace}/${metadata?.name} ${metadata?.resourceVersion}`)
    .sort()
    .join('\n');
}

/** Lists and writes of any kind. */
class Objects {
  readonly #api: CustomObjectsApi;

  constructor(config: KubeConfig) {
    this.#api = config.makeApiClient(CustomObjectsApi);
  }

  async create(plural: string, body: KubernetesObject): Promise<void> {
    // The group of core objects has another prefix than the client of custom objects writes.
    await this.#api.createClusterCustomObject({ ...pathOf(body.apiVersion ?? 'v1'), plural, body });
  }

  async list(kind: Watched): Promise<KubernetesListObject<KubernetesObject>> {
    return this.#api.listNamespacedCustomObject({ ...partsOf(kind), namespace: NAMESPACE });
  }

  async createIn(kind: Watched, name: string): Promise<void> {
    const apiVersion = kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
    const body = { apiVersion, kind: kind.kind, metadata: { name, labels: { round: '0' } }, ...kind.body };
    await this.#api.createNamespacedCustomObject({ ...partsOf(kind), namespace: NAMESPACE, body });
  }

  async label(kind: Watched, name: string, round: string): Promise<void> {
    const body = [{ op: 'replace', path: '/metadata/labels/round', value: round }];
    await this.#api.patchNamespacedCustomObject({ ...partsOf(kind), namespace: NAMESPACE, name, body });
  }

  async delete(kind: Watched, name: string): Promise<void> {
    await this.#api.deleteNamespacedCustomObject({ ...partsOf(kind), namespace: NAMESPACE, name });
  }
}
