/** Service and EndpointSlice. */
import * as kinds from '../generated/kinds.ts';
import type { EndpointSlice, Service, ServiceSpec } from '../generated/types.ts';
import { isEqual } from '../schema/equal.ts';
import { validateEndpointSlice, validateEndpointSliceUpdate } from '../validation/endpointslice.ts';
import { validateServiceStatus } from '../validation/load-balancer-status.ts';
import { serviceName } from '../validation/names.ts';
import { serviceWarnings, validateService, validateServiceUpdate } from '../validation/service.ts';
import { declare, STATUS } from './declare.ts';
import { defaultFamilies } from './service-families.ts';

const AFFINITY_SECONDS = 10_800;

export const service = declare(kinds.services, {
  allowCreateOnUpdate: true,
  nameRule: serviceName,
  subresources: [
    {
      name: 'proxy',
      verbs: ['create', 'delete', 'get', 'patch', 'update'],
      responseKind: { group: '', version: 'v1', kind: 'ServiceProxyOptions' },
    },
    STATUS,
  ],
  defaults: defaultService,
  prepareForCreate(object, { serviceFamilies }) {
    object.status = { loadBalancer: {} };
    if (object.spec) dropByType(object.spec, undefined);
    if (object.spec) defaultFamilies(object.spec, undefined, serviceFamilies);
  },
  prepareForUpdate(object, old, { serviceFamilies }) {
    if (!object.spec) return;
    patchAllocated(object.spec, old.spec);
    if (object.spec.type !== 'LoadBalancer') object.status = { ...object.status, loadBalancer: {} };
    dropByType(object.spec, old.spec);
    if (object.spec.type !== 'ExternalName') defaultFamilies(object.spec, old.spec, serviceFamilies);
  },
  validate: validateService,
  validateUpdate: (object, old, subresource) =>
    subresource === 'status' ? validateServiceStatus(object, old) : validateServiceUpdate(object, old),
  warnings: serviceWarnings,
  selectableFieldNames: ['spec.clusterIP', 'spec.type'],
  selectableFields: ({ spec }) => ({ 'spec.clusterIP': spec?.clusterIP ?? '', 'spec.type': spec?.type ?? '' }),
});

const needsClusterIp = (spec: ServiceSpec): boolean => spec.type !== 'ExternalName';
const isExternal = (spec: ServiceSpec): boolean => spec.type === 'NodePort' || spec.type === 'LoadBalancer';

/** True if the service takes traffic from outside, so that its external policy has a meaning. */
const isExternallyAccessible = (spec: ServiceSpec): boolean =>
  isExternal(spec) || (spec.type === 'ClusterIP' && (spec.externalIPs?.length ?? 0) > 0);

function defaultService({ spec, status }: Service): void {
  if (!spec) return;
  spec.sessionAffinity ||= 'None';
  if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig;
  else if (spec.sessionAffinity === 'ClientIP') {
    spec.sessionAffinityConfig ??= {};
    spec.sessionAffinityConfig.clientIP ??= {};
    spec.sessionAffinityConfig.clientIP.timeoutSeconds ??= AFFINITY_SECONDS;
  }
  spec.type ||= 'ClusterIP';
  for (const port of spec.ports ?? []) {
    port.protocol ||= 'TCP';
    if (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === '') port.targetPort = port.port;
  }
  if (isExternallyAccessible(spec)) spec.externalTrafficPolicy ||= 'Cluster';
  if (needsClusterIp(spec)) spec.internalTrafficPolicy ??= 'Cluster';
  if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true;
  if (spec.clusterIP && !spec.clusterIPs) spec.clusterIPs = [spec.clusterIP];
  if (spec.type !== 'LoadBalancer') return;
  for (const entry of status?.loadBalancer?.ingress ?? []) if (entry.ip) entry.ipMode ??= 'VIP';
}

