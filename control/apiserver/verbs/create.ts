/** POST of an object: admission, preparation, validation, and a transaction that demands that the name is free. */

import type { ManagedFieldsEntry } from '../../api/generated/types.ts';
import type { KubernetesObject } from '../../api/kind.ts';
import { clone } from '../../api/patch/json.ts';
import { ApiError, alreadyExists, badRequest, invalid, nameNotGenerated } from '../../api/status.ts';
import type { AdmissionRequest } from '../admission/admission.ts';
import { CachedObject } from '../cache/cached-object.ts';
import { encodeStored } from '../cache/encoding.ts';
import { type Core, type ResourceRequest, strategyContext } from '../core.ts';
import { negotiate } from '../http/negotiate.ts';
import { objectKey, resourceName, storedKind } from '../keys.ts';
import { inSteps } from '../pace.ts';
import type { Exchange, Reply } from '../types.ts';
import { readObject } from './body.ts';
import { commit } from './commit.ts';
import { singleReply } from './get.ts';
import { readWriteOptions } from './options.ts';
import { ownersOfNew, setManagedFields } from './ownership.ts';
import { refuseListForm, storedForm } from './representation.ts';

/** No vowels and nothing that looks like another character (apimachinery/pkg/util/rand). */
const NAME_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const SUFFIX_LENGTH = 5;
const GENERATED_BASE_MAX = 63 - SUFFIX_LENGTH;

export async function create(core: Core, request: ResourceRequest): Promise<Reply> {
  const { exchange, kind, info } = request;
  refuseListForm(negotiate(exchange.headers.accept), kind);
  const options = readWriteOptions(exchange.query, 'CreateOptions');
  const object = await readObject(exchange, kind, options.fieldValidation);
  if (object.metadata?.resourceVersion) {
    throw new ApiError('', 'resourceVersion should not be set on objects to be created', { code: 500 });
  }
  placeInNamespace(object, kind.namespaced ? info.namespace : '');
  const stored = await createObject(core, request, { object, isDryRun: options.isDryRun });
  return singleReply(core, request, stored, 201);
}

/** Sets the request's namespace; one that the object brings must be the same. Throws 400. */
export function placeInNamespace(object: KubernetesObject, namespace: string): void {
  object.metadata ??= {};
  const given = object.metadata.namespace ?? '';
  if (namespace === '') {
    delete object.metadata.namespace;
    return;
  }
  if (given !== '' && given !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  object.metadata.namespace = namespace;
}

export interface Creation {
  /** Decoded and defaulted; stays as it is. */
  readonly object: KubernetesObject;
  readonly isDryRun: boolean;
  /** Who owns what, where it is known; else the creator owns all that the object says. */
  readonly owners?: ManagedFieldsEntry[];
}

/**
 * Creates an object and gives it as stored. Throws 409 AlreadyExists, 422, and what admission says. An object with a
 * generated name gets another one when the first is taken.
 */
export async function createObject(
  core: Core,
  request: ResourceRequest,
  { object, isDryRun, owners }: Creation,
): Promise<CachedObject> {
  const { kind } = request;
  const isGenerated = !object.metadata?.name && !!object.metadata?.generateName;
  let namesTaken = 0;
  let blocked = 0;
  for (let attempt = 0; attempt < core.limits.transactionAttemptsMax; attempt++) {
    const candidate = clone(object);
    if (isGenerated) nameIt(candidate, core.random);
    setManagedFields(candidate, owners ?? (await core.conversions.settle(() => ownersOfNew(core, request, candidate))));
    const prepared = await prepareCreation(core, request, candidate, { isDryRun, isNameGenerated: isGenerated });
    const { name = '', namespace = '' } = candidate.metadata ?? {};
    const key = objectKey(kind, namespace, name);
    const stored = await storedForm(core, kind, candidate);
    if (isDryRun) {
      const { items } = await core.store.range({ key });
      const [item] = items;
      if (item) throw nameTaken(request, candidate, CachedObject.fromStored(key, item.value, item.modRevision));
      return CachedObject.fromStored(key, encodeStored(stored), 0);
    }
    const result = await commit(core, {
      key,
      expectedRevision: 0,
      object: stored,
      extra: prepared,
      fenceTerm: request.identity.fenceTerm,
    });
    if (result.outcome === 'done' && result.stored) return result.stored;
    if (result.outcome === 'changed') {
      if (!isGenerated || ++namesTaken >= core.limits.generateNameAttemptsMax) {
        throw nameTaken(request, candidate, result.current);
      }
    } else {
      // What admission saw in the cache is no longer so: look again at a fresh one. Somebody else was served meanwhile.
      if (++blocked < core.limits.blockedAttemptsMax) attempt--;
      await core.cache.freshen();
    }
  }
  throw new ApiError('ServerTimeout', 'the object could not be created: what it depends on keeps changing', {
    details: { kind: kind.plural, retryAfterSeconds: 1 },
  });
}

async function prepareCreation(
  core: Core,
  request: ResourceRequest,
  candidate: KubernetesObject,
  terms: Pick<AdmissionRequest, 'isDryRun' | 'isNameGenerated'>,
) {
  const { kind, exchange } = request;
  const admitted = { ...request, operation: 'CREATE' as const, ...terms };
  // Admission sees the object with what makes it this one and no other.
  const context = strategyContext(core, request);
  const uid = core.newUid();
  candidate.metadata = { ...candidate.metadata, uid, creationTimestamp: context.now };
  await core.admission.mutate(admitted, candidate, undefined);
  kind.prepareForCreate(candidate, { ...context, newUid: () => uid });
  const errors = kind.validate(candidate);
  const rules = kind.judgeInSteps?.(candidate, undefined, errors);
  if (rules) errors.push(...(await inSteps(core.clock, rules)));
  if (errors.length > 0) throw invalid(storedKind(kind), candidate.metadata?.name ?? '', errors);
  // Only what is right in itself is told what might be better.
  addWarnings(exchange, kind.warnings(candidate, undefined));
  await core.admission.validate(admitted, candidate, undefined);
  return core.admission.conclude(admitted, candidate, undefined);
}

/** A request that is tried again must not warn twice. */
export function addWarnings(exchange: Exchange, warnings: readonly string[]): void {
  for (const warning of warnings) if (!exchange.warnings.includes(warning)) exchange.warnings.push(warning);
}

function nameIt(object: KubernetesObject, random: () => number): void {
  object.metadata ??= {};
  const base = (object.metadata.generateName ?? '').slice(0, GENERATED_BASE_MAX);
  object.metadata.name = base + randomSuffix(random);
}

export function randomSuffix(random: () => number): string {
  let suffix = '';
  for (let index = 0; index < SUFFIX_LENGTH; index++)
    suffix += NAME_ALPHABET[Math.floor(random() * NAME_ALPHABET.length)];
  return suffix;
}

/** Why an object could not get its name: it says so if the one that has it is about to go (k/k registry/store.go Create). */
function nameTaken(
  { kind }: ResourceRequest,
  { metadata }: KubernetesObject,
  existing: CachedObject | undefined,
): ApiError {
  const { name = '', generateName } = metadata ?? {};
  const taken = (generateName ? nameNotGenerated : alreadyExists)(resourceName(kind), name);
  if (!existing?.parse().metadata?.deletionTimestamp) return taken;
  return new ApiError('AlreadyExists', `object is being deleted: ${taken.message}`, {
    ...(taken.details && { details: taken.details }),
  });
}
