/** `scale`: the replica count of a workload as an autoscaling/v1 Scale, the same for all kinds that have one. */
import { encodeManagers, type Ownerships } from '../../api/apply/managers.ts';
import { fromScale, stepsOf, toScale } from '../../api/apply/scale.ts';
import { trackUpdate, type Write } from '../../api/apply/track.ts';
import { typeOfDefinition } from '../../api/apply/types.ts';
import { zeroObject } from '../../api/apply/zero.ts';
import type { JsonObject } from '../../api/custom/schema.ts';
import { setAt, valueAt } from '../../api/custom/simple-path.ts';
import type { LabelSelector, Scale } from '../../api/generated/types.ts';
import type { Kind, KindDeclaration, KubernetesObject, ObjectForm } from '../../api/kind.ts';
import { badRequest, internalError, invalid } from '../../api/status.ts';
import type { CachedObject } from '../cache/cached-object.ts';
import type { Core, ResourceRequest } from '../core.ts';
import { negotiate } from '../http/negotiate.ts';
import { objectReply } from '../http/replies.ts';
import { apiVersionOf } from '../keys.ts';
import { isTrue } from '../request-info.ts';
import type { Reply } from '../types.ts';
import { applyObject, BEFORE_FIRST_APPLY, checkApplied, readApplied } from '../verbs/apply.ts';
import { readUndefaulted } from '../verbs/body.ts';
import { readConsistent } from '../verbs/get.ts';
import { readWriteOptions } from '../verbs/options.ts';
import { asTracked, readOwners, setManagedFields, writeOf } from '../verbs/ownership.ts';
import { decodePatched, isApply, readPatch } from '../verbs/patch.ts';
import { parseAs, prepareView } from '../verbs/representation.ts';
import { changeObject } from '../verbs/update.ts';

const SCALE: Kind<Scale> = {
  group: 'autoscaling',
  version: 'v1',
  kind: 'Scale',
  plural: 'scale',
  singular: 'scale',
  namespaced: true,
  shortNames: [],
  categories: [],
  definition: 'io.k8s.api.autoscaling.v1.Scale',
};

/** What all scalable workloads have. ReplicationControllers select by plain labels. */
interface Scalable extends KubernetesObject {
  spec?: { replicas?: number; selector?: LabelSelector | Record<string, string> };
  status?: { replicas?: number };
}

export async function scale(core: Core, request: ResourceRequest): Promise<Reply> {
  const { kind, info } = request;
  if (info.verb === 'get') {
    const object = await readConsistent(core, kind, { namespace: info.namespace, name: info.name });
    await prepareView(core, kind, object);
    mustHaveReplicas(kind, parseAs(kind, object));
    return scaleReply(request, object);
  }
  const change = isApply(request.exchange) ? await readApply(core, request) : await readChange(core, request);
  const stored = await changeObject(core, request, {
    isDryRun: change.isDryRun,
    admitsPart: true,
    async change(old: Scalable): Promise<Scalable> {
      const path = pathOf(kind);
      const scale = scaleOf(kind, old);
      const { owners: parent, inScale } = replicasOwners(old, path);
      const { sent, owners } = change.apply(scale, inScale);
      checkScale(request, sent);
      await core.admission.admitPart(
        { ...request, operation: 'UPDATE', isDryRun: change.isDryRun, part: SCALE },
        sent,
        scale,
      );
      checkScale(request, sent);
      const { resourceVersion } = sent.metadata ?? {};
      const metadata = { ...old.metadata };
      if (resourceVersion) metadata.resourceVersion = resourceVersion;
      const changed = withReplicas(kind, { ...old, metadata }, sent);
      const apiVersion = apiVersionOf(kind);
      setManagedFields(changed, encodeManagers(fromScale({ parent, scale: owners, path, apiVersion })));
      return changed;
    },
    owners: (_, object) => object.metadata?.managedFields,
  });
  await prepareView(core, kind, stored);
  return scaleReply(request, stored);
}

