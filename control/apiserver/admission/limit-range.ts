/**
 * LimitRanger: containers that say nothing of their resources get what the limit ranges of their namespace say, and what is
 * out of range is refused (k/k plugin/pkg/admission/limitranger). Defaults come before validation, refusals after it.
 */
import { limitranges } from '../../api/generated/kinds.ts';
import type { Container, LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod } from '../../api/generated/types.ts';
import type { KubernetesObject } from '../../api/kind.ts';
import { specResources } from '../../api/quota/pod-resources.ts';
import { NOTHING, type ResourceAmounts, readAmounts } from '../../api/quota/resource-lists.ts';
import { compareQuantities, formatQuantity, milliValue, type Quantity } from '../../api/schema/quantity.ts';
import { forbidden } from '../../api/status.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import { resourceName } from '../keys.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { listInNamespace } from './lookup.ts';

const ANNOTATION = 'kubernetes.io/limit-ranger';

export function limitRanger(cache: WatchCache): AdmissionPlugin {
  return {
    name: 'LimitRanger',
    mutate(request, { object }) {
      if (!object || !isPod(request) || object.metadata?.deletionTimestamp) return;
      for (const range of listInNamespace(cache, limitranges, request.info.namespace)) {
        applyDefaults(range, object as Pod);
      }
    },
    validate(request, { object }) {
      if (!object || !(isPod(request) || isClaim(request))) return;
      if (request.operation === 'UPDATE' && object.metadata?.deletionTimestamp) return;
      for (const range of listInNamespace(cache, limitranges, request.info.namespace)) {
        const why = refusals(range, request.kind.kind, object);
        if (why.length === 0) continue;
        const text = why.length === 1 ? (why[0] ?? '') : `[${why.join(', ')}]`;
        throw forbidden(resourceName(request.kind), object.metadata?.name ?? '', text);
      }
    },
  };
}

/** Containers do not change but by a resize. */
const isPod = ({ kind, operation, info }: AdmissionRequest): boolean =>
  kind.group === '' &&
  kind.plural === 'pods' &&
  ((operation === 'CREATE' && info.subresource === '') || (operation === 'UPDATE' && info.subresource === 'resize'));
const isClaim = ({ kind, operation, info }: AdmissionRequest): boolean =>
  kind.group === '' && kind.plural === 'persistentvolumeclaims' && operation !== 'DELETE' && info.subresource === '';

/** Gives the pod's containers the defaults of one limit range, and says so in an annotation. Changes `pod`. */
export function applyDefaults({ spec }: LimitRange, pod: Pod): void {
  const items = (spec?.limits ?? []).filter(({ type }) => type === 'Container');
  const limits = Object.assign({}, ...items.map(item => item.default));
  const requests = Object.assign({}, ...items.map(item => item.defaultRequest));
  const notes = [
    ...(pod.spec?.containers ?? []).flatMap(each => fillIn(each, { limits, requests }, 'container')),
    ...(pod.spec?.initContainers ?? []).flatMap(each => fillIn(each, { limits, requests }, 'init container')),
  ];
  if (notes.length === 0) return;
  pod.metadata ??= {};
  pod.metadata.annotations = {
    ...pod.metadata.annotations,
    [ANNOTATION]: `LimitRanger plugin set: ${notes.join('; ')}`,
  };
}

type Defaults = Readonly<Record<'limits' | 'requests', Readonly<Record<string, string>>>>;

function fillIn(container: Container, defaults: Defaults, what: string): string[] {
  const notes: string[] = [];
  for (const side of ['requests', 'limits'] as const) {
    const present = container.resources?.[side] ?? {};
    const missing = Object.keys(defaults[side])
      .filter(name => present[name] === undefined)
      .sort();
    if (missing.length === 0) continue;
    const added = Object.fromEntries(missing.map(name => [name, defaults[side][name] ?? '']));
    container.resources = { ...container.resources, [side]: { ...present, ...added } };
    notes.push(`${missing.join(', ')} ${side.slice(0, -1)} for ${what} ${container.name}`);
  }
  return notes;
}

/** Why an object does not fit into one limit range: Kubernetes' sentences, each once. */
export function refusals({ spec }: LimitRange, kind: string, object: KubernetesObject): string[] {
  const all = (spec?.limits ?? []).flatMap(item =>
    kind === 'Pod' ? podRefusals(item, object as Pod) : claimRefusals(item, object as PersistentVolumeClaim),
  );
  return [...new Set(all)];
}

