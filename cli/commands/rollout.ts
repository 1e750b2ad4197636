/** `raftsman rollout`: watch, undo, restart, pause and resume the roll-out of deployments and daemon sets. */
import type { Command } from 'commander';
import type { DaemonSet, Deployment, StatefulSet } from '../../control/api/generated/types.ts';
import type { JsonObject } from '../client/api.ts';
import { nameWithGroup } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import {
  displayName,
  forEachSelected,
  metadataOf,
  type ObjectReference,
  objectPath,
  type SelectionFlags,
  selectedObjects,
} from '../client/objects.ts';
import { type Session, withSession } from '../client/session.ts';
import { dryRunOf, dryRunQuery, printWritten, type WriteFlags, withWriteFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { templateLines } from '../describe/pod-template.ts';
import { ClusterCommand, durationMs, integer, list, withGlobalFlags } from './cluster-command.ts';
import { REVISION, type Revision, revisionsOf } from './rollout-revisions.ts';

interface Flags extends WriteFlags, SelectionFlags {
  readonly revision?: number;
  readonly toRevision?: number;
  readonly watch?: boolean;
  readonly timeout?: number;
}

type Selected = ObjectReference & { readonly object: JsonObject };

const POLL_MS = 250;

type Work = (session: Session, words: readonly string[], flags: Flags) => Promise<void>;

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('rollout')
    .summary('manage the roll-out of changes')
    .description('Manages the roll-out of a deployment, daemon set or stateful set.')
    .asGroup(context)
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman rollout status deployment/web\n  raftsman rollout undo deployment/web --to-revision=2',
    );
  const add = (name: string, description: string, work: Work, flags: (sub: Command) => Command = sub => sub) => {
    const sub = new ClusterCommand(name)
      .argument('[words...]')
      .usage('(TYPE NAME | TYPE/NAME) [flags]')
      .description(description)
      .addHelpText('after', `\nExamples:\n  raftsman rollout ${name} deployment/web`)
      .option('-l, --selector <labels>', 'objects with these labels')
      .option('-f, --filename <file>', 'the objects of this file', list)
      .option('-R, --recursive', 'read folders within folders')
      .action(
        withSession<Flags>(context, async (session, words, flags) => {
          if (words.length === 0 && !flags.filename?.length) throw failure('required resource not specified');
          // A type alone means all of it.
          await work(session, words, { ...flags, isTypeEnough: true });
        }),
      );
    flags(sub);
    command.addCommand(withWriteFlags(withGlobalFlags(sub)));
  };
  add('status', 'Waits until the roll-out is done, and says how far it is.', status, sub =>
    sub
      .option('-w, --watch', 'wait until it is done', true)
      .option('--no-watch', 'only say how far it is')
      .option('--revision <number>', 'only while this revision is rolled out', integer)
      .option('--timeout <duration>', 'how long to wait', durationMs),
  );
  add('history', 'Lists the revisions, or shows one.', history, sub =>
    sub.option('--revision <number>', 'show this revision', integer),
  );
  add('undo', 'Goes back to the revision before, or to the one named.', undo, sub =>
    sub.option('--to-revision <number>', 'the revision to go back to', integer, 0),
  );
  add('restart', 'Replaces all pods, as if the template had changed.', restart);
  add('pause', 'Stops rolling out changes.', setPaused(true));
  add('resume', 'Goes on rolling out changes.', setPaused(false));
  program.addCommand(command);
}

async function status(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  const deadline = flags.timeout ? session.context.clock.now() + flags.timeout : undefined;
  const references = await selectedObjects(session, words, flags);
  if (references.length === 0) session.error(`No resources found in ${session.namespace} namespace.`);
  for (const reference of references) {
    let last = '';
    for (let object = reference.object; ; object = await session.api.json('GET', objectPath(reference))) {
      const { text, isDone } = statusOf(object, flags.revision);
      if (text !== last) session.print(text);
      last = text;
      if (isDone || !flags.watch) break;
      if (deadline !== undefined && session.context.clock.now() >= deadline) {
        throw failure('timed out waiting for the condition');
      }
      await session.context.delay(POLL_MS);
    }
  }
}

