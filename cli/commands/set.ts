/** `raftsman set image`, `env`: change parts of pod templates. */
import type { Command } from 'commander';
import type { JsonObject } from '../client/api.ts';
import { failure } from '../client/errors.ts';
import { forEachObject, objectPath, type SelectionFlags, selectedObjects } from '../client/objects.ts';
import { type Session, withSession } from '../client/session.ts';
import { templatePathOf, templateSpecOf } from '../client/templates.ts';
import { dryRunOf, dryRunQuery, printWritten, type WriteFlags, withWriteFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand, list, repeated, withGlobalFlags } from './cluster-command.ts';

interface Flags extends WriteFlags, SelectionFlags {
  readonly containers?: readonly string[];
}

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('set')
    .description('Changes parts of objects: image, env.')
    .summary('change an image or environment variables')
    .enablePositionalOptions()
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman set image deployment/web web=nginx:1.8\n  raftsman set env deployment/web MODE=fast',
    );
  const image = new ClusterCommand('image')
    .argument('[words...]')
    .usage('(-f FILENAME | TYPE NAME) CONTAINER_NAME_1=CONTAINER_IMAGE_1 ... [flags]')
    .description('Sets the images of containers; * means all containers.')
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman set image deployment/web nginx=nginx:1.27\n  raftsman set image daemonset/agent *=agent:2',
    )
    .action(withSession<Flags>(context, setImage));
  const env = new ClusterCommand('env')
    .argument('[words...]')
    .usage('TYPE/NAME KEY_1=VAL_1 ... KEY_N- [flags]')
    .description('Sets and removes environment variables of containers.')
    .option('-c, --containers <names>', 'only these containers', list)
    .addHelpText('after', '\nExamples:\n  raftsman set env deployment/web MODE=fast DEBUG-')
    .action(withSession<Flags>(context, setEnv));
  for (const sub of [image, env]) {
    sub
      .option('--all', 'all objects of the type in the namespace')
      .option('-l, --selector <labels>', 'objects with these labels')
      .option('-f, --filename <file>', 'the objects of this file', repeated)
      .option('-R, --recursive', 'read folders within folders')
      .option('--record', 'accepted for kubectl’s sake');
    command.addCommand(withWriteFlags(withGlobalFlags(sub)));
  }
  program.addCommand(command);
}

interface Container {
  readonly name: string;
  readonly image?: string;
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
}

/** What one kind of change does to the containers of a pod template; undefined if nothing changes. */
type Change = (containers: readonly Container[], field: 'containers' | 'initContainers') => JsonObject[];

async function setImage(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  const { objects, pairs } = split(words, word => word.includes('='));
  if (pairs.length === 0) throw failure('at least one image update is required');
  const images = new Map(pairs.map(pair => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
  await update(session, objects, flags, 'image updated', all => {
    const names = new Set(all.map(({ name }) => name));
    const unknown = [...images.keys()].find(name => name !== '*' && !names.has(name));
    if (unknown !== undefined) throw failure(`unable to find container named "${unknown}"`);
    return containers =>
      containers.flatMap(({ name, image }) => {
        const wanted = images.get(name) ?? images.get('*');
        return wanted !== undefined && wanted !== image ? [{ name, image: wanted }] : [];
      });
  });
}

async function setEnv(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  const { objects, pairs } = split(words, word => word.includes('=') || /^\w[\w.]*-$/.test(word));
  if (pairs.length === 0) throw failure('at least one environment variable must be provided');
  await update(session, objects, flags, 'env updated', () => (containers, field) => {
    if (field === 'initContainers') return [];
    return containers
      .filter(({ name }) => !flags.containers || flags.containers.includes(name))
      .map(({ name }) => ({
        name,
        env: pairs.map(pair => {
          const equals = pair.indexOf('=');
          return equals < 0
            ? { name: pair.slice(0, -1), $patch: 'delete' }
            : { name: pair.slice(0, equals), value: pair.slice(equals + 1) };
        }),
      }));
  });
}

function split(words: readonly string[], isPair: (word: string) => boolean) {
  return { objects: words.filter(word => !isPair(word)), pairs: words.filter(isPair) };
}

async function update(
  session: Session,
  words: readonly string[],
  flags: Flags,
  operation: string,
  changeFor: (containers: readonly Container[]) => Change,
): Promise<void> {
  await forEachObject(session, await selectedObjects(session, words, flags), async object => {
    const spec = templateSpecOf(object.object) as
      | { containers?: Container[]; initContainers?: Container[] }
      | undefined;
    if (!spec) throw failure(`${object.resource.name}/${object.name} has no pod template`);
    const change = changeFor([...(spec.containers ?? []), ...(spec.initContainers ?? [])]);
    const patch: JsonObject = {};
    for (const field of ['containers', 'initContainers'] as const) {
      const changes = change(spec[field] ?? [], field);
      if (changes.length > 0) patch[field] = changes;
    }
    if (Object.keys(patch).length === 0) return;
    const body = templatePathOf(object.object).reduceRight<unknown>((inner, key) => ({ [key]: inner }), patch);
    const after =
      dryRunOf(flags) === 'client'
        ? object.object
        : await session.api.json('PATCH', objectPath(object), {
            contentType: 'application/strategic-merge-patch+json',
            body,
            query: { fieldManager: 'kubectl-set', dryRun: dryRunQuery(flags) },
          });
    printWritten(session, { ...object, object: after }, operation, flags);
  });
}
