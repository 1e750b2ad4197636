/** `raftsman run`: one pod from an image. */
import type { Command } from 'commander';
import type { Pod } from '../../control/api/generated/types.ts';
import type { JsonObject } from '../client/api.ts';
import { attachTo, waitForContainer } from '../client/attach.ts';
import { pathOf } from '../client/discovery.ts';
import { CommandError, failure } from '../client/errors.ts';
import { type ObjectReference, objectPath } from '../client/objects.ts';
import { type RecordFlags, recorded, withRecordFlag } from '../client/record.ts';
import { type Session, withSession } from '../client/session.ts';
import { requireFlags, usageFailure } from '../client/usage.ts';
import { dryRunOf, type WriteFlags, withWriteFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { withEmptyFields } from '../output/generated.ts';
import { withLastApplied } from './apply-patch.ts';
import { ClusterCommand, durationMs, integer, repeated, withGlobalFlags } from './cluster-command.ts';
import { createObject } from './create.ts';
import { policyOf } from './delete.ts';
import { labelMap } from './expose.ts';
import { type OverrideFlags, overridden } from './overrides.ts';

interface Flags extends WriteFlags, RecordFlags, OverrideFlags {
  readonly image?: string;
  readonly env?: readonly string[];
  readonly port?: string;
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
  readonly saveConfig?: boolean;
  readonly quiet?: boolean;
  readonly leaveStdinOpen?: boolean;
  readonly fieldManager?: string;
  readonly podRunningTimeout: number;
  readonly cascade: string | boolean;
  readonly gracePeriod: number;
}

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('run')
    .argument('[words...]')
    .usage('NAME --image=image [--env="key=value"] [--port=port] -- [COMMAND] [args...]')
    .summary('run one pod from an image')
    .description('Creates a pod that runs an image.')
    .option('--image <image>', 'the image to run')
    .option('--env <key=value>', 'an environment variable (repeatable)', repeated)
    .option('--port <port>', 'the port that the container listens on')
    .option('-l, --labels <labels>', 'the pod’s labels')
    .option('--annotations <key=value>', 'an annotation (repeatable)', repeated)
    .option('--restart <policy>', 'Always, OnFailure or Never', 'Always')
    .option('--command', 'the words after -- are the command rather than its arguments')
    .option('--image-pull-policy <policy>', 'Always, IfNotPresent or Never')
    .option('--privileged', 'run the container privileged')
    .option('--overrides <json>', 'JSON that changes the pod')
    .option('--expose', 'make a service as well')
    .option('-i, --stdin', 'pass standard input on')
    .option('-t, --tty', 'with a terminal')
    .option('--rm', 'delete the pod when it has ended')
    .option('--attach', 'show what it writes')
    .option('-q, --quiet', 'only print what the pod prints')
    .option('--leave-stdin-open', 'keep standard input open after the first who was attached')
    .option('--override-type <type>', 'merge, strategic or json', 'merge')
    .option('--field-manager <name>', 'who owns the fields')
    .option('--save-config', 'remember the configuration for a later apply')
    .option('--pod-running-timeout <duration>', 'how long to wait until it runs', durationMs, 60_000)
    .option('--grace-period <seconds>', 'with --rm: how long it has to stop', integer, -1)
    .option('--cascade [mode]', 'with --rm: background, foreground or orphan', 'background')
    .option('--force', 'of no effect, with kubectl as well')
    .option('--wait', 'of no effect, with kubectl as well')
    .option('--timeout <duration>', 'of no effect, with kubectl as well', durationMs)
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman run web --image=nginx --port=80\n  raftsman run once --image=busybox --restart=Never -- date',
    )
    .action(withSession<Flags>(context, run));
  program.addCommand(withWriteFlags(withRecordFlag(withGlobalFlags(command))));
}

