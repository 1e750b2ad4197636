/**
 * Which fields a write to a kind or to one of its subresources cannot own, because the kind's strategy puts them back
 * (GetResetFields of the strategies in k/k:pkg/registry). Most kinds with a status are alike: the object's writers do not
 * own the status, the status' writers do not own the spec.
 */
import type { Kind } from '../kind.ts';
import { FieldSet } from './field-set.ts';

/** What a write may own: everything but `without`, or nothing but `only`. */
export interface OwnableFields {
  readonly without?: FieldSet;
  readonly only?: FieldSet;
}

const path = (text: string) => text.split('.').map(name => (name === '*' ? '*' : `f:${name}`));
const without = (...paths: string[]): OwnableFields => ({ without: FieldSet.of(...paths.map(path)) });
const only = (...paths: string[]): OwnableFields => ({ only: FieldSet.of(...paths.map(path)) });

const EVERYTHING: OwnableFields = {};
const NO_STATUS = without('status');
const NO_SPEC = without('spec');
/** Of a custom resource, whose status' writers change no metadata either. */
const ONLY_STATUS = without('spec', 'metadata');

/** Kinds without a status of their own, or whose strategies take nothing back. */
const WITHOUT_STATUS = new Set(['networkpolicies', 'events', 'componentstatuses']);

/** By `group/resource/subresource`; what differs from the rule. */
const EXCEPTIONS: Readonly<Record<string, OwnableFields>> = {
  '/pods/status': without('spec', 'metadata.deletionTimestamp', 'metadata.ownerReferences'),
  '/pods/ephemeralcontainers': only('spec.ephemeralContainers'),
  '/pods/resize': only(
    'spec.containers.*.resources',
    'spec.containers.*.resizePolicy',
    'spec.initContainers.*.resources',
    'spec.initContainers.*.resizePolicy',
  ),
  '/namespaces/finalize': EVERYTHING,
  'apps/deployments/status': without('spec', 'metadata.labels'),
  'apiextensions.k8s.io/customresourcedefinitions/status': without('spec', 'metadata'),
  'apiregistration.k8s.io/apiservices/status': without('spec', 'metadata'),
  'certificates.k8s.io/certificatesigningrequests/status': without('spec', 'status.conditions'),
  'certificates.k8s.io/certificatesigningrequests/approval': without('spec', 'status.certificate'),
  'flowcontrol.apiserver.k8s.io/flowschemas/status': without('spec', 'metadata'),
  'flowcontrol.apiserver.k8s.io/prioritylevelconfigurations/status': without('spec', 'metadata'),
  'networking.k8s.io/networkpolicies/': EVERYTHING,
  'storage.k8s.io/volumeattachments/status': without('spec', 'metadata'),
};

export function ownableFields(
  { group, plural, form }: Pick<Kind, 'group' | 'plural' | 'form'>,
  subresource: string,
): OwnableFields {
  if (form) {
    if (subresource === 'status') return ONLY_STATUS;
    return subresource === '' && form.hasStatus ? NO_STATUS : EVERYTHING;
  }
  const exception = EXCEPTIONS[`${group === 'extensions' ? 'apps' : group}/${plural}/${subresource}`];
  if (exception) return exception;
  if (subresource === 'status') return NO_SPEC;
  return subresource === '' && !WITHOUT_STATUS.has(plural) ? NO_STATUS : EVERYTHING;
}

/** The part of a set that the write may own. */
export function owned(set: FieldSet, { without: reset, only: roots }: OwnableFields): FieldSet {
  if (reset) return set.withoutTrees(reset);
  return roots ? set.onlyTrees(roots) : set;
}
