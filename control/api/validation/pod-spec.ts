/** Validation of a pod's spec, alone or in a template (Kubernetes' pkg/apis/core/validation, ValidatePodSpec). */
import type { PodSpec, PodTemplateSpec } from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { validateIp } from './addresses.ts';
import { validateContainerLists } from './containers.ts';
import { byRule, duplicateValue, forbiddenField, invalidValue, oneOf, required } from './errors.ts';
import { validateAnnotations, validateLabels } from './metadata.ts';
import { dns1123Label, dns1123Subdomain, qualifiedName } from './names.ts';
import { validateAffinity, validateSpread, validateTolerations } from './scheduling.ts';
import { validatePodSecurity, validateWindows } from './security.ts';
import { type VolumesOwner, validateVolumes } from './volumes.ts';

const INT32_MAX = 2_147_483_647;
const DNS_POLICIES = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];
const NAMESERVERS_MAX = 3;
const SEARCH_PATHS_MAX = 32;

/** Errors of a spec at `path`. */
export function validatePodSpec(spec: PodSpec, path: string, owner: VolumesOwner): FieldError[] {
  const named = (name: keyof PodSpec, rule: (text: string) => string[]): FieldError[] => {
    const value = spec[name];
    return typeof value === 'string' && value !== '' ? byRule(`${path}.${name}`, value, rule(value)) : [];
  };
  return [
    ...validateVolumes(spec.volumes, `${path}.volumes`, owner),
    ...validateContainerLists(spec, path),
    ...validateRestartPolicy(spec.restartPolicy ?? '', path),
    ...validateDns(spec, path),
    ...validateLabels(spec.nodeSelector, `${path}.nodeSelector`),
    ...validatePodSecurity(spec, path),
    ...validateAffinity(spec.affinity, `${path}.affinity`),
    ...validateGates(spec, path),
    ...validateSpread(spec.topologySpreadConstraints, `${path}.topologySpreadConstraints`),
    ...named('serviceAccountName', dns1123Subdomain),
    ...named('nodeName', dns1123Subdomain),
    ...validateDeadline(spec.activeDeadlineSeconds, path),
    ...named('hostname', dns1123Label),
    ...named('subdomain', dns1123Label),
    ...validateTolerations(spec.tolerations, `${path}.tolerations`),
    ...validateHostAliases(spec, path),
    ...named('priorityClassName', dns1123Subdomain),
    ...named('runtimeClassName', dns1123Subdomain),
    ...(spec.preemptionPolicy === undefined
      ? []
      : oneOf(`${path}.preemptionPolicy`, spec.preemptionPolicy, ['Never', 'PreemptLowerPriority'])),
    ...validateOs(spec, path),
  ];
}

function validateRestartPolicy(policy: string, path: string): FieldError[] {
  if (policy === '') return [required(`${path}.restartPolicy`)];
  return oneOf(`${path}.restartPolicy`, policy, ['Always', 'OnFailure', 'Never']);
}

function validateDns(spec: PodSpec, path: string): FieldError[] {
  const { dnsPolicy = '', dnsConfig } = spec;
  const errors =
    dnsPolicy === '' ? [required(`${path}.dnsPolicy`)] : oneOf(`${path}.dnsPolicy`, dnsPolicy, DNS_POLICIES);
  const field = `${path}.dnsConfig`;
  if (dnsPolicy === 'None') {
    if (!dnsConfig) return [...errors, required(field, 'must provide `dnsConfig` when `dnsPolicy` is None')];
    if (!dnsConfig.nameservers?.length) {
      errors.push(
        required(`${field}.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None'),
      );
    }
  }
  const { nameservers = [], searches = [] } = dnsConfig ?? {};
  if (nameservers.length > NAMESERVERS_MAX) {
    errors.push(
      invalidValue(`${field}.nameservers`, nameservers, `must not have more than ${NAMESERVERS_MAX} nameservers`),
    );
  }
  for (const [index, server] of nameservers.entries()) {
    errors.push(...validateIp(`${field}.nameservers[${index}]`, server));
  }
  if (searches.length > SEARCH_PATHS_MAX) {
    errors.push(
      invalidValue(`${field}.searches`, searches, `must not have more than ${SEARCH_PATHS_MAX} search paths`),
    );
  }
  for (const [index, { name }] of (dnsConfig?.options ?? []).entries()) {
    if (!name) errors.push(required(`${field}.options[${index}]`, 'must not be empty'));
  }
  return errors;
}

function validateGates(spec: PodSpec, path: string): FieldError[] {
  const errors = (spec.readinessGates ?? []).flatMap(({ conditionType }, index) =>
    byRule(`${path}.readinessGates[${index}].conditionType`, conditionType, qualifiedName(conditionType)),
  );
  const seen = new Set<string>();
  for (const [index, { name }] of (spec.schedulingGates ?? []).entries()) {
    const field = `${path}.schedulingGates[${index}]`;
    errors.push(...byRule(field, name, qualifiedName(name)));
    if (seen.has(name)) errors.push(duplicateValue(field, name));
    seen.add(name);
  }
  return errors;
}

function validateDeadline(seconds: number | undefined, path: string): FieldError[] {
  return seconds !== undefined && (seconds < 1 || seconds > INT32_MAX)
    ? [invalidValue(`${path}.activeDeadlineSeconds`, seconds, `must be between 1 and ${INT32_MAX}, inclusive`)]
    : [];
}

function validateHostAliases(spec: PodSpec, path: string): FieldError[] {
  return (spec.hostAliases ?? []).flatMap(({ ip, hostnames }, index) => [
    ...validateIp(`${path}.hostAliases[${index}].ip`, ip),
    ...(hostnames ?? []).flatMap(name =>
      byRule(`${path}.hostAliases[${index}].hostnames`, name, dns1123Subdomain(name)),
    ),
  ]);
}

function validateOs(spec: PodSpec, path: string): FieldError[] {
  if (!spec.os) return [];
  if (!spec.os.name) return [required(`${path}.os.name`)];
  return [
    ...oneOf(`${path}.os.name`, spec.os.name, ['linux', 'windows']),
    ...(spec.os.name === 'windows' ? validateWindows(spec, path) : []),
  ];
}

/** Errors of a template at `path`, which workloads make pods from. */
export function validatePodTemplate(template: PodTemplateSpec | undefined, path: string): FieldError[] {
  const spec = template?.spec;
  return [
    ...validateLabels(template?.metadata?.labels, `${path}.labels`),
    ...validateAnnotations(template?.metadata?.annotations, `${path}.annotations`),
    ...(spec ? validatePodSpec(spec, `${path}.spec`, 'template') : [required(`${path}.spec.containers`)]),
    ...(spec?.ephemeralContainers?.length
      ? [forbiddenField(`${path}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template')]
      : []),
  ];
}
