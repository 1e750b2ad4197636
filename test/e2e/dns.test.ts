/**
 * The cluster's DNS as pods see it, on real containers of two nodes: with `dig`, with the C library (`getent`) and with
 * busybox' `nslookup`. The names are those that the conformance tests of [sig-network] DNS ask for.
 */
import test, { type ExecutionContext } from 'ava';
import { type Api, connectApi } from '../helpers/api.ts';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { makeDnsClientImage } from '../helpers/images.ts';
import { testWith } from '../helpers/requirements.ts';
import { type RunResult, run, until } from '../helpers/run.ts';

const IMAGE = 'raftsman-dns-client:1';
const DNS_ADDRESS = '10.192.0.10';
const ZONE = 'cluster.local';
const CORE = '/api/v1/namespaces/default';

let cluster: TestCluster | undefined;
test.after.always('stop the cluster, and take its pods and its network off the machine', async () => {
  await cluster?.raftsman(['down', '--data-dir', cluster.directory, '--purge'], { timeoutMs: 60_000 });
  await cluster?.remove();
});

const container = { name: 'main', image: IMAGE, imagePullPolicy: 'IfNotPresent', command: ['sleep', '3600'] };
const stop = { terminationGracePeriodSeconds: 0 };

function pod(name: string, spec: object): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: { ...stop, containers: [container], ...spec },
  };
}
function service(name: string, spec: object): object {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec };
}
const ports = [{ name: 'http', port: 80, protocol: 'TCP' }];
const database = {
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name: 'db' },
  spec: {
    serviceName: 'db',
    replicas: 2,
    podManagementPolicy: 'Parallel',
    selector: { matchLabels: { app: 'db' } },
    template: { metadata: { labels: { app: 'db' } }, spec: { ...stop, containers: [container] } },
  },
};

class Clients {
  readonly #cluster: TestCluster;
  readonly #t: ExecutionContext;
  constructor(running: TestCluster, t: ExecutionContext) {
    this.#cluster = running;
    this.#t = t;
  }
  exec(client: string, command: readonly string[]): Promise<RunResult> {
    return this.#cluster.raftsman(['exec', client, '--', ...command]);
  }
  /** Asks until every answer is the expected one, in any order of its lines; fails with what differed last. */
  async digs(client: string, questions: readonly Question[], withinMs = 15_000): Promise<void> {
    const script = questions.map(([question]) => `dig +short +search +time=2 ${question}; echo ==`).join('\n');
    let wrong: readonly string[] = [];
    const isRight = async () => {
      const answers = (await this.exec(client, ['sh', '-c', script])).stdout.split('==\n');
      wrong = questions.flatMap(([question, ...expected], index) => {
        const lines = (answers[index] ?? '').split('\n').filter(Boolean).sort();
        return lines.join() === expected.sort().join() ? [] : [`${question}: ${lines.join(' ')}`];
      });
      return wrong.length === 0;
    };
    await until(`the answers for ${client}`, isRight, withinMs).catch(() =>
      this.#t.fail(`${client}: ${wrong.join('\n')}`),
    );
  }
}
/** What `dig` is given, and the lines that it prints. */
type Question = readonly [question: string, ...lines: string[]];

interface Found {
  readonly spec: { readonly clusterIP: string };
  readonly status: { readonly podIP: string };
}
async function read(api: Api, path: string): Promise<Found> {
  const { status, body } = await api.call('GET', path);
  if (status !== 200) throw new Error(`${path}: ${status}`);
  return body as Found;
}

async function make(api: Api, t: ExecutionContext): Promise<void> {
  const bodies = [
    service('web', { selector: { app: 'db' }, ports }),
    service('db', { clusterIP: 'None', selector: { app: 'db' }, ports }),
    service('named', { clusterIP: 'None', selector: { app: 'one' }, ports }),
    service('alias', { type: 'ExternalName', externalName: 'foo.example.com' }),
  ];
  for (const body of bodies) t.is((await api.call('POST', `${CORE}/services`, body)).status, 201);
  const pods = [
    pod('one', { nodeName: 'node-1', hostname: 'querier', subdomain: 'named' }),
    pod('two', {
      nodeName: 'node-2',
      hostNetwork: true,
      dnsPolicy: 'ClusterFirstWithHostNet',
      hostAliases: [{ ip: '192.0.2.7', hostnames: ['seven', 'seven.test'] }],
    }),
    pod('three', {
      nodeName: 'node-2',
      dnsConfig: { options: [{ name: 'timeout', value: '3' }], searches: ['x.test'] },
      setHostnameAsFQDN: true,
      subdomain: 'far',
    }),
    pod('four', {
      nodeName: 'node-1',
      dnsPolicy: 'None',
      dnsConfig: { nameservers: ['1.1.1.1'], searches: ['resolv.conf.local'] },
    }),
  ];
  for (const body of pods) t.is((await api.call('POST', `${CORE}/pods`, body)).status, 201);
  t.is((await api.call('POST', '/apis/apps/v1/namespaces/default/statefulsets', database)).status, 201);
}

