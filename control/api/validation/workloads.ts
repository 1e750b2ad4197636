/** Validation of workloads that keep pods running: ReplicationController, ReplicaSet, Deployment, DaemonSet. */
import type {
  DaemonSet,
  Deployment,
  LabelSelector,
  PodTemplateSpec,
  ReplicaSet,
  ReplicationController,
} from '../generated/types.ts';
import type { KubernetesObject } from '../kind.ts';
import { isEqual } from '../schema/equal.ts';
import { matchesLabelSelector } from '../selectors.ts';
import type { FieldError } from '../status.ts';
import {
  forbiddenField,
  GO_NULL,
  goQuote,
  IMMUTABLE,
  invalidText,
  invalidValue,
  notNegative,
  notSupported,
  required,
} from './errors.ts';
import { goIntOrString, goLabelSelector, goStringMap } from './go-text.ts';
import { dns1123Label } from './names.ts';
import { validatePodTemplate } from './pod-spec.ts';
import { podSpecWarnings } from './pod-warnings.ts';
import { validateLabelSelector } from './scheduling.ts';
import { validateAtMostAll, validateShare } from './shares.ts';

const MISMATCH = '`selector` does not match template `labels`';
const TEMPLATE = 'spec.template';

function isSelectorValid(selector: LabelSelector): boolean {
  return validateLabelSelector(selector, '').length === 0;
}

/** The selector itself: it must be there, mean something, and be well formed. */
export function validateSelector(selector: LabelSelector | undefined, kindWord: string): FieldError[] {
  if (!selector) return [required('spec.selector')];
  const errors = validateLabelSelector(selector, 'spec.selector');
  const isEmpty =
    Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0;
  if (isEmpty) {
    errors.push(invalidText('spec.selector', goLabelSelector(selector), `empty selector is invalid for ${kindWord}`));
  }
  return errors;
}

/** A template whose pods the selector must find, and which live on. A selector that means nothing leaves it unjudged. */
export function validateSelectedTemplate(
  template: PodTemplateSpec | undefined,
  selector: LabelSelector | undefined,
  kindName = 'ReplicaSet',
): FieldError[] {
  if (selector && !isSelectorValid(selector)) {
    return [invalidText('spec.selector', goLabelSelector(selector), 'invalid label selector')];
  }
  const errors: FieldError[] = [];
  const labels = template?.metadata?.labels;
  const isEmpty =
    selector && Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0;
  if (!isEmpty && (!selector || !matchesLabelSelector(selector, labels ?? {}))) {
    errors.push(invalidText(`${TEMPLATE}.metadata.labels`, goStringMap(labels), MISMATCH));
  }
  return [...errors, ...validatePodTemplate(template, TEMPLATE), ...validateLongRunning(template, kindName)];
}

/** Pods of these live on: they are always restarted, and have no deadline. */
function validateLongRunning(template: PodTemplateSpec | undefined, kindName = 'ReplicaSet'): FieldError[] {
  const errors: FieldError[] = [];
  const spec = template?.spec;
  if (spec && spec.restartPolicy !== 'Always') {
    errors.push(notSupported(`${TEMPLATE}.spec.restartPolicy`, spec.restartPolicy ?? '', ['Always']));
  }
  if (spec?.activeDeadlineSeconds !== undefined) {
    errors.push(
      forbiddenField(`${TEMPLATE}.spec.activeDeadlineSeconds`, `activeDeadlineSeconds in ${kindName} is not Supported`),
    );
  }
  return errors;
}

export function validateReplicaSet({ spec }: ReplicaSet): FieldError[] {
  return [
    ...notNegative('spec.replicas', spec?.replicas),
    ...notNegative('spec.minReadySeconds', spec?.minReadySeconds),
    ...validateSelector(spec?.selector, 'deployment'),
    ...validateSelectedTemplate(spec?.template, spec?.selector),
  ];
}

export const validateReplicaSetUpdate = (object: ReplicaSet, old: ReplicaSet): FieldError[] =>
  validateSelectorUpdate(object.spec?.selector, old.spec?.selector);

