/** Validation of pods: what may be created, what may change afterwards, and what deserves a warning. */
import type { Container, Pod, PodSpec, Toleration } from '../generated/types.ts';
import { qosClassOf } from '../kinds/pod-qos.ts';
import { isEqual } from '../schema/equal.ts';
import type { FieldError } from '../status.ts';
import { validateIp } from './addresses.ts';
import { forbiddenField, invalidValue, required } from './errors.ts';
import { dns1123Label } from './names.ts';
import { validatePodSpec } from './pod-spec.ts';
import { podSpecWarnings } from './pod-warnings.ts';

const INT32_MAX = 2_147_483_647;
const MIRROR = 'kubernetes.io/config.mirror';
const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';

/**
 * Errors of a pod as it is. A write of the status leaves the spec the very value that it was, which was judged when it was
 * written; Kubernetes does not look at it then, either (ValidatePodStatusUpdate).
 */
export function validatePod(pod: Pod, old?: Pod): FieldError[] {
  const { spec, metadata, status } = pod;
  const errors = validateDeletionCost(metadata?.annotations?.[DELETION_COST]);
  const mirror = metadata?.annotations?.[MIRROR];
  if (mirror !== undefined && !spec?.nodeName) {
    errors.push(
      invalidValue(`metadata.annotations[${MIRROR}]`, mirror, 'must set spec.nodeName if mirror pod annotation is set'),
    );
  }
  if (!spec) return [...errors, required('spec.containers')];
  if (spec !== old?.spec) errors.push(...validatePodSpec(spec, 'spec', 'pod'));
  // Only a new pod is of the first generation: later changes count.
  if (metadata?.generation === 1 && spec.ephemeralContainers?.length) {
    errors.push(forbiddenField('spec.ephemeralContainers', 'cannot be set on create'));
  }
  if (spec.nodeName && spec.schedulingGates?.length) {
    errors.push(forbiddenField('spec.nodeName', 'cannot be set until all schedulingGates have been cleared'));
  }
  for (const [index, { ip }] of (status?.podIPs ?? []).entries()) {
    errors.push(...validateIp(`status.podIPs[${index}]`, ip));
  }
  return errors;
}

const INT32 = /^(?:0|[1-9]\d*|-\d+)$/;

/** What a pod says of the price of its deletion: a number as Go writes it, without plus sign and leading zeros. */
function validateDeletionCost(cost: string | undefined): FieldError[] {
  if (cost === undefined) return [];
  const isInt32 = INT32.test(cost) && Number(cost) <= INT32_MAX && Number(cost) >= -INT32_MAX - 1;
  return isInt32 ? [] : [invalidValue(`metadata.annotations[${DELETION_COST}]`, cost, 'must be a 32bit integer')];
}

const UPDATABLE =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** What of a pod may change, by the subresource through which it is changed. */
export function validatePodUpdate(pod: Pod, old: Pod, subresource: string): FieldError[] {
  if (!pod.spec || !old.spec) return [];
  switch (subresource) {
    case '':
      return validateSpecUpdate(pod.spec, old.spec);
    case 'ephemeralcontainers':
      return validateEphemeralUpdate(pod.spec, old.spec);
    case 'resize':
      return validateResize(pod.spec, old, old.spec);
    default:
      return [];
  }
}

function validateSpecUpdate(spec: PodSpec, old: PodSpec): FieldError[] {
  const errors: FieldError[] = [];
  for (const list of ['containers', 'initContainers'] as const) {
    if ((spec[list]?.length ?? 0) !== (old[list]?.length ?? 0)) {
      return [forbiddenField(`spec.${list}`, 'pod updates may not add or remove containers')];
    }
  }
  errors.push(
    ...validateDeadlineUpdate(spec.activeDeadlineSeconds, old.activeDeadlineSeconds),
    ...validateTolerationUpdate(spec.tolerations ?? [], old.tolerations ?? []),
    ...validateGateUpdate(spec, old),
  );
  const expected = mutableParts(spec, old);
  const changed = (Object.keys({ ...expected, ...old }) as (keyof PodSpec)[]).filter(
    key => !isEqual(expected[key], old[key]),
  );
  if (changed.length > 0) {
    errors.push(forbiddenField('spec', `${UPDATABLE}\n${changed.map(key => `  spec.${key}`).join('\n')}`));
  }
  return errors;
}

