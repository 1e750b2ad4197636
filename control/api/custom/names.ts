/**
 * Which names a definition gets, and the conditions that tell of it (apiextensions-apiserver pkg/controller/status and
 * establish). Within a group, whoever has a name keeps it. Pure.
 */
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionCondition,
  CustomResourceDefinitionNames,
  CustomResourceDefinitionStatus,
} from '../generated/types.ts';
import { isEqual } from '../schema/equal.ts';
import { approvalOf, isProtectedGroup } from './approval.ts';

/** Keeps a definition that is deleted until its objects are gone. */
export const CLEANUP_FINALIZER = 'customresourcecleanup.apiextensions.k8s.io';

/** The status with a condition in the place of the one of its type; its time changes only with its status. */
export function withCondition(
  status: CustomResourceDefinitionStatus,
  condition: CustomResourceDefinitionCondition,
): CustomResourceDefinitionStatus {
  const conditions = status.conditions ?? [];
  const index = conditions.findIndex(({ type }) => type === condition.type);
  const old = conditions[index];
  if (!old) return { ...status, conditions: [...conditions, condition] };
  const { lastTransitionTime } = old.status === condition.status ? old : condition;
  const kept = { ...condition, ...(lastTransitionTime !== undefined && { lastTransitionTime }) };
  return { ...status, conditions: conditions.map((one, at) => (at === index ? kept : one)) };
}

/** The status that a definition should have by its names and those of the others; undefined if it has it. */
export function planNames(
  crd: CustomResourceDefinition,
  others: Iterable<CustomResourceDefinition>,
  now: string,
): CustomResourceDefinitionStatus | undefined {
  const { spec, status = {} } = crd;
  const taken = takenNames(crd, others);
  const { accepted, reason, message } = acceptNames(spec.names, status.acceptedNames, taken);
  const isAccepted = reason === undefined;
  const condition = (type: string, isTrue: boolean, why: string, text: string): CustomResourceDefinitionCondition => ({
    type,
    status: isTrue ? 'True' : 'False',
    lastTransitionTime: now,
    reason: why,
    message: text,
  });
  let next: CustomResourceDefinitionStatus = { ...status, acceptedNames: accepted };
  next = withCondition(
    next,
    isAccepted
      ? condition('NamesAccepted', true, 'NoConflicts', 'no conflicts found')
      : condition('NamesAccepted', false, reason, message ?? ''),
  );
  const isEstablished = (status.conditions ?? []).some(
    ({ type, status: is }) => type === 'Established' && is === 'True',
  );
  // Who is established stays so.
  if (!isEstablished) {
    next = withCondition(
      next,
      isAccepted
        ? condition('Established', true, 'InitialNamesAccepted', 'the initial names have been accepted')
        : condition('Established', false, 'NotAccepted', 'not all names are accepted'),
    );
  }
  next = withApproval(crd, next, now);
  return isEqual(next, status) ? undefined : next;
}

/** Groups of the community show whether they were approved (pkg/controller/apiapproval). */
function withApproval(
  crd: CustomResourceDefinition,
  status: CustomResourceDefinitionStatus,
  now: string,
): CustomResourceDefinitionStatus {
  if (!isProtectedGroup(crd.spec.group)) return status;
  const { state, reason: message } = approvalOf(crd);
  const told = {
    approved: ['True', 'ApprovedAnnotation'],
    bypassed: ['False', 'UnapprovedAnnotation'],
    missing: ['False', 'MissingAnnotation'],
    invalid: ['False', 'InvalidAnnotation'],
  } as const;
  const [is, reason] = told[state];
  const type = 'KubernetesAPIApprovalPolicyConformant';
  return withCondition(status, { type, status: is, lastTransitionTime: now, reason, message });
}

interface TakenNames {
  readonly resources: ReadonlySet<string>;
  readonly kinds: ReadonlySet<string>;
}

/** The names that the other definitions of the group have. */
function takenNames(crd: CustomResourceDefinition, others: Iterable<CustomResourceDefinition>): TakenNames {
  const resources = new Set<string>();
  const kinds = new Set<string>();
  for (const { metadata, spec, status } of others) {
    const names = status?.acceptedNames;
    if (spec.group !== crd.spec.group || metadata?.name === crd.metadata?.name || !names) continue;
    for (const name of [names.plural, names.singular ?? '', ...(names.shortNames ?? [])]) resources.add(name);
    for (const name of [names.kind, names.listKind ?? '']) kinds.add(name);
  }
  return { resources, kinds };
}

interface Acceptance {
  readonly accepted: CustomResourceDefinitionNames;
  /** The last conflict that was met. */
  readonly reason?: string;
  readonly message?: string;
}

function acceptNames(
  wanted: CustomResourceDefinitionNames,
  has: CustomResourceDefinitionNames | undefined,
  { resources, kinds }: TakenNames,
): Acceptance {
  const accepted: CustomResourceDefinitionNames = { ...(has ?? { plural: '', kind: '' }) };
  let conflict: { readonly reason: string; readonly message: string } | undefined;
  const take = (key: 'plural' | 'singular' | 'kind' | 'listKind', names: ReadonlySet<string>, reason: string) => {
    const name = wanted[key] ?? '';
    if (name !== (has?.[key] ?? '') && names.has(name)) conflict = { reason, message: `"${name}" is already in use` };
    else if (wanted[key] !== undefined) accepted[key] = name;
    else if (key === 'singular' || key === 'listKind') delete accepted[key];
  };
  take('plural', resources, 'PluralConflict');
  take('singular', resources, 'SingularConflict');
  const inUse = (wanted.shortNames ?? []).filter(name => !has?.shortNames?.includes(name) && resources.has(name));
  if (inUse.length > 0) {
    const texts = inUse.map(name => `"${name}" is already in use`);
    conflict = {
      reason: 'ShortNamesConflict',
      message: texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`,
    };
  } else if (wanted.shortNames) accepted.shortNames = wanted.shortNames;
  else delete accepted.shortNames;
  take('kind', kinds, 'KindConflict');
  take('listKind', kinds, 'ListKindConflict');
  if (wanted.categories) accepted.categories = wanted.categories;
  else delete accepted.categories;
  return { accepted, ...conflict };
}
