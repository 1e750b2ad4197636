/** Admission and flow control. */
import type {
  FlowSchema,
  MutatingWebhookConfiguration,
  PriorityLevelConfiguration,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from '../generated/types.ts';
import { age, column, columns, NAME, nameOf, type Printer, printer } from './printer.ts';

/** Mutating and validating ones alike. */
export const webhookConfiguration: Printer = printer<MutatingWebhookConfiguration>(
  columns(NAME, column('Webhooks', 'integer'), 'Age'),
  (object, now) => [nameOf(object), (object.webhooks ?? []).length, age(object, now)],
);

export const validatingAdmissionPolicy: Printer = printer<ValidatingAdmissionPolicy>(
  columns(NAME, column('Validations', 'integer'), 'ParamKind', 'Age'),
  (object, now) => {
    const parameters = object.spec?.paramKind;
    return [
      nameOf(object),
      (object.spec?.validations ?? []).length,
      parameters ? `${parameters.apiVersion ?? ''}/${parameters.kind ?? ''}` : '<unset>',
      age(object, now),
    ];
  },
);

export const validatingAdmissionPolicyBinding: Printer = printer<ValidatingAdmissionPolicyBinding>(
  columns(NAME, 'PolicyName', 'ParamRef', 'Age'),
  (object, now) => [
    nameOf(object),
    object.spec?.policyName ?? '',
    parameterReference(object.spec?.paramRef),
    age(object, now),
  ],
);

function parameterReference(reference: { namespace?: string; name?: string } | undefined): string {
  if (!reference) return '<unset>';
  return `${reference.namespace || '*'}/${reference.name ?? ''}`;
}

export const flowSchema: Printer = printer<FlowSchema>(
  columns(NAME, 'PriorityLevel', 'MatchingPrecedence', 'DistinguisherMethod', 'Age', 'MissingPL'),
  (object, now) => {
    const dangling = (object.status?.conditions ?? []).find(condition => condition.type === 'Dangling');
    return [
      nameOf(object),
      object.spec?.priorityLevelConfiguration.name ?? '',
      object.spec?.matchingPrecedence ?? 0,
      object.spec?.distinguisherMethod?.type ?? '<none>',
      age(object, now),
      dangling?.status ?? '?',
    ];
  },
);

export const priorityLevelConfiguration: Printer = printer<PriorityLevelConfiguration>(
  columns(NAME, 'Type', 'NominalConcurrencyShares', 'Queues', 'HandSize', 'QueueLengthLimit', 'Age'),
  (object, now) => {
    const limited = object.spec?.limited;
    const queuing = limited?.limitResponse?.queuing;
    return [
      nameOf(object),
      object.spec?.type ?? '',
      limited?.nominalConcurrencyShares ?? '<none>',
      queuing?.queues ?? '<none>',
      queuing?.handSize ?? '<none>',
      queuing?.queueLengthLimit ?? '<none>',
      age(object, now),
    ];
  },
);
