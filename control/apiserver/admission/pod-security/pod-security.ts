/**
 * PodSecurity: pods must meet the level that their namespace enforces, and what makes pods warns in time
 * (k8s.io/pod-security-admission). Namespaces without its labels are asked nothing.
 */
import { namespaces, pods } from '../../../api/generated/kinds.ts';
import type { Container, Namespace, Pod, PodTemplateSpec } from '../../../api/generated/types.ts';
import type { KubernetesObject } from '../../../api/kind.ts';
import { declarationOf } from '../../../api/registry.ts';
import { type FieldError, forbidden, invalid } from '../../../api/status.ts';
import type { WatchCache } from '../../cache/watch-cache.ts';
import { resourceName, resourcePrefix } from '../../keys.ts';
import { Pace } from '../../pace.ts';
import type { Clock } from '../../types.ts';
import { addWarnings } from '../../verbs/create.ts';
import { cached } from '../../verbs/get.ts';
import type { AdmissionPlugin, AdmissionRequest, States } from '../admission.ts';
import type { AnyContainer, Subject } from './check.ts';
import { evaluate, showFindings, showReasons } from './evaluate.ts';
import { compareLevels, hasPolicy, isSame, type LevelVersion, readPolicy, showPolicy } from './policy.ts';

const NAMESPACE = declarationOf(namespaces);
const PODS = resourcePrefix(pods);
/** Pods of a namespace that are looked at when its level changes (defaultNamespaceMaxPodsToCheck), and for how long. */
const PODS_CHECKED_MAX = 3_000;
const PODS_CHECKED_MS_MAX = 1_000;

export interface PodSecurityOptions {
  readonly cache: WatchCache;
  readonly clock: Clock;
}

export function podSecurity(options: PodSecurityOptions): AdmissionPlugin {
  return {
    name: 'PodSecurity',
    validate(request, states) {
      const { kind, operation, isInternal } = request;
      if (operation === 'DELETE' || operation === 'CONNECT' || isInternal || !states.object) return undefined;
      if (kind.group === '' && kind.plural === 'namespaces') return judgeNamespace(options, request, states);
      const subject = subjectOf(request, states.object);
      return subject && judgeSubject(options, request, { states, subject });
    },
  };
}

/** Parts of pods that do not change what a pod may do. */
const HARMLESS_PARTS = new Set(['status', 'binding', 'eviction', 'exec', 'attach', 'log', 'portforward', 'proxy']);

const TEMPLATES: Readonly<Record<string, (object: KubernetesObject) => PodTemplateSpec | undefined>> = {
  '/replicationcontrollers': templateInSpec,
  '/podtemplates': object => (object as { template?: PodTemplateSpec }).template,
  'apps/replicasets': templateInSpec,
  'apps/deployments': templateInSpec,
  'apps/statefulsets': templateInSpec,
  'apps/daemonsets': templateInSpec,
  'extensions/replicasets': templateInSpec,
  'extensions/deployments': templateInSpec,
  'extensions/daemonsets': templateInSpec,
  'batch/jobs': templateInSpec,
  'batch/cronjobs': object =>
    (object as { spec?: { jobTemplate?: { spec?: { template?: PodTemplateSpec } } } }).spec?.jobTemplate?.spec
      ?.template,
};

function templateInSpec(object: KubernetesObject): PodTemplateSpec | undefined {
  return (object as { spec?: { template?: PodTemplateSpec } }).spec?.template;
}

/** The pod, or the template of pods, that the request is about. */
function subjectOf({ kind, info }: AdmissionRequest, object: KubernetesObject): Subject | undefined {
  if (kind.group === '' && kind.plural === 'pods') {
    if (HARMLESS_PARTS.has(info.subresource)) return undefined;
    const { metadata = {}, spec = { containers: [] } } = object as Pod;
    return { metadata, spec };
  }
  if (info.subresource !== '') return undefined;
  const template = TEMPLATES[`${kind.group}/${kind.plural}`]?.(object);
  return template && { metadata: template.metadata ?? {}, spec: template.spec ?? { containers: [] } };
}

async function judgeSubject(
  { cache }: PodSecurityOptions,
  request: AdmissionRequest,
  { states, subject }: { readonly states: States; readonly subject: Subject },
): Promise<void> {
  const labels = await labelsOf(cache, request.info.namespace);
  const isPod = request.kind.plural === 'pods';
  if (!isPod && !hasPolicy(labels)) return;
  if (isPod && request.operation === 'UPDATE' && !isSignificant(states.object as Pod, states.old as Pod)) return;
  const { policy, errors } = readPolicy(labels);
  const { auditAnnotations } = request.exchange;
  const note = (key: string, value: string) => auditAnnotations.set(`pod-security.kubernetes.io/${key}`, value);
  if (isPod) note('enforce-policy', showPolicy(policy.enforce));
  if (!hasPolicy(labels)) return;
  if (errors.length > 0) note('error', `Failed to parse policy: ${showErrors(errors)}`);
  const audited = evaluate(policy.audit, subject);
  if (audited.length > 0) note('audit-violations', wouldViolate(policy.audit, showFindings(audited)));
  if (isPod) {
    const findings = evaluate(policy.enforce, subject);
    if (findings.length > 0) {
      const why = `violates PodSecurity ${JSON.stringify(showPolicy(policy.enforce))}: ${showFindings(findings)}`;
      throw forbidden(resourceName(request.kind), states.object?.metadata?.name ?? '', why);
    }
  }
  const warned = evaluate(policy.warn, subject);
  if (warned.length > 0) addWarnings(request.exchange, [wouldViolate(policy.warn, showFindings(warned))]);
}

