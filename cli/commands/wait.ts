/** `raftsman wait`: until objects meet a condition, have a value, or are gone. */
import type { Command } from 'commander';
import { ApiError } from '../../control/api/status.ts';
import type { JsonObject } from '../client/api.ts';
import { failure } from '../client/errors.ts';
import {
  forEachObject,
  metadataOf,
  type ObjectReference,
  objectPath,
  type SelectionFlags,
  selectedReferences,
} from '../client/objects.ts';
import { type Session, withSession } from '../client/session.ts';
import { printWritten, type WriteFlags, withOutputFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { JsonPath, relaxed, valueText } from '../output/jsonpath.ts';
import { ClusterCommand, durationMs, repeated, withGlobalFlags } from './cluster-command.ts';
import { waitUntilGone } from './delete.ts';

interface Flags extends SelectionFlags, WriteFlags {
  readonly for?: string;
  readonly timeout: number;
}

const POLL_MS = 200;
const WEEK_MS = 7 * 24 * 3600 * 1000;

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('wait')
    .argument('[words...]')
    .usage(
      "([-f FILENAME] | TYPE/NAME | TYPE [-l label | --all]) [--for=create|delete|condition=NAME|jsonpath='{…}'=VALUE]",
    )
    .summary('wait for a condition')
    .description('Waits until objects meet a condition, have a value, exist, or are gone.')
    .option('--for <condition>', 'condition=NAME[=VALUE], jsonpath={…}[=VALUE], create or delete')
    .option('--timeout <duration>', 'how long to wait; negative: a week', durationMs, 30_000)
    .option('-l, --selector <labels>', 'objects with these labels')
    .option('--field-selector <fields>', 'objects with these field values')
    .option('--all', 'all objects of the type in the namespace')
    .option('-A, --all-namespaces', 'in all namespaces')
    .option('-f, --filename <file>', 'the objects of this file', repeated)
    .option('-R, --recursive', 'read folders within folders')

    .addHelpText(
      'after',
      "\nExamples:\n  raftsman wait pod/web-1 --for=condition=Ready\n  raftsman wait deploy --all --for=condition=Available --timeout=2m\n  raftsman wait pod/web-1 --for=jsonpath='{.status.phase}'=Running",
    )
    .action(withSession<Flags>(context, wait));
  program.addCommand(withOutputFlags(withGlobalFlags(command)));
}

async function wait(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  const isMet = conditionOf(flags.for);
  const deadline = session.context.clock.now() + (flags.timeout < 0 ? WEEK_MS : flags.timeout);
  const references =
    flags.for === 'create'
      ? await untilFound(session, words, flags, deadline)
      : await selectedReferences(session, words, flags);
  if (references.length === 0 && flags.for !== 'delete') throw failure('no matching resources found');
  await forEachObject(session, references, async reference => {
    let object: JsonObject = { metadata: { name: reference.name } };
    if (flags.for === 'delete') {
      const wasThere = reference.object !== undefined || (await exists(session, reference));
      await waitUntilGone(session, reference, { uid: reference.object && metadataOf(reference.object).uid, deadline });
      // What was never there has not met a condition.
      if (!wasThere) return;
    } else object = await untilMet(session, reference, { isMet, deadline, isOnce: flags.timeout === 0 });
    printWritten(session, { ...reference, object }, 'condition met', flags);
  });
}

async function exists(session: Session, reference: ObjectReference): Promise<boolean> {
  try {
    await session.api.json('GET', objectPath(reference));
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.reason === 'NotFound') return false;
    throw error;
  }
}

type Test = (object: JsonObject) => boolean;

function conditionOf(text: string | undefined): Test {
  const [kind = '', ...rest] = (text ?? '').split('=');
  const argument = rest.join('=');
  switch (kind.toLowerCase()) {
    case 'delete':
    case 'create':
      return () => true;
    case 'condition': {
      const [name = '', value = 'true'] = argument.split('=');
      return object => hasCondition(object, name, value);
    }
    case 'jsonpath': {
      if (argument === '') throw failure('jsonpath expression cannot be empty');
      // The value stands behind the first lone equals sign: one that a filter has is doubled.
      const match = /^'?(\{.*\}|(?:[^{}=]|==)+)'?(?:=(?!=)(.*))?$/s.exec(argument);
      if (!match)
        throw failure(
          "jsonpath wait format must be --for=jsonpath='{.status.readyReplicas}'=3 or --for=jsonpath='{.status.readyReplicas}'",
        );
      const path = new JsonPath(relaxed(match[1] ?? ''));
      const wanted = match[2];
      return object => {
        const values = path.find(object);
        if (wanted === undefined) return values.length > 0;
        if (values.some(value => typeof value === 'object' && value !== null)) {
          throw failure('jsonpath leads to a nested object or list which is not supported');
        }
        return values.some(value => valueText(value) === wanted);
      };
    }
    default:
      throw failure(`unrecognized condition: ${JSON.stringify(text ?? '')}`);
  }
}

function hasCondition(object: JsonObject, name: string, value: string): boolean {
  const { metadata, status } = object as {
    metadata?: { generation?: number };
    status?: {
      observedGeneration?: number;
      conditions?: { type: string; status: string; observedGeneration?: number }[];
    };
  };
  const condition = status?.conditions?.find(({ type }) => type.toLowerCase() === name.toLowerCase());
  const observed = condition?.observedGeneration ?? status?.observedGeneration;
  const isCurrent = observed === undefined || metadata?.generation === undefined || observed >= metadata.generation;
  return condition !== undefined && isCurrent && condition.status.toLowerCase() === value.toLowerCase();
}

async function untilMet(
  session: Session,
  reference: ObjectReference,
  { isMet, deadline, isOnce }: { readonly isMet: Test; readonly deadline: number; readonly isOnce: boolean },
): Promise<JsonObject> {
  for (;;) {
    const object = await session.api.json('GET', objectPath(reference));
    if (isMet(object)) return object;
    const named = `${reference.resource.name}/${reference.name}`;
    if (isOnce) throw failure(`condition not met for ${named}`);
    if (session.context.clock.now() >= deadline) {
      throw failure(`timed out waiting for the condition on ${named}`);
    }
    await session.context.delay(POLL_MS);
  }
}

async function untilFound(session: Session, words: readonly string[], flags: Flags, deadline: number) {
  for (;;) {
    const references = await selectedReferences(session, words, flags);
    const found = await Promise.all(
      references.map(reference =>
        session.api.json('GET', objectPath(reference)).then(
          () => true,
          error => {
            if (error instanceof ApiError && error.reason === 'NotFound') return false;
            throw error;
          },
        ),
      ),
    );
    if (references.length > 0 && found.every(Boolean)) return references;
    if (session.context.clock.now() >= deadline) throw failure('timed out waiting for the condition');
    await session.context.delay(POLL_MS);
  }
}
