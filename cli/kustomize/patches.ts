/** Patches: strategic merge and JSON patches, for the objects they name or for those they select. */
import { jsonPatch } from '../../control/api/patch/json-patch.ts';
import { ApiError } from '../../control/api/status.ts';
import type { JsonObject } from '../client/api.ts';
import { failure } from '../client/errors.ts';
import { kustomizeYaml, yaml } from '../client/yaml.ts';
import { fileOf, type Root } from './files.ts';
import type { PatchEntry } from './kustomization.ts';
import { mergedObject } from './merge.ts';
import {
  type Identity,
  identities,
  identityOf,
  identityText,
  isMeant,
  isNamespaced,
  isObject,
  isSame,
  metadataOf,
  type Resource,
} from './resource.ts';

/** Applies one entry; resources that it deletes are taken out. @throws CommandError */
export function applyPatch(resources: Resource[], entry: PatchEntry, root: Root): void {
  if ((entry.patch === undefined) === (entry.path === undefined)) {
    throw failure('a patch must have one of patch and path');
  }
  const text = entry.patch ?? fileOf(entry.path ?? '', root).toString();
  const documents = documentsOf(text, entry.path ?? 'a patch');
  const [operations] = documents;
  if (Array.isArray(operations)) {
    if (entry.target === undefined) throw failure(`must specify a target for JSON patch ${entry.path ?? text}`);
    for (const resource of selected(resources, entry)) changeByOperations(resource, operations);
    return;
  }
  for (const document of documents) {
    if (!isObject(document)) throw failure(`a patch is neither an object nor a list of operations: ${text}`);
    if (entry.target === undefined) mergeIntoNamed(resources, document);
    else for (const resource of selected(resources, entry)) mergeInto(resources, resource, document, entry.options);
  }
}

const selected = (resources: readonly Resource[], { target }: PatchEntry) =>
  resources.filter(resource => isMeant(resource, target ?? {}));

function documentsOf(text: string, where: string): unknown[] {
  const documents = yaml().parseAllDocuments(text, kustomizeYaml);
  const broken = documents.find(({ errors }) => errors.length > 0)?.errors[0];
  if (broken) throw failure(`unable to parse ${where}: ${broken.message.split('\n')[0]}`, broken);
  const values = documents.map((document): unknown => document.toJS({ maxAliasCount: 1000 }));
  const found = values.filter(value => value !== null && value !== undefined);
  if (found.length === 0) throw failure(`patch appears to be empty; file=${where}`);
  return found;
}

function changeByOperations(resource: Resource, operations: readonly JsonObject[]): void {
  const before = identityOf(resource.object);
  try {
    resource.object = jsonPatch(resource.object, operations) as JsonObject; // what an object's patch gives
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    throw failure(`the patch for ${identityText(before)} cannot be applied: ${error.message}`, error);
  }
}

/** The object that the patch names by its kind, name and namespace. */
function mergeIntoNamed(resources: Resource[], patch: JsonObject): void {
  const identity = identityOf(patch);
  const names = (one: Identity) =>
    isSame(one, identity) && one.version === identity.version && sameNamespace(one, identity);
  const meant = resources.filter(resource => identities(resource).some(names));
  const [resource, another] = meant;
  if (!resource || another) {
    const text = identityText(identity);
    const reason = resource ? 'multiple matches' : 'no matches';
    throw failure(
      `no resource matches strategic merge patch ${JSON.stringify(text)}: ${reason} for Id ${text}; failed to find unique target for patch ${text}`,
    );
  }
  mergeInto(resources, resource, patch, {});
}

const sameNamespace = (a: Identity, b: Identity) =>
  !isNamespaced(a) || (a.namespace || 'default') === (b.namespace || 'default');

/** What an object is called is kept, unless the options say otherwise. */
function mergeInto(
  resources: Resource[],
  resource: Resource,
  patch: JsonObject,
  options: PatchEntry['options'] = {},
): void {
  const { kind, apiVersion } = resource.object;
  const before = identityOf(resource.object);
  const merged = mergedObject(resource.object, patch);
  if (merged === undefined) {
    resources.splice(resources.indexOf(resource), 1);
    return;
  }
  const metadata = metadataOf(merged);
  merged.metadata = metadata;
  if (!options.allowNameChange) {
    metadata.name = before.name;
    if (before.namespace) metadata.namespace = before.namespace;
    else delete metadata.namespace;
  }
  if (!options.allowKindChange) {
    merged.kind = kind;
    merged.apiVersion = apiVersion;
  }
  resource.object = merged;
  const now = identityOf(merged);
  if (now.name !== before.name || now.kind !== before.kind) resource.earlier.push(before);
}
