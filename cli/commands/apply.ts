/** `raftsman apply -f`: makes objects what their manifests say. */
import type { Command } from 'commander';
import { ApiError } from '../../control/api/status.ts';
import type { JsonObject } from '../client/api.ts';
import { pathOf } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import {
  APPLYING,
  during,
  forEachObject,
  isOfFiles,
  type ManifestObject,
  manifestObjects,
  metadataOf,
  objectPath,
  type SelectionFlags,
} from '../client/objects.ts';
import { type RecordFlags, recorded, withRecordFlag } from '../client/record.ts';
import { type Session, withSession } from '../client/session.ts';
import { usageFailure } from '../client/usage.ts';
import { dryRunOf, dryRunQuery, printWritten, type WriteFlags, withWriteFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { sorted, yamlText } from '../output/documents.ts';
import { definitionOf, LAST_APPLIED, lastApplied, overlaps, threeWayPatch, withLastApplied } from './apply-patch.ts';
import { prune } from './apply-prune.ts';
import { ClusterCommand, durationMs, integer, list, repeated, withGlobalFlags } from './cluster-command.ts';
import { withoutVersion } from './create.ts';
import { policyOf, waitUntilGone } from './delete.ts';
import { fieldValidation } from './field-validation.ts';
import { lastAppliedCommands } from './last-applied.ts';
import { migrate } from './server-side-migration.ts';

interface Flags extends WriteFlags, SelectionFlags, RecordFlags {
  readonly serverSide?: boolean;
  readonly forceConflicts?: boolean;
  readonly fieldManager?: string;
  readonly validate?: string | true;
  readonly prune?: boolean;
  readonly subresource?: string;
  readonly pruneAllowlist?: readonly string[];
  readonly all?: boolean;
  readonly force?: boolean;
  readonly overwrite: boolean;
  readonly gracePeriod: number;
  readonly cascade: string | boolean;
  readonly timeout: number;
}

/** How often a patch that met another's write is made anew. */
const CONFLICT_RETRIES_MAX = 5;
const SERVER_SIDE_MANAGER = 'kubectl';
const FIELD_MANAGER = 'kubectl-client-side-apply';

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('apply')
    .argument('[words...]')
    .usage('-f FILENAME [flags]')
    .summary('make objects what a file says')
    .description('Creates the objects of a file, or changes those that exist to what it says.')
    .option('-f, --filename <file>', 'a file, a folder, a URL, or - for standard input', list)
    .option('-k, --kustomize <folder>', 'the objects of a kustomization')
    .option('-R, --recursive', 'read folders within folders')
    .option('-l, --selector <labels>', 'only the objects with these labels')
    .option('--all', 'with --prune: all objects, whatever their labels')
    .option('--prune', 'delete what was applied before and is no longer in the files')
    .option('--prune-allowlist <group/version/kind>', 'with --prune: only these kinds (repeatable)', repeated)
    .option('--overwrite', 'take back what others changed; =false: refuse to', true)
    .option('--force', 'delete and create anew what cannot be changed')
    .option('--grace-period <seconds>', 'with --prune or --force: how long pods have to stop', integer, -1)
    .option('--cascade [mode]', 'with --prune or --force: background, foreground or orphan', 'background')
    .option('--wait', 'of no effect, with kubectl as well')
    .option('--timeout <duration>', 'with --force: how long to wait until the old object is gone', durationMs, 0)
    .option('--openapi-patch', 'of no effect: how lists are merged is known for all of Kubernetes’ kinds', true)
    .option('--subresource <name>', 'with --server-side: apply to this part of the object')
    .option('--server-side', 'let the server merge')
    .option('--force-conflicts', 'take over fields of others (with --server-side)')
    .option('--field-manager <name>', 'who owns the fields')
    .option('--validate [mode]', 'strict, warn or ignore: what to do about unknown fields')
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman apply -f app.yaml\n  raftsman apply -f manifests/ -R\n  cat app.json | raftsman apply -f -',
    )
    .enablePositionalOptions()
    .action(withSession<Flags>(context, apply));
  for (const sub of lastAppliedCommands(context)) command.addCommand(sub);
  program.addCommand(withWriteFlags(withRecordFlag(withGlobalFlags(command))));
}

