/** `raftsman create configmap` and `secret`: data from files and literals. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import type { JsonObject } from '../client/api.ts';
import { failure } from '../client/errors.ts';
import { ClusterCommand, repeated } from './cluster-command.ts';
import { kind, onlyName, type RegisterKind } from './create-kind.ts';
import { checkPair } from './key-pair.ts';

interface DataFlags {
  readonly fromLiteral?: readonly string[];
  readonly fromFile?: readonly string[];
  readonly fromEnvFile?: readonly string[];
  readonly type?: string;
}

const withDataFlags = (command: Command) =>
  command
    .option('--from-literal <key=value>', 'a key and its value (repeatable)', repeated)
    .option('--from-file <[key=]path>', 'a file, or a folder of files (repeatable)', repeated)
    .option('--from-env-file <path>', 'a file of lines key=value (repeatable)', repeated)
    .option('--append-hash', 'put a hash of the data behind the name');

const configMap = kind<DataFlags>({
  name: 'configmap',
  aliases: ['cm'],
  usage: 'NAME [--from-file=[key=]source] [--from-literal=key1=value1]',
  description: 'Creates a config map from files and literals.',
  example: 'raftsman create configmap settings --from-literal=mode=fast --from-file=app.conf',
  flags: withDataFlags,
  build: (words, flags) => {
    const data: Record<string, string> = {};
    const binaryData: Record<string, string> = {};
    for (const [key, bytes] of dataOf(flags, `ConfigMap ${JSON.stringify(onlyName(words))}`)) {
      checkKey(key);
      const text = bytes.toString('utf8');
      if (Buffer.from(text).equals(bytes)) data[key] = text;
      else binaryData[key] = bytes.toString('base64');
    }
    return {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: onlyName(words) },
      ...(Object.keys(data).length > 0 && { data }),
      ...(Object.keys(binaryData).length > 0 && { binaryData }),
    };
  },
});

/** A config map's keys can be file names. */
function checkKey(key: string): void {
  if (/^[-._a-zA-Z0-9]+$/.test(key) && key.length <= 253) return;
  throw failure(
    `${JSON.stringify(key)} is not a valid key name for a ConfigMap: a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')`,
  );
}

const secret: RegisterKind = (parent, context) => {
  const command = new ClusterCommand('secret')
    .description('Creates a secret: generic, tls or docker-registry.')
    .asGroup(context);
  const kinds = [
    kind<DataFlags>({
      name: 'generic',
      usage: 'NAME [--type=string] [--from-file=[key=]source] [--from-literal=key1=value1]',
      description: 'Creates a secret from files and literals.',
      example: 'raftsman create secret generic login --from-literal=password=s3cret',
      flags: sub => withDataFlags(sub).option('--type <type>', 'the secret’s type'),
      build: (words, flags) => secretOf(onlyName(words), flags.type, Object.fromEntries(dataOf(flags, 'Secret'))),
    }),
    kind<RegistryFlags>({
      name: 'docker-registry',
      usage: 'NAME --docker-username=user --docker-password=password [--docker-server=string]',
      description: 'Creates a secret for pulling images.',
      example: 'raftsman create secret docker-registry pull --docker-username=me --docker-password=s3cret',
      flags: sub =>
        sub
          .option('--docker-server <server>', 'the registry', 'https://index.docker.io/v1/')
          .option('--docker-username <name>', 'the name to log in with')
          .option('--docker-password <password>', 'the password')
          .option('--docker-email <email>', 'an address')
          .option('--append-hash', 'put a hash of the data behind the name')
          .option('--from-file <[key=]path>', 'a configuration of docker (repeatable)', repeated),
      build: (words, flags) => registrySecret(onlyName(words), flags),
    }),
    kind<{ readonly cert?: string; readonly key?: string }>({
      name: 'tls',
      usage: 'NAME --cert=path/to/cert/file --key=path/to/key/file',
      description: 'Creates a secret from a certificate and its key.',
      example: 'raftsman create secret tls web --cert=web.crt --key=web.key',
      flags: sub =>
        sub
          .option('--append-hash', 'put a hash of the data behind the name')
          .option('--cert <file>', 'the certificate, PEM')
          .option('--key <file>', 'its key, PEM'),
      build: (words, { cert, key }) => {
        if (!cert || !key) throw failure('key and cert must be specified');
        const pair = { certificate: fileBytes(cert), key: fileBytes(key) };
        checkPair(pair);
        return secretOf(onlyName(words), 'kubernetes.io/tls', { 'tls.crt': pair.certificate, 'tls.key': pair.key });
      },
    }),
  ];
  for (const register of kinds) register(command, context);
  parent.addCommand(command);
};

