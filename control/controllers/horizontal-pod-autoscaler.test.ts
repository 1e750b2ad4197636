import test from 'ava';
import * as kinds from '../api/generated/kinds.ts';
import type { MetricSpec, Scale } from '../api/generated/types.ts';
import { ApiError } from '../api/status.ts';
import type { ApiRequest, ApiResponse, ApiTransport } from '../client/client.ts';
import { timestamp } from '../client/clock.ts';
import type { MemoryApi } from '../client/testing/memory-api.ts';
import { until } from '../client/testing/until.ts';
import { DiscoveredKinds } from './discovered-kinds.ts';
import { horizontalPodAutoscalerController } from './horizontal-pod-autoscaler.ts';
import { type Bench, newBench } from './testing/bench.ts';
import { isKnownEvent, knownEvents } from './testing/known-events.ts';

type Answers = Record<string, object | ApiError>;

/** The API in memory, with `scale` and with what a test says of other paths. */
class WithScale implements ApiTransport {
  readonly #api: MemoryApi;
  readonly answers: Answers;
  readonly asked: string[] = [];

  constructor(api: MemoryApi, answers: Answers) {
    this.#api = api;
    this.answers = answers;
  }
  async request(request: ApiRequest): Promise<ApiResponse> {
    const [path = '', query] = request.path.split('?');
    if (/metrics\.k8s\.io/.test(path)) {
      this.asked.push(query ? `${path}?${query}` : path);
      const answer = this.answers[path];
      if (!answer) return reply(404, '404 page not found');
      return answer instanceof ApiError ? reply(answer.code, answer.toStatus()) : reply(200, answer);
    }
    return path.endsWith('/scale') ? this.#scale(request, path.slice(0, -'/scale'.length)) : this.#api.request(request);
  }
  async close(): Promise<void> {}

  async #scale({ method, body }: ApiRequest, path: string): Promise<ApiResponse> {
    const got = await this.#api.request({ method: 'GET', path });
    if (got.status >= 300) return got;
    const object = (await jsonOf(got)) as { metadata: object; spec: { replicas: number; selector: unknown } };
    if (method === 'PUT') {
      const { spec } = JSON.parse(String(body)) as Scale;
      const changed = { ...object, spec: { ...object.spec, replicas: spec?.replicas } };
      await this.#api.request({ method: 'PUT', path, body: JSON.stringify(changed) });
      return reply(200, {});
    }
    const { replicas } = object.spec;
    return reply(200, { metadata: object.metadata, spec: { replicas }, status: { replicas, selector: 'app=web' } });
  }
}
const jsonOf = async (response: ApiResponse): Promise<unknown> => {
  const chunks = [];
  for await (const chunk of response.body) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
};
function reply(status: number, body: object | string): ApiResponse {
  async function* once() {
    yield Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  }
  return { status, headers: {}, body: once() };
}

function set(t: Parameters<typeof newBench>[0], answers: Answers = {}) {
  let transport: WithScale | undefined;
  const bench = newBench(t, {
    transport: api => {
      transport = new WithScale(api, answers);
      return transport;
    },
  });
  const start = () =>
    bench.start(context => [
      horizontalPodAutoscalerController(context, new DiscoveredKinds(context.client.transport, context.clock)),
    ]);
  return { bench, start, asked: () => transport?.asked ?? [] };
}

async function createTarget({ client, clock }: Bench, replicas: number): Promise<void> {
  await client.create(kinds.deployments, {
    metadata: { name: 'web', namespace: 'NS' },
    spec: { replicas, selector: { matchLabels: { app: 'web' } }, template: {} },
  });
  for (let index = 0; index < replicas; index++) {
    await client.create(kinds.pods, {
      metadata: { name: `web-${index}`, namespace: 'NS', labels: { app: 'web' } },
      spec: { containers: [{ name: 'c', resources: { requests: { cpu: '100m' } } }] },
      status: {
        phase: 'Running',
        startTime: timestamp(clock.now() - 3_600_000),
        conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: timestamp(clock.now() - 3_000_000) }],
      },
    });
  }
}
const CPU: MetricSpec = {
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } },
};
async function createAutoscaler({ client }: Bench, name: string, spec: object = {}): Promise<void> {
  await client.create(kinds.horizontalpodautoscalers, {
    metadata: { name, namespace: 'NS' },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      minReplicas: 1,
      maxReplicas: 5,
      metrics: [CPU],
      ...spec,
    },
  });
}
const replicasOf = async ({ client }: Bench) =>
  (await client.get(kinds.deployments, { namespace: 'NS', name: 'web' })).spec?.replicas;
const statusOf = async ({ client }: Bench, name: string) =>
  (await client.get(kinds.horizontalpodautoscalers, { namespace: 'NS', name })).status;
const metricsOf = (cpu: string, count: number, at: string) => ({
  items: Array.from({ length: count }, (_, index) => ({
    metadata: { name: `web-${index}`, namespace: 'NS' },
    timestamp: at,
    window: '15s',
    containers: [{ name: 'c', usage: { cpu, memory: '10Mi' } }],
  })),
});
const POD_METRICS = '/apis/metrics.k8s.io/v1beta1/namespaces/NS/pods';

