/**
 * Kubeconfig files: which there are, what stands in them, and how they are changed. Several files are read as one: the first
 * that names a thing wins, and a thing that is changed stays in its file.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { failure } from './errors.ts';
import { yaml } from './yaml.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface ClusterEntry {
  readonly server?: string;
  readonly 'certificate-authority'?: string;
  readonly 'certificate-authority-data'?: string;
  readonly 'insecure-skip-tls-verify'?: boolean;
  readonly 'tls-server-name'?: string;
  readonly 'proxy-url'?: string;
}
/** A program that is asked for credentials (client.authentication.k8s.io). */
export interface ExecEntry {
  readonly apiVersion?: string;
  readonly command?: string;
  readonly args?: readonly string[] | null;
  readonly env?: readonly { readonly name: string; readonly value: string }[] | null;
  readonly installHint?: string;
  readonly interactiveMode?: string;
  readonly provideClusterInfo?: boolean;
}
export interface UserEntry {
  readonly 'client-certificate'?: string;
  readonly 'client-certificate-data'?: string;
  readonly 'client-key'?: string;
  readonly 'client-key-data'?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly username?: string;
  readonly password?: string;
  readonly as?: string;
  readonly 'as-uid'?: string;
  readonly 'as-groups'?: readonly string[];
  readonly exec?: ExecEntry;
  readonly 'auth-provider'?: unknown;
}
export interface ContextEntry {
  readonly cluster?: string;
  readonly user?: string;
  readonly namespace?: string;
}

/** What one entry is, and the file it stands in. */
export interface Entry<T> {
  readonly value: T;
  readonly file: string;
}

/** All files as one. Relative paths have been made absolute. */
export interface Kubeconfig {
  readonly clusters: ReadonlyMap<string, Entry<ClusterEntry>>;
  readonly users: ReadonlyMap<string, Entry<UserEntry>>;
  readonly contexts: ReadonlyMap<string, Entry<ContextEntry>>;
  readonly currentContext: string | undefined;
  /** The file that names the current context. */
  readonly currentContextFile: string | undefined;
  /** Those that exist, in order. */
  readonly files: readonly string[];
}

export type Section = 'clusters' | 'users' | 'contexts';
/** How an entry's content is called in each section of a file. */
export const CONTENT: Readonly<Record<Section, string>> = { clusters: 'cluster', users: 'user', contexts: 'context' };

/** A file as it stands. */
export interface KubeconfigDocument {
  apiVersion?: string;
  kind?: string;
  clusters?: { name: string; [content: string]: unknown }[] | null;
  users?: { name: string; [content: string]: unknown }[] | null;
  contexts?: { name: string; [content: string]: unknown }[] | null;
  'current-context'?: string | null;
  preferences?: unknown;
}

/**
 * Which files to read: --kubeconfig, else KUBECONFIG, else the one that `raftsman up` wrote, else ~/.kube/config. The
 * cluster's own comes before the user's, because a command of raftsman means a raftsman cluster.
 */
function kubeconfigFiles(explicit: string | undefined, env: Environment): readonly string[] {
  if (explicit !== undefined) return [explicit];
  if (env.KUBECONFIG) return [...new Set(env.KUBECONFIG.split(delimiter).filter(path => path !== ''))];
  const home = env.HOME ?? homedir();
  const local = join(env.RAFTSMAN_DATA_DIR ?? join(home, '.raftsman'), 'kubeconfig');
  const own = join(home, '.kube', 'config');
  return [existsSync(local) ? local : own];
}

/** @throws CommandError for files that are unreadable or foreign, and for an explicit one that is missing. */
export function readKubeconfig(explicit: string | undefined, env: Environment): Kubeconfig {
  const clusters = new Map<string, Entry<ClusterEntry>>();
  const users = new Map<string, Entry<UserEntry>>();
  const contexts = new Map<string, Entry<ContextEntry>>();
  const paths = kubeconfigFiles(explicit, env);
  let currentContext: string | undefined;
  let currentContextFile: string | undefined;
  for (const path of paths) {
    if (!existsSync(path)) {
      if (explicit !== undefined) throw failure(`stat ${path}: no such file or directory`);
      continue;
    }
    const document = readDocument(path);
    const directory = dirname(resolve(path));
    addEntries(clusters, document, 'clusters', { path, directory });
    addEntries(users, document, 'users', { path, directory });
    addEntries(contexts, document, 'contexts', { path, directory });
    if (currentContext === undefined && document['current-context']) {
      currentContext = document['current-context'];
      currentContextFile = path;
    }
  }
  return {
    clusters,
    users,
    contexts,
    currentContext,
    currentContextFile,
    files: paths.filter(path => existsSync(path)),
  };
}

