/**
 * PUT, and the loop that every change of an existing object goes through: read, change, check, write if nobody was faster.
 * The first try takes the object from the cache, which may lag behind; a refusal counts only when it is confirmed by the
 * latest state.
 */

import { isSameButTimes } from '../../api/apply/managers.ts';
import type { KindDeclaration, KubernetesObject } from '../../api/kind.ts';
import { clone } from '../../api/patch/json.ts';
import { isEqual } from '../../api/schema/equal.ts';
import {
  ApiError,
  badRequest,
  conflict,
  type FieldError,
  invalid,
  notFound,
  OBJECT_MODIFIED,
} from '../../api/status.ts';
import { CachedObject } from '../cache/cached-object.ts';
import { encodeStored } from '../cache/encoding.ts';
import { type Core, type ResourceRequest, strategyContext } from '../core.ts';
import { negotiate } from '../http/negotiate.ts';
import { objectKey, resourceName, storedKind } from '../keys.ts';
import { inSteps } from '../pace.ts';
import type { Reply } from '../types.ts';
import { readObject } from './body.ts';
import { commit, type ExtraConditions } from './commit.ts';
import { addWarnings, createObject, placeInNamespace } from './create.ts';
import { isNamespace } from './deletion.ts';
import { cached, singleReply } from './get.ts';
import { parseUintError, readWriteOptions } from './options.ts';
import { asTracked, type ManagedFields, ownersOfChanged, setManagedFields } from './ownership.ts';
import { parseAs, prepareView, refuseListForm, storedForm } from './representation.ts';

export async function update(core: Core, request: ResourceRequest): Promise<Reply> {
  const { exchange, kind, info } = request;
  refuseListForm(negotiate(exchange.headers.accept), kind);
  const options = readWriteOptions(exchange.query, 'UpdateOptions');
  const object = await readObject(exchange, kind, options.fieldValidation);
  checkName(request, object);
  const mayCreate = kind.allowCreateOnUpdate && info.subresource === '';
  try {
    const stored = await changeObject(core, request, {
      isDryRun: options.isDryRun,
      sharesNothing: true,
      change(old) {
        checkUid(request, object.metadata?.uid, old.metadata?.uid ?? '');
        return clone(object);
      },
    });
    return singleReply(core, request, stored);
  } catch (error) {
    if (!mayCreate || !(error instanceof ObjectMissing)) throw error;
    if (object.metadata?.resourceVersion) delete object.metadata.resourceVersion;
    const stored = await createObject(core, request, { object, isDryRun: options.isDryRun });
    return singleReply(core, request, stored, 201);
  }
}

/** The object is not there: 404, told apart so that a PUT may create it. */
export class ObjectMissing extends ApiError {
  constructor(error: ApiError) {
    super('NotFound', error.message, error.details ? { details: error.details } : {});
  }
}

