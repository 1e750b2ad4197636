/** `raftsman patch`: changes some fields of objects. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { type JsonPatchOperation, jsonPatch } from '../../control/api/patch/json-patch.ts';
import { mergePatch } from '../../control/api/patch/merge-patch.ts';
import { strategicMergePatch } from '../../control/api/patch/strategic-merge-patch.ts';
import { ApiError } from '../../control/api/status.ts';
import type { JsonObject } from '../client/api.ts';
import { groupVersionOf } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import {
  forEachObject,
  manifestObjects,
  type ObjectReference,
  objectPath,
  type SelectionFlags,
  selectedReferences,
} from '../client/objects.ts';
import { yamlMistake } from '../client/parse-errors.ts';
import { type RecordFlags, recordAfterwards, withRecordFlag } from '../client/record.ts';
import { type Session, withSession } from '../client/session.ts';
import { dryRunQuery, printWritten, type WriteFlags, withWriteFlags } from '../client/write.ts';
import { yaml } from '../client/yaml.ts';
import type { CommandContext } from '../context.ts';
import { definitionOf } from './apply-patch.ts';
import { ClusterCommand, repeated, withGlobalFlags } from './cluster-command.ts';

interface Flags extends WriteFlags, SelectionFlags, RecordFlags {
  readonly patch?: string;
  readonly patchFile?: string;
  readonly type: string;
  readonly subresource?: string;
  readonly local?: boolean;
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
    .option('--local', 'change the file’s objects without asking the server')
    .addHelpText(
      'after',
      `\nExamples:\n  raftsman patch deploy web -p '{"spec":{"replicas":3}}'\n  raftsman patch pod web-1 --type=json -p '[{"op":"remove","path":"/metadata/labels/tier"}]'`,
    )
    .action(withSession<Flags>(context, patch));
  program.addCommand(withWriteFlags(withRecordFlag(withGlobalFlags(command))));
}

async function patch(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  const contentType = TYPES[flags.type];
  if (!contentType) throw failure(`--type must be one of [json merge strategic], not ${JSON.stringify(flags.type)}`);
  const body = patchOf(flags);
  if (flags.local) return patchLocally(session, body, flags);
  await forEachObject(session, await selectedReferences(session, words, flags), async reference => {
    const before = await session.api.json('GET', objectPath(reference));
    const patched = await session.api
      .json('PATCH', objectPath(reference, flags.subresource), {
        contentType,
        body,
        query: { fieldManager: flags.fieldManager ?? 'kubectl-patch', dryRun: dryRunQuery(flags) },
      })
      .catch(error => {
        if (!(error instanceof ApiError) || error.reason !== 'UnsupportedMediaType') throw error;
        const { resource } = reference;
        throw failure(
          `${contentType} is not supported by ${groupVersionOf(resource)}, Kind=${resource.kind}: ${error.message}`,
          error,
        );
      });
    const manager = flags.fieldManager ?? 'kubectl-patch';
    const object =
      dryRunQuery(flags) === undefined
        ? await recordAfterwards(session, { ...reference, object: patched }, { flags, manager })
        : patched;
    const version = (value: object) => (value as { metadata?: { resourceVersion?: string } }).metadata?.resourceVersion;
    const isChanged = version(before) !== version(object) || dryRunQuery(flags) !== undefined;
    printWritten(
      session,
      { ...reference, ...answered(reference, object, flags), object },
      isChanged ? 'patched' : 'patched (no change)',
      flags,
    );
  });
}

/** A scale is no deployment: what is told is what the server answered with. */
function answered({ resource }: ObjectReference, { apiVersion, kind }: JsonObject, { subresource }: Flags) {
  if (subresource === undefined || kind === resource.kind) return {};
  const [group = ''] = String(apiVersion).includes('/') ? String(apiVersion).split('/') : [''];
  return { resource: { ...resource, group, kind: String(kind), singular: String(kind).toLowerCase() } };
}

/** The objects of a file with the patch, without asking the server to change anything. */
async function patchLocally(session: Session, body: unknown, flags: Flags): Promise<void> {
  if (!flags.filename?.length) throw failure('--local requires --filename to be set');
  const changes: unknown = typeof body === 'string' ? JSON.parse(body) : body;
  await forEachObject(session, await manifestObjects(session, flags, 'patch'), async manifest => {
    const definition = definitionOf(manifest.resource);
    if (flags.type === 'strategic' && definition === undefined) {
      const { resource } = manifest;
      throw failure(
        `strategic merge patch is not supported for ${groupVersionOf(resource)}, Kind=${resource.kind} locally, try --type merge`,
      );
    }
    const object =
      flags.type === 'json'
        ? jsonPatch(manifest.object, changes as JsonPatchOperation[])
        : flags.type === 'strategic' && definition !== undefined
          ? strategicMergePatch(manifest.object, changes as JsonObject, definition)
          : mergePatch(manifest.object, changes);
    printWritten(session, { ...manifest, object: object as JsonObject }, 'patched', flags);
  });
}

function patchOf(flags: Flags): unknown {
  if (flags.patchFile !== undefined && flags.patch !== undefined) {
    throw failure('cannot specify --patch and --patch-file together');
  }
  const text = flags.patchFile === undefined ? flags.patch : readText(flags.patchFile);
  if (!text) throw failure('must specify --patch or --patch-file containing the contents of the patch');
  // JSON goes as it is: the server says what is wrong with it.
  if (/^\s*[{[]/.test(text)) return text;
  try {
    return yaml().parse(text);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const mistake = error instanceof yaml().YAMLParseError ? yamlMistake(error, text) : error.message;
    throw failure(`unable to parse ${JSON.stringify(text)}: ${mistake}`, error);
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw failure(`unable to read patch file: open ${path}: no such file or directory`, error);
  }
}
