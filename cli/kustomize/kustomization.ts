/** `kustomization.yaml` as it is written: its fields, their checks, and where it is found. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '../client/api.ts';
import { failure } from '../client/errors.ts';
import { kustomizeYaml, yaml } from '../client/yaml.ts';

/** What objects something is for: patterns that have to match whole, and selectors. */
export interface Target {
  readonly group?: string;
  readonly version?: string;
  readonly kind?: string;
  readonly name?: string;
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly annotationSelector?: string;
}

/** A patch: strategic merge or JSON patch, in place or in a file. */
export interface PatchEntry {
  readonly path?: string;
  readonly patch?: string;
  readonly target?: Target;
  readonly options?: { readonly allowNameChange?: boolean; readonly allowKindChange?: boolean };
}

/** What is said of the objects that are generated. */
export interface GeneratorOptions {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly disableNameSuffixHash?: boolean;
  readonly immutable?: boolean;
}

/** A config map or a secret made of files and literals. */
export interface GeneratorEntry {
  readonly name?: string;
  readonly namespace?: string;
  readonly behavior?: string;
  readonly files?: readonly string[];
  readonly literals?: readonly string[];
  readonly envs?: readonly string[];
  readonly env?: string;
  readonly type?: string;
  readonly options?: GeneratorOptions;
}

/** Labels, and where beside the metadata they go. */
export interface LabelsEntry {
  readonly pairs?: Readonly<Record<string, string>>;
  readonly includeSelectors?: boolean;
  readonly includeTemplates?: boolean;
  readonly fields?: readonly FieldSpec[];
}

/** A field of the objects of some kinds; `path` has slashes. */
export interface FieldSpec {
  readonly group?: string;
  readonly version?: string;
  readonly kind?: string;
  readonly path: string;
  /** Whether it is made where it is missing. */
  readonly create?: boolean;
}

export interface ImageEntry {
  readonly name: string;
  readonly newName?: string;
  readonly newTag?: string;
  readonly tagSuffix?: string;
  readonly digest?: string;
}

export interface ReplicasEntry {
  readonly name: string;
  readonly count: number;
}

/** A value that is copied from one object's field into fields of others. */
export interface Replacement {
  readonly path?: string;
  readonly source?: ReplacementSource;
  readonly sourceValue?: string;
  readonly targets?: readonly ReplacementTarget[];
}
export interface ReplacementSource extends Target {
  readonly fieldPath?: string;
  readonly options?: PieceOptions;
}
export interface ReplacementTarget {
  readonly select?: Target;
  readonly reject?: readonly Target[];
  readonly fieldPaths?: readonly string[];
  readonly options?: PieceOptions & { readonly create?: boolean };
}
/** A piece of a text between delimiters. */
export interface PieceOptions {
  readonly delimiter?: string;
  readonly index?: number;
  readonly encoding?: string;
}

export interface Kustomization {
  readonly kind: string;
  readonly resources: readonly string[];
  readonly components: readonly string[];
  readonly namespace: string;
  readonly namePrefix: string;
  readonly nameSuffix: string;
  readonly labels: readonly LabelsEntry[];
  readonly commonAnnotations: Readonly<Record<string, string>>;
  readonly configMapGenerator: readonly GeneratorEntry[];
  readonly secretGenerator: readonly GeneratorEntry[];
  readonly generatorOptions: GeneratorOptions;
  readonly patches: readonly PatchEntry[];
  readonly images: readonly ImageEntry[];
  readonly replicas: readonly ReplicasEntry[];
  readonly replacements: readonly Replacement[];
  readonly sortOrder: string;
}

const NAMES = ['kustomization.yaml', 'kustomization.yml', 'Kustomization'];

type Form = 'string' | 'list' | 'map';
const FORMS: Readonly<Record<string, Form>> = {
  apiVersion: 'string',
  kind: 'string',
  metadata: 'map',
  resources: 'list',
  bases: 'list',
  components: 'list',
  namespace: 'string',
  namePrefix: 'string',
  nameSuffix: 'string',
  labels: 'list',
  commonLabels: 'map',
  commonAnnotations: 'map',
  configMapGenerator: 'list',
  secretGenerator: 'list',
  generatorOptions: 'map',
  patches: 'list',
  patchesStrategicMerge: 'list',
  patchesJson6902: 'list',
  images: 'list',
  imageTags: 'list',
  replicas: 'list',
  replacements: 'list',
  sortOptions: 'map',
  // Known, and refused where something stands in them.
  vars: 'list',
  crds: 'list',
  configurations: 'list',
  generators: 'list',
  transformers: 'list',
  validators: 'list',
  helmCharts: 'list',
  helmGlobals: 'map',
  helmChartInflationGenerator: 'list',
  openapi: 'map',
  buildMetadata: 'list',
  inventory: 'map',
};
const REFUSED = [
  ...['vars', 'crds', 'configurations', 'generators', 'transformers', 'validators', 'helmCharts', 'helmGlobals'],
  ...['helmChartInflationGenerator', 'openapi', 'buildMetadata', 'inventory'],
];

/** What kustomize says of fields that have followers, in the order in which it says so. */
const DEPRECATED: readonly (readonly [string, string])[] = [
  ['bases', 'resources'],
  ['commonLabels', 'labels'],
  ['imageTags', 'images'],
  ['patchesJson6902', 'patches'],
  ['patchesStrategicMerge', 'patches'],
];

const GO_NAMES: Readonly<Record<string, string>> = { list: 'array', map: 'object', boolean: 'bool' };

