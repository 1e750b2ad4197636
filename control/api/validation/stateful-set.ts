/** Validation of stateful sets. */
import type { PodTemplateSpec, StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy } from '../generated/types.ts';
import { isEqual } from '../schema/equal.ts';
import type { FieldError } from '../status.ts';
import { forbiddenField, invalidText, invalidValue, notNegative, notSupported, required } from './errors.ts';
import { goPointer } from './go-text.ts';
import { validateSelectedTemplate, validateSelector, workloadWarnings } from './workloads.ts';

const RETENTION = ['Delete', 'Retain'];

export function validateStatefulSet({ spec }: StatefulSet): FieldError[] {
  if (!spec) return [required('spec')];
  const { podManagementPolicy: policy = '', updateStrategy, template } = spec;
  const errors: FieldError[] = [];
  if (policy === '') errors.push(required('spec.podManagementPolicy'));
  else if (policy !== 'OrderedReady' && policy !== 'Parallel') {
    errors.push(invalidValue('spec.podManagementPolicy', policy, "must be 'OrderedReady' or 'Parallel'"));
  }
  errors.push(
    ...validateStrategy(updateStrategy ?? {}),
    ...validateRetention(spec),
    ...notNegative('spec.replicas', spec.replicas),
    ...notNegative('spec.minReadySeconds', spec.minReadySeconds),
    ...notNegative('spec.ordinals.start', spec.ordinals?.start),
    ...validateSelector(spec.selector, 'statefulset'),
    ...validateSelectedTemplate(withClaims(template, spec), spec.selector, 'StatefulSet'),
  );
  return errors;
}

/** The template as its pods will be: each claim is a volume of its name, also in place of one that the template has. */
function withClaims(template: PodTemplateSpec, { volumeClaimTemplates = [] }: StatefulSetSpec): PodTemplateSpec {
  if (!template?.spec || volumeClaimTemplates.length === 0) return template;
  const claims = volumeClaimTemplates.flatMap(({ metadata }) =>
    metadata?.name ? [{ name: metadata.name, persistentVolumeClaim: { claimName: metadata.name } }] : [],
  );
  const own = template.spec.volumes ?? [];
  // In their places, which errors tell.
  const volumes = [
    ...own.map(volume => claims.find(({ name }) => name === volume.name) ?? volume),
    ...claims.filter(({ name }) => !own.some(volume => volume.name === name)),
  ];
  return { ...template, spec: { ...template.spec, volumes } };
}

function validateStrategy({ type = '', rollingUpdate }: StatefulSetUpdateStrategy): FieldError[] {
  const field = 'spec.updateStrategy';
  switch (type) {
    case '':
      return [required(field)];
    case 'OnDelete': {
      const why = "only allowed for updateStrategy 'RollingUpdate'";
      return rollingUpdate ? [invalidValue(`${field}.rollingUpdate`, rollingUpdate, why)] : [];
    }
    case 'RollingUpdate':
      return notNegative(`${field}.rollingUpdate.partition`, rollingUpdate?.partition);
    default: {
      const shown = `apps.StatefulSetUpdateStrategy{Type:${JSON.stringify(type)}, RollingUpdate:${goPointer('apps.RollingUpdateStatefulSetStrategy', rollingUpdate)}}`;
      return [invalidText(field, shown, "must be 'RollingUpdate' or 'OnDelete'")];
    }
  }
}

function validateRetention({ persistentVolumeClaimRetentionPolicy: policy }: StatefulSetSpec): FieldError[] {
  if (!policy) return [];
  const field = 'spec.persistentVolumeClaimRetentionPolicy';
  return (['whenDeleted', 'whenScaled'] as const).flatMap(when => {
    const value = policy[when] ?? '';
    return RETENTION.includes(value) ? [] : [notSupported(`${field}.${when}`, value, RETENTION)];
  });
}

const MUTABLE = new Set<keyof StatefulSetSpec>([
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
]);

export function validateStatefulSetUpdate(object: StatefulSet, old: StatefulSet): FieldError[] {
  const keys = Object.keys({ ...object.spec, ...old.spec }) as (keyof StatefulSetSpec)[];
  const isChanged = keys.some(key => !MUTABLE.has(key) && !isEqual(object.spec?.[key], old.spec?.[key]));
  if (!isChanged) return [];
  const names = [...MUTABLE].map(name => `'${name}'`);
  const list = `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
  return [forbiddenField('spec', `updates to statefulset spec for fields other than ${list} are forbidden`)];
}

export function statefulSetWarnings(object: StatefulSet, old: StatefulSet | undefined): string[] {
  const warnings = workloadWarnings(object, old);
  if ((object.spec?.revisionHistoryLimit ?? 0) < 0) {
    const why = 'a negative value retains all historical revisions; a value >= 0 is recommended';
    warnings.push(`spec.revisionHistoryLimit: ${why}`);
  }
  return warnings;
}