/** Name and namespace in the body must be those of the URL. Throws 400. */
export function checkName({ kind, info }: ResourceRequest, object: KubernetesObject): void {
  const name = object.metadata?.name ?? '';
  if (name === '') {
    throw badRequest(`the name of the object (${info.name} based on URL) was undeterminable: name must be provided`);
  }
  if (name !== info.name) {
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${info.name})`);
  }
  placeInNamespace(object, kind.namespaced ? info.namespace : '');
}

export interface ObjectChange {
  readonly isDryRun: boolean;
  /** A change that the server itself makes (binding, eviction): what clients may not write, it may. */
  readonly isInternal?: boolean;
  /** True if `change` itself has asked webhooks about what was sent, which is another object than this one. */
  readonly admitsPart?: boolean;
  /** True if `change` leaves `old` as it is and gives no part of it: then it needs no copy of its own. */
  readonly sharesNothing?: boolean;
  /** managedFields of the changed object. Without it a client's change is tracked, and one of the server's own is nobody's. */
  owners?(old: KubernetesObject, object: KubernetesObject): ManagedFields;
  /**
   * Gives the object as it shall be, in the served version; `old` has its resourceVersion, and is a private copy unless
   * nothing is shared with it. Called again with newer state after a conflict. Throws what the client is to be told.
   */
  change(old: KubernetesObject): KubernetesObject | Promise<KubernetesObject>;
}

/** Changes the object that the request names and gives it as stored; unchanged objects keep their resourceVersion. */
export async function changeObject(core: Core, request: ResourceRequest, wanted: ObjectChange): Promise<CachedObject> {
  const { kind, info } = request;
  const name = info.name;
  const key = objectKey(kind, info.namespace, name);
  let current = cached(core, kind, info.namespace, name);
  let isLatest = false;
  let blocked = 0;
  const refresh = async () => {
    await core.cache.freshen();
    isLatest = true;
    const latest = cached(core, kind, info.namespace, name);
    const isNew = latest?.revision !== current?.revision;
    current = latest;
    return isNew;
  };
  if (!current) await refresh();
  for (let attempt = 0; attempt < core.limits.transactionAttemptsMax; attempt++) {
    if (!current) throw new ObjectMissing(notFound(resourceName(kind), name));
    let plan: Plan;
    try {
      plan = await planChange(core, request, { wanted, current });
    } catch (error) {
      if (isLatest || !(await refresh())) throw error;
      continue;
    }
    if (plan.type === 'nothing') {
      if (isLatest || !(await refresh())) return current;
      continue;
    }
    if (wanted.isDryRun) {
      if (!isLatest && (await refresh())) continue;
      return CachedObject.fromStored(key, encodeStored(plan.stored), current.revision);
    }
    const result = await commit(core, {
      key,
      expectedRevision: current.revision,
      object: plan.type === 'put' ? plan.stored : undefined,
      extra: plan.extra,
      fenceTerm: request.identity.fenceTerm,
    });
    if (result.outcome === 'done') {
      return result.stored ?? CachedObject.fromStored(key, encodeStored(plan.stored), result.revision);
    }
    if (result.outcome === 'blocked') {
      if (++blocked < core.limits.blockedAttemptsMax) attempt--;
      await refresh();
    } else {
      current = result.current;
      isLatest = true;
    }
  }
  throw conflict(resourceName(kind), name, OBJECT_MODIFIED);
}

type Plan =
  | { readonly type: 'nothing' }
  | { readonly type: 'put' | 'remove'; readonly stored: KubernetesObject; readonly extra: ExtraConditions };

async function planChange(
  core: Core,
  request: ResourceRequest,
  { wanted, current }: { readonly wanted: ObjectChange; readonly current: CachedObject },
): Promise<Plan> {
  const { kind, info, exchange } = request;
  await prepareView(core, kind, current);
  const old = parseAs(kind, current);
  const object = await core.conversions.settle(() =>
    wanted.change(wanted.sharesNothing ? old : parseAs(kind, current)),
  );
  checkVersion(request, object, current);
  const owners = await core.conversions.settle(() => ownersAfter(core, request, { wanted, old, object }));
  setManagedFields(object, owners);
  const { isDryRun } = wanted;
  const isInternal = wanted.isInternal === true || wanted.admitsPart === true;
  const admitted = { ...request, operation: 'UPDATE' as const, isDryRun, isInternal };
  await core.admission.mutate(admitted, object, old);
  if (!wanted.isInternal) kind.prepareForUpdate(object, old, strategyContext(core, request));
  setManagedFields(object, owners);
  delete object.metadata?.resourceVersion;
  const before = { ...old, metadata: { ...old.metadata } };
  delete before.metadata.resourceVersion;
  if (isEqualButTimes(object, before)) {
    await core.admission.validate(admitted, atVersionOf(object, old), old);
    return { type: 'nothing' };
  }
  const errors = wanted.isInternal ? [] : await validationErrors(core, kind, [object, before]);
  if (errors.length > 0) throw invalid(storedKind(kind), info.name, errors);
  if (!wanted.isInternal) addWarnings(exchange, kind.warnings(object, before));
  await core.admission.validate(admitted, atVersionOf(object, old), old);
  const isDone = isReadyToGo(kind, object, before);
  const extra = await core.admission.conclude(admitted, isDone ? undefined : object, before);
  const stored = await storedForm(core, kind, object);
  return { type: isDone ? 'remove' : 'put', stored, extra };
}

/** As validating webhooks see it: at the version that it replaces. */
function atVersionOf(object: KubernetesObject, { metadata }: KubernetesObject): KubernetesObject {
  const { resourceVersion } = metadata ?? {};
  return { ...object, metadata: { ...object.metadata, ...(resourceVersion && { resourceVersion }) } };
}

function ownersAfter(
  core: Core,
  request: ResourceRequest,
  { wanted, old, object }: { readonly wanted: ObjectChange; readonly old: KubernetesObject; object: KubernetesObject },
): ManagedFields {
  if (wanted.owners) return wanted.owners(old, object);
  return wanted.isInternal ? old.metadata?.managedFields : ownersOfChanged(core, request, { old, object });
}

/** True if nothing is different but when a manager last wrote, which is no change by itself. */
function isEqualButTimes(object: KubernetesObject, old: KubernetesObject): boolean {
  // In this order: what changes at all mostly differs at once.
  return (
    isEqual(asTracked(object), asTracked(old)) &&
    isSameButTimes(object.metadata?.managedFields, old.metadata?.managedFields)
  );
}

async function validationErrors(
  core: Core,
  kind: KindDeclaration,
  [object, old]: readonly [KubernetesObject, KubernetesObject],
): Promise<FieldError[]> {
  const errors = [...kind.validate(object), ...kind.validateUpdate(object, old)];
  const rules = kind.judgeInSteps?.(object, old, errors);
  if (rules) errors.push(...(await inSteps(core.clock, rules)));
  return [...errors, ...newFinalizers(object, old)];
}

/** True if the change took away the last thing that kept a deleted object. */
function isReadyToGo(kind: KindDeclaration, object: KubernetesObject, old: KubernetesObject): boolean {
  const { metadata } = object;
  if (!metadata?.deletionTimestamp || (metadata.finalizers ?? []).length > 0) return false;
  if ((metadata.deletionGracePeriodSeconds ?? 0) > 0) return false;
  const { finalizers: left } = (object as { spec?: { finalizers?: readonly string[] } }).spec ?? {};
  if (isNamespace(kind)) return (left ?? []).length === 0;
  return (old.metadata?.finalizers ?? []).length > 0;
}

function newFinalizers(object: KubernetesObject, old: KubernetesObject): FieldError[] {
  if (!old.metadata?.deletionTimestamp) return [];
  const before = new Set(old.metadata.finalizers ?? []);
  const added = (object.metadata?.finalizers ?? []).filter(finalizer => !before.has(finalizer));
  if (added.length === 0) return [];
  const shown = `[]string{${added.map(name => JSON.stringify(name)).join(', ')}}`;
  const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ${shown}`;
  return [{ type: 'FieldValueForbidden', field: 'metadata.finalizers', message }];
}

