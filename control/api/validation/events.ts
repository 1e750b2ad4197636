/** Validation of events, in both of their forms. */
import type { Event, EventsV1Event } from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { byRule, invalidValue, required } from './errors.ts';
import { qualifiedName } from './names.ts';

/** An event lives in the namespace of what it is about; those of the cluster's own objects in `default`. */
function validateNamespace(namespace: string, about: string): FieldError[] {
  const field = 'involvedObject.namespace';
  if (about === '') {
    return namespace === 'default' || namespace === 'kube-system'
      ? []
      : [invalidValue(field, about, 'does not match event.namespace')];
  }
  return about === namespace ? [] : [invalidValue(field, about, 'does not match event.namespace')];
}

export function validateEvent(event: Event): FieldError[] {
  return validateNamespace(event.metadata.namespace ?? '', event.involvedObject.namespace ?? '');
}

const REPORTER_LENGTH_MAX = 128;

/** Newer events have to say more. The sentences name the fields of the stored form, as Kubernetes' do. */
export function validateEventsV1Event(event: EventsV1Event): FieldError[] {
  const errors = validateNamespace(event.metadata?.namespace ?? '', event.regarding?.namespace ?? '');
  const { reportingController = '', reportingInstance = '', action = '', reason = '', type = '' } = event;
  if (!event.eventTime) errors.push(required('eventTime'));
  else {
    if (reportingController === '') errors.push(required('reportingController'));
    else errors.push(...byRule('reportingController', reportingController, qualifiedName(reportingController)));
    if (reportingInstance === '') errors.push(required('reportingInstance'));
    else if (reportingInstance.length > REPORTER_LENGTH_MAX) {
      errors.push(invalidValue('reportingInstance', '', `can have at most ${REPORTER_LENGTH_MAX} characters`));
    }
    if (action === '') errors.push(required('action'));
    else if (action.length > REPORTER_LENGTH_MAX) {
      errors.push(invalidValue('action', '', `can have at most ${REPORTER_LENGTH_MAX} characters`));
    }
    if (reason === '') errors.push(required('reason'));
    else if (reason.length > REPORTER_LENGTH_MAX) {
      errors.push(invalidValue('reason', '', `can have at most ${REPORTER_LENGTH_MAX} characters`));
    }
  }
  if (type !== 'Normal' && type !== 'Warning') {
    errors.push(invalidValue('type', '', `has invalid value: ${type}`));
  }
  return errors;
}
