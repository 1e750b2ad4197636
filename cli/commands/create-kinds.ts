/** `raftsman create deployment`, `configmap` and the like: an object of one kind, made from flags. One entry a kind. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import { ApiError } from '../../control/api/status.ts';
import type { JsonObject } from '../client/api.ts';
import { failure } from '../client/errors.ts';
import { type Session, withSession } from '../client/session.ts';
import { dryRunOf, type WriteFlags, withWriteFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { withEmptyFields } from '../output/generated.ts';
import { ClusterCommand, integer, list, repeated, withGlobalFlags } from './cluster-command.ts';
import { createObject } from './create.ts';

type RegisterKind = (parent: Command, context: CommandContext) => void;

interface KindSpec<F> {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly usage: string;
  readonly description: string;
  readonly example: string;
  flags(command: Command): void;
  /** `words[0]` is the object's name, if there was one. */
  build(words: readonly string[], flags: F): JsonObject;
}

function kind<F>(spec: KindSpec<F>): RegisterKind {
  return (parent, context) => {
    const command = new ClusterCommand(spec.name)
      .argument('[words...]')
      .usage(spec.usage)
      .description(spec.description)
      .option('--validate [mode]', 'strict, warn or ignore')
      .option('--save-config', 'accepted for kubectl’s sake')
      .addHelpText('after', `\nExamples:\n  ${spec.example}`)
      .action(
        withSession<F & WriteFlags>(context, async (session, words, flags) => {
          await create(session, spec.build(words, flags), flags);
        }),
      );
    for (const alias of spec.aliases ?? []) command.alias(alias);
    spec.flags(command);
    parent.addCommand(withWriteFlags(withGlobalFlags(command)));
  };
}

/** Creates an object whose kind the server must know. */
async function create(session: Session, object: JsonObject, flags: WriteFlags): Promise<void> {
  const { name } = object.metadata as { name: string };
  const resource = await session.discovery.ofKind(String(object.apiVersion), String(object.kind), `name: "${name}"`);
  const isNamespaceShown = resource.isNamespaced && session.isNamespaceExplicit;
  const metadata = isNamespaceShown
    ? { ...(object.metadata as object), namespace: session.namespace }
    : object.metadata;
  try {
    await createObject(
      session,
      { resource, namespace: session.namespace, name, object: shown({ ...object, metadata }, flags) },
      flags,
    );
  } catch (error) {
    const context = FAILURES[resource.kind];
    if (!(error instanceof ApiError) || context === undefined || error.reason === 'Invalid') throw error;
    throw failure(`failed to create ${context} ${error.message}`, error);
  }
}

/** kubectl words what fails by kind; of the other kinds the server's word is told as it is. */
const FAILURES: Readonly<Record<string, string>> = {
  ConfigMap: 'configmap:',
  Deployment: 'deployment:',
  Job: 'job:',
  Secret: 'secret',
  ServiceAccount: 'serviceaccount:',
};

const shown = (object: JsonObject, flags: WriteFlags): JsonObject =>
  dryRunOf(flags) === 'client' ? withEmptyFields(object) : object;

function nameIn(words: readonly string[]): string {
  const [name] = words;
  if (name === undefined) throw failure('exactly one NAME is required, got 0');
  return name;
}

const onlyName = (words: readonly string[]): string => {
  if (words.length !== 1) throw failure(`exactly one NAME is required, got ${words.length}`);
  return nameIn(words);
};

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
}

const job = kind<JobFlags>({
  name: 'job',
  usage: 'NAME --image=image -- [COMMAND] [args...]',
  description: 'Creates a job.',
  example: 'raftsman create job once --image=busybox -- date',
  flags: command => command.option('--image <image>', 'the image to run'),
  build: (words, flags) => {
    if (!flags.image) throw failure('either --image or --from must be specified');
    const [name = '', ...command] = [nameIn(words), ...words.slice(1)];
    return {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name },
      spec: {
        template: {
          spec: {
            containers: [{ name, image: flags.image, ...(command.length > 0 && { command }) }],
            restartPolicy: 'Never',
          },
        },
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
  deployment,
  job,
  namespace,
  secret,
  service,
  serviceAccount,
];
