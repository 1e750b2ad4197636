/** `raftsman debug`: looks into a pod or a node with another container. */
import type { Command } from 'commander';
import type { Container, Pod, PodSpec } from '../../control/api/generated/types.ts';
import type { JsonObject } from '../client/api.ts';
import { attachTo, waitForContainer } from '../client/attach.ts';
import { pathOf } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import { selectedReferences } from '../client/objects.ts';
import { type Session, withSession } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand, list, repeated, withGlobalFlags } from './cluster-command.ts';
import { readCustom, withCustom } from './debug-custom.ts';
import { type Place, type Profile, profileOf } from './debug-profiles.ts';

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
  readonly custom?: string;
  readonly filename?: readonly string[];
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
    .option('--custom <file>', 'more of the new container: a part of its specification, JSON or YAML')
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman debug web-1 -it --image=busybox\n  raftsman debug web-1 --copy-to=web-debug --set-image=*=busybox -- sh\n  raftsman debug node/node-1 -it --image=busybox',
    )
    .action(withSession<Flags>(context, debug));
  program.addCommand(withGlobalFlags(command));
}

async function debug(session: Session, words: readonly string[], flags: Flags, self: Command): Promise<void> {
  const separator = self instanceof ClusterCommand && self.hasSeparator;
  const isFile = Boolean(flags.filename?.length);
  const command = separator ? words.slice(isFile ? 0 : 1) : [];
  const [word] = isFile ? [] : words;
  check(flags, { command, isNamed: word !== undefined || isFile });
  const profile = profileOf(flags.profile);
  const custom = flags.custom === undefined ? undefined : readCustom(flags.custom);
  if (flags.profile === 'legacy') {
    session.error(
      '--profile=legacy is deprecated and will be removed in the future. It is recommended to explicitly specify a profile, for example "--profile=general".',
    );
  }
  const named = word === undefined ? [] : word.includes('/') ? [word] : ['pods', word];
  const [target] = await selectedReferences(session, named, { ...(isFile && { filename: flags.filename ?? [] }) });
  if (target === undefined) throw failure('name a pod or a node');
  const isSharing = self.getOptionValueSource('shareProcesses') === 'cli' ? flags.shareProcesses : undefined;
  const work: Work = { session, flags, profile, command, custom, isSharing };
  const made = target.resource.kind === 'Node' ? await debugNode(work, target.name) : await debugPod(work, target.name);
  const joins = flags.attach ?? flags.stdin ?? false;
  if (!joins) return;
  const pod = await waitForContainer(session, made.pod, made.container);
  await attachTo(session, pod, { container: made.container, ...flags });
}

/** @throws CommandError for flags that make no sense together. */
function check(
  flags: Flags,
  { command, isNamed }: { readonly command: readonly string[]; readonly isNamed: boolean },
): void {
  if (flags.copyTo) {
    if (!flags.image && !flags.setImage && command.length === 0) {
      throw failure('you must specify --image, --set-image or command arguments.');
    }
    if (command.length > 0 && !flags.container && !flags.image) {
      throw failure('you must specify an existing container or a new image when specifying args.');
    }
  } else {
    if (flags.replace) throw failure('--replace may only be used with --copy-to.');
    if (flags.sameNode) throw failure('--same-node may only be used with --copy-to.');
    if (flags.setImage) throw failure('--set-image may only be used with --copy-to.');
    if (!flags.image) throw failure('you must specify --image when not using --copy-to.');
  }
  if (!isNamed) throw failure('NAME or filename is required for debug');
  if (flags.target && flags.copyTo) {
    throw failure('--target is incompatible with --copy-to. Use --share-processes instead.');
  }
  if (flags.tty && !flags.stdin) throw failure('-i/--stdin is required for containers with -t/--tty=true');
}

interface Work {
  readonly session: Session;
  readonly flags: Flags;
  readonly profile: Profile;
  readonly command: readonly string[];
  /** What is wanted of the container besides. */
  readonly custom: JsonObject | undefined;
  /** Whether the containers of a copy see each other's processes; undefined: as the profile has it. */
  readonly isSharing: boolean | undefined;
}

