/**
 * Rollouts without loss: a client that sends 200 requests a second through a Service, each over a connection of its own, sees
 * none fail while the Deployment behind it is updated, undone, drained from a node and scaled down. The pods do what
 * docs/rollouts.md asks for: a readiness probe, and a moment between the news that they go and their end.
 */
import { request } from 'node:http';
import test from 'ava';
import { connectApi } from '../helpers/api.ts';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { testWith } from '../helpers/requirements.ts';
import { until } from '../helpers/run.ts';

const REPLICAS = 4;
const PER_SECOND = 200;
const REQUEST_TIMEOUT_MS = 10_000;
const STEP_MS_MAX = 180_000;
const START_MS_MAX = 240_000;
const DEPLOYMENT = '/apis/apps/v1/namespaces/default/deployments/web';
/** One process for all connections: a program that forks for each would measure the machine. */
const SERVER = "require('node:http').createServer((_, answer) => answer.end(process.env.VERSION)).listen(8080)";
/** Requests without an answer yet; more are not sent but counted as failed. */
const UNDER_WAY_MAX = 500;
const STRATEGIC = { type: 'application/strategic-merge-patch+json' };

let cluster: TestCluster | undefined;
test.after.always('stop the cluster', async () => {
  await cluster?.remove();
});

/** Sends requests at a pace that does not wait for answers. */
class Client {
  readonly #url: string;
  readonly #underWay = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #sent = 0;
  readonly failures: string[] = [];
  readonly answers = new Map<string, number>();

  constructor(url: string) {
    this.#url = url;
  }

  ask(): Promise<string> {
    return new Promise((resolve, reject) => {
      const call = request(this.#url, { agent: false, timeout: REQUEST_TIMEOUT_MS }, response => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', chunk => {
          text += chunk;
        });
        response.on('error', reject);
        response.on('end', () =>
          response.statusCode === 200 ? resolve(text.trim()) : reject(new Error(`status ${response.statusCode}`)),
        );
      });
      call.on('timeout', () => call.destroy(new Error('no answer')));
      call.on('error', reject);
      call.end();
    });
  }

  start(): void {
    const startedAt = performance.now();
    this.#timer = setInterval(() => {
      // As many as are due by now, so that a late timer does not slow the pace.
      const due = ((performance.now() - startedAt) * PER_SECOND) / 1_000;
      while (this.#sent < due) {
        this.#sent++;
        if (this.#underWay.size >= UNDER_WAY_MAX) {
          this.failures.push(`request ${this.#sent}: ${UNDER_WAY_MAX} others have no answer yet`);
          continue;
        }
        const sending: Promise<void> = this.ask()
          .then(
            text => void this.answers.set(text, (this.answers.get(text) ?? 0) + 1),
            error => void this.failures.push(`request ${this.#sent}: ${error}`),
          )
          .finally(() => this.#underWay.delete(sending));
        this.#underWay.add(sending);
      }
    }, 5);
  }

  /** Resolves when the last answer is there; how many were sent. */
  async stop(): Promise<number> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
    return this.#sent;
  }
}

const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web' },
  spec: {
    replicas: REPLICAS,
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: {
        containers: [
          {
            name: 'web',
            image: 'host',
            imagePullPolicy: 'IfNotPresent',
            command: [process.execPath, '-e', SERVER],
            env: [{ name: 'VERSION', value: 'one' }],
            ports: [{ containerPort: 8080 }],
            readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1, timeoutSeconds: 5 },
            lifecycle: { preStop: { sleep: { seconds: 5 } } },
          },
        ],
      },
    },
  },
};

testWith(['root', 'iproute2', 'nftables'])('an update, an undo, a drain and a scale-down lose no request', async t => {
  t.timeout(900_000);
  const running = await newCluster({ masters: 1, runtime: 'native' });
  cluster = running;
  await running.start(START_MS_MAX);
  const api = await connectApi(running.kubeconfig, running.port);
  t.is((await api.call('POST', '/apis/apps/v1/namespaces/default/deployments', deployment)).status, 201);
  await api.call('POST', '/apis/policy/v1/namespaces/default/poddisruptionbudgets', {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: 'web' },
    spec: { minAvailable: REPLICAS / 2, selector: { matchLabels: { app: 'web' } } },
  });
  const made = await api.call('POST', '/api/v1/namespaces/default/services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web' },
    spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] },
  });
  const address = (made.body as { spec: { clusterIP: string } }).spec.clusterIP;
  interface Status {
    readonly replicas?: number;
    readonly updatedReplicas?: number;
    readonly availableReplicas?: number;
    readonly observedGeneration?: number;
  }
  const isDone = async (replicas: number) => {
    const { body } = await api.call('GET', DEPLOYMENT);
    const { metadata, status } = body as { metadata: { generation: number }; status: Status };
    const counts = [status.replicas, status.updatedReplicas, status.availableReplicas];
    return status.observedGeneration === metadata.generation && counts.every(count => count === replicas);
  };
  await until('the Deployment', () => isDone(REPLICAS), STEP_MS_MAX);
  const client = new Client(`http://${address}/`);
  await until('the Service', async () => (await client.ask()) === 'one');

  t.teardown(() => client.stop());
  client.start();
  const env = [{ name: 'VERSION', value: 'two' }];
  const body = { spec: { template: { spec: { containers: [{ name: 'web', env }] } } } };
  const step = async (name: string, action: () => Promise<boolean>, replicas: number) => {
    const at = performance.now();
    t.true(await action(), name);
    await until(name, () => isDone(replicas), STEP_MS_MAX);
    t.log(`${name}: ${((performance.now() - at) / 1000).toFixed(1)} s`);
  };
  const raftsman = async (...args: string[]) => (await running.raftsman(args, { timeoutMs: STEP_MS_MAX })).code === 0;
  await step('update', async () => (await api.call('PATCH', DEPLOYMENT, body, STRATEGIC)).status === 200, REPLICAS);
  t.true((client.answers.get('two') ?? 0) > 0);
  await step('undo', () => raftsman('rollout', 'undo', 'deployment/web'), REPLICAS);
  await step('drain', () => raftsman('drain', 'node-1'), REPLICAS);
  await step('uncordon', () => raftsman('uncordon', 'node-1'), REPLICAS);
  await step('scale-down', () => raftsman('scale', 'deployment/web', '--replicas=2'), REPLICAS / 2);
  const sent = await client.stop();
  t.log(`${sent} requests: ${[...client.answers].map(([text, count]) => `${count} × ${text}`).join(', ')}`);
  t.deepEqual(client.failures, []);
  t.is(
    [...client.answers.values()].reduce((a, b) => a + b, 0),
    sent,
  );
  api.close();
});
