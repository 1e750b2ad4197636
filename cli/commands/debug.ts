/** `raftsman debug`: looks into a pod or a node with another container. */
import type { Command } from 'commander';
import type { Container, Pod } from '../../control/api/generated/types.ts';
import { resolveTargets } from '../client/arguments.ts';
import { attachTo, waitForContainer } from '../client/attach.ts';
import { pathOf } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import { type Session, withSession } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand, list, repeated, withGlobalFlags } from './cluster-command.ts';
import { type Profile, profileOf } from './debug-profiles.ts';

interface Flags {
  readonly image?: string;
  readonly container?: string;
  readonly copyTo?: string;
  readonly setImage?: readonly string[];
  readonly target?: string;
  readonly env?: readonly string[];
  readonly stdin?: boolean;
  readonly tty?: boolean;
  readonly attach?: boolean;
  readonly quiet?: boolean;
  readonly replace?: boolean;
  readonly sameNode?: boolean;
  readonly shareProcesses: boolean;
  readonly keepLabels?: boolean;
  readonly keepAnnotations?: boolean;
  readonly keepLiveness?: boolean;
  readonly keepReadiness?: boolean;
  readonly keepStartup?: boolean;
  readonly keepInitContainers: boolean;
  readonly imagePullPolicy?: string;
  readonly profile: string;
  readonly argumentsOnly?: boolean;
}

/** As kubectl names what it is told no name for. */
const NAME_LENGTH = 5;
const NAME_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('debug')
    .argument('[words...]')
    .usage('(POD | TYPE/NAME) [--image=IMAGE] [--copy-to=NAME] [-it] [-- COMMAND [args...]]')
    .summary('look into a pod or a node with another container')
    .description('Adds a container to a pod that runs, or to a copy of it, or runs one on a node.')
    .option('--image <image>', 'the image of the new container')
    .option('-c, --container <name>', 'its name')
    .option('--copy-to <name>', 'add it to a copy of the pod of this name')
    .option('--set-image <name=image>', 'other images for the copy; * means all containers', list)
    .option('--replace', 'with --copy-to: delete the pod')
    .option('--same-node', 'with --copy-to: on the same node')
    .option('--share-processes', 'with --copy-to: containers see each other’s processes', true)
    .option('--keep-labels', 'with --copy-to: keep its labels')
    .option('--keep-annotations', 'with --copy-to: keep its annotations')
    .option('--keep-liveness', 'with --copy-to: keep liveness probes')
    .option('--keep-readiness', 'with --copy-to: keep readiness probes')
    .option('--keep-startup', 'with --copy-to: keep startup probes')
    .option('--keep-init-containers', 'with --copy-to: keep init containers', true)
    .option('--target <container>', 'see this container’s processes')
    .option('--env <key=value>', 'an environment variable (repeatable)', repeated)
    .option('--image-pull-policy <policy>', 'Always, IfNotPresent or Never')
    .option('--profile <name>', 'legacy, general, baseline, restricted, netadmin or sysadmin', 'legacy')
    .option('--arguments-only', 'the words after -- are arguments, not the command')
    .option('-i, --stdin', 'pass standard input on')
    .option('-t, --tty', 'with a terminal')
    .option('--attach', 'join it when it runs')
    .option('-q, --quiet', 'say less')
    .option('-f, --filename <file>', 'the pod of this file', list)
    .option('--custom <file>', 'not available')
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman debug web-1 -it --image=busybox\n  raftsman debug web-1 --copy-to=web-debug --set-image=*=busybox -- sh\n  raftsman debug node/node-1 -it --image=busybox',
    )
    .action(withSession<Flags>(context, debug));
  program.addCommand(withGlobalFlags(command));
}

