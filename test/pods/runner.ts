/** Runs cases of pods on one node, side by side in bounded numbers, and tells of each that did not come to its end. */
import type { Api } from '../helpers/api.ts';
import type { TestCluster } from '../helpers/cluster.ts';
import { HopelessError, until } from '../helpers/run.ts';
import type { ContainerManifest, Expectation, Expected, Manifest, PodCase, PodUnderTest } from './case.ts';

export interface RunnerOptions {
  readonly cluster: TestCluster;
  readonly api: Api;
  readonly runtime: 'docker' | 'native';
  /** What containers that name no image get. */
  readonly image: string;
  readonly atOnce: number;
}

export interface Failure {
  readonly name: string;
  readonly why: string;
}

const NAMESPACE = 'pods';
const CASE_TIMEOUT_MS = 60_000;
const CALL_TIMEOUT_MS = 20_000;
const FIRST_PORT = 31_500;
const MERGE = 'application/merge-patch+json';

/** Resolves with what failed. */
export async function runCases(cases: readonly PodCase[], options: RunnerOptions): Promise<Failure[]> {
  await call(options, 'POST', '/api/v1/namespaces', { metadata: { name: NAMESPACE } });
  await until('the service account', async () => {
    const { status } = await options.api.call('GET', `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/default`);
    return status === 200;
  });
  const failures: Failure[] = [];
  const waiting = [...cases.entries()];
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [index, one] = next;
      try {
        await runCase(one, index, options);
      } catch (error) {
        failures.push({ name: one.name, why: error instanceof Error ? error.message : String(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: options.atOnce }, work));
  return failures;
}

async function runCase(one: PodCase, index: number, options: RunnerOptions): Promise<void> {
  const pod = underTest(one, index, options);
  for (const object of one.objects ?? []) await create(options, object);
  const [first = {}] = one.spec.containers;
  await create(options, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: one.name, ...one.metadata },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 2,
      automountServiceAccountToken: false,
      ...filled(one.spec, options.image, pod.port),
    },
  });
  try {
    if (one.end) await pod.becomes(one.end, one.timeoutMs);
    for (const [container, text] of Object.entries(one.logs ?? {}))
      await pod.says(container === '' ? String(first.name) : container, text);
    for (const [reason, message] of one.events ?? []) await pod.told(reason, message);
    await one.then?.(pod);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${why}\n    events: ${(await pod.events()).join('\n            ')}`);
  } finally {
    await options.api.call('DELETE', podPath(one.name), { gracePeriodSeconds: 0 }).catch(() => undefined);
  }
}

/** Containers get the image where they have none; `$PORT` stands for the case's own port. */
function filled(spec: PodCase['spec'], image: string, port: number): object {
  const fill = (container: ContainerManifest) => ({ name: 'main', image, ...container });
  const { containers, initContainers, ...rest } = spec;
  const all = {
    ...rest,
    containers: containers.map(fill),
    ...(initContainers && { initContainers: initContainers.map(fill) }),
  };
  const text = JSON.stringify(all).replaceAll('"$PORT"', String(port)).replaceAll('$PORT', String(port));
  return JSON.parse(text) as object;
}

const podPath = (name: string) => `/api/v1/namespaces/${NAMESPACE}/pods/${name}`;

async function create(options: RunnerOptions, object: Manifest): Promise<void> {
  const kind = String(object.kind ?? 'Pod');
  const [version, scoped] = PATHS[kind] ?? [`/api/v1`, true];
  const where = scoped ? `${version}/namespaces/${NAMESPACE}` : version;
  await call(options, 'POST', `${where}/${kind.toLowerCase()}${kind.endsWith('s') ? 'es' : 's'}`, object);
}
const PATHS: Readonly<Record<string, readonly [string, boolean]>> = {
  RuntimeClass: ['/apis/node.k8s.io/v1', false],
  PersistentVolume: ['/api/v1', false],
};

async function call(
  { api }: Pick<RunnerOptions, 'api'>,
  method: string,
  path: string,
  body?: object,
  type?: string,
): Promise<Manifest> {
  const { status, body: answer } = await api.call(method, path, body, {
    timeoutMs: CALL_TIMEOUT_MS,
    ...(type && { type }),
  });
  if (status >= 300) throw new HopelessError(`${method} ${path}: ${status} ${JSON.stringify(answer)}`);
  return answer as Manifest;
}

function underTest(one: PodCase, index: number, options: RunnerOptions): PodUnderTest {
  const { name } = one;
  const path = podPath(name);
  const timeoutMs = one.timeoutMs ?? CASE_TIMEOUT_MS;
  const port = FIRST_PORT + index + (options.runtime === 'native' ? 400 : 0);
  const read = async () => (await call(options, 'GET', path)) as Awaited<ReturnType<PodUnderTest['read']>>;
  const log = async (container: string, query = '') => {
    const { status, body } = await options.api.call('GET', `${path}/log?container=${container}${query}`, undefined, {
      isText: true,
    });
    if (status !== 200) throw new Error(`log: ${status} ${body}`);
    return String(body);
  };
  const events = async () => {
    const query = `?fieldSelector=involvedObject.name%3D${name}`;
    const { items } = (await call(options, 'GET', `/api/v1/namespaces/${NAMESPACE}/events${query}`)) as {
      items?: readonly { reason: string; message: string }[];
    };
    return (items ?? []).map(({ reason, message }) => `${reason}: ${message}`);
  };
  return {
    name,
    namespace: NAMESPACE,
    port,
    image: options.image,
    read,
    log,
    events,
    becomes: async (expectation, ownTimeoutMs = timeoutMs) => {
      let differences: string[] = [];
      let status: unknown;
      await until(
        '',
        async () => {
          status = (await read()).status;
          differences = compare(viewOf(status as Manifest | undefined), expectation);
          return differences.length === 0;
        },
        ownTimeoutMs,
      ).catch((error: unknown) => {
        if (error instanceof HopelessError) throw error;
        throw new Error(`not so: ${differences.join('; ')}\n    status: ${JSON.stringify(status)}`);
      });
    },
    says: async (container, text, query) => {
      let found = '';
      await until(
        '',
        async () => {
          found = await log(container, query);
          return typeof text === 'string' ? found === text : text.test(found);
        },
        timeoutMs,
      ).catch(() => {
        throw new Error(`the log of ${container} is ${JSON.stringify(found)}, not ${text}`);
      });
    },
    told: async (reason, message) => {
      await until(
        `event ${reason} ${message}`,
        async () => (await events()).some(text => text.startsWith(`${reason}: `) && message.test(text)),
        timeoutMs,
      );
    },
    exec: (container, command) =>
      options.cluster.raftsman(['exec', '-n', NAMESPACE, name, '-c', container, '--', ...command]),
    patch: (body, { subresource, type = MERGE } = {}) =>
      call(options, 'PATCH', subresource ? `${path}/${subresource}` : path, body, type),
    remove: async graceSeconds => {
      await call(
        options,
        'DELETE',
        path,
        graceSeconds === undefined ? undefined : { gracePeriodSeconds: graceSeconds },
      );
    },
    gone: async () => {
      const startedAt = performance.now();
      await until('the pod is gone', async () => (await options.api.call('GET', path)).status === 404, timeoutMs);
      return performance.now() - startedAt;
    },
    api: (method, where, body, type) => call(options, method, where, body, type),
  };
}

interface Status {
  readonly name: string;
  readonly restartCount?: number;
  readonly ready?: boolean;
  readonly started?: boolean;
  readonly state?: Readonly<Record<string, Manifest>>;
  readonly lastState?: Readonly<Record<string, Manifest>>;
}

/** A pod's status in the shape of an expectation. */
export function viewOf(status: Manifest | undefined): Manifest {
  const lists = ['initContainerStatuses', 'containerStatuses', 'ephemeralContainerStatuses'];
  const statuses = lists.flatMap(list => (status?.[list] ?? []) as readonly Status[]);
  const conditions = (status?.conditions ?? []) as readonly { type: string; status: string }[];
  return {
    ...status,
    conditions: Object.fromEntries(conditions.map(({ type, status: value }) => [type, value])),
    containers: Object.fromEntries(
      statuses.map(one => {
        const [state, details = {}] = Object.entries(one.state ?? {})[0] ?? ['none', {}];
        const last = one.lastState?.terminated;
        return [
          one.name,
          {
            ...details,
            state,
            restarts: one.restartCount,
            ready: one.ready,
            started: one.started,
            lastReason: last?.reason,
            lastExitCode: last?.exitCode,
            lastMessage: last?.message,
          },
        ];
      }),
    ),
  };
}

/** Where the view is not as expected. */
export function compare(view: unknown, expected: Expectation | Expected | object, path = ''): string[] {
  if (expected instanceof RegExp)
    return typeof view === 'string' && expected.test(view)
      ? []
      : [`${path} is ${JSON.stringify(view)}, not ${expected}`];
  if (typeof expected === 'function')
    return expected(view) ? [] : [`${path} is ${JSON.stringify(view)}, which ${expected} refuses`];
  if (typeof expected !== 'object' || expected === null)
    return view === expected ? [] : [`${path} is ${JSON.stringify(view)}, not ${JSON.stringify(expected)}`];
  return Object.entries(expected).flatMap(([key, value]: [string, Expected | object]) =>
    compare((view as Manifest | undefined)?.[key], value, path ? `${path}.${key}` : key),
  );
}
