/** The group networking.k8s.io: Ingress, IngressClass, NetworkPolicy, IPAddress, ServiceCIDR. */
import * as kinds from '../generated/kinds.ts';
import {
  ingressWarnings,
  validateIngress,
  validateIngressClass,
  validateIngressClassUpdate,
} from '../validation/ingress.ts';
import {
  addressName,
  validateIpAddress,
  validateIpAddressUpdate,
  validateServiceCidr,
  validateServiceCidrUpdate,
} from '../validation/ip-allocation.ts';
import { validateIngressStatus } from '../validation/load-balancer-status.ts';
import { validateNetworkPolicy } from '../validation/network-policy.ts';
import { declare, STATUS } from './declare.ts';

export const ingress = declare(kinds.ingresses, {
  tracksGeneration: true,
  subresources: [STATUS],
  prepareForCreate(object) {
    object.status = { loadBalancer: {} };
  },
  validate: validateIngress,
  validateUpdate: (object, old, subresource) => (subresource === 'status' ? validateIngressStatus(object, old) : []),
  warnings: ingressWarnings,
});

export const ingressClass = declare(kinds.ingressclasses, {
  tracksGeneration: true,
  defaults({ spec }) {
    if (spec?.parameters) spec.parameters.scope ??= 'Cluster';
  },
  validate: validateIngressClass,
  validateUpdate: validateIngressClassUpdate,
});

export const networkPolicy = declare(kinds.networkpolicies, {
  tracksGeneration: true,
  defaults({ spec }) {
    if (!spec) return;
    for (const { ports = [] } of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) {
      for (const port of ports) port.protocol ??= 'TCP';
    }
    if ((spec.policyTypes ?? []).length > 0) return;
    spec.policyTypes = (spec.egress ?? []).length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
  },
  validate: validateNetworkPolicy,
});

export const ipAddress = declare(kinds.ipaddresses, {
  nameRule: addressName,
  validate: validateIpAddress,
  validateUpdate: validateIpAddressUpdate,
});

export const serviceCidr = declare(kinds.servicecidrs, {
  statusKeepsMetadata: true,
  subresources: [STATUS],
  validate: validateServiceCidr,
  validateUpdate: validateServiceCidrUpdate,
});
