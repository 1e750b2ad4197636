/** From a port of a Service to the endpoints behind it. Pure. */
import type { EndpointSlice, Service } from '../api.ts';
import { endpointsOf } from '../service-ports.ts';
import type { BackendReference } from './table.ts';

export interface Endpoint {
  /** `address:port`. */
  readonly key: string;
  readonly address: string;
  readonly port: number;
}
export type Backend =
  | { readonly type: 'endpoints'; readonly endpoints: readonly Endpoint[]; readonly affinityMs: number }
  /** What the reference names is not there; the sentence is for the Ingress's events. */
  | { readonly type: 'missing'; readonly why: string };

const AFFINITY_SECONDS_DEFAULT = 10_800;

/** Ready endpoints; where none is ready, those that still serve while they terminate. */
export function resolveBackend(
  { service: name, port }: BackendReference,
  service: Service | undefined,
  slices: readonly EndpointSlice[],
): Backend {
  if (!service) return { type: 'missing', why: `the Service ${name} does not exist` };
  const { spec } = service;
  if (spec?.type === 'ExternalName') {
    return { type: 'missing', why: `the Service ${name} is of type ExternalName, which Ingress does not route` };
  }
  const found = spec?.ports?.find(
    ({ name: portName, port: number, protocol = 'TCP' }) =>
      protocol === 'TCP' && (typeof port === 'number' ? number === port : portName === port),
  );
  if (!found) return { type: 'missing', why: `the Service ${name} has no TCP port ${port}` };
  // A pod with addresses of both families is asked at one of them.
  const family = spec?.ipFamilies?.[0];
  const ofFamily = slices.filter(({ addressType }) => addressType === family);
  const endpoints = endpointsOf(
    ofFamily.length > 0 ? ofFamily : slices,
    { portName: found.name ?? '', protocol: 'TCP' },
    { nodeName: '' },
  );
  const seconds = spec?.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? AFFINITY_SECONDS_DEFAULT;
  return {
    type: 'endpoints',
    endpoints: endpoints.map(endpoint => ({
      address: endpoint.address,
      port: endpoint.port,
      key: `${endpoint.address}:${endpoint.port}`,
    })),
    affinityMs: spec?.sessionAffinity === 'ClientIP' ? seconds * 1_000 : 0,
  };
}