interface RolloutStatus {
  readonly text: string;
  readonly isDone: boolean;
}

function statusOf(object: JsonObject, revision: number | undefined): RolloutStatus {
  switch (object.kind) {
    case 'Deployment':
      return deploymentStatus(object as Deployment, revision);
    case 'DaemonSet':
      return daemonSetStatus(object as DaemonSet);
    case 'StatefulSet':
      return statefulSetStatus(object as StatefulSet);
    default:
      throw failure(`no status viewer has been implemented for ${String(object.kind)}`);
  }
}

function deploymentStatus({ metadata, spec, status = {} }: Deployment, revision: number | undefined): RolloutStatus {
  const name = metadata?.name ?? '';
  const actual = Number(metadata?.annotations?.[REVISION] ?? 0);
  if (revision && revision !== actual) {
    throw failure(`desired revision (${revision}) is different from the running revision (${actual})`);
  }
  if ((metadata?.generation ?? 0) > (status.observedGeneration ?? 0)) {
    return { text: 'Waiting for deployment spec update to be observed...', isDone: false };
  }
  const progressing = status.conditions?.find(condition => condition.type === 'Progressing');
  if (progressing?.reason === 'ProgressDeadlineExceeded') {
    throw failure(`deployment "${name}" exceeded its progress deadline`);
  }
  const wanted = spec?.replicas ?? 1;
  const { updatedReplicas = 0, replicas = 0, availableReplicas = 0 } = status;
  const waiting = `Waiting for deployment "${name}" rollout to finish:`;
  if (updatedReplicas < wanted) {
    return { text: `${waiting} ${updatedReplicas} out of ${wanted} new replicas have been updated...`, isDone: false };
  }
  if (replicas > updatedReplicas) {
    return { text: `${waiting} ${replicas - updatedReplicas} old replicas are pending termination...`, isDone: false };
  }
  if (availableReplicas < updatedReplicas) {
    return {
      text: `${waiting} ${availableReplicas} of ${updatedReplicas} updated replicas are available...`,
      isDone: false,
    };
  }
  return { text: `deployment "${name}" successfully rolled out`, isDone: true };
}

function daemonSetStatus({ metadata, status }: DaemonSet): RolloutStatus {
  const name = metadata?.name ?? '';
  if ((metadata?.generation ?? 0) > (status?.observedGeneration ?? 0)) {
    return { text: 'Waiting for daemon set spec update to be observed...', isDone: false };
  }
  const wanted = status?.desiredNumberScheduled ?? 0;
  const updated = status?.updatedNumberScheduled ?? 0;
  const available = status?.numberAvailable ?? 0;
  const waiting = `Waiting for daemon set "${name}" rollout to finish:`;
  if (updated < wanted)
    return { text: `${waiting} ${updated} out of ${wanted} new pods have been updated...`, isDone: false };
  if (available < wanted)
    return { text: `${waiting} ${available} of ${wanted} updated pods are available...`, isDone: false };
  return { text: `daemon set "${name}" successfully rolled out`, isDone: true };
}

function statefulSetStatus({ metadata, spec, status }: StatefulSet): RolloutStatus {
  const wanted = spec?.replicas ?? 1;
  const ready = status?.readyReplicas ?? 0;
  const updated = status?.updatedReplicas ?? 0;
  const { type = 'RollingUpdate', rollingUpdate } = spec?.updateStrategy ?? {};
  if (type !== 'RollingUpdate') throw failure('rollout status is only available for RollingUpdate strategy type');
  if ((metadata?.generation ?? 0) > (status?.observedGeneration ?? 0)) {
    return { text: 'Waiting for statefulset spec update to be observed...', isDone: false };
  }
  if (ready < wanted) return { text: `Waiting for ${wanted - ready} pods to be ready...`, isDone: false };
  if (rollingUpdate) {
    const due = wanted - (rollingUpdate.partition ?? 0);
    return rollingUpdate.partition !== undefined && updated < due
      ? {
          text: `Waiting for partitioned roll out to finish: ${updated} out of ${due} new pods have been updated...`,
          isDone: false,
        }
      : { text: `partitioned roll out complete: ${updated} new pods have been updated...`, isDone: true };
  }
  if (status?.updateRevision !== status?.currentRevision) {
    return {
      text: `waiting for statefulset rolling update to complete ${updated} pods at revision ${status?.updateRevision ?? ''}...`,
      isDone: false,
    };
  }
  return {
    text: `statefulset rolling update complete ${status?.currentReplicas ?? 0} pods at revision ${status?.currentRevision ?? ''}...`,
    isDone: true,
  };
}

