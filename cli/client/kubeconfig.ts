/** Reads kubeconfig files, and finds out which server to speak to, as whom, in which namespace. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import type { TlsCredentials } from '../../control/client/https.ts';
import { failure } from './errors.ts';

/** Flags that every command of the cluster CLI takes. */
export interface GlobalFlags {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly cluster?: string;
  readonly user?: string;
  readonly namespace?: string;
  readonly server?: string;
  readonly token?: string;
  readonly certificateAuthority?: string;
  readonly clientCertificate?: string;
  readonly clientKey?: string;
  readonly insecureSkipTlsVerify?: boolean;
  readonly tlsServerName?: string;
  readonly as?: string;
  readonly asGroup?: readonly string[];
}

export interface Connection {
  readonly server: string;
  readonly tls: TlsCredentials;
  readonly token: string | undefined;
  /** Headers of every request: impersonation, basic authentication. */
  readonly headers: Readonly<Record<string, string>>;
  readonly namespace: string;
}

const cluster = z.object({
  server: z.string().optional(),
  'certificate-authority': z.string().optional(),
  'certificate-authority-data': z.string().optional(),
  'insecure-skip-tls-verify': z.boolean().optional(),
  'tls-server-name': z.string().optional(),
});
const user = z.object({
  'client-certificate': z.string().optional(),
  'client-certificate-data': z.string().optional(),
  'client-key': z.string().optional(),
  'client-key-data': z.string().optional(),
  token: z.string().optional(),
  tokenFile: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  exec: z.unknown().optional(),
  'auth-provider': z.unknown().optional(),
});
const contextSchema = z.object({
  cluster: z.string().optional(),
  user: z.string().optional(),
  namespace: z.string().optional(),
});
const fileSchema = z.object({
  apiVersion: z.literal('v1').optional(),
  kind: z.literal('Config').optional(),
  clusters: z.array(z.object({ name: z.string(), cluster: cluster.nullish() })).nullish(),
  users: z.array(z.object({ name: z.string(), user: user.nullish() })).nullish(),
  contexts: z.array(z.object({ name: z.string(), context: contextSchema.nullish() })).nullish(),
  'current-context': z.string().nullish(),
});

type Cluster = z.infer<typeof cluster>;
type User = z.infer<typeof user>;
type Context = z.infer<typeof contextSchema>;