test('a target grows with its use, and shrinks when it has been little for five minutes', async t => {
  const answers: Answers = {};
  const { bench, start, asked } = set(t, answers);
  answers[POD_METRICS] = metricsOf('100m', 2, timestamp(bench.clock.now()));
  await createTarget(bench, 2);
  await createAutoscaler(bench, 'web');
  await start();
  await bench.clock.advance(16_000);
  await until('it has grown', async () => (await replicasOf(bench)) === 4);
  t.true(asked()[0]?.endsWith('?labelSelector=app%3Dweb'));
  answers[POD_METRICS] = metricsOf('1m', 2, timestamp(bench.clock.now()));
  await bench.clock.advance(60_000);
  t.is(await replicasOf(bench), 4);
  await bench.clock.advance(320_000);
  await until('it has shrunk', async () => (await replicasOf(bench)) === 1);
  await bench.clock.advance(16_000);
  t.deepEqual(
    (await statusOf(bench, 'web'))?.conditions?.map(({ type, status, reason }) => `${type} ${status} ${reason}`),
    [
      'AbleToScale True ReadyForNewScale',
      'ScalingActive True ValidMetricFound',
      'ScalingLimited False DesiredWithinRange',
    ],
  );
});

test('without metrics APIs the events are those of Kubernetes', async t => {
  const { bench, start } = set(t);
  await createTarget(bench, 1);
  await createAutoscaler(bench, 'web');
  await start();
  await bench.clock.advance(16_000);
  await until('both are told', () => bench.events.length === 2);
  await createAutoscaler(bench, 'web2');
  await bench.clock.advance(31_000);
  await bench.client.delete(kinds.horizontalpodautoscalers, { namespace: 'NS', name: 'web2' });
  const told = async (spec: object) => {
    const key = { namespace: 'NS', name: 'web' };
    await bench.client.patch(kinds.horizontalpodautoscalers, key, {
      type: 'application/merge-patch+json',
      body: { spec },
    });
    await bench.clock.advance(31_000);
  };
  const containerCpu = { name: 'cpu', container: 'c', target: { type: 'Utilization', averageUtilization: 50 } };
  await told({
    metrics: [
      { type: 'Pods', pods: { metric: { name: 'rps' }, target: { type: 'AverageValue', averageValue: '10' } } },
    ],
  });
  await told({
    metrics: [
      { type: 'External', external: { metric: { name: 'q' }, target: { type: 'Value', value: '10' } } },
      {
        type: 'Object',
        object: {
          describedObject: { apiVersion: 'v1', kind: 'Service', name: 's' },
          metric: { name: 'o' },
          target: { type: 'Value', value: '1' },
        },
      },
      { type: 'ContainerResource', containerResource: containerCpu },
    ],
  });
  await told({ scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'none-such' } });
  await told({ scaleTargetRef: { apiVersion: 'x.io/v1', kind: 'Thing', name: 'a' } });
  await told({ scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, minReplicas: 3 });
  const reasons = new Set(bench.events.map(({ reason }) => reason));
  for (const reason of [
    'AmbiguousSelector',
    'FailedComputeMetricsReplicas',
    'FailedGetContainerResourceMetric',
    'FailedGetExternalMetric',
    'FailedGetObjectMetric',
    'FailedGetPodsMetric',
    'FailedGetResourceMetric',
    'FailedGetScale',
    'SuccessfulRescale',
  ]) {
    t.true(reasons.has(reason), reason);
  }
  if (!knownEvents) return;
  // In which order rivals are listed is chance in Kubernetes.
  const listed = bench.events.map(event => ({
    ...event,
    message: event.message.replace('[NS/web NS/web2]', '[NS/web2 NS/web]'),
  }));
  for (const event of listed) t.true(isKnownEvent(event), JSON.stringify(event));
});

test('metrics of pods, objects and the outside are asked for as their adapters want it', async t => {
  const group = '/apis/custom.metrics.k8s.io';
  const custom = `${group}/v1beta1/namespaces/NS`;
  const { bench, start, asked } = set(t, {
    [group]: { preferredVersion: { groupVersion: 'custom.metrics.k8s.io/v1beta1' } },
    [`${custom}/pods/*/rps`]: { items: [{ describedObject: { name: 'web-0' }, value: '30' }] },
    [`${custom}/ingresses.networking.k8s.io/i/hits`]: { items: [{ value: '500m' }] },
    '/apis/external.metrics.k8s.io/v1beta1/namespaces/NS/q': { items: [{ value: '3' }, { value: '1500m' }] },
  });
  await createTarget(bench, 1);
  const selector = { matchLabels: { verb: 'GET' } };
  await createAutoscaler(bench, 'web', {
    metrics: [
      {
        type: 'Pods',
        pods: { metric: { name: 'rps', selector }, target: { type: 'AverageValue', averageValue: '10' } },
      },
      {
        type: 'Object',
        object: {
          describedObject: { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', name: 'i' },
          metric: { name: 'hits' },
          target: { type: 'Value', value: '1' },
        },
      },
      {
        type: 'External',
        external: { metric: { name: 'q', selector }, target: { type: 'AverageValue', averageValue: '1' } },
      },
    ],
  });
  await start();
  await bench.clock.advance(16_000);
  await until('it has grown', async () => (await replicasOf(bench)) === 4);
  t.true(asked().includes(`${custom}/pods/*/rps?labelSelector=app%3Dweb&metricLabelSelector=verb%3DGET`));
  t.true(asked().some(path => path.endsWith('/q?labelSelector=verb%3DGET')));
  t.deepEqual(
    (await statusOf(bench, 'web'))?.currentMetrics?.map(({ type }) => type),
    ['Pods', 'Object', 'External'],
  );
});
