/** Validation of network policies. */
import type { IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { CIDR_MESSAGE, isInside, parseCidr } from './addresses.ts';
import { byRule, forbiddenField, invalidValue, oneOf, required } from './errors.ts';
import { portName, portNumber } from './names.ts';
import { validateLabelSelector } from './scheduling.ts';

const TYPES = ['Ingress', 'Egress'];
const PROTOCOLS = ['TCP', 'UDP', 'SCTP'];

export function validateNetworkPolicy({ spec }: NetworkPolicy): FieldError[] {
  const errors = validateLabelSelector(spec?.podSelector, 'spec.podSelector');
  for (const [index, { ports = [], from = [] }] of (spec?.ingress ?? []).entries()) {
    errors.push(...validateRule({ ports, peers: from, peersName: 'from' }, `spec.ingress[${index}]`));
  }
  for (const [index, { ports = [], to = [] }] of (spec?.egress ?? []).entries()) {
    errors.push(...validateRule({ ports, peers: to, peersName: 'to' }, `spec.egress[${index}]`));
  }
  const types = spec?.policyTypes ?? [];
  if (types.length > TYPES.length) {
    return [...errors, invalidValue('spec.policyTypes', types, 'may not specify more than two policyTypes')];
  }
  return [...errors, ...types.flatMap((type, index) => oneOf(`spec.policyTypes[${index}]`, type, TYPES))];
}

interface Rule {
  readonly ports: readonly NetworkPolicyPort[];
  readonly peers: readonly NetworkPolicyPeer[];
  readonly peersName: 'from' | 'to';
}

function validateRule({ ports, peers, peersName }: Rule, path: string): FieldError[] {
  return [
    ...ports.flatMap((port, index) => validatePort(port, `${path}.ports[${index}]`)),
    ...peers.flatMap((peer, index) => validatePeer(peer, `${path}.${peersName}[${index}]`)),
  ];
}

function validatePort({ protocol, port, endPort }: NetworkPolicyPort, path: string): FieldError[] {
  const errors = protocol === undefined ? [] : oneOf(`${path}.protocol`, protocol, PROTOCOLS);
  const field = `${path}.endPort`;
  if (port === undefined) {
    if (endPort !== undefined) {
      errors.push(invalidValue(field, endPort, 'may not be specified when `port` is not specified'));
    }
  } else if (typeof port === 'number') {
    if (endPort !== undefined && endPort < port) {
      errors.push(invalidValue(field, port, 'must be greater than or equal to `port`'));
    }
    errors.push(...portNumber(port).map(why => invalidValue(`${path}.port`, port, why)));
  } else {
    if (endPort !== undefined) {
      errors.push(invalidValue(field, endPort, 'may not be specified when `port` is non-numeric'));
    }
    errors.push(...byRule(`${path}.port`, port, portName(port)));
  }
  if (endPort !== undefined) errors.push(...portNumber(endPort).map(why => invalidValue(field, endPort, why)));
  return errors;
}

function validatePeer({ podSelector, namespaceSelector, ipBlock }: NetworkPolicyPeer, path: string): FieldError[] {
  const errors = [
    ...validateLabelSelector(podSelector, `${path}.podSelector`),
    ...validateLabelSelector(namespaceSelector, `${path}.namespaceSelector`),
    ...(ipBlock ? validateBlock(ipBlock, `${path}.ipBlock`) : []),
  ];
  if (!podSelector && !namespaceSelector && !ipBlock) return [...errors, required(path, 'must specify a peer')];
  if (ipBlock && (podSelector || namespaceSelector)) {
    errors.push(forbiddenField(path, 'may not specify both ipBlock and another peer'));
  }
  return errors;
}

function validateBlock({ cidr, except = [] }: IPBlock, path: string): FieldError[] {
  if (cidr === '') return [required(`${path}.cidr`)];
  const range = parseCidr(cidr);
  if (!range) return [invalidValue(`${path}.cidr`, cidr, CIDR_MESSAGE)];
  return except.flatMap((text, index) => {
    const field = `${path}.except[${index}]`;
    const inner = parseCidr(text);
    if (!inner) return [invalidValue(field, text, CIDR_MESSAGE)];
    const isStrict = isInside(inner.ip, range) && inner.prefix > range.prefix;
    return isStrict ? [] : [invalidValue(field, text, 'must be a strict subset of `cidr`')];
  });
}
