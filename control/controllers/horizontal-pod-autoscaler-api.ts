/**
 * What autoscalers ask of the API: the scale of any kind of object, and the metrics of metrics.k8s.io,
 * custom.metrics.k8s.io and external.metrics.k8s.io, which somebody else may serve. Failures are told in Kubernetes' words.
 */
import type { MetricIdentifier, MetricSpec, Scale } from '../api/generated/types.ts';
import type { Kind } from '../api/kind.ts';
import { milliValue, parseQuantity } from '../api/schema/quantity.ts';
import { formatLabelSelector } from '../api/selectors.ts';
import { ApiError } from '../api/status.ts';
import type { ApiRequest, ApiTransport } from '../client/client.ts';
import { parseTime } from '../client/clock.ts';
import { errorFrom, objectPath, readText } from '../client/rest.ts';
import type { Reading } from './horizontal-pod-autoscaler-proposals.ts';
import type { Sample } from './horizontal-pod-autoscaler-samples.ts';
import { METRIC_WINDOW_MS } from './limits.ts';
import { messageOf } from './pod-control.ts';

export interface MetricsAsked {
  readonly spec: MetricSpec;
  readonly namespace: string;
  /** The target's selector, as text. */
  readonly selector: string;
  /** The resource of a kind of object, such as `deployments.apps`; undefined if there is no such kind. */
  resourceOf(reference: { readonly apiVersion?: string; readonly kind: string }): string | undefined;
}

export class AutoscalerApi {
  readonly #transport: ApiTransport;
  readonly #signal: AbortSignal;

  constructor(transport: ApiTransport, signal: AbortSignal) {
    this.#transport = transport;
    this.#signal = signal;
  }

  /** Throws ApiError. */
  getScale(kind: Kind, key: { readonly namespace: string; readonly name: string }): Promise<Scale> {
    return this.#json<Scale>({ method: 'GET', path: objectPath(kind, key, 'scale') });
  }

  /** Writes another count, on condition that the scale is still the one that was read. Throws ApiError. */
  async setReplicas(kind: Kind, scale: Scale, replicas: number): Promise<void> {
    const { namespace = '', name = '' } = scale.metadata ?? {};
    const body = { apiVersion: 'autoscaling/v1', kind: 'Scale', ...scale, spec: { ...scale.spec, replicas } };
    await this.#json({
      method: 'PUT',
      path: objectPath(kind, { namespace, name }, 'scale'),
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  }

  /** Reads a metric; never throws for what the API answers. */
  async read(asked: MetricsAsked): Promise<Reading> {
    const api = METRIC_APIS[asked.spec.type];
    if (!api) return { type: 'failure', message: 'unknown metric source type' };
    try {
      return await api.read(this, asked);
    } catch (error) {
      if (this.#signal.aborted) throw error;
      if (error instanceof MetricsError) return { type: 'failure', message: error.message };
      return { type: 'failure', message: `unable to fetch metrics from ${api.name} metrics API: ${messageOf(error)}` };
    }
  }

  /** `what` is how the resource is called in errors of servers that do not know it. */
  async get<T>(path: string, what: string): Promise<T> {
    try {
      return await this.#json<T>({ method: 'GET', path });
    } catch (error) {
      if (!(error instanceof ApiError) || error.details?.name || error.details?.kind) throw error;
      const sentence = BARE_ANSWERS[error.code];
      throw sentence ? new MetricsAnswerError(`${sentence} (get ${what})`) : error;
    }
  }

  async #json<T>(request: ApiRequest): Promise<T> {
    const headers = { accept: 'application/json', ...request.headers };
    const response = await this.#transport.request({ ...request, headers, signal: this.#signal });
    const text = await readText(response.body);
    if (response.status >= 300) throw errorFrom(response.status, text);
    // Documented shapes of the metrics APIs; what is read of them is looked at field by field.
    return JSON.parse(text) as T;
  }
}

