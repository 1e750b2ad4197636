/** The objects that a command works on: those of files, or those that words and selectors name. */
import { matchesLabels, parseLabelSelector } from '../../control/api/selectors.ts';
import { ApiError } from '../../control/api/status.ts';
import type { JsonObject } from './api.ts';
import { resolveTargets } from './arguments.ts';
import { groupVersionOf, kindWithGroup, pathOf, type Resource } from './discovery.ts';
import { CommandError, failure } from './errors.ts';
import { type Manifest, readManifests } from './manifests.ts';
import { type ObjectFailure, type Session, tellFailures } from './session.ts';
import { MUST_NAME_OBJECTS } from './usage.ts';

export interface Metadata {
  readonly name?: string;
  readonly generateName?: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly {
    readonly kind: string;
    readonly name: string;
    readonly uid: string;
    readonly controller?: boolean;
  }[];
}

export function metadataOf(object: JsonObject): Metadata {
  return (object.metadata ?? {}) as Metadata;
}

/** Which object: enough to address it. */
export interface ObjectReference {
  readonly resource: Resource;
  readonly namespace: string;
  readonly name: string;
}

/** An object of a file with its address. */
export interface ManifestObject extends ObjectReference {
  readonly object: JsonObject;
  readonly source: string;
}

export interface SelectionFlags {
  readonly filename?: readonly string[];
  readonly kustomize?: string;
  readonly recursive?: boolean;
  readonly selector?: string;
  readonly fieldSelector?: string;
  readonly all?: boolean;
  readonly allNamespaces?: boolean;
  /** Objects of files stay as they stand there: no namespace is written into them. */
  readonly local?: boolean;
  /** A type without a name means all of its objects. */
  readonly isTypeEnough?: boolean;
  /** With files in which something is wrong nothing is done at all. */
  readonly isWhole?: boolean;
}

export const displayName = ({ resource, name }: Pick<ObjectReference, 'resource' | 'name'>): string =>
  `${kindWithGroup(resource)}/${name}`;

export const objectPath = ({ resource, namespace, name }: ObjectReference, subresource?: string): string =>
  pathOf(resource, namespace, name, subresource);

/**
 * The objects of `-f` or `-k`. What cannot be read of files, or is no object, the session keeps until the rest is done.
 * @throws CommandError for files that are not there
 */
export async function manifestsOf(
  session: Session,
  {
    filename = [],
    kustomize,
    recursive = false,
    isWhole = false,
    isValidated = false,
  }: Pick<SelectionFlags, 'filename' | 'kustomize' | 'recursive' | 'isWhole'> & { readonly isValidated?: boolean },
): Promise<Manifest[]> {
  const { context, mistakes } = session;
  if (kustomize === undefined) {
    return await readManifests(filename, {
      stdin: context.stdin,
      isRecursive: recursive,
      isValidated,
      ...(!isWhole && { onMistake: mistake => void mistakes.push(mistake) }),
    });
  }
  if (filename.length > 0) throw failure('only one of -f or -k can be specified');
  const { buildKustomization } = await import('../kustomize/build.ts');
  const warn = (text: string) => void context.stderr.write(`${text}\n`);
  const objects = buildKustomization(kustomize, { warn, env: context.env, order: 'by kind' });
  return objects.map(object => ({ object, source: kustomize }));
}

/** Whether objects are named by `-f` or `-k`. */
export const isOfFiles = ({ filename, kustomize }: Pick<SelectionFlags, 'filename' | 'kustomize'>): boolean =>
  Boolean(filename?.length) || kustomize !== undefined;

/** What writes whole objects has them checked. */
const VALIDATED_VERBS: readonly string[] = ['create', 'apply', 'replace'];

/**
 * The resource of a file's object. One of a kind that is not served does not stop the others: the session keeps that until the
 * rest is done, and undefined is given.
 */
export async function resourceOf(
  session: Session,
  { object, source }: Manifest,
  { isWhole = false }: Pick<SelectionFlags, 'isWhole'> = {},
): Promise<Resource | undefined> {
  const { name = '', namespace = '' } = metadataOf(object);
  const described = `name: "${name}" namespace: "${namespace}" from "${source}"`;
  try {
    return await session.discovery.ofKind(String(object.apiVersion), String(object.kind), described);
  } catch (error) {
    if (!(error instanceof CommandError) || isWhole) throw error;
    session.mistakes.push(error);
    return undefined;
  }
}

/**
 * The objects of `-f` or `-k`, each with its resource and namespace; mistakes as {@link manifestsOf} and {@link resourceOf}
 * keep them.
 * @throws CommandError if the files hold nothing
 */
