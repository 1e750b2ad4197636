/** `raftsman run`: one pod from an image. */
import type { Command } from 'commander';
import type { JsonObject } from '../client/api.ts';
import { failure } from '../client/errors.ts';
import { type Session, withSession } from '../client/session.ts';
import { dryRunOf, type WriteFlags, withWriteFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { withEmptyFields } from '../output/generated.ts';
import { ClusterCommand, integer, repeated, withGlobalFlags } from './cluster-command.ts';
import { createObject } from './create.ts';
import { labelMap } from './expose.ts';

interface Flags extends WriteFlags {
  readonly image?: string;
  readonly env?: readonly string[];
  readonly port?: number;
  readonly labels?: string;
  readonly restart: string;
  readonly command?: boolean;
  readonly imagePullPolicy?: string;
  readonly annotations?: readonly string[];
  readonly privileged?: boolean;
  readonly stdin?: boolean;
  readonly tty?: boolean;
  readonly rm?: boolean;
  readonly attach?: boolean;
  readonly expose?: boolean;
  readonly overrides?: string;
}

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('run')
    .argument('[words...]')
    .usage('NAME --image=image [--env="key=value"] [--port=port] -- [COMMAND] [args...]')
    .summary('run one pod from an image')
    .description('Creates a pod that runs an image.')
    .option('--image <image>', 'the image to run')
    .option('--env <key=value>', 'an environment variable (repeatable)', repeated)
    .option('--port <port>', 'the port that the container listens on', integer)
    .option('-l, --labels <labels>', 'the pod’s labels')
    .option('--annotations <key=value>', 'an annotation (repeatable)', repeated)
    .option('--restart <policy>', 'Always, OnFailure or Never', 'Always')
    .option('--command', 'the words after -- are the command rather than its arguments')
    .option('--image-pull-policy <policy>', 'Always, IfNotPresent or Never')
    .option('--privileged', 'run the container privileged')
    .option('--overrides <json>', 'JSON that changes the pod')
    .option('--expose', 'make a service as well')
    .option('-i, --stdin', 'not available yet')
    .option('-t, --tty', 'not available yet')
    .option('--rm', 'not available yet')
    .option('--attach', 'not available yet')
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman run web --image=nginx --port=80\n  raftsman run once --image=busybox --restart=Never -- date',
    )
    .action(withSession<Flags>(context, run));
  program.addCommand(withWriteFlags(withGlobalFlags(command)));
}

async function run(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  const [name, ...rest] = words;
  if (name === undefined) throw failure('NAME is required for run');
  if (!flags.image) throw failure('required flag(s) "image" not set');
  if (flags.stdin || flags.tty || flags.rm || flags.attach) {
    throw failure(
      `run with -i, -t, --rm or --attach is not available yet: run the pod without them, then use "raftsman logs ${name}" or "raftsman exec -it ${name} -- sh"`,
    );
  }
  if (!['Always', 'OnFailure', 'Never'].includes(flags.restart))
    throw failure(`invalid restart policy: ${flags.restart}`);
  if (flags.expose && flags.port === undefined) throw failure('--port must be set when exposing a service');
  const labels = flags.labels === undefined ? { run: name } : labelMap(flags.labels);
  const annotations = Object.fromEntries((flags.annotations ?? []).map(text => pair(text, 'annotation')));
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      ...(session.isNamespaceExplicit && { namespace: session.namespace }),
      labels,
      ...(flags.annotations && { annotations }),
    },
    spec: {
      containers: [
        {
          name,
          image: flags.image,
          ...(flags.imagePullPolicy && { imagePullPolicy: flags.imagePullPolicy }),
          ...(rest.length > 0 && (flags.command ? { command: rest } : { args: rest })),
          ...(flags.env && {
            env: flags.env.map(text => pair(text, 'env')).map(([key, value]) => ({ name: key, value })),
          }),
          ...(flags.port !== undefined && { ports: [{ containerPort: flags.port }] }),
          ...(flags.privileged && { securityContext: { privileged: true } }),
        },
      ],
      dnsPolicy: 'ClusterFirst',
      restartPolicy: flags.restart,
    },
  };
  const shown = (object: JsonObject) => (dryRunOf(flags) === 'client' ? withEmptyFields(object) : object);
  const object = shown(flags.overrides === undefined ? pod : merged(pod, flags.overrides));
  if (flags.expose) {
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, ...(session.isNamespaceExplicit && { namespace: session.namespace }) },
      spec: { ports: [{ port: flags.port, protocol: 'TCP', targetPort: flags.port }], selector: labels },
    };
    const resource = await session.discovery.find('services');
    await createObject(session, { resource, namespace: session.namespace, name, object: shown(service) }, flags);
  }
  const resource = await session.discovery.find('pods');
  await createObject(session, { resource, namespace: session.namespace, name, object }, flags);
}

function pair(text: string, what: string): [string, string] {
  const index = text.indexOf('=');
  if (index <= 0) throw failure(`invalid ${what}: ${text}`);
  return [text.slice(0, index), text.slice(index + 1)];
}

function merged<T extends object>(object: T, text: string): T {
  let changes: unknown;
  try {
    changes = JSON.parse(text);
  } catch (error) {
    throw failure(`Invalid JSON in --overrides: ${error instanceof Error ? error.message : error}`, error);
  }
  return merge(object, changes) as T; // a pod with some fields changed
}

function merge(target: unknown, changes: unknown): unknown {
  const isMap = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isMap(changes)) return changes;
  const result: Record<string, unknown> = isMap(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) delete result[key];
    else result[key] = merge(result[key], value);
  }
  return result;
}
