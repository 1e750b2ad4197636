/** APIService: who serves a group and version, this server itself or one behind it. */
import * as kinds from '../generated/kinds.ts';
import { validateApiService, validateApiServiceStatus } from '../validation/api-service.ts';
import { pathSegmentName } from '../validation/names.ts';
import { declare, STATUS } from './declare.ts';
import { defaultServicePort } from './webhooks.ts';

export const apiService = declare(kinds.apiservices, {
  subresources: [STATUS],
  statusKeepsMetadata: true,
  allowUnconditionalUpdate: false,
  nameRule: pathSegmentName,
  defaults: ({ spec }) => defaultServicePort(spec?.service),
  prepareForCreate(object, { now }) {
    object.status = {};
    // What this server serves itself is there from the first moment.
    if (!object.spec?.service) object.status.conditions = [localCondition(now)];
  },
  validate: validateApiService,
  validateUpdate: (object, _, subresource) => (subresource === 'status' ? validateApiServiceStatus(object) : []),
});

/** The condition of what this server serves itself. */
export const localCondition = (now: string) => ({
  lastTransitionTime: now,
  message: 'Local APIServices are always available',
  reason: 'Local',
  status: 'True',
  type: 'Available',
});