async function history(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  const work = async (reference: Selected) => {
    const revisions = await revisionsOf(session, reference, 'history viewer');
    if (flags.revision) {
      const found = revisions.find(({ number }) => number === flags.revision);
      if (!found) throw failure('unable to find the specified revision');
      if (flags.output) {
        printWritten(session, { ...reference, object: found.object }, '', flags);
        return;
      }
      session.print(`${displayName(reference)} with revision #${flags.revision}`);
      // kubectl leaves the tabs as they are here.
      for (const line of ['Pod Template:', ...templateLines(found.template)])
        session.print(line.replace(/^ +(?=\t)/, ''));
      session.print('');
      return;
    }
    session.print(`${displayName(reference)} `);
    if (revisions.length === 0) {
      session.print('No rollout history found.');
      return;
    }
    const rows = revisions.map(({ number, cause }) => [String(number), cause ?? '<none>']);
    // This table has kubectl's narrow form: two blanks between columns.
    const width = Math.max('REVISION'.length, ...rows.map(([revision = '']) => revision.length)) + 2;
    for (const [revision = '', cause = ''] of [['REVISION', 'CHANGE-CAUSE'], ...rows]) {
      session.print(`${revision.padEnd(width)}${cause}`);
    }
    session.print('');
  };
  await forEachSelected(session, words, { flags, work });
}

async function undo(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  const work = async (reference: Selected) => {
    const revisions = await revisionsOf(session, reference, 'rollbacker');
    const isDeployment = reference.object.kind === 'Deployment';
    const target = targetOf(reference, revisions, flags.toRevision ?? 0);
    if (isDeployment && (reference.object as Deployment).spec?.paused) {
      throw failure(
        `you cannot rollback a paused deployment; resume it first with 'raftsman rollout resume' and try again`,
      );
    }
    const current = isDeployment
      ? Number(metadataOf(reference.object).annotations?.[REVISION] ?? 0)
      : revisions.at(-1)?.number;
    if (target.number === current) {
      const text = `skipped rollback (current template already matches revision ${target.number})`;
      printWritten(session, reference, text, flags);
      return;
    }
    if (dryRunOf(flags) === 'client') {
      // kubectl tells here what it would go back to, in place of what it did.
      const lines = ['Pod Template:', ...templateLines(target.template)].map(line => line.replace(/^ +(?=\t)/, ''));
      const told = isDeployment ? '' : 'will roll back to ';
      printWritten(session, reference, `${told}${lines.join('\n')}\n`, flags);
      return;
    }
    await session.api.json('PATCH', objectPath(reference), {
      ...(isDeployment ? deploymentPatch(reference.object as Deployment, target) : revisionPatch(target)),
      // kubectl leaves it to the server here, which takes the program's name.
      query: { fieldManager: 'kubectl', dryRun: dryRunQuery(flags) },
    });
    // kubectl shows what it was before.
    printWritten(session, reference, 'rolled back', flags);
  };
  await forEachSelected(session, words, { flags, work });
}