/** Fields of the entries of lists: others are mistakes. */
const ENTRIES: Readonly<Record<string, readonly string[]>> = {
  labels: ['pairs', 'includeSelectors', 'includeTemplates', 'fields'],
  images: ['name', 'newName', 'newTag', 'tagSuffix', 'digest'],
  replicas: ['name', 'count'],
  patches: ['path', 'patch', 'target', 'options'],
  patchesJson6902: ['path', 'patch', 'target', 'options'],
  configMapGenerator: ['name', 'namespace', 'behavior', 'files', 'literals', 'envs', 'env', 'options'],
  secretGenerator: ['name', 'namespace', 'behavior', 'files', 'literals', 'envs', 'env', 'options', 'type'],
  replacements: ['path', 'source', 'sourceValue', 'targets'],
};

/**
 * Reads the kustomization of a folder.
 * @param warn Told of fields that have followers.
 * @throws CommandError if there is none, or something in it is not understood.
 */
export function readKustomization(folder: string, warn: (text: string) => void): Kustomization {
  const found = NAMES.filter(name => existsSync(join(folder, name)));
  const [name] = found;
  if (name === undefined) {
    throw failure(
      `unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '${folder}'`,
    );
  }
  if (found.length > 1) throw failure(`Found multiple kustomization files: ${folder}`);
  const content = parsed(readFileSync(join(folder, name), 'utf8'));
  if (content === undefined) throw failure('kustomization.yaml is empty');
  for (const [old, follower] of DEPRECATED) {
    if (Object.hasOwn(content, old)) {
      warn(
        `# Warning: '${old}' is deprecated. Please use '${follower}' instead. Run 'kustomize edit fix' to update your Kustomization automatically.`,
      );
    }
  }
  checkForms(content);
  return kustomizationOf(content);
}

function parsed(text: string): JsonObject | undefined {
  const document = yaml().parseDocument(text, kustomizeYaml);
  const [error] = document.errors;
  if (error) throw failure(`invalid Kustomization: yaml: ${error.message.split('\n')[0]}`, error);
  const value: unknown = document.toJS({ maxAliasCount: 1000 });
  if (value === null || value === undefined) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) throw failure('invalid Kustomization: it is no map of fields');
  return value as JsonObject;
}

function checkForms(content: JsonObject): void {
  for (const [field, value] of Object.entries(content)) {
    const form = FORMS[field];
    if (form === undefined) throw failure(`invalid Kustomization: json: unknown field "${field}"`);
    if (value === null) continue;
    const is = Array.isArray(value) ? 'list' : typeof value === 'object' ? 'map' : typeof value;
    if (is !== form) {
      const gotten = GO_NAMES[is] ?? is;
      const wanted = { list: '[]', map: 'map', string: 'string' }[form];
      throw failure(
        `invalid Kustomization: json: cannot unmarshal ${gotten} into Go struct field Kustomization.${field} of type ${wanted}`,
      );
    }
    const isEmpty = is === 'list' ? (value as unknown[]).length === 0 : Object.keys(Object(value)).length === 0;
    if (REFUSED.includes(field) && !isEmpty) {
      throw failure(
        `raftsman's kustomize does not know ${field}: use "kustomize build", and pipe it into "raftsman apply -f -"`,
      );
    }
    for (const entry of ENTRIES[field] ? (value as unknown[]) : []) checkEntry(field, entry);
  }
  const kind = content.kind ?? 'Kustomization';
  if (kind !== 'Kustomization' && kind !== 'Component') {
    throw failure('kustomization kind should be Kustomization or Component');
  }
}

function checkEntry(field: string, entry: unknown): void {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
    throw failure(`invalid Kustomization: an entry of ${field} is no map of fields`);
  }
  const unknown = Object.keys(entry).find(key => !ENTRIES[field]?.includes(key));
  if (unknown !== undefined) throw failure(`invalid Kustomization: json: unknown field "${unknown}"`);
}

/** The fields that have followers go where these are. */
function kustomizationOf(content: JsonObject): Kustomization {
  const list = <T>(field: string) => (content[field] ?? []) as readonly T[];
  const text = (field: string) => (content[field] ?? '') as string;
  const map = (field: string) => (content[field] ?? {}) as Readonly<Record<string, string>>;
  const patches: PatchEntry[] = [
    ...list<string>('patchesStrategicMerge').map(entry => (entry.includes('\n') ? { patch: entry } : { path: entry })),
    ...list<PatchEntry>('patches'),
    ...list<PatchEntry>('patchesJson6902'),
  ];
  const common = map('commonLabels');
  return {
    kind: text('kind') || 'Kustomization',
    resources: [...list<string>('resources'), ...list<string>('bases')],
    components: list('components'),
    namespace: text('namespace'),
    namePrefix: text('namePrefix'),
    nameSuffix: text('nameSuffix'),
    labels: [
      ...list<LabelsEntry>('labels'),
      ...(Object.keys(common).length > 0 ? [{ pairs: common, includeSelectors: true }] : []),
    ],
    commonAnnotations: map('commonAnnotations'),
    configMapGenerator: list('configMapGenerator'),
    secretGenerator: list('secretGenerator'),
    generatorOptions: (content.generatorOptions ?? {}) as GeneratorOptions,
    patches,
    images: [...list<ImageEntry>('images'), ...list<ImageEntry>('imageTags')],
    replicas: list('replicas'),
    replacements: list('replacements'),
    sortOrder: ((content.sortOptions ?? {}) as { order?: string }).order ?? '',
  };
}