interface RegistryFlags extends DataFlags {
  readonly dockerServer: string;
  readonly dockerUsername?: string;
  readonly dockerPassword?: string;
  readonly dockerEmail?: string;
}

function registrySecret(name: string, flags: RegistryFlags): JsonObject {
  const type = 'kubernetes.io/dockerconfigjson';
  if (flags.fromFile?.length) {
    const data = dataOf(flags, 'Secret');
    const config = data.get('.dockerconfigjson') ?? data.get('config.json') ?? [...data.values()][0];
    return secretOf(name, type, config ? { '.dockerconfigjson': config } : {});
  }
  const { dockerServer, dockerUsername: username, dockerPassword: password, dockerEmail: email } = flags;
  const missing = [
    ...(username ? [] : ['docker-username']),
    ...(password ? [] : ['docker-password']),
    ...(dockerServer ? [] : ['docker-server']),
  ];
  if (missing.length > 0) {
    throw failure(
      `either --from-file or the combination of --docker-username, --docker-password and --docker-server is required`,
    );
  }
  const auth = Buffer.from(`${username}:${password}`).toString('base64');
  const config = { auths: { [dockerServer]: { username, password, ...(email && { email }), auth } } };
  return secretOf(name, type, { '.dockerconfigjson': Buffer.from(JSON.stringify(config)) });
}

function secretOf(name: string, type: string | undefined, data: Readonly<Record<string, Buffer>>): JsonObject {
  const encoded = Object.fromEntries(Object.entries(data).map(([key, bytes]) => [key, bytes.toString('base64')]));
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name },
    ...(type && { type }),
    ...(Object.keys(encoded).length > 0 && { data: encoded }),
  };
}

/** @param owner What the data is for, as messages call it. */
function dataOf(flags: DataFlags, owner: string): Map<string, Buffer> {
  if (flags.fromEnvFile && (flags.fromFile || flags.fromLiteral)) {
    throw failure('from-env-file cannot be combined with from-file or from-literal');
  }
  const data = new Map<string, Buffer>();
  const add = (key: string, value: Buffer) => {
    if (data.has(key)) {
      throw failure(
        owner.startsWith('ConfigMap ')
          ? `cannot add key "${key}", another key by that name already exists in Data for ${owner}`
          : `cannot add key ${key}, another key by that name already exists`,
      );
    }
    data.set(key, value);
  };
  for (const source of flags.fromFile ?? []) {
    const [key, path] = source.includes('=') ? splitOnce(source) : [undefined, source];
    if (key === undefined && statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
      for (const entry of readdirSync(path, { withFileTypes: true })) {
        if (entry.isFile()) add(entry.name, fileBytes(join(path, entry.name)));
      }
    } else add(key ?? basename(path), fileBytes(path));
  }
  for (const literal of flags.fromLiteral ?? []) {
    if (!literal.includes('=')) throw failure(`invalid literal source ${literal}, expected key=value`);
    const [key, value] = splitOnce(literal);
    add(key, Buffer.from(value));
  }
  for (const path of flags.fromEnvFile ?? []) {
    for (const line of fileBytes(path).toString().split(/\r?\n/)) {
      if (line.trim() === '' || line.startsWith('#')) continue;
      const [key, value] = splitOnce(line);
      add(key.trim(), Buffer.from(value));
    }
  }
  return data;
}

function splitOnce(text: string): [string, string] {
  const index = text.indexOf('=');
  return index < 0 ? [text, ''] : [text.slice(0, index), text.slice(index + 1)];
}

function fileBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw failure(`error reading ${path}: no such file or directory`, error);
  }
}

export const dataKinds: readonly RegisterKind[] = [configMap, secret];