/** The revision named, else the one before the last. */
function targetOf(
  { object, name }: ObjectReference & { object: JsonObject },
  revisions: readonly Revision[],
  to: number,
) {
  if (to < 0) throw failure(`invalid revision: ${to}: it must be 1 or more; 0 is the one before`);
  const found = to === 0 ? revisions.at(-2) : revisions.find(({ number }) => number === to);
  if (found) return found;
  throw failure(
    to === 0
      ? object.kind === 'Deployment'
        ? `no rollout history found for deployment "${name}"`
        : 'no last revision to roll back to'
      : `unable to find specified revision ${to} in history`,
  );
}

function deploymentPatch(deployment: Deployment, { template, annotations }: Revision) {
  const copy = structuredClone(template ?? {});
  // The controller's own label; it gives the new replica set another.
  if (copy.metadata?.labels) delete copy.metadata.labels['pod-template-hash'];
  return {
    contentType: 'application/json-patch+json',
    body: [
      { op: 'replace', path: '/spec/template', value: copy },
      { op: 'replace', path: '/metadata/annotations', value: annotationsOf(deployment, annotations) },
    ],
  };
}

const revisionPatch = ({ patch }: Revision) => ({
  contentType: 'application/strategic-merge-patch+json',
  body: patch,
});

/** Annotations come back with the template, but for those that belong to the deployment itself. */
function annotationsOf(deployment: Deployment, former: Readonly<Record<string, string>>): Record<string, string> {
  const KEPT = ['kubectl.kubernetes.io/last-applied-configuration', REVISION];
  const DROPPED = [
    ...KEPT,
    'deployment.kubernetes.io/revision-history',
    'deployment.kubernetes.io/desired-replicas',
    'deployment.kubernetes.io/max-replicas',
    'deprecated.deployment.rollback.to',
  ];
  const pick = (annotations: Readonly<Record<string, string>> | undefined, isWanted: (key: string) => boolean) =>
    Object.entries(annotations ?? {}).filter(([key]) => isWanted(key));
  return Object.fromEntries([
    ...pick(former, key => !DROPPED.includes(key)),
    ...pick(deployment.metadata?.annotations, key => KEPT.includes(key)),
  ]);
}

async function restart(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  const work = async (reference: Selected) => {
    if (!['Deployment', 'DaemonSet', 'StatefulSet'].includes(String(reference.object.kind))) {
      throw failure(`${nameWithGroup(reference.resource)} "${reference.name}" restarting is not supported`);
    }
    if ((reference.object as Deployment).spec?.paused)
      throw failure(
        `${nameWithGroup(reference.resource)} "${reference.name}" can't restart paused deployment (run rollout resume first)`,
      );
    const restartedAt = `${new Date(session.context.clock.now()).toISOString().slice(0, 19)}Z`;
    const annotations = { 'kubectl.kubernetes.io/restartedAt': restartedAt };
    const object = await session.api.json('PATCH', objectPath(reference), {
      contentType: 'application/strategic-merge-patch+json',
      body: { spec: { template: { metadata: { annotations } } } },
      query: { fieldManager: 'kubectl-rollout', dryRun: dryRunQuery(flags) },
    });
    printWritten(session, { ...reference, object }, 'restarted', flags);
  };
  await forEachSelected(session, words, { flags, work });
}

function setPaused(paused: boolean): Work {
  return async (session, words, flags) => {
    const work = async (reference: Selected) => {
      if (reference.object.kind !== 'Deployment') {
        throw failure(
          `${nameWithGroup(reference.resource)} "${reference.name}" ${paused ? 'pausing' : 'resuming'} is not supported`,
        );
      }
      if (Boolean((reference.object as Deployment).spec?.paused) === paused) {
        throw failure(
          `${nameWithGroup(reference.resource)} "${reference.name}" is ${paused ? 'already paused' : 'not paused'}`,
        );
      }
      const object = await session.api.json('PATCH', objectPath(reference), {
        contentType: 'application/strategic-merge-patch+json',
        body: { spec: { paused } },
        query: { fieldManager: 'kubectl-rollout', dryRun: dryRunQuery(flags) },
      });
      printWritten(session, { ...reference, object }, paused ? 'paused' : 'resumed', flags);
    };
    await forEachSelected(session, words, { flags, work });
  };
}
