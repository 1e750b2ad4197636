/**
 * PATCH with an apply patch: the fields that the body names become as it says and belong to the field manager; what the
 * manager named before and does not name now goes, unless somebody else owns it. Creates what is not there.
 */
import { findMistakes } from '../../api/apply/check.ts';
import { conflictError } from '../../api/apply/conflicts.ts';
import { withLastApplied, withoutLastApplied } from '../../api/apply/last-applied.ts';
import { decodeManagers, encodeManagers, ManagedFieldsError, type Ownerships } from '../../api/apply/managers.ts';
import { applyTo, type TrackedObject, trackUpdate, type Write } from '../../api/apply/track.ts';
import type { KindDeclaration, KubernetesObject } from '../../api/kind.ts';
import { isObject, type JsonObject } from '../../api/patch/json.ts';
import { readAs } from '../../api/schema/decode.ts';
import { parseJson, plainValue } from '../../api/schema/json.ts';
import { DecodeError } from '../../api/schema/walk.ts';
import { parseYaml, YamlSyntaxError } from '../../api/schema/yaml.ts';
import { ApiError, badRequest, conflict, hasReason, OBJECT_MODIFIED } from '../../api/status.ts';
import type { Core, ResourceRequest } from '../core.ts';
import { apiVersionOf, resourceName } from '../keys.ts';
import { isTrue } from '../request-info.ts';
import type { Exchange, Reply } from '../types.ts';
import { addWarnings, createObject } from './create.ts';
import { singleReply } from './get.ts';
import { readWriteOptions, type WriteOptions } from './options.ts';
import { asTracked, emptyObject, setManagedFields, withinStack, writeOf } from './ownership.ts';
import { changeObject, checkName, ObjectMissing } from './update.ts';

export const APPLY_PATCH = 'application/apply-patch+yaml';

/** Whom fields belong to that were there before anybody applied. */
export const BEFORE_FIRST_APPLY = 'before-first-apply';
/** An object may come and go between our looking and our writing this many times. */
const ROUNDS_MAX = 3;

export async function apply(core: Core, request: ResourceRequest): Promise<Reply> {
  const options = readWriteOptions(request.exchange.query, 'PatchOptions', { isApply: true });
  const applied = await readApplied(request.exchange, options);
  for (let round = 0; round < ROUNDS_MAX; round++) {
    try {
      const stored = await changeObject(core, request, {
        isDryRun: options.isDryRun,
        change: old => withinStack(() => applyToObject(core, request, { old, applied })),
        owners: (_, object) => object.metadata?.managedFields,
      });
      return singleReply(core, request, stored);
    } catch (error) {
      if (!(error instanceof ObjectMissing) || request.info.subresource !== '') throw error;
    }
    try {
      return await createApplied(core, request, { applied, options });
    } catch (error) {
      // Somebody else made it meanwhile: it is there to be changed.
      if (!hasReason(error, 'AlreadyExists')) throw error;
    }
  }
  throw conflict(resourceName(request.kind), request.info.name, OBJECT_MODIFIED);
}

/** Reads the body of an apply: one object in YAML or JSON. Throws 400. */
export async function readApplied(exchange: Exchange, { fieldValidation }: WriteOptions): Promise<JsonObject> {
  const { value, duplicates } = parse(new TextDecoder().decode(await exchange.readBody()));
  if (!isObject(value)) {
    const word = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
    throw badRequest(
      `error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${word} into Go value of type map[string]interface {}`,
    );
  }
  if (fieldValidation === 'Strict' && duplicates.length > 0) {
    const lines = duplicates.map(line => `  ${line}`).join('\n');
    throw badRequest(`error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n${lines}`);
  }
  if (fieldValidation === 'Warn') addWarnings(exchange, duplicates);
  return value;
}

interface Body {
  readonly value: unknown;
  readonly duplicates: readonly string[];
}

/** Most clients send JSON, which is YAML too. */
function parse(text: string): Body {
  if (text.startsWith('{')) {
    try {
      const { value, duplicates } = parseJson(text);
      if (!duplicates) return { value: plainValue(value), duplicates: [] };
    } catch {
      // The YAML reader says what is wrong.
    }
  }
  try {
    const { value, duplicates } = parseYaml(text);
    return { value: value ?? {}, duplicates };
  } catch (error) {
    if (!(error instanceof YamlSyntaxError)) throw error;
    throw badRequest(`error decoding YAML: error converting YAML to JSON: ${error.message}`);
  }
}