async function apply(session: Session, words: readonly string[], flags: Flags, self: Command): Promise<void> {
  if (words.length > 0) throw usageFailure(self, `Unexpected args: [${words.join(' ')}]`);
  if (flags.serverSide && dryRunOf(flags) === 'client') {
    throw failure("--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)");
  }
  if (flags.subresource !== undefined && !flags.serverSide) {
    throw failure('--subresource can only be specified for --server-side');
  }
  if (flags.force && flags.serverSide) throw failure('--force cannot be used with --server-side');
  if (flags.all && flags.selector !== undefined) throw failure('cannot set --all and --selector at the same time');
  fieldValidation(flags.validate);
  dryRunOf(flags);
  const propagationPolicy = policyOf(session, flags.cascade);
  if (!isOfFiles(flags)) throw failure('must specify one of -f and -k');
  if (flags.prune && flags.selector === undefined && !flags.all) {
    throw failure(
      'all resources selected for prune without explicitly passing --all. To prune all resources, pass the --all flag. If you did not mean to prune all resources, specify a label selector',
    );
  }
  if (flags.forceConflicts && !flags.serverSide) throw failure('--force-conflicts only works with --server-side');
  const manifests = await manifestObjects(session, flags, 'apply');
  for (const { name, object } of manifests) {
    const { generateName } = metadataOf(object);
    if (name === '' && generateName) throw failure(`from ${generateName}: cannot use generate name with apply`);
  }
  const work = flags.serverSide ? applyOnServer : applyObject;
  const isDone = await forEachObject(
    session,
    manifests.map(manifest => ({ ...manifest, object: recorded(session, manifest.object, flags) })),
    manifest => work(session, manifest, flags),
    APPLYING,
  );
  // What a mistake kept from being read must not be taken for removed.
  if (flags.prune && isDone) await prune(session, manifests, { ...flags, propagationPolicy });
}

async function applyOnServer(session: Session, manifest: ManifestObject, flags: Flags): Promise<void> {
  const manager = flags.fieldManager ?? SERVER_SIDE_MANAGER;
  const send = () =>
    session.api.json('PATCH', objectPath(manifest, flags.subresource), {
      contentType: 'application/apply-patch+yaml',
      body: manifest.object,
      query: {
        fieldManager: manager,
        fieldValidation: fieldValidation(flags.validate),
        force: flags.forceConflicts ? true : undefined,
        dryRun: dryRunQuery(flags),
      },
    });
  const first = await during('', send().catch(explainConflicts));
  const isMigrated =
    manager === SERVER_SIDE_MANAGER && dryRunOf(flags) === 'none' && (await migrate(session, manifest, first));
  const object = isMigrated ? await send() : first;
  printWritten(session, { ...manifest, object }, 'serverside-applied', flags);
}

/** Tells of fields that belong to others what can be done about them. */
function explainConflicts(error: unknown): never {
  if (!(error instanceof ApiError) || error.reason !== 'Conflict') throw error;
  throw failure(
    `${error.message}
Please review the fields above--they currently have other managers. Here
are the ways you can resolve this warning:
* If you intend to manage all of these fields, please re-run the apply
  command with the \`--force-conflicts\` flag.
* If you do not intend to manage all of the fields, please edit your
  manifest to remove references to the fields that should keep their
  current managers.
* You may co-own fields by updating your manifest to match the existing
  value; in this case, you'll become the manager if the other manager(s)
  stop managing the field (remove it from their configuration).
See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts`,
    error,
  );
}

async function applyObject(session: Session, manifest: ManifestObject, flags: Flags): Promise<void> {
  if (manifest.name === '') throw failure(retrieving({ ...manifest, namespace: '' }, 'resource name may not be empty'));
  const modified = withLastApplied(manifest.object);
  for (let attempt = 0; ; attempt++) {
    const current = await find(session, manifest);
    try {
      if (current === undefined) await during('creating', create(session, { ...manifest, object: modified }, flags));
      else await during('', patch(session, { ...manifest, object: modified }, current, flags));
      return;
    } catch (error) {
      if (!(error instanceof ApiError) || current === undefined) throw error;
      const isConflict = error.reason === 'Conflict';
      if (isConflict && attempt < CONFLICT_RETRIES_MAX && !metadataOf(modified).resourceVersion) continue;
      const isForced = flags.force && (isConflict || error.reason === 'Invalid') && dryRunOf(flags) === 'none';
      if (!isForced) throw error;
      await replace(session, { ...manifest, object: modified }, current, flags);
      return;
    }
  }
}

/** Deletes the object and creates it anew; what cannot be created leaves the old one back in its place. */
async function replace(session: Session, manifest: ManifestObject, current: JsonObject, flags: Flags): Promise<void> {
  await session.api.json('DELETE', objectPath(manifest), {
    body: {
      ...(flags.gracePeriod >= 0 && { gracePeriodSeconds: flags.gracePeriod }),
      propagationPolicy: policyOf(session, flags.cascade),
    },
  });
  const deadline = flags.timeout > 0 ? session.context.clock.now() + flags.timeout : undefined;
  await waitUntilGone(session, manifest, { uid: metadataOf(current).uid, deadline });
  const path = pathOf(manifest.resource, manifest.namespace);
  try {
    const object = await session.api.json('POST', path, {
      body: withoutVersion(withoutNulls(manifest.object)),
      query: writeQuery(flags),
    });
    printWritten(session, { ...manifest, object }, 'configured', flags);
  } catch (error) {
    await session.api.json('POST', path, { body: withoutVersion(current), query: { fieldManager: FIELD_MANAGER } });
    throw error;
  }
}

