/** Builds a kustomization: its resources, and what it and those above it do to them. */
import type { JsonObject } from '../client/api.ts';
import { CommandError, failure } from '../client/errors.ts';
import { parseManifests } from '../client/manifests.ts';
import { kustomizeYaml } from '../client/yaml.ts';
import { ANNOTATIONS, addPairs, OWN_LABELS, SELECTORS, TEMPLATE_LABELS } from './fields.ts';
import { fileOf, folderAt, isFolder, type Root } from './files.ts';
import { generate } from './generators.ts';
import { contentHash } from './hash.ts';
import { changeImages, changeReplicas } from './images.ts';
import { type Kustomization, type LabelsEntry, readKustomization } from './kustomization.ts';
import { rename } from './names.ts';
import { inOrder } from './order.ts';
import { applyPatch } from './patches.ts';
import { followReferences, noteReferences } from './references.ts';
import { replace } from './replacements.ts';
import { identityOf, identityText, isSame, metadataOf, newResource, type Resource } from './resource.ts';

export interface BuildOptions {
  /** Told of fields that have followers. */
  readonly warn: (text: string) => void;
  /** Files may lie outside of their kustomization's folder. */
  readonly isOpen?: boolean;
  readonly env: Root['env'];
  /** As `kustomize` prints them; `apply -k` takes them as they come, unless the kustomization says otherwise. */
  readonly order: 'by kind' | 'as they come';
}

/** Kustomizations that lie in each other: more are a mistake. */
const DEPTH_MAX = 64;

/** The objects of a kustomization's folder. @throws CommandError for what cannot be read, or makes no sense. */
export function buildKustomization(folder: string, options: BuildOptions): JsonObject[] {
  if (/^[a-z+]+:\/\/|^git@|\.git(?:\/|$|\?)/.test(folder)) throw remote(folder);
  const top = folderAt(folder);
  const resources: Resource[] = [];
  const kustomization = accumulate(top, resources, { ...options, within: [] });
  noteReferences(resources);
  for (const resource of resources.filter(({ needsHash }) => needsHash)) {
    const before = identityOf(resource.object);
    metadataOf(resource.object).name = `${before.name}-${contentHash(resource.object, false)}`;
    resource.earlier.push(before);
  }
  followReferences(resources);
  const { sortOrder } = kustomization;
  if (!['', 'legacy', 'fifo'].includes(sortOrder))
    throw failure(`the sort order must be one of legacy, fifo: ${sortOrder}`);
  const isSorted = sortOrder === 'legacy' || (sortOrder === '' && options.order === 'by kind');
  return (isSorted ? inOrder(resources) : resources).map(({ object }) => object);
}

const remote = (where: string) =>
  failure(`raftsman's kustomize reads folders of this machine only: bring ${where} here first, by "git clone"`);

interface Accumulation extends BuildOptions {
  /** The folders that led here. */
  readonly within: readonly string[];
}

/** Adds the resources of a folder to those that there are; a component changes these as well. */
function accumulate(folder: string, resources: Resource[], options: Accumulation): Kustomization {
  const visited = options.within.find(one => one === folder || folder === '/' || one.startsWith(`${folder}/`));
  if (visited !== undefined) {
    throw failure(`cycle detected: candidate root '${folder}' contains visited root '${visited}'`);
  }
  if (options.within.length >= DEPTH_MAX) throw failure(`more than ${DEPTH_MAX} kustomizations lie in each other`);
  const kustomization = readKustomization(folder, options.warn);
  const root: Root = { folder, isOpen: options.isOpen ?? false, env: options.env };
  const isComponent = kustomization.kind === 'Component';
  if (isComponent && options.within.length === 0)
    throw failure(`'${folder}' is a component: nothing is built of it alone`);
  const own = isComponent ? resources : [];
  const below: Accumulation = { ...options, within: [...options.within, folder] };
  if (kustomization.resources.length + kustomization.components.length === 0 && isEmpty(kustomization)) {
    throw failure('kustomization.yaml is empty');
  }
  for (const path of kustomization.resources) addAll(own, resourcesAt(path, root, below));
  for (const path of kustomization.components) {
    const at = folderAt(path, folder);
    if (readKustomization(at, () => undefined).kind !== 'Component') {
      throw failure(`accumulating components: '${at}' is no component: it says kind: Kustomization`);
    }
    accumulate(at, own, below);
  }
  const common = kustomization.generatorOptions;
  for (const entry of kustomization.configMapGenerator) generate('ConfigMap', entry, { root, common, resources: own });
  for (const entry of kustomization.secretGenerator) generate('Secret', entry, { root, common, resources: own });
  transform(own, kustomization, root);
  if (!isComponent) addAll(resources, own);
  return kustomization;
}

const isEmpty = (kustomization: Kustomization): boolean =>
  Object.entries(kustomization).every(
    ([field, value]) => field === 'kind' || (typeof value === 'object' ? Object.keys(value).length === 0 : !value),
  );

function addAll(resources: Resource[], added: readonly Resource[]): void {
  for (const resource of added) {
    const identity = identityOf(resource.object);
    if (resources.some(({ object }) => isSame(identityOf(object), identity))) {
      throw failure(`may not add resource with an already registered id: ${identityText(identity)}`);
    }
    resources.push(resource);
  }
}

function resourcesAt(path: string, root: Root, options: Accumulation): Resource[] {
  if (/^[a-z+]+:\/\/|^git@/.test(path)) throw remote(path);
  if (isFolder(path, root.folder)) {
    const resources: Resource[] = [];
    const { kind } = accumulate(folderAt(path, root.folder), resources, options);
    if (kind === 'Component') throw failure(`'${path}' is a component: it belongs under components, not resources`);
    return resources;
  }
  try {
    const manifests = parseManifests(path, fileOf(path, root).toString(), kustomizeYaml);
    return manifests.map(({ object }) => newResource(structuredClone(object)));
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw failure(`accumulating resources from '${path}': ${error.message.replace(/^error: /, '')}`, error);
  }
}

/** In kustomize's order. */
function transform(resources: Resource[], kustomization: Kustomization, root: Root): void {
  for (const patch of kustomization.patches) applyPatch(resources, patch, root);
  // Who is meant shows where names are still those of this kustomization; they follow in the end, when all are known.
  noteReferences(resources);
  rename(resources, kustomization);
  for (const labels of kustomization.labels) addLabels(resources, labels);
  if (Object.keys(kustomization.commonAnnotations).length > 0) {
    for (const { object } of resources) {
      addPairs(object, identityOf(object), kustomization.commonAnnotations, ANNOTATIONS);
    }
  }
  for (const replicas of kustomization.replicas) changeReplicas(resources, replicas);
  changeImages(resources, kustomization.images);
  for (const replacement of kustomization.replacements) replace(resources, replacement, root);
}

function addLabels(resources: readonly Resource[], entry: LabelsEntry): void {
  const { pairs = {}, includeSelectors = false, includeTemplates = false, fields = [] } = entry;
  const specs = [
    ...OWN_LABELS,
    ...(includeSelectors || includeTemplates ? TEMPLATE_LABELS : []),
    ...(includeSelectors ? SELECTORS : []),
    ...fields,
  ];
  for (const { object } of resources) addPairs(object, identityOf(object), pairs, specs);
}
