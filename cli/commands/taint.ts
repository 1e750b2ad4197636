/** `raftsman taint`: keeps pods off nodes that do not tolerate it. */
import type { Command } from 'commander';
import type { Node, Taint } from '../../control/api/generated/types.ts';
import { CommandError, failure } from '../client/errors.ts';
import { forEachObject, objectPath, type SelectionFlags, selectedObjects } from '../client/objects.ts';
import { type Session, withSession } from '../client/session.ts';
import { usageFailure } from '../client/usage.ts';
import { dryRunOf, dryRunQuery, printWritten, type WriteFlags, withWriteFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand, withGlobalFlags } from './cluster-command.ts';

interface Flags extends WriteFlags, SelectionFlags {
  readonly overwrite?: boolean;
  readonly fieldManager?: string;
}

const NAME_PART =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('taint')
    .argument('[words...]')
    .usage('nodes NAME KEY_1=VAL_1:EFFECT_1 ... KEY_N- [flags]')
    .summary('set and remove taints of nodes')
    .description('Sets taints with KEY=VALUE:EFFECT, removes them with KEY- or KEY:EFFECT-.')
    .option('--overwrite', 'change taints that are set already')
    .option('--all', 'all nodes')
    .option('-l, --selector <labels>', 'nodes with these labels')
    .option('--field-manager <name>', 'who owns the fields')
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman taint nodes node-1 dedicated=build:NoSchedule\n  raftsman taint nodes node-1 dedicated-',
    )
    .action(withSession<Flags>(context, taint));
  program.addCommand(withWriteFlags(withGlobalFlags(command)));
}

/** What the words ask for. */
export interface TaintChanges {
  readonly set: readonly Taint[];
  /** Without an effect: of every effect. */
  readonly removed: readonly { readonly key: string; readonly effect: string | undefined }[];
}

/** @throws CommandError for a word that is no change. */
export function parseTaints(words: readonly string[]): TaintChanges {
  const set: Taint[] = [];
  const removed: { key: string; effect: string | undefined }[] = [];
  for (const word of words) {
    if (word.endsWith('-')) {
      const [key = '', effect] = word
        .slice(0, -1)
        .replace(/=[^:]*/, '')
        .split(':');
      removed.push({ key, effect: effect === undefined ? undefined : checkedEffect(effect) });
      continue;
    }
    const match = /^([^=:]+)(?:=([^:]*))?:([^:]+)$/.exec(word);
    if (!match) throw failure(`invalid taint spec: ${word}, ${NAME_PART}`);
    const [, key = '', value, effect = ''] = match;
    const taint = { key, ...(value && { value }), effect: checkedEffect(effect) };
    if (set.some(other => other.key === key && other.effect === effect)) {
      throw failure(`duplicated taints with the same key and effect: ${word}`);
    }
    set.push(taint);
  }
  const both = set.filter(taint =>
    removed.some(({ key, effect }) => key === taint.key && (effect === undefined || effect === taint.effect)),
  );
  if (both.length > 0) {
    const told = removed
      .filter(({ key, effect }) =>
        both.some(taint => taint.key === key && (effect === undefined || effect === taint.effect)),
      )
      .map(({ key, effect }) => `${key}=${effect === undefined ? '' : `:${effect}`}`);
    throw failure(`can not both modify and remove the following taint(s) in the same command: ${told.join(', ')}`);
  }
  return { set, removed };
}

function checkedEffect(effect: string): string {
  if (EFFECTS.includes(effect)) return effect;
  throw failure(`invalid taint effect: ${effect}, unsupported taint effect`);
}

/** A node's taints after the changes. @throws CommandError where they do not fit. */
export function changedTaints(node: Node, { set, removed }: TaintChanges, mayOverwrite: boolean): Taint[] {
  const before = node.spec?.taints ?? [];
  const isSame = (a: Taint, b: Taint) => a.key === b.key && a.effect === b.effect;
  const clash = set.find(taint => before.some(old => isSame(old, taint)));
  if (clash && !mayOverwrite) {
    throw failure(
      `node ${node.metadata?.name} already has ${clash.key} taint(s) with same effect(s) and --overwrite is false`,
    );
  }
  let kept = before.filter(old => !set.some(taint => isSame(old, taint)));
  for (const { key, effect } of removed) {
    const isMeant = (taint: Taint) => taint.key === key && (effect === undefined || taint.effect === effect);
    if (!kept.some(isMeant)) throw failure(`taint "${key}${effect === undefined ? '' : `:${effect}`}" not found`);
    kept = kept.filter(taint => !isMeant(taint));
  }
  return [...set, ...kept];
}

function operationOf(node: Node, { set, removed }: TaintChanges): string {
  const before = node.spec?.taints ?? [];
  const isOverwritten = set.some(({ key, effect }) => before.some(old => old.key === key && old.effect === effect));
  if (isOverwritten || (set.length > 0 && removed.length > 0)) return 'modified';
  return set.length > 0 ? 'tainted' : 'untainted';
}

async function taint(session: Session, words: readonly string[], flags: Flags, self: Command): Promise<void> {
  const isChange = (word: string) => /[=:]/.test(word) || word.endsWith('-');
  const [type, ...rest] = words;
  if (type === undefined) throw failure('one or more resources must be specified as <resource> <name>');
  const first = rest.findIndex(isChange);
  const names = first < 0 ? rest : rest.slice(0, first);
  let changes: TaintChanges;
  try {
    changes = parseTaints(first < 0 ? [] : rest.slice(first));
  } catch (error) {
    if (error instanceof CommandError && !error.message.includes('can not both'))
      throw usageFailure(self, error.message.replace(/^error: /, ''));
    throw error;
  }
  if (changes.set.length + changes.removed.length === 0) throw failure('at least one taint update is required');
  const resource = await session.discovery.find(type.split('/')[0] ?? type).catch(error => {
    if (!(error instanceof CommandError)) throw error;
    throw new CommandError(error.message.replace(/^error: /, ''));
  });
  if (resource.kind !== 'Node') throw failure(`invalid resource type ${type}, only node types are supported`);
  await forEachObject(session, await selectedObjects(session, [type, ...names], flags), async reference => {
    const node = reference.object as Node;
    const taints = changedTaints(node, changes, flags.overwrite ?? false);
    const object =
      dryRunOf(flags) === 'client'
        ? { ...reference.object, spec: { ...node.spec, taints } }
        : await session.api.json('PATCH', objectPath(reference), {
            contentType: 'application/merge-patch+json',
            // The version makes it fail rather than undo what another has done to the list meanwhile.
            body: { metadata: { resourceVersion: node.metadata?.resourceVersion }, spec: { taints } },
            query: { fieldManager: flags.fieldManager ?? 'kubectl-taint', dryRun: dryRunQuery(flags) },
          });
    // kubectl does not say here that nothing was stored.
    const { dryRun: _mode, ...told } = flags;
    printWritten(session, { ...reference, object }, operationOf(node, changes), told);
  });
}