/** kubectl's long way of saying which patch was refused; what an invalid object lacks is told by itself. */
function patching(manifest: ManifestObject, body: JsonObject, error: ApiError): ApiError {
  if (error.reason === 'Invalid') return error;
  const { resource, name, namespace, source } = manifest;
  const { group, version } = resource;
  const message = [
    'error when applying patch:',
    JSON.stringify(sorted(body)),
    'to:',
    `Resource: "${group}/${version}, Resource=${resource.name}", GroupVersionKind: "${group}/${version}, Kind=${resource.kind}"`,
    `Name: ${JSON.stringify(name)}, Namespace: ${JSON.stringify(namespace)}`,
    `for: ${JSON.stringify(source)}: error when patching ${JSON.stringify(source)}: ${error.message}`,
  ].join('\n');
  return new ApiError(error.reason, message, { code: error.code, cause: error });
}

/** What --overwrite=false keeps from being written; kubectl tells it with all versions of the object around it. */
const overlapText = (patch: JsonObject, changes: JsonObject): string =>
  `patch:\n${yamlText(patch)}\n\nconflicts with changes made from original to current:\n${yamlText(changes)}\n`;

/** kubectl's long way of saying which object could not be read. */
function retrieving({ resource, name, namespace, source }: ManifestObject, message: string): string {
  const { group, version } = resource;
  return [
    'error when retrieving current configuration of:',
    `Resource: "${group}/${version}, Resource=${resource.name}", GroupVersionKind: "${group}/${version}, Kind=${resource.kind}"`,
    `Name: ${JSON.stringify(name)}, Namespace: ${JSON.stringify(namespace)}`,
    `from server for: ${JSON.stringify(source)}: ${message}`,
  ].join('\n');
}

async function find(session: Session, manifest: ManifestObject): Promise<JsonObject | undefined> {
  try {
    return await session.api.json('GET', objectPath(manifest));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.reason === 'NotFound') return undefined;
    return during(
      '',
      Promise.reject(new ApiError(error.reason, retrieving(manifest, error.message), { code: error.code })),
    );
  }
}

/** Without the keys whose value is null: a patch would drop them as well, so that creating and changing lead to the same. */
function withoutNulls(object: JsonObject): JsonObject {
  const kept = Object.entries(object).filter(([, value]) => value !== null);
  return Object.fromEntries(kept.map(([key, value]) => [key, withoutNullsWithin(value)]));
}

function withoutNullsWithin(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNullsWithin);
  return typeof value === 'object' && value !== null ? withoutNulls(value as JsonObject) : value;
}

async function create(session: Session, manifest: ManifestObject, flags: Flags): Promise<void> {
  const object =
    dryRunOf(flags) === 'client'
      ? manifest.object
      : await session.api.json('POST', pathOf(manifest.resource, manifest.namespace), {
          body: withoutVersion(withoutNulls(manifest.object)),
          query: writeQuery(flags),
        });
  printWritten(session, { ...manifest, object }, 'created', flags);
}

const writeQuery = (flags: Flags) => ({
  fieldManager: flags.fieldManager ?? FIELD_MANAGER,
  fieldValidation: fieldValidation(flags.validate),
  dryRun: dryRunQuery(flags),
});

async function patch(session: Session, manifest: ManifestObject, current: JsonObject, flags: Flags): Promise<void> {
  const { resource, name, object: modified } = manifest;
  const original = lastApplied(current);
  const program = session.context.name;
  if (!original) {
    session.error(
      `Warning: resource ${resource.name}/${name} is missing the ${LAST_APPLIED} annotation which is required by ${program} apply. ${program} apply should only be used on resources created declaratively by either ${program} create --save-config or ${program} apply. The missing annotation will be patched automatically.`,
    );
  }
  if (metadataOf(current).deletionTimestamp) {
    session.error(`Warning: Detected changes to resource ${name} which is currently being deleted.`);
  }
  const definition = definitionOf(resource);
  const body = threeWayPatch({ original: original ?? {}, modified, current }, definition);
  if (Object.keys(body).length === 0) {
    printWritten(session, { ...manifest, object: current }, 'unchanged', flags);
    return;
  }
  if (original && !flags.overwrite) {
    const changes = threeWayPatch({ original, modified: current, current: original }, definition);
    if (overlaps(body, changes))
      throw patching(manifest, {}, new ApiError('', overlapText(body, changes), { code: 409 }));
  }
  const send = () =>
    session.api.json('PATCH', objectPath(manifest), {
      contentType: definition ? 'application/strategic-merge-patch+json' : 'application/merge-patch+json',
      body,
      query: writeQuery(flags),
    });
  const patched =
    dryRunOf(flags) === 'client'
      ? modified
      : await send().catch(error => {
          throw error instanceof ApiError ? patching(manifest, body, error) : error;
        });
  printWritten(session, { ...manifest, object: patched }, 'configured', flags);
}