/** client-go's sentences for answers that are no Status. */
const BARE_ANSWERS: Readonly<Record<number, string>> = {
  404: 'the server could not find the requested resource',
  503: 'the server is currently unable to handle the request',
};

class MetricsAnswerError extends Error {
  override readonly name = 'MetricsAnswerError';
}
/** Its message needs nothing before it. */
class MetricsError extends Error {
  override readonly name = 'MetricsError';
}

interface MetricsApi {
  readonly name: 'resource' | 'custom' | 'external';
  read(api: AutoscalerApi, asked: MetricsAsked): Promise<Reading>;
}

const METRIC_APIS: Readonly<Record<string, MetricsApi>> = {
  Resource: { name: 'resource', read: readResource },
  ContainerResource: { name: 'resource', read: readResource },
  Pods: { name: 'custom', read: readPods },
  Object: { name: 'custom', read: readObject },
  External: { name: 'external', read: readExternal },
};

interface PodMetrics {
  readonly metadata?: { readonly name?: string; readonly namespace?: string };
  readonly timestamp?: string;
  readonly window?: string;
  readonly containers?: readonly {
    readonly name: string;
    readonly usage?: Readonly<Record<string, string>>;
  }[];
}

const query = (parameters: Readonly<Record<string, string | undefined>>): string => {
  const known = Object.entries(parameters).filter((entry): entry is [string, string] => Boolean(entry[1]));
  return known.length > 0 ? `?${new URLSearchParams(known)}` : '';
};
const milliOf = (text: string | undefined): number => milliValue(parseQuantity(text ?? '0'));

async function readResource(api: AutoscalerApi, { spec, namespace, selector }: MetricsAsked): Promise<Reading> {
  const path = `/apis/metrics.k8s.io/v1beta1/namespaces/${namespace}/pods${query({ labelSelector: selector })}`;
  const { items = [] } = await api.get<{ items?: readonly PodMetrics[] }>(path, 'pods.metrics.k8s.io');
  if (items.length === 0) throw new MetricsError('no metrics returned from resource metrics API');
  const { name: resource = '', container } = { container: undefined, ...(spec.containerResource ?? spec.resource) };
  const samples = new Map<string, Sample>();
  for (const item of items) {
    const value = container === undefined ? sumOf(item, resource) : amountIn(item, { container, resource });
    if (value === undefined) continue;
    const atMs = parseTime(item.timestamp) ?? 0;
    samples.set(item.metadata?.name ?? '', { milliValue: value, atMs, windowMs: durationMs(item.window) });
  }
  return { type: 'pods', samples };
}

/** Of all containers; undefined unless all of them tell. */
function sumOf({ containers = [] }: PodMetrics, resource: string): number | undefined {
  const amounts = containers.map(({ usage }) => usage?.[resource]);
  if (amounts.length === 0 || amounts.includes(undefined)) return undefined;
  return amounts.reduce((total, text) => total + milliOf(text), 0);
}

function amountIn(
  { metadata, containers = [] }: PodMetrics,
  { container, resource }: { readonly container: string; readonly resource: string },
): number | undefined {
  const found = containers.find(({ name }) => name === container);
  if (!found) {
    const where = `${metadata?.namespace}/${metadata?.name}`;
    const why = `container ${container} not present in metrics for pod ${where}`;
    throw new MetricsError(`failed to get container metrics: ${why}`);
  }
  const text = found.usage?.[resource];
  return text === undefined ? undefined : milliOf(text);
}

/** `15s`, `1m0s`, `500ms`, as Go writes durations. */
function durationMs(text: string | undefined): number {
  const units: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
  const parts = [...(text ?? '').matchAll(/([\d.]+)(h|ms|m|s)/g)];
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (units[unit ?? ''] ?? 0), 0);
}

interface CustomValue {
  readonly describedObject?: { readonly name?: string };
  readonly timestamp?: string;
  readonly windowSeconds?: number | null;
  readonly value?: string;
}

