/** `raftsman patch`: changes some fields of objects. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { failure } from '../client/errors.ts';
import { forEachObject, objectPath, type SelectionFlags, selectedReferences } from '../client/objects.ts';
import { type Session, withSession } from '../client/session.ts';
import { dryRunQuery, printWritten, type WriteFlags, withWriteFlags } from '../client/write.ts';
import { yaml } from '../client/yaml.ts';
import type { CommandContext } from '../context.ts';
import { definitionOf } from './apply-patch.ts';
import { ClusterCommand, repeated, withGlobalFlags } from './cluster-command.ts';

interface Flags extends WriteFlags, SelectionFlags {
  readonly patch?: string;
  readonly patchFile?: string;
  readonly type: string;
  readonly subresource?: string;
  readonly fieldManager?: string;
}

const TYPES: Readonly<Record<string, string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
};

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('patch')
    .argument('[words...]')
    .usage('(-f FILENAME | TYPE NAME) [-p PATCH|--patch-file FILE] [flags]')
    .summary('change some fields of an object')
    .description('Changes fields of objects with a strategic merge patch, a merge patch or a JSON patch.')
    .option('-p, --patch <patch>', 'the patch, JSON or YAML')
    .option('--field-manager <name>', 'who owns the fields')
    .option('-k, --kustomize <folder>', 'the objects of a kustomization')
    .option('--patch-file <file>', 'a file that holds the patch')
    .option('--type <type>', 'json, merge or strategic', 'strategic')
    .option('--subresource <name>', 'change this part of the object')
    .option('-f, --filename <file>', 'the objects of this file', repeated)
    .option('-R, --recursive', 'read folders within folders')
    .addHelpText(
      'after',
      `\nExamples:\n  raftsman patch deploy web -p '{"spec":{"replicas":3}}'\n  raftsman patch pod web-1 --type=json -p '[{"op":"remove","path":"/metadata/labels/tier"}]'`,
    )
    .action(withSession<Flags>(context, patch));
  program.addCommand(withWriteFlags(withGlobalFlags(command)));
}

async function patch(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  const contentType = TYPES[flags.type];
  if (!contentType) throw failure(`--type must be one of [json merge strategic], not ${JSON.stringify(flags.type)}`);
  const body = patchOf(flags);
  await forEachObject(session, await selectedReferences(session, words, flags), async reference => {
    const isCustom = definitionOf(reference.resource) === undefined;
    if (isCustom && flags.type === 'strategic') {
      throw failure(
        `application/strategic-merge-patch+json is not supported by ${reference.resource.group}/${reference.resource.version}, Kind=${reference.resource.kind}: use --type=merge`,
      );
    }
    const before = await session.api.json('GET', objectPath(reference));
    const object = await session.api.json('PATCH', objectPath(reference, flags.subresource), {
      contentType,
      body,
      query: { fieldManager: flags.fieldManager ?? 'kubectl-patch', dryRun: dryRunQuery(flags) },
    });
    const version = (value: object) => (value as { metadata?: { resourceVersion?: string } }).metadata?.resourceVersion;
    const isChanged = version(before) !== version(object) || dryRunQuery(flags) !== undefined;
    printWritten(session, { ...reference, object }, isChanged ? 'patched' : 'patched (no change)', flags);
  });
}

function patchOf(flags: Flags): unknown {
  const text = flags.patchFile === undefined ? flags.patch : readText(flags.patchFile);
  if (!text) throw failure('must specify --patch or --patch-file containing the contents of the patch');
  // JSON goes as it is: the server says what is wrong with it.
  if (/^\s*[{[]/.test(text)) return text;
  try {
    return yaml().parse(text);
  } catch (error) {
    throw failure(
      `unable to parse ${JSON.stringify(text)}: ${error instanceof Error ? error.message.split('\n')[0] : error}`,
      error,
    );
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw failure(`unable to read patch file: open ${path}: no such file or directory`, error);
  }
}
