/** Finds out which server to speak to, as whom, in which namespace: by flags, then kubeconfig. */
import { readFileSync } from 'node:fs';
import type { TlsCredentials } from '../../control/client/https.ts';
import { CommandError, failure } from './errors.ts';
import { type ExecCredentials, execCredentials, type PluginSurroundings } from './exec-credentials.ts';
import {
  type ClusterEntry,
  type ExecEntry,
  type Kubeconfig,
  readKubeconfig,
  type UserEntry,
} from './kubeconfig-file.ts';

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
  readonly asUid?: string;
  readonly username?: string;
  readonly password?: string;
  /** Milliseconds; 0 for no limit. */
  readonly requestTimeout?: string;
  readonly warningsAsErrors?: boolean;
}

export interface Connection {
  readonly server: string;
  readonly tls: TlsCredentials;
  readonly token: string | undefined;
  /** Headers of every request: impersonation, basic authentication. */
  readonly headers: Readonly<Record<string, string>>;
  /** Those that come several times: the groups of impersonation, whose names may hold commas. */
  readonly repeatedHeaders: Readonly<Record<string, readonly string[]>>;
  readonly namespace: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Where to connect, by flags, then kubeconfig.
 * @throws CommandError with one clear line for files that are missing, unreadable or foreign.
 */
export function loadConnection(flags: GlobalFlags, env: Environment, isTerminal = false): Connection {
  const config = readKubeconfig(flags.kubeconfig, env);
  const contextName = flags.context ?? config.currentContext;
  const context = contextName === undefined || contextName === '' ? undefined : config.contexts.get(contextName)?.value;
  if (flags.context !== undefined && !context)
    throw new CommandError(`Error in configuration: context was not found for specified context: ${flags.context}`);
  const clusterName = flags.cluster ?? context?.cluster;
  const found = clusterName === undefined ? undefined : config.clusters.get(clusterName)?.value;
  if (flags.cluster !== undefined && !found) throw failure(`no server found for cluster "${flags.cluster}"`);
  const userName = flags.user ?? context?.user;
  const who = userName === undefined ? undefined : config.users.get(userName)?.value;
  if (flags.user !== undefined && !who) throw failure(`auth info "${flags.user}" does not exist`);

  const server = flags.server ?? found?.server;
  if (!server) throw failure(noServerText(config, contextName, clusterName));
  if (found?.['proxy-url']) {
    throw failure(
      `the kubeconfig's cluster has a proxy-url (${found['proxy-url']}), and raftsman speaks through no proxy: leave it out, or use kubectl`,
    );
  }
  const tls = tlsOf(flags, { cluster: found, user: who, clusterName: clusterName ?? '', userName: userName ?? '' });
  if (who?.exec?.apiVersion === 'client.authentication.k8s.io/v1' && !who.exec.interactiveMode) {
    throw failure(`interactiveMode must be specified for ${userName ?? ''} to use exec authentication plugin`);
  }
  const isProven = flags.token !== undefined || flags.username !== undefined || Boolean(tls.cert && tls.key);
  const credentials = !isProven && who?.exec ? fromPlugin(who.exec, { server, tls }, { env, isTerminal }) : undefined;
  return {
    server: serverUrl(server),
    tls: {
      ...tls,
      ...(credentials?.cert && { cert: credentials.cert }),
      ...(credentials?.key && { key: credentials.key }),
    },
    token: flags.token ?? credentials?.token ?? tokenOf(who, userName),
    ...headersOf(flags, who, userName),
    namespace: flags.namespace || context?.namespace || 'default',
  };
}

function fromPlugin(
  exec: ExecEntry,
  { server, tls }: { readonly server: string; readonly tls: TlsCredentials },
  surroundings: PluginSurroundings,
): ExecCredentials {
  const cluster = {
    server,
    ...(tls.ca && { 'certificate-authority-data': Buffer.from(tls.ca).toString('base64') }),
    ...(tls.insecure && { 'insecure-skip-tls-verify': true }),
    ...(tls.serverName && { 'tls-server-name': tls.serverName }),
  };
  return execCredentials(exec, cluster, surroundings);
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

const firstLine = (error: unknown) => String(error instanceof Error ? error.message : error).split('\n')[0];

interface Entries {
  readonly cluster: ClusterEntry | undefined;
  readonly user: UserEntry | undefined;
  readonly clusterName: string;
  readonly userName: string;
}

function tlsOf(flags: GlobalFlags, { cluster, user, clusterName, userName }: Entries): TlsCredentials {
  const ca = flags.certificateAuthority
    ? fileText(flags.certificateAuthority, 'certificate-authority', clusterName)
    : pem(cluster, 'certificate-authority', clusterName);
  const cert = flags.clientCertificate
    ? fileText(flags.clientCertificate, 'client-cert', userName)
    : pem(user, 'client-certificate', userName);
  const key = flags.clientKey ? fileText(flags.clientKey, 'client-key', userName) : pem(user, 'client-key', userName);
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
function pem(holder: ClusterEntry | UserEntry | undefined, name: string, owner: string): string | undefined {
  const data: unknown = holder && Reflect.get(holder, `${name}-data`);
  if (typeof data === 'string' && data !== '') return Buffer.from(data, 'base64').toString();
  const path: unknown = holder && Reflect.get(holder, name);
  return typeof path === 'string' && path !== '' ? fileText(path, name, owner) : undefined;
}

/** @param owner The name of the kubeconfig's entry that the file belongs to. */
function fileText(path: string, what: string, owner: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const reason = isMissing ? `open ${path}: no such file or directory` : firstLine(error);
    throw failure(`unable to read ${what} ${path} for ${owner} due to ${reason}`, error);
  }
}

function tokenOf(user: UserEntry | undefined, name: string | undefined): string | undefined {
  if (user?.['auth-provider']) {
    throw failure(
      `the kubeconfig's user "${name ?? ''}" logs in through an auth-provider, which Kubernetes gave up in v1.26: use an exec plugin or --token`,
    );
  }
  return user?.token || (user?.tokenFile ? fileText(user.tokenFile, 'tokenFile', name ?? '').trim() : undefined);
}

function headersOf(
  flags: GlobalFlags,
  user: UserEntry | undefined,
  userName: string | undefined,
): Pick<Connection, 'headers' | 'repeatedHeaders'> {
  const headers: Record<string, string> = {};
  const name = flags.username ?? user?.username;
  if (name) {
    const password = flags.password ?? user?.password ?? '';
    headers.authorization = `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
  }
  const as = flags.as ?? user?.as;
  const uid = flags.asUid ?? user?.['as-uid'];
  const groups = flags.asGroup ?? user?.['as-groups'];
  if ((uid || groups?.length) && !as) {
    throw failure(`requesting uid, groups or user-extra for ${userName ?? ''} without impersonating a user`);
  }
  if (as) headers['impersonate-user'] = as;
  if (uid) headers['impersonate-uid'] = uid;
  return { headers, repeatedHeaders: groups?.length ? { 'impersonate-group': groups } : {} };
}