/** What the server allocated is kept where a client that replaces the object leaves it out. */
function patchAllocated(spec: ServiceSpec, old: ServiceSpec | undefined): void {
  if (!old) return;
  if (needsClusterIp(old) && needsClusterIp(spec)) {
    if (!spec.clusterIP && old.clusterIP) spec.clusterIP = old.clusterIP;
    if (!spec.clusterIPs && old.clusterIPs && spec.clusterIP === old.clusterIP) spec.clusterIPs = old.clusterIPs;
    spec.ipFamilies ??= old.ipFamilies;
    spec.ipFamilyPolicy ??= old.ipFamilyPolicy;
    if (spec.clusterIP && spec.clusterIP !== spec.clusterIPs?.[0]) {
      spec.clusterIPs = isEqual(spec.clusterIPs, old.clusterIPs)
        ? [spec.clusterIP]
        : (spec.clusterIPs ?? [spec.clusterIP]);
    }
  }
  if (isExternal(old) && isExternal(spec)) {
    const taken = new Set((spec.ports ?? []).map(port => port.nodePort).filter(Boolean));
    for (const port of spec.ports ?? []) {
      if (port.nodePort) continue;
      const before = (old.ports ?? []).find(
        candidate => candidate.port === port.port && candidate.protocol === port.protocol,
      );
      if (before?.nodePort && !taken.has(before.nodePort)) {
        port.nodePort = before.nodePort;
        taken.add(before.nodePort);
      }
    }
  }
  if (needsHealthPort(old) && needsHealthPort(spec)) spec.healthCheckNodePort ||= old.healthCheckNodePort;
}

const needsHealthPort = (spec: ServiceSpec): boolean =>
  spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';

/** A change of type takes away what belonged to the old type, unless the client set it anew. */
function dropByType(spec: ServiceSpec, old: ServiceSpec | undefined): void {
  if (!old) return;
  const isSame = <K extends keyof ServiceSpec>(key: K): boolean => isEqual(spec[key], old[key]);
  if (needsClusterIp(old) && !needsClusterIp(spec)) {
    if (isSame('clusterIP') && isSame('clusterIPs')) {
      delete spec.clusterIP;
      delete spec.clusterIPs;
    }
    if (isSame('ipFamilies')) delete spec.ipFamilies;
    if (isSame('ipFamilyPolicy')) delete spec.ipFamilyPolicy;
    if (isSame('internalTrafficPolicy')) delete spec.internalTrafficPolicy;
  }
  if (isExternal(old) && !isExternal(spec)) {
    const before = new Set((old.ports ?? []).map(port => port.nodePort).filter(Boolean));
    for (const port of spec.ports ?? []) if (port.nodePort && before.has(port.nodePort)) delete port.nodePort;
  }
  if (needsHealthPort(old) && !needsHealthPort(spec) && isSame('healthCheckNodePort')) delete spec.healthCheckNodePort;
  if (old.type === 'LoadBalancer' && spec.type !== 'LoadBalancer') {
    if (isSame('allocateLoadBalancerNodePorts')) delete spec.allocateLoadBalancerNodePorts;
    if (isSame('loadBalancerClass')) delete spec.loadBalancerClass;
  }
  if (isExternallyAccessible(old) && !isExternallyAccessible(spec) && isSame('externalTrafficPolicy')) {
    delete spec.externalTrafficPolicy;
  }
}

export const endpointSlice = declare(kinds.endpointslices, {
  tracksGeneration: true,
  isSpecChanged: (object, old) =>
    !isEqual(
      {
        endpoints: object.endpoints,
        ports: object.ports,
        addressType: object.addressType,
        labels: object.metadata?.labels,
      },
      { endpoints: old.endpoints, ports: old.ports, addressType: old.addressType, labels: old.metadata?.labels },
    ),
  defaults(object: EndpointSlice) {
    for (const port of object.ports ?? []) {
      port.name ??= '';
      port.protocol ??= 'TCP';
    }
  },
  validate: validateEndpointSlice,
  validateUpdate: validateEndpointSliceUpdate,
});