export async function manifestObjects(
  session: Session,
  flags: SelectionFlags,
  verb: string,
): Promise<ManifestObject[]> {
  const manifests = await manifestsOf(session, { ...flags, isValidated: VALIDATED_VERBS.includes(verb) });
  if (manifests.length === 0 && session.mistakes.length === 0) throw failure(`no objects passed to ${verb}`);
  const labels = flags.selector === undefined ? undefined : labelFilter(flags.selector);
  const objects: ManifestObject[] = [];
  for (const manifest of manifests) {
    const { object, source } = manifest;
    const metadata = metadataOf(object);
    const resource = await resourceOf(session, manifest, flags);
    if (!resource || (labels && !labels.matches(metadata.labels))) continue;
    const namespace = namespaceOf(session, resource, metadata);
    const completed =
      resource.isNamespaced && !flags.local ? { ...object, metadata: { ...metadata, namespace } } : object;
    objects.push({ resource, namespace, name: metadata.name ?? '', object: completed, source });
  }
  return objects;
}

function labelFilter(text: string): { matches(labels: Metadata['labels']): boolean } {
  try {
    const requirements = parseLabelSelector(text);
    return { matches: labels => matchesLabels(requirements, labels) };
  } catch (error) {
    throw failure(error instanceof Error ? error.message : String(error), error);
  }
}

function namespaceOf(session: Session, resource: Resource, metadata: Metadata): string {
  if (!resource.isNamespaced) return '';
  if (metadata.namespace && session.isNamespaceExplicit && metadata.namespace !== session.namespace) {
    throw failure(
      `the namespace from the provided object "${metadata.namespace}" does not match the namespace "${session.namespace}". You must pass '--namespace=${metadata.namespace}' to perform this operation.`,
    );
  }
  return metadata.namespace || session.namespace;
}

/** The objects that are meant, from the server. Names that do not exist throw. */
export async function selectedObjects(
  session: Session,
  words: readonly string[],
  flags: SelectionFlags,
): Promise<(ObjectReference & { readonly object: JsonObject })[]> {
  const found: (ObjectReference & { object: JsonObject })[] = [];
  for (const reference of await selectedReferences(session, words, flags)) {
    found.push({ ...reference, object: await objectOf(session, reference) });
  }
  return found;
}

/** As {@link selectedObjects}; objects of files are taken as they stand there, whether the server has them or not. */
export async function givenObjects(
  session: Session,
  words: readonly string[],
  flags: SelectionFlags,
  verb: string,
): Promise<(ObjectReference & { readonly object: JsonObject })[]> {
  return isOfFiles(flags) ? await manifestObjects(session, flags, verb) : await selectedObjects(session, words, flags);
}

/** The object that is meant, asked for unless a list has brought it. */
export function objectOf(
  session: Session,
  reference: ObjectReference & { readonly object?: JsonObject },
): Promise<JsonObject> {
  if (reference.object) return Promise.resolve(reference.object);
  return tellMissingNamespace(session, reference, session.api.json('GET', objectPath(reference)));
}

/** Of an object that is not there, that its namespace is not there either, as kubectl tells it. */
export async function tellMissingNamespace<T>(
  session: Session,
  { resource, namespace }: Pick<ObjectReference, 'resource' | 'namespace'>,
  work: Promise<T>,
): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const mayBeMissing = resource.isNamespaced && namespace !== '' && namespace !== 'default';
    if (!(error instanceof ApiError) || error.reason !== 'NotFound' || !mayBeMissing) throw error;
    await session.api.json('GET', `/api/v1/namespaces/${encodeURIComponent(namespace)}`).catch(other => {
      if (other instanceof ApiError && other.reason === 'NotFound') throw other;
    });
    throw error;
  }
}

/** As {@link selectedObjects}, but objects named one by one are not asked for. */
export async function selectedReferences(
  session: Session,
  words: readonly string[],
  flags: SelectionFlags,
): Promise<(ObjectReference & { readonly object?: JsonObject })[]> {
  if (isOfFiles(flags))
    return (await manifestObjects(session, flags, 'it')).map(({ object: _own, ...reference }) => reference);
  if (words.length === 0) {
    throw failure(MUST_NAME_OBJECTS);
  }
  const { targets } = await resolveTargets(words, session.discovery);
  const references: (ObjectReference & { object?: JsonObject })[] = [];
  for (const { resource, name } of targets) {
    if (name !== undefined) {
      if (flags.selector !== undefined || flags.fieldSelector !== undefined) {
        throw failure('name cannot be provided when a selector is specified');
      }
      references.push({ resource, namespace: session.namespace, name });
      continue;
    }
    if (flags.selector === undefined && flags.fieldSelector === undefined && !flags.all && !flags.isTypeEnough) {
      throw failure('resource(s) were provided, but no name was specified');
    }
    // Lists leave kind and apiVersion out of their items.
    const own = { apiVersion: groupVersionOf(resource), kind: resource.kind };
    for (const item of await listObjects(session, resource, flags)) {
      const object = { ...own, ...item };
      const metadata = metadataOf(object);
      references.push({ resource, namespace: metadata.namespace ?? '', name: metadata.name ?? '', object });
    }
  }
  return references;
}