interface Usage {
  readonly requests: ResourceAmounts;
  readonly limits: ResourceAmounts;
}

function podRefusals(item: LimitRangeItem, { spec }: Pod): string[] {
  if (item.type === 'Pod') {
    return usageRefusals(item, {
      requests: specResources(spec, 'requests'),
      limits: specResources(spec, 'limits'),
    });
  }
  if (item.type !== 'Container') return [];
  return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].flatMap(({ resources }) =>
    usageRefusals(item, { requests: readAmounts(resources?.requests), limits: readAmounts(resources?.limits) }),
  );
}

function usageRefusals(item: LimitRangeItem, usage: Usage): string[] {
  const check = (list: LimitRangeItem['min'], judge: Judge) =>
    sorted(readAmounts(list)).map(([name, enforced]) => judge({ name, type: item.type, enforced }, usage));
  const sentences = [
    ...check(item.min, minimum),
    ...check(item.max, maximum),
    ...check(item.maxLimitRequestRatio, limitToRequestRatio),
  ];
  return sentences.filter(sentence => sentence !== undefined);
}

function claimRefusals(item: LimitRangeItem, { spec }: PersistentVolumeClaim): string[] {
  if (item.type !== 'PersistentVolumeClaim') return [];
  const usage = { requests: readAmounts(spec?.resources?.requests), limits: NOTHING };
  const { type } = item;
  const sentences = [
    ...sorted(readAmounts(item.min)).map(([name, enforced]) => minimum({ name, type, enforced }, usage)),
    ...sorted(readAmounts(item.max)).map(([name, enforced]) => maximumRequest({ name, type, enforced }, usage)),
  ];
  return sentences.filter(sentence => sentence !== undefined);
}

const sorted = (amounts: ResourceAmounts): [string, Quantity][] =>
  [...amounts].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));

interface Bound {
  readonly name: string;
  readonly type: string;
  readonly enforced: Quantity;
}
type Judge = (bound: Bound, usage: Usage) => string | undefined;

const shown = formatQuantity;
const isBelow = (a: Quantity, b: Quantity) => compareQuantities(a, b) < 0;

const minimum: Judge = ({ name, type, enforced }, { requests, limits }) => {
  const rule = `minimum ${name} usage per ${type} is ${shown(enforced)}`;
  const request = requests.get(name);
  const limit = limits.get(name);
  if (!request) return `${rule}.  No request is specified`;
  if (isBelow(request, enforced)) return `${rule}, but request is ${shown(request)}`;
  if (limit && isBelow(limit, enforced)) return `${rule}, but limit is ${shown(limit)}`;
  return undefined;
};

const maximum: Judge = ({ name, type, enforced }, { requests, limits }) => {
  const rule = `maximum ${name} usage per ${type} is ${shown(enforced)}`;
  const request = requests.get(name);
  const limit = limits.get(name);
  if (!limit) return `${rule}.  No limit is specified`;
  if (isBelow(enforced, limit)) return `${rule}, but limit is ${shown(limit)}`;
  if (request && isBelow(enforced, request)) return `${rule}, but request is ${shown(request)}`;
  return undefined;
};

/** Claims are limited by what they ask for. */
const maximumRequest: Judge = ({ name, type, enforced }, { requests }) => {
  const rule = `maximum ${name} usage per ${type} is ${shown(enforced)}`;
  const request = requests.get(name);
  if (!request) return `${rule}.  No request is specified`;
  if (isBelow(enforced, request)) return `${rule}, but request is ${shown(request)}`;
  return undefined;
};

const limitToRequestRatio: Judge = ({ name, type, enforced }, { requests, limits }) => {
  const rule = `${name} max limit to request ratio per ${type} is ${shown(enforced)}`;
  const request = requests.get(name);
  const limit = limits.get(name);
  if (!request || request.unscaled === 0n) return `${rule}, but no request is specified or request is 0`;
  if (!limit || limit.unscaled === 0n) return `${rule}, but no limit is specified or limit is 0`;
  const ratio = milliValue(limit) / milliValue(request);
  if (ratio * 1_000 <= milliValue(enforced)) return undefined;
  return `${rule}, but provided ratio is ${ratio.toFixed(6)}`;
};
