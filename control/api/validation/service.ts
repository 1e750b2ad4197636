/** Validation of services. Allocation of addresses and node ports, and what it refuses, is the API server's. */
import type { Service, ServicePort, ServiceSpec } from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { parseIp, validateCidr, validateIp, validateOrdinaryIp } from './addresses.ts';
import {
  byRule,
  duplicateValue,
  forbiddenField,
  goQuote,
  invalidText,
  invalidValue,
  oneOf,
  required,
} from './errors.ts';
import { goStrings } from './go-text.ts';
import { validateLabels } from './metadata.ts';
import { dns1123Label, dns1123Subdomain, portNumber, qualifiedName } from './names.ts';
import { validatePortNumberOrName } from './probes.ts';

const TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];
const AFFINITY_SECONDS_MAX = 86_400;
/** An address of each family. */
const STACKS_MAX = 2;
const KUBELET_PORT = 10_250;
const ONLY_LOAD_BALANCER = "may only be used when `type` is 'LoadBalancer'";

const isHeadless = (spec: ServiceSpec): boolean => spec.clusterIPs?.[0] === 'None' || spec.clusterIP === 'None';

export function validateService({ spec = {} }: Service): FieldError[] {
  // Kubernetes gives out addresses before it judges the rest, and that needs to make sense of them.
  const unusable = validateClusterIps(spec);
  return unusable.length > 0 ? unusable : validateSpec(spec);
}

function validateSpec(spec: ServiceSpec): FieldError[] {
  const ports = spec.ports ?? [];
  const errors: FieldError[] = [];
  if (ports.length === 0 && !isHeadless(spec) && spec.type !== 'ExternalName') errors.push(required('spec.ports'));
  errors.push(
    ...validateByType(spec),
    ...validatePorts(ports),
    ...validateLabels(spec.selector, 'spec.selector'),
    ...validateAffinity(spec),
  );
  for (const [index, ip] of (spec.externalIPs ?? []).entries()) {
    const field = `spec.externalIPs[${index}]`;
    const bad = validateIp(field, ip);
    errors.push(...(bad.length > 0 ? bad : validateOrdinaryIp(field, ip)));
  }
  const { type = '' } = spec;
  errors.push(...(type === '' ? [required('spec.type')] : oneOf('spec.type', type, TYPES)));
  return [
    ...errors,
    ...validateDuplicatePorts(ports),
    ...validateNodePorts(spec),
    ...validateBalancing(spec),
    ...validatePolicies(spec),
  ];
}