async function run(session: Session, words: readonly string[], flags: Flags, self: Command): Promise<void> {
  requireFlags(self, ['image']);
  const [name, ...rest] = words;
  if (name === undefined) throw usageFailure(self, 'NAME is required for run');
  if (!flags.image) throw failure('--image is required');
  if (!IMAGE.test(flags.image)) {
    throw failure(`Invalid image name ${JSON.stringify(flags.image)}: invalid reference format`);
  }
  const isAttached = flags.attach ?? flags.stdin ?? false;
  if (flags.tty && !flags.stdin) throw usageFailure(self, '-i/--stdin is required for containers with -t/--tty=true');
  if (flags.rm && !isAttached) throw usageFailure(self, '--rm should only be used for attached containers');
  if (isAttached && dryRunOf(flags) !== 'none') {
    throw usageFailure(
      self,
      "--dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)",
    );
  }
  policyOf(session, flags.cascade);
  if (!['Always', 'OnFailure', 'Never'].includes(flags.restart))
    throw usageFailure(self, `invalid restart policy: ${flags.restart}`);
  if (flags.imagePullPolicy && !['Always', 'IfNotPresent', 'Never'].includes(flags.imagePullPolicy)) {
    throw usageFailure(self, `invalid image pull policy: ${flags.imagePullPolicy}`);
  }
  if (flags.expose && flags.port === undefined) throw usageFailure(self, '--port must be set when exposing a service');
  const port = flags.port === undefined || flags.port === '' ? undefined : portOf(flags.port);
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
          ...(port !== undefined && { ports: [{ containerPort: port }] }),
          ...(flags.stdin && { stdin: true, stdinOnce: !flags.leaveStdinOpen }),
          ...(flags.tty && { tty: true }),
          ...(flags.privileged && { securityContext: { privileged: true } }),
        },
      ],
      dnsPolicy: 'ClusterFirst',
      restartPolicy: flags.restart,
    },
  };
  const shown = (object: JsonObject) => (dryRunOf(flags) === 'client' ? withEmptyFields(object) : object);
  const noted = (object: JsonObject) => {
    const cause = recorded(session, object, flags);
    // Of what is only shown nothing is noted.
    return flags.saveConfig && dryRunOf(flags) !== 'client' ? withLastApplied(cause) : cause;
  };
  const pods = await session.discovery.find('pods');
  const object = noted(overridden(shown(pod), pods, flags));
  if (flags.expose) {
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, ...(session.isNamespaceExplicit && { namespace: session.namespace }) },
      spec: { ports: [{ port, protocol: 'TCP', targetPort: port }], selector: labels },
    };
    const resource = await session.discovery.find('services');
    await createObject(session, { resource, namespace: session.namespace, name, object: noted(shown(service)) }, flags);
  }
  if (!isAttached) {
    await createObject(
      session,
      { resource: pods, namespace: session.namespace, name, object },
      { ...flags, manager: 'kubectl-run' },
    );
    return;
  }
  const created = await session.api.json<Pod>('POST', pathOf(pods, session.namespace), {
    body: object,
    query: { fieldManager: flags.fieldManager ?? 'kubectl-run' },
  });
  await follow(session, created, flags);
}

/** Joins the pod until it ends, ends with its exit code, and removes it if that is wanted. */
async function follow(session: Session, pod: Pod, flags: Flags): Promise<void> {
  const container = pod.spec?.containers[0]?.name ?? '';
  const reference = {
    resource: await session.discovery.find('pods'),
    namespace: pod.metadata?.namespace ?? session.namespace,
    name: pod.metadata?.name ?? '',
  };
  try {
    const running = await waitForContainer(session, pod, container, flags.podRunningTimeout);
    await attachTo(session, running, { container, ...flags });
    if (flags.restart === 'Always') return;
    const exitCode = await exitCodeOf(session, reference, container);
    if (exitCode !== 0)
      throw new CommandError(`pod ${reference.namespace}/${reference.name} terminated (Error)`, { exitCode });
  } finally {
    if (flags.rm) await remove(session, reference, flags);
  }
}

async function remove(session: Session, reference: ObjectReference, flags: Flags): Promise<void> {
  await session.api.json('DELETE', objectPath(reference), {
    body: {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      propagationPolicy: policyOf(session, flags.cascade),
      ...(flags.gracePeriod >= 0 && { gracePeriodSeconds: flags.gracePeriod }),
    },
  });
  if (!flags.quiet) session.print(`pod ${JSON.stringify(reference.name)} deleted`);
}

const POLL_MS = 200;
/** How long the node may take to tell that a container has ended. */
const END_TIMEOUT_MS = 30_000;

async function exitCodeOf(session: Session, reference: ObjectReference, container: string): Promise<number> {
  const deadline = session.context.clock.now() + END_TIMEOUT_MS;
  for (;;) {
    const pod = await session.api.json<Pod>('GET', objectPath(reference));
    const state = pod.status?.containerStatuses?.find(({ name }) => name === container)?.state;
    if (state?.terminated) return state.terminated.exitCode;
    if (pod.status?.phase === 'Succeeded') return 0;
    if (session.context.clock.now() >= deadline)
      throw failure(`timed out waiting for the end of pod/${reference.name}`);
    await session.context.delay(POLL_MS);
  }
}

function pair(text: string, what: string): [string, string] {
  const index = text.indexOf('=');
  if (index <= 0) throw failure(`invalid ${what}: ${text}`);
  return [text.slice(0, index), text.slice(index + 1)];
}

/** A repository with a tag or a digest, as registries name images. */
const IMAGE =
  /^(?:[\w.-]+(?::\d+)?\/)?[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*(?::\w[\w.-]{0,127})?(?:@[A-Za-z][\w.+-]*:[\da-fA-F]{32,})?$/;

function portOf(text: string): number {
  if (!/^[-+]?\d+$/.test(text)) throw failure(`strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}