async function debug(session: Session, words: readonly string[], flags: Flags, self: Command): Promise<void> {
  const separator = self instanceof ClusterCommand && self.hasSeparator;
  const [word] = words;
  const command = separator ? words.slice(1) : [];
  if (!flags.image && !flags.setImage) {
    throw failure(
      flags.copyTo
        ? 'you must specify --image, --set-image or command arguments.'
        : 'you must specify --image when not using --copy-to.',
    );
  }
  if (word === undefined) throw failure('NAME or filename is required for debug');
  if (flags.target && flags.copyTo) {
    throw failure('--target is incompatible with --copy-to. Use --share-processes instead.');
  }
  if (flags.tty && !flags.stdin) throw failure('-i/--stdin is required for containers with -t/--tty=true');
  const profile = profileOf(flags.profile);
  if (flags.profile === 'legacy') {
    session.error(
      '--profile=legacy is deprecated and will be removed in the future. It is recommended to explicitly specify a profile, for example "--profile=general".',
    );
  }
  const { targets } = await resolveTargets(word.includes('/') ? [word] : ['pods', word], session.discovery);
  const [target] = targets;
  if (target?.name === undefined) throw failure('name a pod or a node');
  const work: Work = { session, flags, profile, command };
  const made = target.resource.kind === 'Node' ? await debugNode(work, target.name) : await debugPod(work, target.name);
  const joins = flags.attach ?? flags.stdin ?? false;
  if (!joins) return;
  const pod = await waitForContainer(session, made.pod, made.container);
  await attachTo(session, pod, { container: made.container, ...flags });
}

interface Work {
  readonly session: Session;
  readonly flags: Flags;
  readonly profile: Profile;
  readonly command: readonly string[];
}
interface Made {
  readonly pod: Pod;
  readonly container: string;
}

async function debugPod(work: Work, name: string): Promise<Made> {
  const { session, flags } = work;
  const pods = await session.discovery.find('pods');
  const pod = await session.api.json<Pod>('GET', pathOf(pods, session.namespace, name));
  return flags.copyTo === undefined ? addContainer(work, pod) : copyPod(work, pod);
}

/** An ephemeral container in the pod itself. */
async function addContainer(work: Work, pod: Pod): Promise<Made> {
  const { session, flags, profile } = work;
  const name = containerName(work, pod);
  const container = {
    ...newContainer(work, name),
    ...(flags.target && { targetContainerName: flags.target }),
  };
  const ephemeral = profile.container(container, 'ephemeral');
  if (flags.target && !flags.quiet) {
    session.print(
      `Targeting container ${JSON.stringify(flags.target)}. If you don't see processes from this container it may be because the container runtime doesn't support this feature.`,
    );
  }
  const pods = await session.discovery.find('pods');
  const { namespace = session.namespace, name: podName = '' } = pod.metadata ?? {};
  const changed = await session.api.json<Pod>('PATCH', pathOf(pods, namespace, podName, 'ephemeralcontainers'), {
    contentType: 'application/strategic-merge-patch+json',
    body: { spec: { ephemeralContainers: [ephemeral] } },
    query: { fieldManager: 'kubectl-debug' },
  });
  return { pod: changed, container: name };
}

function newContainer({ flags, command, session }: Work, name: string): Container {
  void session;
  return {
    name,
    image: flags.image ?? '',
    ...(flags.env && {
      env: flags.env.map(text => {
        const equals = text.indexOf('=');
        if (equals <= 0) throw failure(`invalid env: ${text}`);
        return { name: text.slice(0, equals), value: text.slice(equals + 1) };
      }),
    }),
    ...(flags.imagePullPolicy && { imagePullPolicy: flags.imagePullPolicy }),
    ...(command.length > 0 && (flags.argumentsOnly ? { args: [...command] } : { command: [...command] })),
    ...(flags.stdin && { stdin: true }),
    ...(flags.tty && { tty: true }),
    terminationMessagePolicy: 'File',
  };
}

function randomSuffix(session: Session): string {
  const letter = () => NAME_LETTERS.charAt(Math.floor(session.context.random() * NAME_LETTERS.length));
  return Array.from({ length: NAME_LENGTH }, letter).join('');
}

function containerName({ session, flags }: Work, pod: Pod): string {
  if (flags.container) return flags.container;
  const taken = new Set(
    [
      ...(pod.spec?.containers ?? []),
      ...(pod.spec?.initContainers ?? []),
      ...(pod.spec?.ephemeralContainers ?? []),
    ].map(({ name }) => name),
  );
  for (;;) {
    const name = `debugger-${randomSuffix(session)}`;
    if (taken.has(name)) continue;
    if (!flags.quiet) session.print(`Defaulting debug container name to ${name}.`);
    return name;
  }
}

