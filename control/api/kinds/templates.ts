/** Kinds that only hold data for others: PodTemplate, and the revisions that controllers keep of what they manage. */
import * as kinds from '../generated/kinds.ts';
import type { ControllerRevision, PodTemplate } from '../generated/types.ts';
import { isEqual } from '../schema/equal.ts';
import type { FieldError } from '../status.ts';
import { IMMUTABLE, invalidValue, notNegative, required } from '../validation/errors.ts';
import { validatePodTemplate } from '../validation/pod-spec.ts';
import { podSpecWarnings } from '../validation/pod-warnings.ts';
import { declare } from './declare.ts';
import { defaultPodTemplate } from './pod-defaults.ts';

export const podTemplate = declare(kinds.podtemplates, {
  tracksGeneration: true,
  judgesWholeFirst: true,
  podSpecOf: ({ template }) => template?.spec,
  defaults: ({ template }: PodTemplate) => defaultPodTemplate(template),
  validate: ({ template }) => validatePodTemplate(template, 'template'),
  warnings({ template }, old) {
    if (!template?.spec || (old && isEqual(template, old.template))) return [];
    return podSpecWarnings(template.spec, 'template.spec');
  },
});

export const controllerRevision = declare(kinds.controllerrevisions, {
  validate: validateRevision,
  validateUpdate: (object, old) =>
    isEqual(object.data, old.data) ? [] : [invalidValue('data', object.data ?? null, IMMUTABLE)],
});

function validateRevision({ data, revision }: ControllerRevision): FieldError[] {
  return [
    ...(data === undefined || data === null ? [required('data', 'data is mandatory')] : []),
    ...notNegative('revision', revision),
  ];
}
