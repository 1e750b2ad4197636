/** What bounds a namespace: LimitRange and ResourceQuota. */
import * as kinds from '../generated/kinds.ts';
import type { LimitRangeItem } from '../generated/types.ts';
import { validateLimitRange } from '../validation/limit-range.ts';
import { validateQuota, validateQuotaUpdate } from '../validation/resource-quota.ts';
import { declare, STATUS } from './declare.ts';
import { roundResources } from './pod-defaults.ts';

export const limitRange = declare(kinds.limitranges, {
  allowCreateOnUpdate: true,
  defaults({ spec }) {
    for (const limit of spec?.limits ?? []) {
      for (const list of ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const) {
        roundResources(limit[list]);
      }
      if (limit.type === 'Container') defaultContainerLimit(limit);
    }
  },
  validate: validateLimitRange,
});

/** A container gets at most what it may have, asks for what it gets, and for no less than it must. */
function defaultContainerLimit(limit: LimitRangeItem): void {
  const limits = { ...limit.max, ...limit.default };
  const requests = { ...limit.min, ...limits, ...limit.defaultRequest };
  if (Object.keys(limits).length > 0) limit.default = limits;
  if (Object.keys(requests).length > 0) limit.defaultRequest = requests;
}

export const resourceQuota = declare(kinds.resourcequotas, {
  subresources: [STATUS],
  defaults({ spec, status }) {
    roundResources(spec?.hard);
    roundResources(status?.hard);
    roundResources(status?.used);
  },
  validate: validateQuota,
  judgesWholeFirst: true,
  validateUpdate: validateQuotaUpdate,
});