/** The path of the version that is served and that its server would rather be asked in. */
async function customRoot(api: AutoscalerApi): Promise<string> {
  const group = 'custom.metrics.k8s.io';
  try {
    const found = await api.get<{ preferredVersion?: { groupVersion?: string } }>(`/apis/${group}`, group);
    return `/apis/${found.preferredVersion?.groupVersion ?? `${group}/v1beta2`}`;
  } catch (error) {
    if (!(error instanceof MetricsAnswerError)) throw error;
    throw new MetricsAnswerError(`no custom metrics API (${group}) registered`);
  }
}

const selectorOf = ({ selector }: MetricIdentifier): string | undefined => selector && formatLabelSelector(selector);

async function readPods(api: AutoscalerApi, { spec, namespace, selector }: MetricsAsked): Promise<Reading> {
  const metric = spec.pods?.metric ?? { name: '' };
  const root = await customRoot(api);
  const parameters = query({ labelSelector: selector, metricLabelSelector: selectorOf(metric) });
  const path = `${root}/namespaces/${namespace}/pods/*/${encodeURIComponent(metric.name)}${parameters}`;
  const { items = [] } = await api.get<{ items?: readonly CustomValue[] }>(path, 'pods.custom.metrics.k8s.io');
  if (items.length === 0) throw new MetricsError('no metrics returned from custom metrics API');
  const samples = new Map<string, Sample>();
  for (const { describedObject, timestamp, windowSeconds, value } of items) {
    const windowMs = windowSeconds === undefined || windowSeconds === null ? METRIC_WINDOW_MS : windowSeconds * 1000;
    samples.set(describedObject?.name ?? '', { milliValue: milliOf(value), atMs: parseTime(timestamp) ?? 0, windowMs });
  }
  return { type: 'pods', samples };
}

async function readObject(api: AutoscalerApi, asked: MetricsAsked): Promise<Reading> {
  const { metric = { name: '' }, describedObject } = asked.spec.object ?? {};
  const root = await customRoot(api);
  const { kind = '', name = '', apiVersion } = describedObject ?? {};
  const resource = asked.resourceOf({ kind, ...(apiVersion !== undefined && { apiVersion }) });
  if (resource === undefined) {
    const slash = (apiVersion ?? '').indexOf('/');
    const group = slash < 0 ? '' : (apiVersion ?? '').slice(0, slash);
    throw new MetricsAnswerError(`no matches for kind ${JSON.stringify(kind)} in group ${JSON.stringify(group)}`);
  }
  const parameters = query({ metricLabelSelector: selectorOf(metric) });
  const place =
    resource === 'namespaces' ? `namespaces/${name}/metrics` : `namespaces/${asked.namespace}/${resource}/${name}`;
  const path = `${root}/${place}/${encodeURIComponent(metric.name)}${parameters}`;
  const { items = [] } = await api.get<{ items?: readonly CustomValue[] }>(path, `${resource}.custom.metrics.k8s.io`);
  if (items.length !== 1) {
    const why = `the custom metrics API server returned ${items.length} results when we asked for exactly one`;
    throw new MetricsAnswerError(why);
  }
  return { type: 'amount', milliValue: milliOf(items[0]?.value) };
}

async function readExternal(api: AutoscalerApi, { spec, namespace }: MetricsAsked): Promise<Reading> {
  const metric = spec.external?.metric ?? { name: '' };
  const parameters = query({ labelSelector: selectorOf(metric) });
  const path = `/apis/external.metrics.k8s.io/v1beta1/namespaces/${namespace}/${encodeURIComponent(metric.name)}${parameters}`;
  const what = `${metric.name}.external.metrics.k8s.io`;
  const { items = [] } = await api.get<{ items?: readonly CustomValue[] }>(path, what);
  if (items.length === 0) throw new MetricsError('no metrics returned from external metrics API');
  return { type: 'amount', milliValue: items.reduce((sum, { value }) => sum + milliOf(value), 0) };
}
