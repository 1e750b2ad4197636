/** `raftsman create deployment`, `configmap` and the like: an object of one kind, made from flags. One entry a kind. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import type { JsonObject } from '../client/api.ts';
import { pathOf } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import type { Session } from '../client/session.ts';
import { ClusterCommand, integer, list, repeated } from './cluster-command.ts';
import { kind, nameIn, onlyName, type RegisterKind } from './create-kind.ts';
import { policyKinds } from './create-policy.ts';
import { rbacKinds } from './create-rbac.ts';
import { tokenKind } from './create-token.ts';

interface ImageFlags {
  readonly image?: readonly string[];
  readonly replicas: number;
  readonly port?: number;
}

const deployment = kind<ImageFlags>({
  name: 'deployment',
  aliases: ['deploy', 'dep'],
  usage: 'NAME --image=image -- [COMMAND] [args...]',
  description: 'Creates a deployment.',
  example: 'raftsman create deployment web --image=nginx --replicas=3 --port=80',
  flags: command =>
    command
      .option('--image <image>', 'the image to run (repeatable)', list)
      .option('-r, --replicas <number>', 'how many pods', integer, 1)
      .option('--port <port>', 'the port that the container listens on', integer),
  build: (words, flags) => {
    const name = nameIn(words);
    const images = flags.image ?? [];
    if (images.length === 0) throw failure('required flag(s) "image" not set');
    const command = words.slice(1);
    if (images.length > 1 && command.length > 0) throw failure('cannot specify multiple --image options and command');
    const labels = { app: name };
    return {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, labels },
      spec: {
        replicas: flags.replicas,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            containers: images.map(image => ({
              name: containerName(image),
              image,
              ...(command.length > 0 && { command }),
              ...(flags.port !== undefined && { ports: [{ containerPort: flags.port }] }),
            })),
          },
        },
      },
    };
  },
});

/** `registry/nginx:1.2` → `nginx`. */
function containerName(image: string): string {
  const last = image.slice(image.lastIndexOf('/') + 1).split(/[:@]/)[0] ?? '';
  return last
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/g, '-')
    .replace(/^-+|-+$/g, '');
}

const namespace = kind<object>({
  name: 'namespace',
  aliases: ['ns'],
  usage: 'NAME',
  description: 'Creates a namespace.',
  example: 'raftsman create namespace team-a',
  flags: () => undefined,
  build: words => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: onlyName(words) } }),
});