function addEntries<T extends object>(
  map: Map<string, Entry<T>>,
  document: KubeconfigDocument,
  section: Section,
  { path, directory }: { readonly path: string; readonly directory: string },
): void {
  for (const entry of document[section] ?? []) {
    const content = entry[CONTENT[section]];
    if (map.has(entry.name)) continue;
    // The shape was checked when the file was read.
    map.set(entry.name, { value: absolute((content ?? {}) as T, directory), file: path });
  }
}

const PATH_KEYS = ['certificate-authority', 'client-certificate', 'client-key', 'tokenFile'];

/** Paths in a kubeconfig are relative to it. */
function absolute<T extends object>(value: T, directory: string): T {
  const copy = { ...value };
  for (const key of PATH_KEYS) {
    const path: unknown = Reflect.get(copy, key);
    if (typeof path === 'string' && path !== '') Reflect.set(copy, key, resolve(directory, path));
  }
  return copy;
}

/** One file as it stands. @throws CommandError if it is no kubeconfig. */
export function readDocument(path: string): KubeconfigDocument {
  let content: unknown;
  try {
    content = parseText(readFileSync(path, 'utf8'));
  } catch (error) {
    throw failure(`error loading config file "${path}": ${firstLine(error)}`, error);
  }
  if (content === null || content === undefined) return {};
  const problem = problemOf(content);
  if (problem !== undefined) throw failure(`error loading config file "${path}": it is no kubeconfig: ${problem}`);
  return content as KubeconfigDocument; // its shape was just checked
}

/** JSON needs no YAML parser, which takes longer to load than all else. */
function parseText(text: string): unknown {
  if (text.trimStart().startsWith('{')) {
    try {
      return JSON.parse(text);
    } catch {
      // YAML may begin with a brace as well.
    }
  }
  return yaml().parse(text);
}

/** What is wrong with the content; undefined if it is a kubeconfig. */
function problemOf(content: unknown): string | undefined {
  if (!isMap(content)) return 'it holds no fields';
  if (content.apiVersion !== undefined && content.apiVersion !== 'v1') return 'apiVersion must be v1';
  if (content.kind !== undefined && content.kind !== 'Config') return 'kind must be Config';
  const current = content['current-context'];
  if (current !== undefined && current !== null && typeof current !== 'string') return 'current-context must be text';
  for (const [section, name] of Object.entries(CONTENT)) {
    const entries = content[section];
    if (entries === undefined || entries === null) continue;
    if (!Array.isArray(entries)) return `${section} must be a list`;
    for (const [index, entry] of entries.entries()) {
      if (!isMap(entry) || typeof entry.name !== 'string') return `${section}.${index}.name must be text`;
      const problem = contentProblem(entry[name]);
      if (problem !== undefined) return `${section}.${index}.${name}${problem}`;
    }
  }
  return undefined;
}

const FLAGS: ReadonlySet<string> = new Set(['insecure-skip-tls-verify', 'disable-compression']);
const STRUCTURED: ReadonlySet<string> = new Set([
  'exec',
  'auth-provider',
  'extensions',
  'as-groups',
  'as-user-extra',
  'act-as-groups',
]);

function contentProblem(content: unknown): string | undefined {
  if (content === undefined || content === null) return undefined;
  if (!isMap(content)) return ' must have fields';
  for (const [key, value] of Object.entries(content)) {
    if (value === null || STRUCTURED.has(key)) continue;
    const wanted = FLAGS.has(key) ? 'boolean' : 'string';
    if (typeof value !== wanted) return `.${key} must be ${wanted === 'string' ? 'text' : 'true or false'}`;
  }
  return undefined;
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const firstLine = (error: unknown) => String(error instanceof Error ? error.message : error).split('\n')[0];

/** Only its owner may read it: it holds keys. */
const FILE_MODE = 0o600;

/** Writes a file anew, all at once, so that nobody reads half of it. */
export function writeDocument(path: string, document: KubeconfigDocument, text: (value: unknown) => string): void {
  const whole = { apiVersion: 'v1', kind: 'Config', preferences: {}, ...document };
  mkdirSync(dirname(resolve(path)), { recursive: true });
  const next = `${path}.raftsman-new`;
  writeFileSync(next, `${text(whole)}\n`, { mode: FILE_MODE });
  chmodSync(next, FILE_MODE);
  renameSync(next, path);
}

/** The file for what stands in none yet: the explicit one, else the first that exists, else the last. */
export function fileForNew(explicit: string | undefined, env: Environment): string {
  const paths = kubeconfigFiles(explicit, env);
  return paths.find(path => existsSync(path)) ?? paths.at(-1) ?? '';
}