/** Where all built-in kinds keep the count; a custom resource's definition tells it. */
const REPLICAS = '.spec.replicas';
const pathOf = ({ form }: KindDeclaration) => stepsOf(form?.scale?.specReplicasPath ?? REPLICAS);

/** The object with another replica count. Throws 400, 500 as Kubernetes does for custom resources. */
function withReplicas({ form }: KindDeclaration, object: Scalable, sent: Scale): Scalable {
  const count = sent.spec?.replicas;
  if (!form?.scale) return { ...object, spec: { ...object.spec, replicas: count ?? 0 } };
  const path = form.scale.specReplicasPath;
  const changed = structuredClone(object) as JsonObject;
  const missing = count === undefined && valueAt(changed, path).value === undefined;
  if (missing) throw badRequest(`the spec replicas field "${path}" cannot be empty`);
  setAt(changed, path, count ?? 0);
  return changed;
}

/** A count that was never set cannot be shown. */
function mustHaveReplicas({ form }: KindDeclaration, object: KubernetesObject): void {
  const path = form?.scale?.specReplicasPath;
  if (path === undefined || valueAt(object as JsonObject, path).value !== undefined) return;
  throw internalError(`the spec replicas field ${JSON.stringify(path)} does not exist`);
}

/** The owners of the object, and those of its replica count as owners of the Scale. */
function replicasOwners(
  object: KubernetesObject,
  path: readonly string[],
): { readonly owners: Ownerships; readonly inScale: Ownerships } {
  const owners = readOwners(object.metadata?.managedFields);
  return { owners, inScale: toScale(owners, path) };
}

/** The Scale as it shall be, and who owns what of it then. */
interface Changed {
  readonly sent: Scale;
  readonly owners: Ownerships;
}
interface Change {
  readonly isDryRun: boolean;
  apply(old: Scale, owners: Ownerships): Changed;
}

/** A write of the Scale as the rules of ownership see it. */
function scaleWrite(core: Core, request: ResourceRequest, operation: 'Apply' | 'Update', name?: string): Write {
  const { manager, now } = writeOf(core, request, operation, name);
  return {
    manager: { ...manager, apiVersion: apiVersionOf(SCALE) },
    type: typeOfDefinition(SCALE.definition),
    ownable: {},
    now,
    version: () => undefined,
  };
}

async function readApply(core: Core, request: ResourceRequest): Promise<Change> {
  const options = readWriteOptions(request.exchange.query, 'PatchOptions', { isApply: true });
  const applied = await readApplied(request.exchange, options);
  return {
    isDryRun: options.isDryRun,
    apply(old, present) {
      const write = scaleWrite(core, request, 'Apply');
      checkApplied(SCALE, write, applied);
      const live = asTracked(old);
      const before = zeroObject(SCALE.definition);
      const first = scaleWrite(core, request, 'Update', BEFORE_FIRST_APPLY);
      const managers = present.size > 0 ? present : trackUpdate(first, { before, after: live, managers: present });
      const isForced = isTrue(request.exchange.query.get('force'));
      const sent = applyObject(write, { kind: declarationFor(request), live, applied, managers, isForced }) as Scale;
      return { sent, owners: readOwners(sent.metadata?.managedFields) };
    },
  };
}

/** The Scale is read by kind only; none of the parent's behaviour applies to it. */
const declarationFor = ({ kind }: ResourceRequest) =>
  ({ ...kind, ...SCALE, form: undefined, defaults: () => undefined }) as unknown as KindDeclaration;

async function readChange(core: Core, request: ResourceRequest): Promise<Change> {
  const { isDryRun, apply } = await readSent(request);
  return {
    isDryRun,
    apply(old, managers) {
      const sent = apply(old);
      if (managers.size === 0) return { sent, owners: managers };
      const write = scaleWrite(core, request, 'Update');
      return { sent, owners: trackUpdate(write, { before: asTracked(old), after: asTracked(sent), managers }) };
    },
  };
}