const wouldViolate = (level: LevelVersion, findings: string): string =>
  `would violate PodSecurity ${JSON.stringify(showPolicy(level))}: ${findings}`;

/** Several mistakes as Go joins them. */
function showErrors(errors: readonly FieldError[]): string {
  const texts = errors.map(({ field, message }) => `${field}: ${message}`);
  return texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`;
}

async function labelsOf(cache: WatchCache, namespace: string): Promise<Readonly<Record<string, string>> | undefined> {
  const read = () => cached({ cache }, NAMESPACE, '', namespace)?.labels;
  const labels = read();
  if (labels) return labels;
  await cache.freshen();
  return read();
}

const SECCOMP_POD = 'seccomp.security.alpha.kubernetes.io/pod';
const SECCOMP_CONTAINER = 'container.seccomp.security.alpha.kubernetes.io/';

/** True if the change of a pod is one that the standards are about: images, old annotations, and new debug containers. */
function isSignificant(pod: Pod, old: Pod): boolean {
  const [now, before] = [pod.metadata?.annotations ?? {}, old.metadata?.annotations ?? {}];
  if (now[SECCOMP_POD] !== before[SECCOMP_POD]) return true;
  const differs = (container: AnyContainer, other: AnyContainer | undefined) =>
    container.image !== other?.image ||
    now[SECCOMP_CONTAINER + container.name] !== before[SECCOMP_CONTAINER + container.name];
  const listDiffers = (list: readonly Container[] = [], others: readonly Container[] = []) =>
    list.length !== others.length || list.some((container, index) => differs(container, others[index]));
  const { spec } = pod;
  const known = old.spec?.ephemeralContainers ?? [];
  return (
    listDiffers(spec?.containers, old.spec?.containers) ||
    listDiffers(spec?.initContainers, old.spec?.initContainers) ||
    (spec?.ephemeralContainers ?? []).some(each =>
      differs(
        each,
        known.find(({ name }) => name === each.name),
      ),
    )
  );
}

async function judgeNamespace(
  options: PodSecurityOptions,
  request: AdmissionRequest,
  { object, old }: States,
): Promise<void> {
  if (request.info.subresource !== '') return;
  const namespace = object as Namespace; // the request's kind says so
  const labels = namespace.metadata?.labels;
  if (!hasPolicy(labels) && !hasPolicy(old?.metadata?.labels)) return;
  const { policy, errors } = readPolicy(labels);
  const name = namespace.metadata?.name ?? '';
  const before = request.operation === 'UPDATE' ? readPolicy(old?.metadata?.labels) : undefined;
  const isOldMistake = before !== undefined && JSON.stringify(before.errors) === JSON.stringify(errors);
  if (errors.length > 0 && !isOldMistake) throw invalid(request.kind, name, errors);
  if (!before) return;
  const [now, was] = [policy.enforce, before.policy.enforce];
  if (now.level === 'privileged' || isSame(now, was)) return;
  if (now.minor === was.minor && compareLevels(now.level, was.level) < 1) return;
  addWarnings(request.exchange, await violators(options, name, now));
}

/** Sentences about pods that are there already and would not be let in any more. */
async function violators(
  { cache, clock }: PodSecurityOptions,
  namespace: string,
  level: LevelVersion,
): Promise<string[]> {
  const all = cache.resource(PODS).list(`${PODS}${namespace}/`);
  const pace = new Pace(clock);
  const endMs = clock.now() + PODS_CHECKED_MS_MAX;
  const byReasons = new Map<string, string[]>();
  let checked = 0;
  for (const object of all.slice(0, PODS_CHECKED_MAX)) {
    if (pace.isDue()) await pace.turn();
    checked++;
    const { metadata = {}, spec = { containers: [] } } = object.parse<Pod>();
    const reasons = showReasons(evaluate(level, { metadata, spec }));
    if (reasons !== '') byReasons.set(reasons, [...(byReasons.get(reasons) ?? []), metadata.name ?? '']);
    if (clock.now() > endMs) break;
  }
  const sentences = [...byReasons].map(([reasons, names]) => `${showPods(names)}: ${reasons}`).sort();
  const head = `existing pods in namespace ${JSON.stringify(namespace)} violate the new PodSecurity enforce level ${JSON.stringify(showPolicy(level))}`;
  return [
    ...(checked < all.length
      ? [`new PodSecurity enforce level only checked against the first ${checked} of ${all.length} existing pods`]
      : []),
    ...(sentences.length > 0 ? [head, ...sentences] : []),
  ];
}

function showPods(names: readonly string[]): string {
  const first = names.toSorted()[0] ?? '';
  if (names.length === 1) return first;
  return `${first} (and ${names.length - 1} other ${names.length === 2 ? 'pod' : 'pods'})`;
}
