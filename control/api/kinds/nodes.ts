/** Node and Lease. */
import * as kinds from '../generated/kinds.ts';
import { validateLease } from '../validation/lease.ts';
import { nodeWarnings, validateNode, validateNodeUpdate } from '../validation/node.ts';
import { declare, STATUS } from './declare.ts';
import { roundResources } from './pod-defaults.ts';

export const node = declare(kinds.nodes, {
  keepsStatusOnCreate: true,
  subresources: [
    {
      name: 'proxy',
      verbs: ['create', 'delete', 'get', 'patch', 'update'],
      responseKind: { group: '', version: 'v1', kind: 'NodeProxyOptions' },
    },
    STATUS,
  ],
  defaults(object) {
    const { spec, status } = object;
    // The two fields speak of the same ranges; the old one is the first of the new. A client that knows the old one alone
    // means what it says there (k/k conversion.go: Convert_v1_NodeSpec_To_core_NodeSpec).
    if (spec?.podCIDR && spec.podCIDR !== spec.podCIDRs?.[0]) spec.podCIDRs = [spec.podCIDR];
    if (spec?.podCIDRs?.[0]) spec.podCIDR = spec.podCIDRs[0];
    if (!status) return;
    if (status.capacity && !status.allocatable) status.allocatable = { ...status.capacity };
    roundResources(status.capacity);
    roundResources(status.allocatable);
  },
  validate: validateNode,
  validateUpdate: validateNodeUpdate,
  warnings: nodeWarnings,
  selectableFieldNames: ['spec.unschedulable'],
  selectableFields: ({ spec }) => ({ 'spec.unschedulable': String(spec?.unschedulable ?? false) }),
});

export const lease = declare(kinds.leases, {
  allowCreateOnUpdate: true,
  allowUnconditionalUpdate: false,
  validate: validateLease,
});
