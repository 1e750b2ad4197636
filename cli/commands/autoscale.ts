/** `raftsman autoscale`: a HorizontalPodAutoscaler for something that can be scaled. */
import type { Command } from 'commander';
import { groupVersionOf } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import { forEachObject, metadataOf, type SelectionFlags, selectedObjects } from '../client/objects.ts';
import { type RecordFlags, recorded, withRecordFlag } from '../client/record.ts';
import { type Session, withSession } from '../client/session.ts';
import { dryRunOf, type WriteFlags, withWriteFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { withEmptyFields } from '../output/generated.ts';
import { ClusterCommand, integer, list, withGlobalFlags } from './cluster-command.ts';
import { createObject } from './create.ts';

interface Flags extends WriteFlags, SelectionFlags, RecordFlags {
  readonly min: number;
  readonly max?: number;
  readonly cpuPercent: number;
  readonly name?: string;
}

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('autoscale')
    .argument('[words...]')
    .usage('(-f FILENAME | TYPE NAME | TYPE/NAME) [--min=MINPODS] --max=MAXPODS [--cpu-percent=CPU]')
    .summary('scale with the load')
    .description('Makes an autoscaler, which chooses how many pods run by their load.')
    .option('--min <pods>', 'never fewer pods', integer, -1)
    .option('--max <pods>', 'never more pods', integer)
    .option('--cpu-percent <percent>', 'the use of the requested CPU to aim at', integer, -1)
    .option('--name <name>', 'the autoscaler’s name; default: that of the object')
    .option('-f, --filename <file>', 'the objects of this file', list)
    .option('-R, --recursive', 'read folders within folders')
    .option('--field-manager <name>', 'who owns the fields')
    .addHelpText('after', '\nExamples:\n  raftsman autoscale deployment web --min=2 --max=10 --cpu-percent=80')
    .action(withSession<Flags>(context, autoscale));
  program.addCommand(withWriteFlags(withRecordFlag(withGlobalFlags(command))));
}

async function autoscale(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  const { min, max } = flags;
  if (max === undefined) throw failure('required flag(s) "max" not set');
  if (max < 1) throw failure(`--max=MAXPODS is required and must be at least 1, max: ${max}`);
  if (max < min) {
    throw failure(`--max=MAXPODS must be larger or equal to --min=MINPODS, max: ${max}, min: ${min}`);
  }
  const resource = await session.discovery.find('horizontalpodautoscalers.v2.autoscaling');
  await forEachObject(session, await selectedObjects(session, words, flags), async target => {
    const name = flags.name ?? target.name;
    if (!session.discovery.hasSubresource(target.resource, 'scale')) {
      throw failure(
        `cannot autoscale a ${target.resource.kind}: could not find scale subresource for ${target.resource.group}/${target.resource.version}, Resource=${target.resource.name} in discovery information`,
      );
    }
    const object = {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name, ...(session.isNamespaceExplicit && { namespace: session.namespace }) },
      spec: {
        maxReplicas: max,
        ...(min > 0 && { minReplicas: min }),
        ...(flags.cpuPercent >= 0 && {
          metrics: [
            {
              type: 'Resource',
              resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: flags.cpuPercent } },
            },
          ],
        }),
        scaleTargetRef: {
          apiVersion: groupVersionOf(target.resource),
          kind: target.resource.kind,
          name: metadataOf(target.object).name,
        },
      },
    };
    const isDry = dryRunOf(flags) === 'client';
    const shown = recorded(session, isDry ? withEmptyFields(object) : object, flags);
    await createObject(
      session,
      { resource, namespace: target.namespace, name, object: shown },
      // kubectl tells of a trial in the words of `create`.
      { ...flags, ...(!isDry && { operation: 'autoscaled' }), manager: 'kubectl-autoscale' },
    );
  });
}