/** A copy of the pod, with the container beside the others, or with another image or command. */
async function copyPod(work: Work, pod: Pod): Promise<Made> {
  const { session, flags, profile, command } = work;
  const { spec, metadata } = pod;
  if (!spec) throw failure('the pod has no specification');
  const images = new Map((flags.setImage ?? []).map(text => splitPair(text)));
  const unprobed = (container: Container): Container => {
    const { livenessProbe, readinessProbe, startupProbe, ...rest } = container;
    return {
      ...rest,
      ...(flags.keepLiveness && livenessProbe && { livenessProbe }),
      ...(flags.keepReadiness && readinessProbe && { readinessProbe }),
      ...(flags.keepStartup && startupProbe && { startupProbe }),
    };
  };
  const containers = spec.containers.map(container => {
    const image = images.get(container.name) ?? images.get('*');
    return { ...unprobed(container), ...(image && { image }) };
  });
  const existing = containers.find(({ name }) => name === flags.container);
  let name = flags.container ?? '';
  if (existing) Object.assign(existing, changed(work));
  else if (flags.image) {
    name = containerName(work, pod);
    containers.push(profile.container(newContainer(work, name), 'copy'));
  } else if (command.length > 0)
    throw failure('you must specify an existing container or a new image when specifying args.');
  const { nodeName, ephemeralContainers: _ephemeral, initContainers, ...rest } = spec;
  const copy: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: flags.copyTo ?? '',
      namespace: metadata?.namespace ?? session.namespace,
      ...(flags.keepLabels && metadata?.labels && { labels: metadata.labels }),
      ...(flags.keepAnnotations && metadata?.annotations && { annotations: metadata.annotations }),
    },
    spec: profile.pod(
      {
        ...rest,
        containers,
        ...(flags.keepInitContainers && initContainers && { initContainers }),
        ...(flags.sameNode && nodeName && { nodeName }),
        shareProcessNamespace: flags.shareProcesses,
      },
      'copy',
    ),
  };
  const pods = await session.discovery.find('pods');
  const path = pathOf(pods, copy.metadata?.namespace);
  const made = await session.api.json<Pod>('POST', path, { body: copy, query: { fieldManager: 'kubectl-debug' } });
  if (flags.replace) await session.api.json('DELETE', pathOf(pods, metadata?.namespace, metadata?.name));
  return { pod: made, container: name };
}

function changed({ flags, command }: Work): Partial<Container> {
  return {
    ...(flags.image && { image: flags.image }),
    ...(command.length > 0 && (flags.argumentsOnly ? { args: [...command] } : { command: [...command] })),
    ...(flags.stdin && { stdin: true }),
    ...(flags.tty && { tty: true }),
  };
}

function splitPair(text: string): [string, string] {
  const equals = text.indexOf('=');
  if (equals <= 0) throw failure(`invalid --set-image: ${text}`);
  return [text.slice(0, equals), text.slice(equals + 1)];
}

/** A pod on a node, in the node's own namespaces. */
async function debugNode(work: Work, name: string): Promise<Made> {
  const { session, flags, profile } = work;
  if (!flags.image) throw failure('--image is required to debug a node');
  const nodes = await session.discovery.find('nodes');
  const pods = await session.discovery.find('pods');
  await session.api.json('GET', pathOf(nodes, undefined, name));
  const container = flags.container ?? 'debugger';
  const podName = `node-debugger-${name}-${randomSuffix(session)}`;
  if (!flags.quiet) {
    session.print(`Creating debugging pod ${podName} with container ${container} on node ${name}.`);
  }
  const withRoot = { ...newContainer(work, container), volumeMounts: [{ name: 'host-root', mountPath: '/host' }] };
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: podName,
      namespace: session.namespace,
      labels: { 'app.kubernetes.io/managed-by': 'kubectl-debug' },
    },
    spec: profile.pod(
      {
        containers: [profile.container(withRoot, 'node')],
        nodeName: name,
        restartPolicy: 'Never',
        volumes: [{ name: 'host-root', hostPath: { path: '/' } }],
        tolerations: [{ operator: 'Exists' }],
        hostIPC: true,
        hostNetwork: true,
        hostPID: true,
      },
      'node',
    ),
  };
  const made = await session.api.json<Pod>('POST', pathOf(pods, session.namespace), {
    body: pod,
    query: { fieldManager: 'kubectl-debug' },
  });
  return { pod: made, container };
}
