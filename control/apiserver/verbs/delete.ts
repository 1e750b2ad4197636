/** DELETE of one object and of a collection. */
import { isReturnedWhenDeleted } from '../../api/deleted-answer.ts';
import type { DeleteOptions } from '../../api/generated/types.ts';
import type { KubernetesObject } from '../../api/kind.ts';
import { decodeAs } from '../../api/schema/decode.ts';
import { ApiError, conflict, hasReason, notFound, OBJECT_MODIFIED } from '../../api/status.ts';
import { CachedObject } from '../cache/cached-object.ts';
import { encodeStored } from '../cache/encoding.ts';
import type { Core, ResourceRequest } from '../core.ts';
import { negotiate } from '../http/negotiate.ts';
import { jsonReply } from '../http/replies.ts';
import { objectKey, resourceName } from '../keys.ts';
import type { Exchange, Reply } from '../types.ts';
import { readValue } from './body.ts';
import { commit } from './commit.ts';
import { planDeletion } from './deletion.ts';
import { cached, singleReply } from './get.ts';
import { pageReply, readPage } from './list.ts';
import { type DeletionOptions, readDeletionOptions, readListOptions } from './options.ts';
import { parseAs, prepareView, refuseListForm, refuseObjectForm, storedForm } from './representation.ts';

const DELETE_OPTIONS = 'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions';

export async function remove(core: Core, request: ResourceRequest): Promise<Reply> {
  const { exchange, kind, info } = request;
  refuseListForm(negotiate(exchange.headers.accept), kind);
  const options = await readOptions(exchange);
  const { object, isGone } = await deleteObject(core, request, options);
  if (!isGone || isReturnedWhenDeleted(kind)) return singleReply(core, request, object);
  const { uid } = object.parse().metadata ?? {};
  const details = { name: info.name, ...(kind.group && { group: kind.group }), kind: kind.plural, uid };
  return jsonReply(200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details });
}

async function readOptions(exchange: Exchange): Promise<DeletionOptions> {
  const value = await readValue(exchange);
  if (value === undefined || value === null) return readDeletionOptions(undefined, exchange.query);
  const { kind, apiVersion = 'v1' } = value as KubernetesObject;
  if (kind !== undefined && kind !== 'DeleteOptions') {
    throw new ApiError(
      '',
      `no kind "${kind}" is registered for version "${apiVersion}" in scheme "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"`,
      { code: 500 },
    );
  }
  return readDeletionOptions(decodeAs<DeleteOptions>(DELETE_OPTIONS, value, 'DeleteOptions'), exchange.query);
}

export interface Deletion {
  /** The object as it is now, or as it was last. */
  readonly object: CachedObject;
  readonly isGone: boolean;
}

/** Deletes the object that the request names, or begins to. Throws 404, 409 for preconditions that do not hold. */
export async function deleteObject(core: Core, request: ResourceRequest, options: DeletionOptions): Promise<Deletion> {
  const { kind, info } = request;
  const key = objectKey(kind, info.namespace, info.name);
  await core.cache.freshen();
  let current = cached(core, kind, info.namespace, info.name);
  for (let attempt = 0; attempt < core.limits.transactionAttemptsMax; attempt++) {
    if (!current) throw notFound(resourceName(kind), info.name);
    await prepareView(core, kind, current);
    const old = parseAs(kind, current);
    checkPreconditions(request, { options, object: old });
    const admitted = {
      ...request,
      operation: 'DELETE' as const,
      isDryRun: options.isDryRun,
      isInternal: options.isInternal ?? false,
      options: shownOptions(options),
    };
    await core.admission.mutate(admitted, undefined, old);
    const plan = planDeletion(kind, parseAs(kind, current), { options, now: core.clock.now() });
    if (plan.type === 'nothing') return { object: current, isGone: false };
    await core.admission.validate(admitted, undefined, old);
    const isGone = plan.type === 'remove';
    const extra = await core.admission.conclude(admitted, isGone ? undefined : plan.object, old);
    const stored = await storedForm(core, kind, plan.object);
    if (options.isDryRun) {
      return { object: CachedObject.fromStored(key, encodeStored(stored), current.revision), isGone };
    }
    const result = await commit(core, {
      key,
      expectedRevision: current.revision,
      object: isGone ? undefined : stored,
      extra,
      fenceTerm: request.identity.fenceTerm,
    });
    if (result.outcome === 'done') {
      const object = result.stored ?? CachedObject.fromStored(key, encodeStored(stored), result.revision);
      return { object, isGone };
    }
    if (result.outcome === 'changed') current = result.current;
    else {
      await core.cache.freshen();
      current = cached(core, kind, info.namespace, info.name);
    }
  }
  throw conflict(resourceName(kind), info.name, OBJECT_MODIFIED);
}

/** As DeleteOptions say them. */
function shownOptions({ gracePeriodSeconds, propagation, uid, resourceVersion }: DeletionOptions): DeleteOptions {
  const preconditions = {
    ...(uid !== undefined && { uid }),
    ...(resourceVersion !== undefined && { resourceVersion }),
  };
  return {
    ...(gracePeriodSeconds !== undefined && { gracePeriodSeconds }),
    ...(propagation !== undefined && { propagationPolicy: propagation }),
    ...(Object.keys(preconditions).length > 0 && { preconditions }),
  };
}

function checkPreconditions(
  { kind, info }: ResourceRequest,
  { options, object }: { readonly options: DeletionOptions; readonly object: KubernetesObject },
): void {
  const { uid, resourceVersion } = object.metadata ?? {};
  // Here the error names the kind, not the resource, as Kubernetes' does.
  const named = { group: kind.group, resource: kind.kind };
  if (options.uid !== undefined && options.uid !== uid) {
    const why =
      `the UID in the precondition (${options.uid}) does not match the UID in record (${uid}). ` +
      'The object might have been deleted and then recreated';
    throw conflict(named, info.name, why);
  }
  if (options.resourceVersion !== undefined && options.resourceVersion !== resourceVersion) {
    const why =
      `the ResourceVersion in the precondition (${options.resourceVersion}) does not match the ResourceVersion in ` +
      `record (${resourceVersion}). The object might have been modified`;
    throw conflict(named, info.name, why);
  }
}

/** Deletes all objects that the selectors match, one after the other, and answers with the list of them. */
export async function removeCollection(core: Core, request: ResourceRequest): Promise<Reply> {
  const { exchange, kind } = request;
  const representation = negotiate(exchange.headers.accept);
  refuseObjectForm(representation, kind);
  const options = await readOptions(exchange);
  const page = await readPage(core, request, readListOptions(exchange.query, false));
  const deleted: CachedObject[] = [];
  for (const object of page.objects) {
    const { name = '', namespace = '' } = object.parse().metadata ?? {};
    try {
      const one = { ...request, info: { ...request.info, name, namespace } };
      deleted.push((await deleteObject(core, one, options)).object);
    } catch (error) {
      // Somebody else was faster: it is gone, which is what was asked for.
      if (!hasReason(error, 'NotFound')) throw error;
    }
  }
  return pageReply(core, request, { page: { ...page, objects: deleted }, representation });
}
