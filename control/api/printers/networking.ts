/** Services, what they lead to, and what leads to them. */
import type {
  EndpointSlice,
  Endpoints,
  Ingress,
  IngressClass,
  IPAddress,
  NetworkPolicy,
  Service,
  ServiceCIDR,
} from '../generated/types.ts';
import {
  age,
  columns,
  hostPort,
  labelsText,
  NAME,
  nameOf,
  type Printer,
  printer,
  selectorOrNone,
  someOf,
  wide,
} from './printer.ts';

/** How many addresses, ports or hosts one cell names. */
const SHOWN_MAX = 3;

export const service: Printer = printer<Service>(
  columns(NAME, 'Type', 'Cluster-IP', 'External-IP', 'Port(s)', 'Age', wide('Selector')),
  (object, now) => [
    nameOf(object),
    object.spec?.type ?? '',
    object.spec?.clusterIPs?.[0] || object.spec?.clusterIP || '<none>',
    externalAddresses(object),
    servicePorts(object),
    age(object, now),
    labelsText(object.spec?.selector),
  ],
);

function externalAddresses(service: Service): string {
  const external = service.spec?.externalIPs ?? [];
  switch (service.spec?.type) {
    case 'LoadBalancer':
      return [...loadBalancerAddresses(service.status), ...external].join(',') || '<pending>';
    case 'ExternalName':
      return service.spec.externalName ?? '';
    case 'ClusterIP':
    case 'NodePort':
      return external.join(',') || '<none>';
    default:
      return '<unknown>';
  }
}

interface WithLoadBalancer {
  readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[] };
}

function loadBalancerAddresses(status: WithLoadBalancer | undefined): string[] {
  const addresses = (status?.loadBalancer?.ingress ?? []).map(ingress => ingress.ip || ingress.hostname || '');
  return [...new Set(addresses)].filter(address => address !== '');
}

function servicePorts(service: Service): string {
  const ports = (service.spec?.ports ?? []).map(({ port, nodePort, protocol }) =>
    nodePort ? `${port}:${nodePort}/${protocol ?? 'TCP'}` : `${port}/${protocol ?? 'TCP'}`,
  );
  return ports.join(',') || '<none>';
}

export const endpoints: Printer = printer<Endpoints>(columns(NAME, 'Endpoints', 'Age'), (object, now) => [
  nameOf(object),
  endpointsText(object),
  age(object, now),
]);

function endpointsText(endpoints: Endpoints): string {
  const subsets = endpoints.subsets ?? [];
  if (subsets.length === 0) return '<none>';
  const texts = subsets.flatMap(({ addresses = [], ports = [] }) =>
    ports.length === 0
      ? addresses.map(address => address.ip)
      : ports.flatMap(({ port }) => addresses.map(address => hostPort(address.ip, port))),
  );
  return someOf(texts, SHOWN_MAX, '');
}

export const endpointSlice: Printer = printer<EndpointSlice>(
  columns(NAME, 'AddressType', 'Ports', 'Endpoints', 'Age'),
  (object, now) => [
    nameOf(object),
    object.addressType,
    someOf(
      (object.ports ?? []).map(({ port, name }) => (port === undefined ? name || '*' : String(port))),
      SHOWN_MAX,
      '<unset>',
    ),
    someOf(
      (object.endpoints ?? []).flatMap(endpoint => endpoint.addresses),
      SHOWN_MAX,
      '<unset>',
    ),
    age(object, now),
  ],
);

export const ingress: Printer = printer<Ingress>(
  columns(NAME, 'Class', 'Hosts', 'Address', 'Ports', 'Age'),
  (object, now) => {
    const hosts = (object.spec?.rules ?? []).map(rule => rule.host ?? '').filter(host => host !== '');
    return [
      nameOf(object),
      object.spec?.ingressClassName ?? '<none>',
      someOf(hosts, SHOWN_MAX, '*'),
      loadBalancerAddresses(object.status).join(','),
      (object.spec?.tls ?? []).length > 0 ? '80, 443' : '80',
      age(object, now),
    ];
  },
);

export const ingressClass: Printer = printer<IngressClass>(
  columns(NAME, 'Controller', 'Parameters', 'Age'),
  (object, now) => {
    const parameters = object.spec?.parameters;
    const group = parameters?.apiGroup ? `.${parameters.apiGroup}` : '';
    return [
      nameOf(object),
      object.spec?.controller ?? '',
      parameters ? `${parameters.kind}${group}/${parameters.name}` : '<none>',
      age(object, now),
    ];
  },
);

export const networkPolicy: Printer = printer<NetworkPolicy>(columns(NAME, 'Pod-Selector', 'Age'), (object, now) => [
  nameOf(object),
  selectorOrNone(object.spec?.podSelector),
  age(object, now),
]);

/** Kubernetes gives three cells for two columns, so clients show no age; so do we. */
export const ipAddress: Printer = printer<IPAddress>(columns(NAME, 'ParentRef'), (object, now) => {
  const parent = object.spec?.parentRef;
  const resource = parent?.group ? `${parent.resource}.${parent.group}` : (parent?.resource ?? '');
  return [nameOf(object), [resource, parent?.namespace, parent?.name].filter(part => part).join('/'), age(object, now)];
});

export const serviceCidr: Printer = printer<ServiceCIDR>(columns(NAME, 'CIDRs', 'Age'), (object, now) => [
  nameOf(object),
  (object.spec?.cidrs ?? []).join(','),
  age(object, now),
]);
