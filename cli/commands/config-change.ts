/** The sub-commands of `raftsman config` that change files. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { failure } from '../client/errors.ts';
import type { GlobalFlags } from '../client/kubeconfig.ts';
import {
  CONTENT,
  fileForNew,
  type KubeconfigDocument,
  readDocument,
  readKubeconfig,
  type Section,
  writeDocument,
} from '../client/kubeconfig-file.ts';
import type { CommandContext } from '../context.ts';
import { yamlText } from '../output/documents.ts';
import { list } from './cluster-command.ts';
import { type ConfigCommand, configCommand } from './config-command.ts';

type Fields = Record<string, unknown>;

/** Changes one file: the one that `section` and `name` stand in, or the one for what is new. */
function changeFile(
  context: CommandContext,
  flags: GlobalFlags,
  at: { readonly section: Section; readonly name: string },
  change: (document: KubeconfigDocument, file: string) => void,
): void {
  const config = readOrEmpty(context, flags);
  const file = config?.[at.section].get(at.name)?.file ?? fileForNew(flags.kubeconfig, context.env);
  edit(file, document => change(document, file));
}

/** An explicit file that does not exist is made. */
function readOrEmpty(context: CommandContext, flags: GlobalFlags) {
  const files = fileForNew(flags.kubeconfig, context.env);
  return documentAt(files) === undefined && flags.kubeconfig !== undefined
    ? undefined
    : readKubeconfig(flags.kubeconfig, context.env);
}

function documentAt(file: string): KubeconfigDocument | undefined {
  try {
    readFileSync(file);
  } catch {
    return undefined;
  }
  return readDocument(file);
}

function edit(file: string, change: (document: KubeconfigDocument) => void): void {
  const document = structuredClone(documentAt(file) ?? {});
  change(document);
  writeDocument(file, document, yamlText);
}

/** Sets fields of an entry; `undefined` leaves one as it is, `null` removes it. Tells whether the entry was there. */
function setFields(document: KubeconfigDocument, section: Section, name: string, fields: Fields): boolean {
  const entries = document[section] ?? [];
  document[section] = entries;
  const found = entries.find(entry => entry.name === name);
  const entry = found ?? { name };
  if (!found) entries.push(entry);
  const content: Fields = { ...(entry[CONTENT[section]] as Fields | undefined) };
  for (const [key, value] of Object.entries(fields)) {
    if (value === null) delete content[key];
    else if (value !== undefined) content[key] = value;
  }
  entry[CONTENT[section]] = content;
  return found !== undefined;
}

const oneName = (words: readonly string[]): string => {
  const [name, ...more] = words;
  if (name === undefined || more.length > 0) throw failure(`Unexpected args: [${words.join(' ')}]`);
  return name;
};

interface ContextFlags {
  readonly current?: boolean;
  readonly cluster?: string;
  readonly user?: string;
  readonly namespace?: string;
}

function setContext(context: CommandContext, words: readonly string[], flags: ContextFlags & GlobalFlags): void {
  const config = readOrEmpty(context, flags);
  if (flags.current && words.length > 0) throw failure('you cannot specify both a context name and --current');
  if (!flags.current && words.length === 0) {
    throw failure('you must specify a non-empty context name or --current');
  }
  const name = flags.current ? config?.currentContext : oneName(words);
  if (name === undefined) throw failure('no current context is set');
  changeFile(context, flags, { section: 'contexts', name }, document => {
    const { cluster, user, namespace } = flags;
    const wasThere = setFields(document, 'contexts', name, { cluster, user, namespace });
    context.stdout.write(`Context "${name}" ${wasThere ? 'modified' : 'created'}.\n`);
  });
}

interface ClusterFlags {
  readonly server?: string;
  readonly certificateAuthority?: string;
  readonly embedCerts?: boolean;
  readonly insecureSkipTlsVerify?: boolean;
  readonly tlsServerName?: string;
  readonly proxyUrl?: string;
}

/** A file's path, or with --embed-certs its content. */
function certificateFields(name: string, path: string | undefined, isEmbedded: boolean | undefined): Fields {
  if (path === undefined) return {};
  if (!isEmbedded) return { [name]: resolve(path), [`${name}-data`]: null };
  try {
    return { [`${name}-data`]: readFileSync(path).toString('base64'), [name]: null };
  } catch (error) {
    throw failure(`could not read ${name} data from ${path}: no such file or directory`, error);
  }
}

function setCluster(context: CommandContext, words: readonly string[], flags: ClusterFlags & GlobalFlags): void {
  const name = oneName(words);
  if (flags.insecureSkipTlsVerify && flags.certificateAuthority) {
    throw failure('you cannot specify a certificate authority and insecure mode at the same time');
  }
  changeFile(context, flags, { section: 'clusters', name }, document => {
    setFields(document, 'clusters', name, {
      server: flags.server,
      ...(flags.insecureSkipTlsVerify && { 'certificate-authority': null, 'certificate-authority-data': null }),
      'insecure-skip-tls-verify': flags.insecureSkipTlsVerify,
      'tls-server-name': flags.tlsServerName,
      'proxy-url': flags.proxyUrl,
      ...certificateFields('certificate-authority', flags.certificateAuthority, flags.embedCerts),
    });
    context.stdout.write(`Cluster "${name}" set.\n`);
  });
}