/** Tells of a list that the server refused what was looked for, as kubectl does; other errors stay as they are. */
export function describeListError(
  error: unknown,
  resource: Resource,
  {
    selector = '',
    fieldSelector = '',
  }: { readonly selector?: string | undefined; readonly fieldSelector?: string | undefined },
): unknown {
  if (!(error instanceof ApiError) || (error.reason !== 'BadRequest' && error.reason !== 'NotFound')) return error;
  const text = JSON.stringify(`${resource.group}/${resource.version}, Resource=${resource.name}`);
  const context =
    selector === '' && fieldSelector === ''
      ? `Unable to list ${text}`
      : `Unable to find ${text} that match label selector ${JSON.stringify(selector)}, field selector ${JSON.stringify(fieldSelector)}`;
  return new ApiError(error.reason, `${context}: ${error.message}`, { code: error.code, cause: error });
}

/** All objects of a resource in the session's namespace, or in all. */
export async function listObjects<T extends object = JsonObject>(
  session: Session,
  resource: Resource,
  flags: {
    readonly selector?: string | undefined;
    readonly fieldSelector?: string | undefined;
    readonly allNamespaces?: boolean;
    readonly namespace?: string;
    /** How many to ask for at once; from 0 down: for all. */
    readonly chunkSize?: number;
  },
): Promise<T[]> {
  const { chunkSize = LIST_CHUNK } = flags;
  const namespace = flags.allNamespaces ? undefined : (flags.namespace ?? session.namespace);
  const items: T[] = [];
  for (let token: string | undefined; ; ) {
    const list = await session.api
      .json<{ metadata?: { continue?: string }; items?: T[] }>('GET', pathOf(resource, namespace), {
        query: {
          labelSelector: flags.selector,
          fieldSelector: flags.fieldSelector,
          limit: chunkSize > 0 ? chunkSize : undefined,
          continue: token,
        },
      })
      .catch(error => {
        throw describeListError(error, resource, flags);
      });
    items.push(...(list.items ?? []));
    token = list.metadata?.continue;
    if (!token) return items;
  }
}

/** kubectl asks for as many at once. */
const LIST_CHUNK = 500;

/**
 * Does the work for each object. What fails does not stop the others; it is told at the end, and sets the exit code.
 * @param doing What was being done, for objects of files: `creating`.
 * @returns Whether nothing failed, here and in the files.
 */
export async function forEachObject<T extends object>(
  session: Session,
  objects: readonly T[],
  work: (object: T) => Promise<void>,
  doing = '',
): Promise<boolean> {
  const failures: ObjectFailure[] = [];
  for (const object of objects) {
    try {
      await work(object);
    } catch (error) {
      if (!(error instanceof ApiError || error instanceof CommandError)) throw error;
      const activity = ACTIVITIES.get(error) ?? doing;
      const context = activity && 'source' in object ? `error when ${activity} "${String(object.source)}"` : '';
      failures.push({ error, context });
    }
  }
  const mistakes = session.mistakes.splice(0).map(error => ({ error, context: '' }));
  // `apply` looks for all kinds before it begins, the others as they come to them.
  const told = doing === APPLYING ? [...mistakes, ...failures] : [...failures, ...mistakes];
  tellFailures(session, told);
  return told.length === 0;
}

/** As {@link forEachObject}, for the objects that words and selectors name: one that is not there does not stop the others. */
export async function forEachSelected(
  session: Session,
  words: readonly string[],
  {
    flags,
    work,
  }: {
    readonly flags: SelectionFlags;
    readonly work: (object: ObjectReference & { readonly object: JsonObject }) => Promise<void>;
  },
): Promise<void> {
  await forEachObject(session, await selectedReferences(session, words, flags), async reference => {
    await work({ ...reference, object: await objectOf(session, reference) });
  });
}

/** What `apply` is doing. */
export const APPLYING = 'applying patch to';

/** What an error happened at, where that is not what the command is about. */
const ACTIVITIES = new WeakMap<object, string>();

/** Notes what was being done when the error came. */
export function during<T>(activity: string, work: Promise<T>): Promise<T> {
  return work.catch(error => {
    if (typeof error === 'object' && error !== null) ACTIVITIES.set(error, activity);
    throw error;
  });
}