/** All files merged: the first that names a thing wins. Relative paths have been made absolute. */
interface Kubeconfig {
  readonly clusters: Map<string, Cluster>;
  readonly users: Map<string, User>;
  readonly contexts: Map<string, Context>;
  currentContext: string | undefined;
  /** For messages. */
  readonly files: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Where to connect, by flags, then kubeconfig.
 * @throws CommandError with one clear line for files that are missing, unreadable or foreign.
 */
export function loadConnection(flags: GlobalFlags, env: Environment): Connection {
  const config = readFiles(kubeconfigFiles(flags, env), flags.kubeconfig !== undefined);
  const contextName = flags.context ?? config.currentContext;
  const context = contextName === undefined || contextName === '' ? undefined : config.contexts.get(contextName);
  if (flags.context !== undefined && !context) throw failure(`context "${flags.context}" does not exist`);
  const clusterName = flags.cluster ?? context?.cluster;
  const found = clusterName === undefined ? undefined : config.clusters.get(clusterName);
  if (flags.cluster !== undefined && !found) throw failure(`cluster "${flags.cluster}" does not exist`);
  const userName = flags.user ?? context?.user;
  const who = userName === undefined ? undefined : config.users.get(userName);
  if (flags.user !== undefined && !who) throw failure(`auth info "${flags.user}" does not exist`);

  const server = flags.server ?? found?.server;
  if (!server) throw failure(noServerText(config, contextName, clusterName));
  return {
    server: serverUrl(server),
    tls: tlsOf(flags, found, who),
    token: flags.token ?? tokenOf(who, userName),
    headers: headersOf(flags, who),
    namespace: flags.namespace ?? context?.namespace ?? 'default',
  };
}

function noServerText(config: Kubeconfig, contextName: string | undefined, clusterName: string | undefined): string {
  if (config.files.length === 0) {
    return 'no kubeconfig was found: start a cluster with "raftsman up", or name a file with --kubeconfig or KUBECONFIG';
  }
  const files = config.files.join(', ');
  if (!contextName)
    return `${files} names no current context: choose one with --context (there are: ${[...config.contexts.keys()].join(', ') || 'none'})`;
  if (!config.contexts.has(contextName)) return `${files}: context "${contextName}" does not exist`;
  return `${files}: cluster "${clusterName ?? ''}" of context "${contextName}" does not exist or has no server`;
}

/** `10.0.0.1:6443` is short for `http://…`, as in kubectl; a trailing slash does not matter. */
function serverUrl(text: string): string {
  const url = URL.parse(/^https?:\/\//.test(text) ? text : `http://${text}`);
  if (!url) throw failure(`the server address ${JSON.stringify(text)} is no URL`);
  return url.href.replace(/\/$/, '');
}

/**
 * Which files to read: --kubeconfig, else KUBECONFIG, else the one that `raftsman up` wrote, else ~/.kube/config. The
 * cluster's own comes before the user's, because a command of raftsman means a raftsman cluster.
 */
function kubeconfigFiles(flags: GlobalFlags, env: Environment): readonly string[] {
  if (flags.kubeconfig !== undefined) return [flags.kubeconfig];
  if (env.KUBECONFIG) return env.KUBECONFIG.split(delimiter).filter(path => path !== '');
  const home = env.HOME ?? homedir();
  const local = join(env.RAFTSMAN_DATA_DIR ?? join(home, '.raftsman'), 'kubeconfig');
  return [local, join(home, '.kube', 'config')].filter(path => existsSync(path)).slice(0, 1);
}

function readFiles(paths: readonly string[], isExplicit: boolean): Kubeconfig {
  const config: Kubeconfig = {
    clusters: new Map(),
    users: new Map(),
    contexts: new Map(),
    currentContext: undefined,
    files: paths.filter(path => existsSync(path)),
  };
  for (const path of paths) {
    if (isExplicit && !existsSync(path)) throw failure(`stat ${path}: no such file or directory`);
    if (existsSync(path)) mergeFile(config, path);
  }
  return config;
}

function mergeFile(config: Kubeconfig, path: string): void {
  const file = parseFile(path);
  const directory = dirname(resolve(path));
  const add = <T extends object>(map: Map<string, T>, name: string, value: T | null | undefined) => {
    if (value && !map.has(name)) map.set(name, absolute(value, directory));
  };
  for (const { name, cluster } of file.clusters ?? []) add(config.clusters, name, cluster);
  for (const { name, user } of file.users ?? []) add(config.users, name, user);
  for (const { name, context } of file.contexts ?? []) add(config.contexts, name, context);
  config.currentContext ??= file['current-context'] || undefined;
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

function parseFile(path: string): z.infer<typeof fileSchema> {
  let content: unknown;
  try {
    content = parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw failure(`error loading config file "${path}": ${firstLine(error)}`, error);
  }
  if (content === null || content === undefined) return fileSchema.parse({});
  const parsed = fileSchema.safeParse(content);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue?.path.join('.');
  throw failure(
    `error loading config file "${path}": it is no kubeconfig: ${where ? `${where}: ` : ''}${issue?.message ?? ''}`,
  );
}

const firstLine = (error: unknown) => String(error instanceof Error ? error.message : error).split('\n')[0];

function tlsOf(flags: GlobalFlags, cluster: Cluster | undefined, user: User | undefined): TlsCredentials {
  const ca = flags.certificateAuthority
    ? fileText(flags.certificateAuthority, 'certificate-authority')
    : pem(cluster, 'certificate-authority');
  const cert = flags.clientCertificate
    ? fileText(flags.clientCertificate, 'client-certificate')
    : pem(user, 'client-certificate');
  const key = flags.clientKey ? fileText(flags.clientKey, 'client-key') : pem(user, 'client-key');
  const insecure = flags.insecureSkipTlsVerify ?? cluster?.['insecure-skip-tls-verify'];
  const serverName = flags.tlsServerName ?? cluster?.['tls-server-name'];
  return {
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    ...(insecure && { insecure }),
    ...(serverName && { serverName }),
  };
}

/** `…-data` (base64) wins over the path. */
function pem(holder: Cluster | User | undefined, name: string): string | undefined {
  const data: unknown = holder && Reflect.get(holder, `${name}-data`);
  if (typeof data === 'string' && data !== '') return Buffer.from(data, 'base64').toString();
  const path: unknown = holder && Reflect.get(holder, name);
  return typeof path === 'string' && path !== '' ? fileText(path, name) : undefined;
}

function fileText(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw failure(`unable to read ${what} ${path}: ${firstLine(error)}`, error);
  }
}

function tokenOf(user: User | undefined, name: string | undefined): string | undefined {
  if (user?.exec || user?.['auth-provider']) {
    throw failure(
      `the kubeconfig's user "${name ?? ''}" logs in through a plugin, which raftsman does not run: give a token with --token`,
    );
  }
  return user?.token || (user?.tokenFile ? fileText(user.tokenFile, 'tokenFile').trim() : undefined);
}

function headersOf(flags: GlobalFlags, user: User | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  if (user?.username) {
    headers.authorization = `Basic ${Buffer.from(`${user.username}:${user.password ?? ''}`).toString('base64')}`;
  }
  if (flags.as) headers['impersonate-user'] = flags.as;
  if (flags.asGroup?.length) headers['impersonate-group'] = flags.asGroup.join(', ');
  return headers;
}