/** A selector says for good which pods belong to a workload. */
function validateSelectorUpdate(selector: LabelSelector | undefined, old: LabelSelector | undefined): FieldError[] {
  if (isEqual(selector, old)) return [];
  return [invalidText('spec.selector', selector ? goLabelSelector(selector) : GO_NULL, IMMUTABLE)];
}

/** The number in `5` or `5%`; 0 for what is neither. */
const amount = (value: number | string | undefined): number =>
  typeof value === 'number' ? value : Number.parseInt(value ?? '0', 10) || 0;

export function validateDeployment({ spec }: Deployment): FieldError[] {
  const errors = [
    ...notNegative('spec.replicas', spec?.replicas),
    ...validateSelector(spec?.selector, 'deployment'),
    ...validateSelectedTemplate(spec?.template, spec?.selector),
    ...validateStrategy(spec?.strategy ?? {}),
    ...notNegative('spec.minReadySeconds', spec?.minReadySeconds),
    ...notNegative('spec.revisionHistoryLimit', spec?.revisionHistoryLimit),
  ];
  const deadline = spec?.progressDeadlineSeconds;
  if (deadline !== undefined) {
    errors.push(...notNegative('spec.progressDeadlineSeconds', deadline));
    if (deadline <= (spec?.minReadySeconds ?? 0)) {
      errors.push(invalidValue('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds'));
    }
  }
  return errors;
}

function validateStrategy(strategy: {
  type?: string;
  rollingUpdate?: { maxSurge?: number | string; maxUnavailable?: number | string };
}): FieldError[] {
  const { type = '', rollingUpdate } = strategy;
  const field = 'spec.strategy.rollingUpdate';
  switch (type) {
    case 'Recreate':
      return rollingUpdate ? [forbiddenField(field, "may not be specified when strategy `type` is 'Recreate'")] : [];
    case 'RollingUpdate': {
      if (!rollingUpdate) return [required(field, 'this should be defaulted and never be nil')];
      const { maxSurge, maxUnavailable } = rollingUpdate;
      const errors = [
        ...validateShare(maxUnavailable, `${field}.maxUnavailable`),
        ...validateShare(maxSurge, `${field}.maxSurge`),
      ];
      if (errors.length === 0 && amount(maxUnavailable) === 0 && amount(maxSurge) === 0) {
        errors.push(
          invalidText(
            `${field}.maxUnavailable`,
            goIntOrString(maxUnavailable ?? 0),
            'may not be 0 when `maxSurge` is 0',
          ),
        );
      }
      return [...errors, ...validateAtMostAll(maxUnavailable, `${field}.maxUnavailable`)];
    }
    default:
      return [
        {
          type: 'FieldValueNotSupported',
          field: 'spec.strategy',
          message: `Unsupported value: apps.DeploymentStrategy{Type:${goQuote(type)}, RollingUpdate:(*apps.RollingUpdateDeployment)(nil)}: supported values: "Recreate", "RollingUpdate"`,
        },
      ];
  }
}

export const validateDeploymentUpdate = (object: Deployment, old: Deployment): FieldError[] =>
  validateSelectorUpdate(object.spec?.selector, old.spec?.selector);

export function validateDaemonSet({ spec }: DaemonSet): FieldError[] {
  const errors = [...validateSelector(spec?.selector, 'daemonset')];
  const labels = spec?.template.metadata?.labels;
  if (spec?.selector && isSelectorValid(spec.selector) && !matchesLabelSelector(spec.selector, labels ?? {})) {
    errors.push(invalidText(`${TEMPLATE}.metadata.labels`, goStringMap(labels), MISMATCH));
  }
  if (spec?.selector && !isSelectorValid(spec.selector)) {
    errors.push(invalidText('spec.selector', goLabelSelector(spec.selector), 'invalid label selector'));
  }
  errors.push(...validatePodTemplate(spec?.template, TEMPLATE));
  const { restartPolicy = '', activeDeadlineSeconds } = spec?.template.spec ?? {};
  if (restartPolicy !== 'Always') {
    errors.push(notSupported(`${TEMPLATE}.spec.restartPolicy`, restartPolicy, ['Always']));
  }
  if (activeDeadlineSeconds !== undefined) {
    errors.push(
      forbiddenField(`${TEMPLATE}.spec.activeDeadlineSeconds`, 'activeDeadlineSeconds in DaemonSet is not Supported'),
    );
  }
  return [
    ...errors,
    ...notNegative('spec.minReadySeconds', spec?.minReadySeconds),
    ...validateDaemonSetStrategy(spec?.updateStrategy ?? {}),
    ...notNegative('spec.revisionHistoryLimit', spec?.revisionHistoryLimit),
  ];
}