async function readSent(request: ResourceRequest): Promise<{ readonly isDryRun: boolean; apply(old: Scale): Scale }> {
  const { exchange, info } = request;
  if (info.verb === 'update') {
    const { isDryRun, fieldValidation } = readWriteOptions(exchange.query, 'UpdateOptions');
    const object = await readUndefaulted(exchange, SCALE, fieldValidation);
    return { isDryRun, apply: () => object };
  }
  const read = await readPatch(request, SCALE.definition);
  const { isDryRun, fieldValidation } = readWriteOptions(exchange.query, 'PatchOptions');
  const declaration = declarationFor(request);
  return { isDryRun, apply: old => decodePatched(declaration, read, { old, fieldValidation }).object as Scale };
}

function checkScale({ info, kind }: ResourceRequest, { metadata, spec }: Scale): void {
  const name = metadata?.name ?? '';
  if (name !== info.name) {
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${info.name})`);
  }
  const replicas = spec?.replicas ?? 0;
  // The definition of a custom resource says where the count stands, and its validation what it may be.
  if (replicas >= 0 || kind.form) return;
  throw invalid({ group: 'autoscaling', kind: 'Scale' }, name, [
    {
      type: 'FieldValueInvalid',
      field: 'spec.replicas',
      message: `Invalid value: ${replicas}: must be greater than or equal to 0`,
    },
  ]);
}

function scaleOf(kind: KindDeclaration, object: Scalable): Scale {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata ?? {};
  const { replicas, ready, selector } = kind.form?.scale ? customCounts(kind.form.scale, object) : counts(kind, object);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      ...(name && { name }),
      ...(namespace && { namespace }),
      ...(uid && { uid }),
      ...(resourceVersion && { resourceVersion }),
      ...(creationTimestamp && { creationTimestamp }),
    },
    spec: { ...(replicas && { replicas }) },
    status: { replicas: ready, ...(selector && { selector }) },
  };
}

interface Counts {
  readonly replicas: number;
  readonly ready: number;
  readonly selector: string;
}

function counts(kind: KindDeclaration, { spec, status }: Scalable): Counts {
  return { replicas: spec?.replicas ?? 0, ready: status?.replicas ?? 0, selector: selectorText(kind, spec?.selector) };
}

function customCounts(
  { specReplicasPath, statusReplicasPath, labelSelectorPath }: NonNullable<ObjectForm['scale']>,
  object: KubernetesObject,
): Counts {
  const number = (path: string) => {
    const { value } = valueAt(object as JsonObject, path);
    return typeof value === 'number' ? value : 0;
  };
  const selector = labelSelectorPath ? valueAt(object as JsonObject, labelSelectorPath).value : '';
  return {
    replicas: number(specReplicasPath),
    ready: number(statusReplicasPath),
    selector: typeof selector === 'string' ? selector : '',
  };
}

function scaleReply({ kind, exchange }: ResourceRequest, object: CachedObject): Reply {
  const { mediaType } = negotiate(exchange.headers.accept);
  const scaled = scaleOf(kind, parseAs(kind, object) as Scalable);
  return objectReply(200, Buffer.from(JSON.stringify(scaled)), mediaType);
}

/** A label selector in the form of a query: `app=web,tier in (a,b)`. */
function selectorText(kind: KindDeclaration, selector: LabelSelector | Record<string, string> | undefined): string {
  if (!selector) return '';
  const isPlain = kind.group === '' && kind.plural === 'replicationcontrollers';
  const { matchLabels = {}, matchExpressions = [] } = (isPlain ? { matchLabels: selector } : selector) as LabelSelector; // told apart by the kind
  const parts = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`);
  for (const { key, operator, values = [] } of matchExpressions) {
    const list = `(${[...values].sort().join(',')})`;
    if (operator === 'In') parts.push(`${key} in ${list}`);
    else if (operator === 'NotIn') parts.push(`${key} notin ${list}`);
    else parts.push(operator === 'Exists' ? key : `!${key}`);
  }
  return parts.sort().join(',');
}