function validateByType(spec: ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  const { type = '' } = spec;
  if (type === 'LoadBalancer') {
    for (const [index, { port }] of (spec.ports ?? []).entries()) {
      if (port === KUBELET_PORT) {
        errors.push(
          invalidValue(
            `spec.ports[${index}]`,
            port,
            `may not expose port ${port} externally since it is used by kubelet`,
          ),
        );
      }
    }
  }
  if ((type === 'LoadBalancer' || type === 'NodePort') && isHeadless(spec)) {
    errors.push(invalidValue('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${type} services`));
  }
  if (type !== 'ExternalName') return errors;
  for (const field of ['clusterIPs', 'ipFamilies', 'ipFamilyPolicy'] as const) {
    if (spec[field]?.length) errors.push(forbiddenField(`spec.${field}`, 'may not be set for ExternalName services'));
  }
  const name = (spec.externalName ?? '').replace(/\.$/, '');
  errors.push(
    ...(name === '' ? [required('spec.externalName')] : byRule('spec.externalName', name, dns1123Subdomain(name))),
  );
  return errors;
}

function validatePorts(ports: readonly ServicePort[]): FieldError[] {
  const names = new Set<string>();
  return ports.flatMap((port, index) => {
    const field = `spec.ports[${index}]`;
    const { name = '', protocol = '', appProtocol } = port;
    const errors: FieldError[] = [];
    if (name === '' && ports.length > 1) errors.push(required(`${field}.name`));
    else if (name !== '') {
      errors.push(...byRule(`${field}.name`, name, dns1123Label(name)));
      if (names.has(name)) errors.push(duplicateValue(`${field}.name`, name));
      names.add(name);
    }
    for (const sentence of portNumber(port.port)) errors.push(invalidValue(`${field}.port`, port.port, sentence));
    errors.push(
      ...(protocol === '' ? [required(`${field}.protocol`)] : oneOf(`${field}.protocol`, protocol, PROTOCOLS)),
      ...validatePortNumberOrName(port.targetPort, `${field}.targetPort`),
      ...(appProtocol === undefined ? [] : byRule(`${field}.appProtocol`, appProtocol, qualifiedName(appProtocol))),
    );
    return errors;
  });
}

function validateDuplicatePorts(ports: readonly ServicePort[]): FieldError[] {
  const seen = new Set<string>();
  return ports.flatMap(({ port, protocol = '' }, index) => {
    const key = `${protocol}/${port}`;
    if (!seen.has(key)) {
      seen.add(key);
      return [];
    }
    const shown = `core.ServicePort{Name:"", Protocol:${goQuote(protocol)}, AppProtocol:(*string)(nil), Port:${port}, TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:""}, NodePort:0}`;
    return [
      { type: 'FieldValueDuplicate' as const, field: `spec.ports[${index}]`, message: `Duplicate value: ${shown}` },
    ];
  });
}

function validateNodePorts({ type, ports = [] }: ServiceSpec): FieldError[] {
  if (type !== 'ClusterIP') return [];
  return ports.flatMap(({ nodePort }, index) =>
    nodePort ? [forbiddenField(`spec.ports[${index}].nodePort`, "may not be used when `type` is 'ClusterIP'")] : [],
  );
}

function validateAffinity(spec: ServiceSpec): FieldError[] {
  const { sessionAffinity = '', sessionAffinityConfig } = spec;
  if (sessionAffinity === '') return [required('spec.sessionAffinity')];
  const errors = oneOf('spec.sessionAffinity', sessionAffinity, ['ClientIP', 'None']);
  const field = 'spec.sessionAffinityConfig';
  if (sessionAffinity === 'None' && sessionAffinityConfig) {
    errors.push(forbiddenField(field, "must not be set when session affinity is 'None'"));
  }
  if (sessionAffinity !== 'ClientIP') return errors;
  const seconds = sessionAffinityConfig?.clientIP?.timeoutSeconds;
  if (seconds === undefined) {
    return [...errors, required(field, 'when session affinity type is ClientIP')];
  }
  if (seconds <= 0 || seconds > AFFINITY_SECONDS_MAX) {
    errors.push(
      invalidValue(
        `${field}.clientIP.timeoutSeconds`,
        seconds,
        `must be greater than 0 and less than ${AFFINITY_SECONDS_MAX}`,
      ),
    );
  }
  return errors;
}

function validateClusterIps(spec: ServiceSpec): FieldError[] {
  if (spec.type === 'ExternalName') return [];
  const { clusterIP = '', clusterIPs = [], ipFamilies = [], ipFamilyPolicy } = spec;
  const errors: FieldError[] = [];
  if (clusterIP !== '' && clusterIPs.length === 0) errors.push(required('spec.clusterIPs'));
  if (clusterIPs.length > 0 && clusterIPs[0] !== clusterIP) {
    errors.push(invalidText('spec.clusterIPs', goStrings(clusterIPs), 'first value must match `clusterIP`'));
  }
  const seen = new Set<string>();
  for (const [index, family] of ipFamilies.entries()) {
    const field = `spec.ipFamilies[${index}]`;
    errors.push(...oneOf(field, family, ['IPv4', 'IPv6']));
    if (seen.has(family)) errors.push(duplicateValue(field, family));
    seen.add(family);
  }
  if (ipFamilyPolicy !== undefined) {
    errors.push(
      ...oneOf('spec.ipFamilyPolicy', ipFamilyPolicy, ['PreferDualStack', 'RequireDualStack', 'SingleStack']),
    );
  }
  const isOneOfEach = clusterIPs.length < 2 || new Set(clusterIPs.map(ip => parseIp(ip)?.family)).size > 1;
  for (const [index, ip] of clusterIPs.entries()) {
    const field = `spec.clusterIPs[${index}]`;
    if (ip === 'None') {
      if (clusterIPs.length > 1) {
        errors.push(invalidText('spec.clusterIPs', goStrings(clusterIPs), "'None' must be the first and only value"));
      }
      continue;
    }
    const bad = validateIp(field, ip);
    errors.push(...bad);
    const family = ipFamilies[index];
    if (bad.length > 0) continue;
    const given = parseIp(ip)?.family;
    if (family === undefined && given === 'IPv6' && isOneOfEach) {
      // Families were worked out from the addresses before, as far as the cluster has them.
      errors.push(invalidText(field, goStrings(clusterIPs), 'IPv6 is not configured on this cluster'));
    } else if (family && given !== family) {
      errors.push(invalidValue(field, ip, `expected an ${family} value as indicated by \`ipFamilies[${index}]\``));
    }
  }
  errors.push(...validateCounts(clusterIPs, isOneOfEach));
  // What cannot be understood is not held against the policy.
  return errors.length > 0 ? errors : validateStacks(spec);
}

function validateCounts(clusterIPs: readonly string[], isOneOfEach: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const isReadable = clusterIPs.every(ip => parseIp(ip));
  if (clusterIPs.length > STACKS_MAX) {
    errors.push(invalidText('spec.clusterIPs', goStrings(clusterIPs), `may only hold up to ${STACKS_MAX} values`));
  }
  if (isReadable && !isOneOfEach) {
    const why = 'may specify no more than one IP for each IP family';
    errors.push(invalidText('spec.clusterIPs', goStrings(clusterIPs), why));
  }
  return errors;
}

/** One address and one family, or one of each, as the policy says. */
function validateStacks({ clusterIPs = [], ipFamilies = [], ipFamilyPolicy }: ServiceSpec): FieldError[] {
  if (ipFamilyPolicy !== 'SingleStack') return [];
  const errors: FieldError[] = [];
  const refuse = (what: string) =>
    errors.push(
      invalidValue(
        'spec.ipFamilyPolicy',
        ipFamilyPolicy,
        `must be 'RequireDualStack' or 'PreferDualStack' when multiple ${what} are specified`,
      ),
    );
  if (clusterIPs.length === STACKS_MAX) refuse('cluster IPs');
  if (ipFamilies.length === STACKS_MAX) refuse('IP families');
  return errors;
}

function validateBalancing(spec: ServiceSpec): FieldError[] {
  const isBalanced = spec.type === 'LoadBalancer';
  const errors: FieldError[] = [];
  for (const [index, range] of (spec.loadBalancerSourceRanges ?? []).entries()) {
    // The capital is Kubernetes'.
    errors.push(...validateCidr(`spec.LoadBalancerSourceRanges[${index}]`, range.trim()));
  }
  if (spec.loadBalancerSourceRanges?.length && !isBalanced) {
    errors.push(forbiddenField('spec.LoadBalancerSourceRanges', ONLY_LOAD_BALANCER));
  }
  if (spec.allocateLoadBalancerNodePorts !== undefined && !isBalanced) {
    errors.push(forbiddenField('spec.allocateLoadBalancerNodePorts', ONLY_LOAD_BALANCER));
  }
  if (spec.loadBalancerClass !== undefined) {
    if (!isBalanced) errors.push(forbiddenField('spec.loadBalancerClass', ONLY_LOAD_BALANCER));
    errors.push(...byRule('spec.loadBalancerClass', spec.loadBalancerClass, qualifiedName(spec.loadBalancerClass)));
  }
  return errors;
}

function validatePolicies(spec: ServiceSpec): FieldError[] {
  const { externalTrafficPolicy, internalTrafficPolicy, healthCheckNodePort, trafficDistribution, type } = spec;
  const errors: FieldError[] = [];
  const isExternal =
    type === 'NodePort' || type === 'LoadBalancer' || (type === 'ClusterIP' && (spec.externalIPs?.length ?? 0) > 0);
  if (externalTrafficPolicy) {
    if (isExternal) errors.push(...oneOf('spec.externalTrafficPolicy', externalTrafficPolicy, ['Cluster', 'Local']));
    else {
      errors.push(
        invalidValue(
          'spec.externalTrafficPolicy',
          externalTrafficPolicy,
          'may only be set for externally-accessible services',
        ),
      );
    }
  } else if (isExternal) errors.push(required('spec.externalTrafficPolicy'));
  if (healthCheckNodePort && !(type === 'LoadBalancer' && externalTrafficPolicy === 'Local')) {
    errors.push(
      invalidValue(
        'spec.healthCheckNodePort',
        healthCheckNodePort,
        "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
      ),
    );
  }
  if (internalTrafficPolicy !== undefined) {
    errors.push(...oneOf('spec.internalTrafficPolicy', internalTrafficPolicy, ['Cluster', 'Local']));
  } else if (type === 'NodePort' || type === 'LoadBalancer' || type === 'ClusterIP') {
    errors.push(required('spec.internalTrafficPolicy'));
  }
  if (trafficDistribution !== undefined) {
    errors.push(...oneOf('spec.trafficDistribution', trafficDistribution, ['PreferClose']));
  }
  return errors;
}

/** The address of a service stays while it has one. */
export function validateServiceUpdate({ spec = {} }: Service, { spec: old = {} }: Service): FieldError[] {
  const before = old.clusterIPs?.[0] ?? old.clusterIP ?? '';
  if (old.type === 'ExternalName' || spec.type === 'ExternalName' || before === '') return [];
  if (spec.clusterIPs?.[0] === before) return validateRelease(spec, old);
  return [invalidText('spec.clusterIPs[0]', goStrings(spec.clusterIPs), 'may not change once set')];
}

/** The second address goes only with a policy that says so. */
function validateRelease(spec: ServiceSpec, old: ServiceSpec): FieldError[] {
  if (spec.ipFamilyPolicy === undefined || spec.ipFamilyPolicy === 'SingleStack') return [];
  const isReduced = (key: 'clusterIPs' | 'ipFamilies') => {
    const [now = 0, before = 0] = [spec[key]?.length, old[key]?.length];
    return now > 0 && now < before;
  };
  const refuse = (what: string) =>
    invalidValue('spec.ipFamilyPolicy', spec.ipFamilyPolicy, `must be 'SingleStack' to release the secondary ${what}`);
  return [
    ...(isReduced('clusterIPs') ? [refuse('cluster IP')] : []),
    ...(isReduced('ipFamilies') ? [refuse('IP family')] : []),
  ];
}

export function serviceWarnings({ spec }: Service): string[] {
  if (spec?.type === 'ExternalName' && spec.sessionAffinity && spec.sessionAffinity !== 'None') {
    return ['spec.sessionAffinity is ignored for ExternalName service'];
  }
  return [];
}