testWith(['docker', 'root', 'iproute2', 'nftables', 'busybox', 'dig'])(
  'pods of two nodes resolve services, endpoints, each other and themselves',
  async t => {
    t.timeout(240_000);
    await makeDnsClientImage(IMAGE);
    const running = await newCluster({ runtime: 'docker', masters: 1, nodes: 2 });
    cluster = running;
    await running.start();
    const api = await connectApi(running.kubeconfig, running.port);
    t.teardown(() => api.close());
    await make(api, t);
    const names = ['one', 'two', 'three', 'four', 'db-0', 'db-1'];
    await until(
      'the pods run',
      async () => {
        const { stdout } = await running.raftsman(['get', 'pods', '--no-headers']);
        return names.every(name => new RegExp(`^${name} +1/1`, 'm').test(stdout));
      },
      120_000,
    ).catch(async error => {
      t.log((await running.raftsman(['describe', 'pods'])).stdout);
      throw error;
    });
    const clients = new Clients(running, t);
    const web = (await read(api, `${CORE}/services/web`)).spec.clusterIP;
    const addresses = await Promise.all(
      ['db-0', 'db-1'].map(async name => (await read(api, `${CORE}/pods/${name}`)).status.podIP),
    );
    const [first = '', second = ''] = addresses;
    const own = (await read(api, `${CORE}/pods/one`)).status.podIP;

    const found = await api.call('GET', '/api/v1/namespaces/kube-system/services?labelSelector=k8s-app%3Dkube-dns');
    t.is((found.body as { items: Found[] }).items[0]?.spec.clusterIP, DNS_ADDRESS);

    for (const client of ['one', 'two', 'three', 'db-1']) {
      const questions: readonly Question[] = [
        ['kubernetes.default A', '10.192.0.1'],
        ['web A', web],
        ['web.default.svc A', web],
        ['db A', first, second],
        ['db-1.db.default.svc A', second],
        [`querier.named.default.svc.${ZONE}. A`, own],
        ['_http._tcp.web.default.svc SRV', `0 100 80 web.default.svc.${ZONE}.`],
        [
          '_http._tcp.db.default.svc SRV',
          `0 50 80 db-0.db.default.svc.${ZONE}.`,
          `0 50 80 db-1.db.default.svc.${ZONE}.`,
        ],
        [`-x ${web}`, `web.default.svc.${ZONE}.`],
        // An endpoint has a name in each of its services.
        [`-x ${first}`, `db-0.db.default.svc.${ZONE}.`, `${first.replaceAll('.', '-')}.web.default.svc.${ZONE}.`],
        [`alias.default.svc.${ZONE}. CNAME`, 'foo.example.com.'],
      ];
      for (const transport of ['+notcp', '+tcp'])
        await clients.digs(
          client,
          questions.map(([question, ...lines]) => [`${transport} ${question}`, ...lines]),
        );
      const resolved = (await clients.exec(client, ['getent', 'hosts', 'web'])).stdout.trim();
      t.deepEqual(resolved.split(/\s+/), [web, `web.default.svc.${ZONE}`]);
      t.regex(
        (await clients.exec(client, ['nslookup', `web.default.svc.${ZONE}`])).stdout,
        new RegExp(`Address: ${web}`),
      );
    }

    const files = async (client: string, file: string) => (await clients.exec(client, ['cat', file])).stdout;
    t.true((await files('one', '/etc/resolv.conf')).startsWith(`search default.svc.${ZONE} svc.${ZONE} ${ZONE}`));
    t.regex(await files('one', '/etc/resolv.conf'), new RegExp(`^nameserver ${DNS_ADDRESS}$\\noptions ndots:5$`, 'm'));
    t.regex(await files('three', '/etc/resolv.conf'), /^search .* x\.test$[\s\S]*^options ndots:5 timeout:3$/m);
    t.is(await files('four', '/etc/resolv.conf'), 'search resolv.conf.local\nnameserver 1.1.1.1\n');
    t.regex(await files('two', '/etc/hosts'), /^192\.0\.2\.7\tseven\tseven\.test$/m);
    t.regex(
      (await clients.exec('one', ['getent', 'hosts', `querier.named.default.svc.${ZONE}`])).stdout,
      new RegExp(own),
    );
    t.regex((await clients.exec('one', ['getent', 'hosts', 'querier'])).stdout, new RegExp(own));
    t.is((await clients.exec('one', ['hostname'])).stdout.trim(), 'querier');
    t.is((await clients.exec('three', ['hostname'])).stdout.trim(), `three.far.default.svc.${ZONE}`);

    // Changes show within a second of the endpoints.
    const merge = { type: 'application/merge-patch+json' };
    const external = { spec: { externalName: 'bar.example.com' } };
    t.is((await api.call('PATCH', `${CORE}/services/alias`, external, merge)).status, 200);
    await clients.digs('one', [[`alias.default.svc.${ZONE}. CNAME`, 'bar.example.com.']], 2_000);
    const plain = { spec: { type: 'ClusterIP', externalName: null, ports } };
    t.is((await api.call('PATCH', `${CORE}/services/alias`, plain, merge)).status, 200);
    const given = (await read(api, `${CORE}/services/alias`)).spec.clusterIP;
    await clients.digs('one', [[`alias.default.svc.${ZONE}. A`, given]], 2_000);
    const scale = { spec: { replicas: 1 } };
    t.is((await api.call('PATCH', '/apis/apps/v1/namespaces/default/statefulsets/db', scale, merge)).status, 200);
    await clients.digs('one', [['db A', first]], 20_000);
    t.regex((await clients.exec('one', ['dig', `db-1.db.default.svc.${ZONE}`])).stdout, /status: NXDOMAIN[\s\S]*SOA/);

    const machine = await run('dig', ['+short', '+time=2', '+tries=2', `@${DNS_ADDRESS}`, `web.default.svc.${ZONE}`]);
    t.is(machine.stdout.trim(), web, 'the machine itself may ask too');
    // Each node's pods have a server of their own: the end of the other's is nothing to them.
    process.kill(await running.pidOf('node-2'), 'SIGKILL');
    await clients.digs('one', Array<Question>(5).fill(['kubernetes.default A', '10.192.0.1']), 3_000);
  },
);