interface UserFlags {
  readonly clientCertificate?: string;
  readonly clientKey?: string;
  readonly embedCerts?: boolean;
  readonly token?: string;
  readonly username?: string;
  readonly password?: string;
  readonly execCommand?: string;
  readonly execApiVersion?: string;
  readonly execArg?: readonly string[];
  readonly execEnv?: readonly string[];
  readonly execInteractiveMode?: string;
}

function setCredentials(context: CommandContext, words: readonly string[], flags: UserFlags & GlobalFlags): void {
  const name = oneName(words);
  if (flags.token && flags.username) {
    throw failure('you cannot specify more than one authentication method at the same time: --token, --username');
  }
  if (flags.embedCerts && !flags.clientCertificate && !flags.clientKey) {
    throw failure('you must specify a --client-certificate or --client-key to embed');
  }
  changeFile(context, flags, { section: 'users', name }, document => {
    setFields(document, 'users', name, {
      token: flags.token,
      username: flags.username,
      password: flags.password,
      ...certificateFields('client-certificate', flags.clientCertificate, flags.embedCerts),
      ...certificateFields('client-key', flags.clientKey, flags.embedCerts),
      exec: execFields(document, name, flags),
    });
    context.stdout.write(`User "${name}" set.\n`);
  });
}

function execFields(document: KubeconfigDocument, name: string, flags: UserFlags): Fields | undefined {
  const { execCommand, execApiVersion, execArg, execEnv, execInteractiveMode } = flags;
  if (execCommand === undefined && !execApiVersion && !execArg && !execEnv && !execInteractiveMode) return undefined;
  const user = document.users?.find(entry => entry.name === name)?.user as { exec?: Fields } | undefined;
  const before: Fields = user?.exec ?? { interactiveMode: 'IfAvailable', provideClusterInfo: false, env: null };
  return {
    ...before,
    ...(execCommand !== undefined && { command: execCommand }),
    ...(execApiVersion && { apiVersion: execApiVersion }),
    ...(execArg && { args: execArg }),
    ...(execInteractiveMode && { interactiveMode: execInteractiveMode }),
    ...(execEnv && {
      env: execEnv.map(pair => ({ name: pair.split('=')[0] ?? '', value: pair.slice(pair.indexOf('=') + 1) })),
    }),
  };
}

/** `delete-context` and its kin. */
function remover(section: Section, what: string) {
  return (context: CommandContext, words: readonly string[], flags: GlobalFlags): void => {
    const name = oneName(words);
    const config = readKubeconfig(flags.kubeconfig, context.env);
    const file = config[section].get(name)?.file ?? fileForNew(flags.kubeconfig, context.env);
    if (!config[section].has(name)) throw failure(`cannot delete ${what} ${name}, not in ${file}`);
    if (section === 'contexts' && config.currentContext === name) {
      context.stderr.write(
        `warning: this removed your active context, use "${context.name} config use-context" to select a different one\n`,
      );
    }
    edit(file, document => {
      document[section] = (document[section] ?? []).filter(entry => entry.name !== name);
    });
    context.stdout.write(`deleted ${what} ${name} from ${file}\n`);
  };
}

function useContext(context: CommandContext, words: readonly string[], flags: GlobalFlags): void {
  const name = oneName(words);
  const config = readKubeconfig(flags.kubeconfig, context.env);
  if (!config.contexts.has(name)) throw failure(`no context exists with the name: "${name}"`);
  edit(config.currentContextFile ?? fileForNew(flags.kubeconfig, context.env), document => {
    document['current-context'] = name;
  });
  context.stdout.write(`Switched to context "${name}".\n`);
}

function renameContext(context: CommandContext, words: readonly string[], flags: GlobalFlags): void {
  const [from, to, ...more] = words;
  if (from === undefined || to === undefined || more.length > 0) {
    throw failure(`Unexpected args: [${words.join(' ')}]`);
  }
  const config = readKubeconfig(flags.kubeconfig, context.env);
  const file = config.contexts.get(from)?.file ?? fileForNew(flags.kubeconfig, context.env);
  if (!config.contexts.has(from)) throw failure(`cannot rename the context "${from}", it's not in ${file}`);
  if (config.contexts.has(to)) {
    throw failure(`cannot rename the context "${from}", the context "${to}" already exists in ${file}`);
  }
  edit(file, document => {
    for (const entry of document.contexts ?? []) if (entry.name === from) entry.name = to;
  });
  if (config.currentContext === from) {
    edit(config.currentContextFile ?? file, document => {
      document['current-context'] = to;
    });
  }
  context.stdout.write(`Context "${from}" renamed to "${to}".\n`);
}