/** The container as the profile and the file of `--custom` have it. */
function dressed({ profile, custom }: Work, container: Container, place: Place): Container {
  const profiled = profile.container(container, place);
  return custom ? withCustom(profiled, custom) : profiled;
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
  const { session, flags } = work;
  const name = containerName(work, pod);
  const container = {
    ...newContainer(work, name),
    ...(flags.target && { targetContainerName: flags.target }),
  };
  const ephemeral = dressed(work, container, 'ephemeral');
  if (flags.target && !flags.quiet) {
    session.print(
      `Targeting container ${JSON.stringify(flags.target)}. If you don't see processes from this container it may be because the container runtime doesn't support this feature.`,
    );
  }
  const others = (pod.spec?.ephemeralContainers ?? []).map(each => each.name).filter(each => each !== name);
  const pods = await session.discovery.find('pods');
  const { namespace = session.namespace, name: podName = '' } = pod.metadata ?? {};
  const changed = await session.api.json<Pod>('PATCH', pathOf(pods, namespace, podName, 'ephemeralcontainers'), {
    contentType: 'application/strategic-merge-patch+json',
    body: {
      spec: {
        // It stands behind those that are there.
        '$setElementOrder/ephemeralContainers': [...others, name].map(each => ({ name: each })),
        ephemeralContainers: [ephemeral],
      },
    },
    // kubectl leaves it to the server, which takes the program's name.
    query: { fieldManager: 'kubectl' },
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
  const { session, flags, profile } = work;
  const { spec, metadata } = pod;
  if (!spec) throw failure('the pod has no specification');
  const images = new Map((flags.setImage ?? []).map(text => splitPair(text)));
  const containers = spec.containers.map(container => {
    const image = images.get(container.name) ?? images.get('*');
    return image ? { ...container, image } : container;
  });
  const index = containers.findIndex(({ name }) => name === flags.container);
  const existing = containers[index];
  let name = flags.container ?? '';
  if (existing) containers[index] = dressed(work, { ...existing, ...changed(work) }, 'copy');
  else if (flags.image) {
    name = containerName(work, pod);
    containers.push(dressed(work, newContainer(work, name), 'copy'));
  } else if (!flags.setImage)
    throw failure('you must specify an existing container or a new image when specifying args.');
  const { nodeName, ephemeralContainers: _ephemeral, shareProcessNamespace = work.isSharing, ...rest } = spec;
  const isSharing = work.isSharing ?? shareProcessNamespace;
  const shared = { ...rest, containers, ...(isSharing !== undefined && { shareProcessNamespace: isSharing }) };
  const isUntouched = !existing && !flags.image;
  const copy: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: flags.copyTo ?? '',
      namespace: metadata?.namespace ?? session.namespace,
      ...(keeps(work, 'labels') && metadata?.labels && { labels: metadata.labels }),
      ...(keeps(work, 'annotations') && metadata?.annotations && { annotations: metadata.annotations }),
    },
    spec: {
      ...(isUntouched ? shared : profile.pod(kept(work, shared), 'copy')),
      ...(flags.sameNode && nodeName && { nodeName }),
    },
  };
  const pods = await session.discovery.find('pods');
  const path = pathOf(pods, copy.metadata?.namespace);
  const made = await session.api.json<Pod>('POST', path, { body: copy, query: { fieldManager: 'kubectl-debug' } });
  if (flags.replace) await session.api.json('DELETE', pathOf(pods, metadata?.namespace, metadata?.name));
  return { pod: made, container: name };
}

/** The profile of old keeps all but the labels, whatever the flags say. */
function keeps({ flags }: Work, what: 'labels' | 'annotations' | 'probes' | 'init'): boolean {
  const isLegacy = flags.profile === 'legacy';
  switch (what) {
    case 'labels':
      return !isLegacy && Boolean(flags.keepLabels);
    case 'annotations':
      return isLegacy || Boolean(flags.keepAnnotations);
    case 'probes':
      return isLegacy;
    case 'init':
      return isLegacy || flags.keepInitContainers;
  }
}

/** Without the probes and init containers that are not to be kept. */
function kept(work: Work, { initContainers, ...spec }: PodSpec): PodSpec {
  const { flags } = work;
  const containers = spec.containers.map(container => {
    if (keeps(work, 'probes')) return container;
    const { livenessProbe, readinessProbe, startupProbe, ...rest } = container;
    return {
      ...rest,
      ...(flags.keepLiveness && livenessProbe && { livenessProbe }),
      ...(flags.keepReadiness && readinessProbe && { readinessProbe }),
      ...(flags.keepStartup && startupProbe && { startupProbe }),
    };
  });
  return { ...spec, containers, ...(keeps(work, 'init') && initContainers && { initContainers }) };
}

function changed({ flags, command }: Work): Partial<Container> {
  return {
    ...(flags.image && { image: flags.image }),
    ...(command.length > 0 && (flags.argumentsOnly ? { args: [...command] } : { command: [...command], args: [] })),
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
    },
    spec: profile.pod(
      {
        containers: [dressed(work, withRoot, 'node')],
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