const serviceAccount = kind<object>({
  name: 'serviceaccount',
  aliases: ['sa'],
  usage: 'NAME',
  description: 'Creates a service account.',
  example: 'raftsman create serviceaccount builder',
  flags: () => undefined,
  build: words => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: onlyName(words) } }),
});

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
    .option('--from-env-file <path>', 'a file of lines key=value (repeatable)', repeated);

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
    for (const [key, bytes] of dataOf(flags)) {
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
    .enablePositionalOptions();
  const kinds = [
    kind<DataFlags>({
      name: 'generic',
      usage: 'NAME [--type=string] [--from-file=[key=]source] [--from-literal=key1=value1]',
      description: 'Creates a secret from files and literals.',
      example: 'raftsman create secret generic login --from-literal=password=s3cret',
      flags: sub => withDataFlags(sub).option('--type <type>', 'the secret’s type'),
      build: (words, flags) => secretOf(onlyName(words), flags.type, Object.fromEntries(dataOf(flags))),
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
          .option('--append-hash', 'accepted for kubectl’s sake')
          .option('--from-file <[key=]path>', 'a configuration of docker (repeatable)', repeated),
      build: (words, flags) => registrySecret(onlyName(words), flags),
    }),
    kind<{ readonly cert?: string; readonly key?: string }>({
      name: 'tls',
      usage: 'NAME --cert=path/to/cert/file --key=path/to/key/file',
      description: 'Creates a secret from a certificate and its key.',
      example: 'raftsman create secret tls web --cert=web.crt --key=web.key',
      flags: sub => sub.option('--cert <file>', 'the certificate, PEM').option('--key <file>', 'its key, PEM'),
      build: (words, { cert, key }) => {
        if (!cert || !key) throw failure('key and cert must be specified');
        return secretOf(onlyName(words), 'kubernetes.io/tls', {
          'tls.crt': fileBytes(cert),
          'tls.key': fileBytes(key),
        });
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
    const data = dataOf(flags);
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

function dataOf(flags: DataFlags): Map<string, Buffer> {
  const data = new Map<string, Buffer>();
  const add = (key: string, value: Buffer) => {
    if (data.has(key)) throw failure(`cannot add key "${key}", another key by that name already exists in Data`);
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

interface JobFlags {
  readonly image?: string;
  readonly from?: string;
}

const job = kind<JobFlags>({
  name: 'job',
  usage: 'NAME --image=image [--from=cronjob/name] -- [COMMAND] [args...]',
  description: 'Creates a job, from an image or as a cron job would.',
  example: 'raftsman create job once --image=busybox -- date\n  raftsman create job now --from=cronjob/backup',
  flags: command =>
    command.option('--image <image>', 'the image to run').option('--from <cronjob/name>', 'the cron job to run now'),
  build: (words, flags, session) => {
    const name = nameIn(words);
    const command = words.slice(1);
    if (!flags.image && !flags.from) throw failure('either --image or --from must be specified');
    if (flags.image && flags.from) throw failure('can not specify both --image and --from');
    if (flags.from) {
      if (command.length > 0) throw failure('cannot specify --from and command');
      return jobFrom(session, name, flags.from);
    }
    return { apiVersion: 'batch/v1', kind: 'Job', metadata: { name }, spec: jobSpec(name, flags.image, command) };
  },
});

function jobSpec(name: string, image: string | undefined, command: readonly string[], restartPolicy = 'Never') {
  return {
    template: {
      spec: { containers: [{ name, image, ...(command.length > 0 && { command }) }], restartPolicy },
    },
  };
}

/** A job as the cron job would make it now. */
async function jobFrom(session: Session, name: string, from: string): Promise<JsonObject> {
  const [type = '', source = ''] = from.split('/');
  const resource = await session.discovery.find(type);
  const object = await session.api.json<{
    kind?: string;
    metadata?: { name?: string; uid?: string };
    spec?: { jobTemplate?: { metadata?: { labels?: object; annotations?: object }; spec?: object } };
  }>('GET', pathOf(resource, session.namespace, source));
  if (resource.kind !== 'CronJob') throw failure('from must be an existing cronjob');
  const { metadata: template, spec } = object.spec?.jobTemplate ?? {};
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name,
      annotations: { 'cronjob.kubernetes.io/instantiate': 'manual', ...template?.annotations },
      ...(template?.labels && { labels: template.labels }),
      ownerReferences: [
        {
          apiVersion: 'batch/v1',
          kind: 'CronJob',
          name: object.metadata?.name,
          uid: object.metadata?.uid,
          controller: true,
        },
      ],
    },
    spec,
  };
}

interface CronJobFlags {
  readonly image?: string;
  readonly schedule?: string;
  readonly restart: string;
}

const cronJob = kind<CronJobFlags>({
  name: 'cronjob',
  aliases: ['cj'],
  usage: "NAME --image=image --schedule='0/5 * * * ?' -- [COMMAND] [args...]",
  description: 'Creates a cron job.',
  example: "raftsman create cronjob backup --image=busybox --schedule='@daily' -- date",
  flags: command =>
    command
      .option('--image <image>', 'the image to run')
      .option('--schedule <schedule>', 'when to run, as cron has it')
      .option('--restart <policy>', 'OnFailure or Never', 'OnFailure'),
  build: (words, flags) => {
    const name = nameIn(words);
    const missing = (['image', 'schedule'] as const).filter(flag => flags[flag] === undefined);
    if (missing.length > 0) throw failure(`required flag(s) ${missing.map(flag => `"${flag}"`).join(', ')} not set`);
    return {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: { name },
      spec: {
        jobTemplate: { metadata: { name }, spec: jobSpec(name, flags.image, words.slice(1), flags.restart) },
        schedule: flags.schedule,
      },
    };
  },
});

interface ServiceFlags {
  readonly tcp?: readonly string[];
  readonly nodePort?: number;
  readonly clusterip?: string;
  readonly externalName?: string;
}

const service: RegisterKind = (parent, context) => {
  const command = new ClusterCommand('service')
    .alias('svc')
    .description('Creates a service: clusterip, nodeport, loadbalancer or externalname.')
    .enablePositionalOptions();
  for (const type of ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName']) serviceOf(type)(command, context);
  parent.addCommand(command);
};

function serviceOf(type: string): RegisterKind {
  return kind<ServiceFlags>({
    name: type.toLowerCase(),
    usage: 'NAME [--tcp=<port>:<targetPort>]',
    description: `Creates a service of type ${type}.`,
    example: `raftsman create service ${type.toLowerCase()} web --tcp=80:8080`,
    flags: command => {
      command.option('--tcp <port:target>', 'a port and where it leads (repeatable)', list);
      if (type === 'NodePort') command.option('--node-port <port>', 'the port on each node', integer);
      if (type === 'ClusterIP') command.option('--clusterip <address>', 'the address, or None');
      if (type === 'ExternalName') command.option('--external-name <name>', 'the name that it stands for');
    },
    build: (words, flags) => {
      const name = onlyName(words);
      const ports = (flags.tcp ?? []).map(text => servicePort(text, flags.nodePort));
      if (ports.length === 0 && type !== 'ExternalName' && flags.clusterip !== 'None') {
        throw failure('at least one tcp port specifier must be provided');
      }
      return {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name, labels: { app: name } },
        spec: {
          type,
          selector: { app: name },
          ...(ports.length > 0 && { ports }),
          ...(flags.clusterip !== undefined && { clusterIP: flags.clusterip }),
          ...(flags.externalName !== undefined && { externalName: flags.externalName }),
        },
      };
    },
  });
}

function servicePort(text: string, nodePort: number | undefined): JsonObject {
  const [port = '', target = port] = text.split(':');
  if (!/^\d+$/.test(port)) throw failure(`unable to parse port ${JSON.stringify(text)}`);
  return {
    name: text.replace(':', '-'),
    port: Number(port),
    protocol: 'TCP',
    targetPort: /^\d+$/.test(target) ? Number(target) : target,
    ...(nodePort !== undefined && { nodePort }),
  };
}

/** The kinds that `create` knows besides `-f`. */
export const createKinds: readonly RegisterKind[] = [
  configMap,
  cronJob,
  deployment,
  job,
  namespace,
  secret,
  service,
  serviceAccount,
  tokenKind,
  ...policyKinds,
  ...rbacKinds,
];
