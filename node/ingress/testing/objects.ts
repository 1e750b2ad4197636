/** Ingresses and what stands around them, in few words, for tests. */
import type { EndpointSlice, Ingress, IngressClass, Service } from '../../api.ts';

export const ownClass: IngressClass = {
  metadata: { name: 'raftsman', annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' } },
  spec: { controller: 'raftsman.io/ingress' },
};

/** `host path pathType service:port`; a host of `-` for none. */
export function ingressOf(
  name: string,
  rules: readonly string[],
  { spec = {}, metadata = {} }: { readonly spec?: Ingress['spec']; readonly metadata?: Ingress['metadata'] } = {},
): Ingress {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name, namespace: 'default', ...metadata },
    spec: {
      ingressClassName: 'raftsman',
      ...(rules.length > 0 && { rules: rules.map(ruleOf) }),
      ...spec,
    },
  };
}

function ruleOf(text: string) {
  const [host = '', path = '/', pathType = 'Prefix', backend = ''] = text.split(' ');
  return { ...(host !== '-' && { host }), http: { paths: [{ path, pathType, backend: backendOf(backend) }] } };
}

/** `service:port`, the port a number or a name. */
export function backendOf(text: string) {
  const [name = '', port = ''] = text.split(':');
  return { service: { name, port: /^\d+$/.test(port) ? { number: Number(port) } : { name: port } } };
}

export const serviceOf = (name: string, spec: Partial<NonNullable<Service['spec']>> = {}): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'default' },
  spec: { ports: [{ name: 'http', port: 80 }], ...spec },
});

/** A slice with endpoints on loopback ports: each `ready`, `draining` or `gone`. */
export const sliceOf = (
  service: string,
  {
    address = '127.0.0.1',
    port,
    state = 'ready',
  }: { address?: string; port: number; state?: 'ready' | 'draining' | 'gone' },
): EndpointSlice => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: `${service}-${port}`, namespace: 'default', labels: { 'kubernetes.io/service-name': service } },
  addressType: 'IPv4',
  ports: [{ name: 'http', port, protocol: 'TCP' }],
  endpoints:
    state === 'gone'
      ? []
      : [
          {
            addresses: [address],
            conditions: { ready: state === 'ready', serving: true, terminating: state === 'draining' },
          },
        ],
});