/** `set PROPERTY VALUE` and `unset PROPERTY`: a property is `current-context`, or `users.NAME.FIELD`. */
function setProperty(value: string | undefined) {
  return (context: CommandContext, property: string, flags: GlobalFlags): void => {
    const [first = '', ...rest] = property.split('.');
    const verb = value === undefined ? 'unset' : 'set';
    if (first === 'current-context' && rest.length === 0) {
      edit(readOrEmpty(context, flags)?.currentContextFile ?? fileForNew(flags.kubeconfig, context.env), document => {
        document['current-context'] = value ?? '';
      });
    } else {
      const section = sectionOf(first);
      const field = rest.length > 1 ? rest.at(-1) : undefined;
      const name = rest.slice(0, rest.length > 1 ? -1 : undefined).join('.');
      if (value !== undefined && field === undefined) throw failure(`cannot set ${property}: name a field of it`);
      changeFile(context, flags, { section, name }, document => {
        if (rest.length === 0) document[section] = null;
        else if (field === undefined) {
          document[section] = (document[section] ?? []).filter(entry => entry.name !== name);
        } else setFields(document, section, name, { [field]: value === undefined ? null : typed(field, value) });
      });
    }
    context.stdout.write(`Property "${property}" ${verb}.\n`);
  };
}

const typed = (field: string, value: string): string | boolean =>
  field === 'insecure-skip-tls-verify' ? value === 'true' : value;

function sectionOf(text: string): Section {
  if (text === 'clusters' || text === 'users' || text === 'contexts') return text;
  throw failure(
    `unable to parse path ${JSON.stringify(text)}: it begins with clusters, contexts, users or current-context`,
  );
}

export const configChanges: readonly ConfigCommand[] = [
  configCommand<ContextFlags>({
    name: 'set-context',
    usage: '[NAME | --current] [--cluster=NAME] [--user=NAME] [--namespace=NAMESPACE]',
    description: 'Set a context.',
    example: 'raftsman config set-context --current --namespace=team-a',
    flags: command => command.option('--current', 'the current context'),
    work: setContext,
  }),
  configCommand<ClusterFlags>({
    name: 'set-cluster',
    usage: 'NAME [--server=URL] [--certificate-authority=FILE] [--embed-certs]',
    description: 'Set a cluster.',
    example:
      'raftsman config set-cluster prod --server=https://10.0.0.1:6443 --certificate-authority=ca.crt --embed-certs',
    flags: command =>
      command
        .option('--embed-certs', 'write the certificate into the kubeconfig')
        .option('--proxy-url <url>', 'a proxy on the way to the cluster'),
    work: setCluster,
  }),
  configCommand<UserFlags>({
    name: 'set-credentials',
    usage: 'NAME [--client-certificate=FILE --client-key=FILE] [--token=TOKEN] [--exec-command=PROGRAM]',
    description: 'Set a user.',
    example:
      'raftsman config set-credentials admin --client-certificate=admin.crt --client-key=admin.key --embed-certs',
    flags: command =>
      command
        .option('--embed-certs', 'write certificate and key into the kubeconfig')
        .option('--exec-command <program>', 'a program that gives credentials')
        .option('--exec-api-version <version>', 'the version of its answer')
        .option('--exec-arg <arguments>', 'its arguments', list)
        .option('--exec-env <key=value>', 'its environment', list)
        .option('--exec-interactive-mode <mode>', 'Never, IfAvailable or Always'),
    work: setCredentials,
  }),
  configCommand({
    name: 'use-context',
    usage: 'NAME',
    description: 'Make a context the current one.',
    example: 'raftsman config use-context prod',
    work: useContext,
  }),
  configCommand({
    name: 'rename-context',
    usage: 'OLD NEW',
    description: 'Give a context another name.',
    example: 'raftsman config rename-context old new',
    work: renameContext,
  }),
  ...(
    [
      ['contexts', 'context'],
      ['clusters', 'cluster'],
      ['users', 'user'],
    ] as const
  ).map(([section, what]) =>
    configCommand({
      name: `delete-${what}`,
      usage: 'NAME',
      description: `Delete a ${what}.`,
      example: `raftsman config delete-${what} old`,
      work: remover(section, what),
    }),
  ),
  configCommand({
    name: 'set',
    usage: 'PROPERTY VALUE',
    description: 'Set one property.',
    example: 'raftsman config set contexts.prod.namespace team-a',
    work: (context, words, flags) => {
      const [property, value, ...more] = words;
      if (property === undefined || value === undefined || more.length > 0) {
        throw failure(`Unexpected args: [${words.join(' ')}]`);
      }
      setProperty(value)(context, property, flags);
    },
  }),
  configCommand({
    name: 'unset',
    usage: 'PROPERTY',
    description: 'Remove one property.',
    example: 'raftsman config unset contexts.prod.namespace',
    work: (context, words, flags) => setProperty(undefined)(context, oneName(words), flags),
  }),
];
