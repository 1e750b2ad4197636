/** What `raftsman create KIND` commands have in common: flags, and how the object is sent and told. */
import type { Command } from 'commander';
import { ApiError } from '../../control/api/status.ts';
import type { JsonObject } from '../client/api.ts';
import { failure } from '../client/errors.ts';
import { type Session, withSession } from '../client/session.ts';
import { requireFlags, usageFailure } from '../client/usage.ts';
import { dryRunOf, type WriteFlags, withWriteFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { contentHash } from '../kustomize/hash.ts';
import { withEmptyFields } from '../output/generated.ts';
import { LAST_APPLIED } from './apply-patch.ts';
import { ClusterCommand, withGlobalFlags } from './cluster-command.ts';
import { createObject } from './create.ts';

export type RegisterKind = (parent: Command, context: CommandContext) => void;

export interface KindSpec<F> {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly usage: string;
  readonly description: string;
  readonly example: string;
  /** Flags that have to be given. */
  readonly required?: readonly string[];
  /** A command line may follow behind `--`. */
  readonly takesCommand?: boolean;
  flags(command: Command): void;
  /** `words[0]` is the object's name, if there was one. */
  build(words: readonly string[], flags: F, session: Session): JsonObject | Promise<JsonObject>;
}

/** A command that makes an object of one kind from flags. */
export function kind<F>(spec: KindSpec<F>): RegisterKind {
  return (parent, context) => {
    const command = new ClusterCommand(spec.name)
      .argument('[words...]')
      .usage(spec.usage)
      .description(spec.description)
      .option('--validate [mode]', 'strict, warn or ignore')
      .option('--save-config', 'remember the configuration for a later apply')
      .option('--field-manager <name>', 'who owns the fields')
      .addHelpText('after', `\nExamples:\n  ${spec.example}`)
      .action(
        withSession<F & CreateFlags>(context, async (session, words, flags, self) => {
          requireFlags(self, spec.required ?? []);
          const isNameAlone = !(self instanceof ClusterCommand && self.hasSeparator && spec.takesCommand);
          if (words.length === 0 || (isNameAlone && words.length > 1)) {
            throw usageFailure(self, `exactly one NAME is required, got ${words.length}`);
          }
          const object = await spec.build(words, flags, session);
          await create(session, flags.appendHash ? withHash(object) : object, flags);
        }),
      );
    for (const alias of spec.aliases ?? []) command.alias(alias);
    spec.flags(command);
    parent.addCommand(withWriteFlags(withGlobalFlags(command)));
  };
}

interface CreateFlags extends WriteFlags {
  readonly saveConfig?: boolean;
  readonly validate?: string | true;
  readonly fieldManager?: string;
  readonly appendHash?: boolean;
}

function withHash(object: JsonObject): JsonObject {
  const metadata = object.metadata as { name: string };
  return { ...object, metadata: { ...metadata, name: `${metadata.name}-${contentHash(object)}` } };
}

/** Creates an object whose kind the server must know. */
async function create(session: Session, object: JsonObject, flags: CreateFlags): Promise<void> {
  const { name } = object.metadata as { name: string };
  const resource = await session.discovery.ofKind(String(object.apiVersion), String(object.kind), `name: "${name}"`);
  const isNamespaceShown = resource.isNamespaced && session.isNamespaceExplicit;
  const metadata = isNamespaceShown
    ? { ...(object.metadata as object), namespace: session.namespace }
    : object.metadata;
  const whole = shown({ ...object, metadata }, flags);
  try {
    await createObject(
      session,
      {
        resource,
        namespace: session.namespace,
        name,
        object: flags.saveConfig ? withTypedConfiguration(whole) : whole,
      },
      flags,
    );
  } catch (error) {
    const type = (object.spec as { type?: string } | undefined)?.type;
    const context = resource.kind === 'Service' ? `${type} service:` : FAILURES[resource.kind];
    if (!(error instanceof ApiError) || context === undefined) throw error;
    throw failure(`failed to create ${context} ${error.message}`, error);
  }
}

/** The object with its own configuration, in the order in which Go writes the fields of a type. */
function withTypedConfiguration(object: JsonObject): JsonObject {
  const { apiVersion, kind: kindName, metadata, ...rest } = withEmptyFields(object);
  const { name, namespace: where, creationTimestamp: _none, ...more } = metadata as JsonObject;
  const ordered = { name, ...(where !== undefined && { namespace: where }), creationTimestamp: null, ...more };
  const text = `${JSON.stringify({ kind: kindName, apiVersion, metadata: ordered, ...rest })}\n`;
  return { ...object, metadata: { ...(object.metadata as JsonObject), annotations: { [LAST_APPLIED]: text } } };
}

/** kubectl words what fails by kind; of the other kinds the server's word is told as it is. */
const FAILURES: Readonly<Record<string, string>> = {
  ClusterRoleBinding: 'clusterrolebinding:',
  ConfigMap: 'configmap:',
  CronJob: 'cronjob:',
  Deployment: 'deployment:',
  Ingress: 'ingress:',
  Job: 'job:',
  PodDisruptionBudget: 'poddisruptionbudgets:',
  PriorityClass: 'priorityclass:',
  ResourceQuota: 'quota:',
  RoleBinding: 'rolebinding:',
  Secret: 'secret',
  ServiceAccount: 'serviceaccount:',
};

const shown = (object: JsonObject, flags: WriteFlags): JsonObject =>
  dryRunOf(flags) === 'client' ? withEmptyFields(object) : object;

/** The object's name, where other words may follow. */
export function nameIn(words: readonly string[], usage = ''): string {
  const [name] = words;
  if (name === undefined) throw failure(`exactly one NAME is required, got 0${usage}`);
  return name;
}

/** The object's name, which stands alone: that was looked at before. */
export const onlyName = (words: readonly string[]): string => nameIn(words);