function validateDaemonSetStrategy(strategy: {
  type?: string;
  rollingUpdate?: { maxSurge?: number | string; maxUnavailable?: number | string };
}): FieldError[] {
  const { type = '', rollingUpdate } = strategy;
  const field = 'spec.updateStrategy.rollingUpdate';
  if (type === 'OnDelete') return [];
  if (type !== 'RollingUpdate') {
    return [
      {
        type: 'FieldValueNotSupported',
        field: 'spec.updateStrategy',
        message: `Unsupported value: apps.DaemonSetUpdateStrategy{Type:${goQuote(type)}, RollingUpdate:(*apps.RollingUpdateDaemonSet)(nil)}: supported values: "RollingUpdate", "OnDelete"`,
      },
    ];
  }
  if (!rollingUpdate) return [required(field)];
  const { maxSurge, maxUnavailable } = rollingUpdate;
  const errors = [
    ...validateShare(maxUnavailable, `${field}.maxUnavailable`),
    ...validateAtMostAll(maxUnavailable, `${field}.maxUnavailable`),
    ...validateShare(maxSurge, `${field}.maxSurge`),
    ...validateAtMostAll(maxSurge, `${field}.maxSurge`),
  ];
  const hasUnavailable = amount(maxUnavailable) !== 0;
  const hasSurge = amount(maxSurge) !== 0;
  if (errors.length > 0) return errors;
  if (hasUnavailable && hasSurge) {
    return [
      invalidText(`${field}.maxSurge`, goIntOrString(maxSurge ?? 0), 'may not be set when maxUnavailable is non-zero'),
    ];
  }
  if (!hasUnavailable && !hasSurge) {
    return [required(`${field}.maxUnavailable`, 'cannot be 0 when maxSurge is 0')];
  }
  return [];
}

export const validateDaemonSetUpdate = (object: DaemonSet, old: DaemonSet): FieldError[] =>
  validateSelectorUpdate(object.spec?.selector, old.spec?.selector);

export function validateReplicationController({ spec }: ReplicationController): FieldError[] {
  const errors = notNegative('spec.minReadySeconds', spec?.minReadySeconds);
  const selector = spec?.selector ?? {};
  if (Object.keys(selector).length === 0) errors.push(required('spec.selector'));
  errors.push(...notNegative('spec.replicas', spec?.replicas));
  const template = spec?.template;
  if (!template) return [...errors, required(TEMPLATE)];
  const labels = template.metadata?.labels ?? {};
  if (Object.keys(selector).length > 0 && !matchesLabelSelector({ matchLabels: selector }, labels)) {
    errors.push(invalidText(`${TEMPLATE}.metadata.labels`, goStringMap(template.metadata?.labels), MISMATCH));
  }
  return [...errors, ...validatePodTemplate(template, TEMPLATE), ...validateLongRunning(template)];
}

type Workload = KubernetesObject & { spec?: { template?: PodTemplateSpec } };

/** What a new workload is told whose name suits pods, but not their host names. */
export function nameWarnings({ metadata }: KubernetesObject, old: KubernetesObject | undefined): string[] {
  const why = old || !metadata?.name ? [] : dns1123Label(metadata.name);
  if (why.length === 0) return [];
  return [
    `metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [${why.join(' ')}]`,
  ];
}

/** Warnings about the template, where it is new. */
export function workloadWarnings(object: Workload, old: Workload | undefined): string[] {
  const template = object.spec?.template;
  if (!template?.spec || (old && isEqual(template, old.spec?.template))) return [];
  return podSpecWarnings(template.spec, 'spec.template.spec');
}