function applyToObject(
  core: Core,
  request: ResourceRequest,
  { old, applied }: { readonly old: KubernetesObject; readonly applied: JsonObject },
): KubernetesObject {
  const write = writeOf(core, request, 'Apply');
  const live = asTracked(old);
  let managers = ownersOfLive(old);
  checkApplied(request.kind, write, applied);
  if (managers.size === 0) {
    const before = emptyObject(request.kind);
    managers = trackUpdate(writeOf(core, request, 'Update', BEFORE_FIRST_APPLY), { before, after: live, managers });
  }
  const isForced = isTrue(request.exchange.query.get('force'));
  const object = applyObject(write, { kind: request.kind, live, applied, managers, isForced });
  checkName(request, object);
  return object;
}

function ownersOfLive(old: KubernetesObject): Ownerships {
  try {
    return decodeManagers(old.metadata?.managedFields, 'store');
  } catch (error) {
    if (!(error instanceof ManagedFieldsError)) throw error;
    throw new ApiError('', `failed to decode managed fields: ${error.message}`, { code: 500 });
  }
}

/** The body must be an object of the kind, and may not say who owns what. Throws 400, 500. */
export function checkApplied(
  kind: Pick<KindDeclaration, 'group' | 'version' | 'kind'>,
  write: Write,
  applied: JsonObject,
): void {
  const { apiVersion, kind: name } = applied;
  if (apiVersion !== apiVersionOf(kind) || name !== kind.kind) {
    throw badRequest(`invalid object type: ${showKind(apiVersion, name)}`);
  }
  const metadata = isObject(applied.metadata) ? applied.metadata : {};
  if (metadata.managedFields !== undefined && metadata.managedFields !== null) {
    throw badRequest('metadata.managedFields must be nil');
  }
  const mistakes = findMistakes(write.type, applied);
  if (mistakes === undefined) return;
  const where = `${String(metadata.namespace ?? '')}/${String(metadata.name ?? '')}; ${showKind(apiVersion, name)}`;
  throw new ApiError('', `failed to create typed patch object (${where}): ${mistakes}`, { code: 500 });
}

/** A kind as Go prints it: `apps/v1, Kind=Deployment`, `/v1, Kind=Pod`. */
function showKind(apiVersion: unknown, kind: unknown): string {
  const version = typeof apiVersion === 'string' ? apiVersion : '';
  const name = typeof kind === 'string' ? kind : '';
  return `${version.includes('/') ? version : `/${version}`}, Kind=${name}`;
}

export interface ApplyInput {
  readonly kind: KindDeclaration;
  readonly live: TrackedObject;
  readonly applied: JsonObject;
  readonly managers: Ownerships;
  readonly isForced: boolean;
}

/** The live object with the applied one in it, read as the kind, and with its owners. Throws 409 for conflicts. */
export function applyObject(write: Write, { kind, live, applied, managers, isForced }: ApplyInput): KubernetesObject {
  let outcome = applyTo(write, { live, applied, managers, isForced });
  if (outcome.type === 'conflicts') {
    const left = withoutLastApplied(write, live, outcome.conflicts);
    if (left.length > 0) throw conflictError(left);
    outcome = applyTo(write, { live, applied, managers, isForced: true });
    if (outcome.type === 'conflicts') throw conflictError(outcome.conflicts);
  }
  const object = decodeMerged(kind, withLastApplied(write, outcome.object ?? live, applied));
  setManagedFields(object, encodeManagers(outcome.managers));
  return object;
}

/** Reads a merged object as one of the kind. Throws 500: what is no such object was not seen by the merge. */
function decodeMerged(kind: KindDeclaration, merged: TrackedObject): KubernetesObject {
  try {
    const object = readAs(kind, merged) as KubernetesObject; // it is checked against the kind
    kind.defaults(object);
    return object;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new ApiError('', `failed to convert merged object at last applied version: ${error.message}`, { code: 500 });
  }
}

async function createApplied(
  core: Core,
  request: ResourceRequest,
  { applied, options }: { readonly applied: JsonObject; readonly options: WriteOptions },
): Promise<Reply> {
  const object = await core.conversions.settle(() =>
    withinStack(() => applyToObject(core, request, { old: {}, applied })),
  );
  const { metadata = {} } = object;
  if (metadata.uid) {
    const why = `uid mismatch: the provided object specified uid ${metadata.uid}, and no existing object was found`;
    throw conflict(resourceName(request.kind), request.info.name, why);
  }
  delete metadata.resourceVersion;
  const stored = await createObject(core, request, {
    object,
    isDryRun: options.isDryRun,
    owners: metadata.managedFields ?? [],
  });
  return singleReply(core, request, stored, 201);
}