/** The spec with all that may change put back: what still differs may not. */
function mutableParts(spec: PodSpec, old: PodSpec): PodSpec {
  const withImages = (list: readonly Container[] | undefined, before: readonly Container[] | undefined) =>
    list?.map((container, index) => {
      const { image: _image, ...rest } = container;
      const image = before?.[index]?.image;
      return { ...rest, ...(image !== undefined && { image }) };
    });
  const { containers, initContainers, activeDeadlineSeconds: _deadline, tolerations: _tolerations, ...rest } = spec;
  const initial = withImages(initContainers, old.initContainers);
  const isGraceReset = (old.terminationGracePeriodSeconds ?? 0) < 0 && spec.terminationGracePeriodSeconds === 1;
  return {
    ...rest,
    containers: withImages(containers, old.containers) ?? [],
    ...(initial && { initContainers: initial }),
    ...(old.activeDeadlineSeconds !== undefined && { activeDeadlineSeconds: old.activeDeadlineSeconds }),
    ...(old.tolerations && { tolerations: old.tolerations }),
    ...(old.schedulingGates && { schedulingGates: old.schedulingGates }),
    ...(isGraceReset && { terminationGracePeriodSeconds: old.terminationGracePeriodSeconds ?? 0 }),
    // A pod behind gates may still be steered: its node selector and affinity may change.
    ...(old.schedulingGates?.length && {
      ...(old.nodeSelector && { nodeSelector: old.nodeSelector }),
      ...(old.affinity && { affinity: old.affinity }),
    }),
  };
}

function validateDeadlineUpdate(seconds: number | undefined, old: number | undefined): FieldError[] {
  const field = 'spec.activeDeadlineSeconds';
  if (seconds === undefined) {
    return old === undefined ? [] : [invalidValue(field, null, 'must not update from a positive integer to nil value')];
  }
  if (seconds < 0 || seconds > INT32_MAX) {
    return [invalidValue(field, seconds, `must be between 0 and ${INT32_MAX}, inclusive`)];
  }
  return old !== undefined && seconds > old
    ? [invalidValue(field, seconds, 'must be less than or equal to previous value')]
    : [];
}

function validateTolerationUpdate(tolerations: readonly Toleration[], old: readonly Toleration[]): FieldError[] {
  const withoutSeconds = ({ tolerationSeconds: _seconds, ...rest }: Toleration) => rest;
  const isKept = old.every(before =>
    tolerations.some(toleration => isEqual(withoutSeconds(toleration), withoutSeconds(before))),
  );
  return isKept
    ? []
    : [forbiddenField('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds')];
}

function validateGateUpdate(spec: PodSpec, old: PodSpec): FieldError[] {
  const before = new Set((old.schedulingGates ?? []).map(({ name }) => name));
  return (spec.schedulingGates ?? [])
    .filter(({ name }) => !before.has(name))
    .map(({ name }) =>
      forbiddenField('spec.schedulingGates', `only deletion is allowed, but found new scheduling gate '${name}'`),
    );
}

function validateEphemeralUpdate(spec: PodSpec, old: PodSpec): FieldError[] {
  const field = 'spec.ephemeralContainers';
  const containers = new Map((spec.ephemeralContainers ?? []).map(container => [container.name, container]));
  return (old.ephemeralContainers ?? []).flatMap(before => {
    const now = containers.get(before.name);
    if (!now)
      return [
        forbiddenField(field, `existing ephemeral containers ${JSON.stringify(before.name)} may not be removed\n`),
      ];
    return isEqual(now, before)
      ? []
      : [forbiddenField(field, `existing ephemeral containers ${JSON.stringify(before.name)} may not be changed\n`)];
  });
}

function validateResize(spec: PodSpec, { status }: Pod, old: PodSpec): FieldError[] {
  const errors: FieldError[] = [];
  const qosClass = qosClassOf(spec);
  const before = status?.qosClass ?? qosClassOf(old);
  if (qosClass !== before) {
    errors.push(invalidValue('spec', before, 'Pod QOS Class may not change as a result of resizing'));
  }
  // A node that can resize reports what its containers have.
  const running = status?.containerStatuses?.find(({ state }) => state?.running);
  if (running && !running.resources) {
    errors.push(forbiddenField('spec', 'Pod running on node without support for resize'));
  }
  // A patch may have taken them away altogether.
  const names = (list: readonly Container[] | null) => (list ?? []).map(({ name }) => name).sort();
  if (!isEqual(names(spec.containers), names(old.containers))) {
    errors.push(forbiddenField('spec.containers', 'containers may not be added or removed on resize'));
  }
  return errors;
}

function hostnameWarnings({ metadata }: Pod): string[] {
  const why = metadata?.name ? dns1123Label(metadata.name) : [];
  if (why.length === 0) return [];
  return [
    `metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [${why.join(' ')}]`,
  ];
}

/** Sentences about a pod that works, but not as its author may think. */
export function podWarnings(pod: Pod, old: Pod | undefined): string[] {
  if (!pod.spec || (old && isEqual(pod.spec, old.spec))) return [];
  return [...(old ? [] : hostnameWarnings(pod)), ...podSpecWarnings(pod.spec, 'spec')];
}