/** The object must be in the state that was meant. Throws 409, 422. */
function checkVersion({ kind, info }: ResourceRequest, object: KubernetesObject, current: CachedObject): void {
  const given = object.metadata?.resourceVersion ?? '';
  if (given !== '' && !/^\d+$/.test(given)) throw new ApiError('', parseUintError(given), { code: 500 });
  if (given === '' || given === '0') {
    if (!kind.allowUnconditionalUpdate) {
      const message = 'Invalid value: 0x0: must be specified for an update';
      throw invalid({ group: kind.group, kind: kind.plural }, info.name, [
        { type: 'FieldValueInvalid', field: 'metadata.resourceVersion', message },
      ]);
    }
  } else if (given !== String(current.revision)) {
    throw conflict(resourceName(kind), info.name, OBJECT_MODIFIED);
  }
}

/** The object must be the very one that was meant, not another of its name. Throws 409 in the words of etcd's storage. */
function checkUid({ kind, info }: ResourceRequest, given: string | undefined, uid: string): void {
  if (!given || given === uid) return;
  const why = `Precondition failed: UID in precondition: ${given}, UID in object meta: ${uid}`;
  const where = kind.namespaced ? `${info.namespace}/${info.name}` : info.name;
  throw conflict(
    resourceName(kind),
    info.name,
    `StorageError: invalid object, Code: 4, Key: /registry/${kind.plural}/${where}, ResourceVersion: 0, AdditionalErrorMsg: ${why}`,
  );
}
