/** `--record`: the command line is remembered in an annotation of what it changed, and told by `rollout history`. */
import type { Command } from 'commander';
import type { JsonObject } from './api.ts';
import { type Metadata, metadataOf, type ObjectReference, objectPath } from './objects.ts';
import type { Session } from './session.ts';

const CHANGE_CAUSE = 'kubernetes.io/change-cause';

export interface RecordFlags {
  readonly record?: boolean;
  /** The words and flags of the command line without the program's name, as kubectl orders them. */
  readonly changeCause?: string;
}

export function withRecordFlag<T extends Command>(command: T): T {
  command.option('--record', `remember this command line in the annotation ${CHANGE_CAUSE}`);
  return command;
}

/** The annotation with the command line; undefined where none is to be recorded. */
export function recordedAnnotation(session: Session, flags: RecordFlags): Record<string, string> | undefined {
  return flags.record ? { [CHANGE_CAUSE]: `${session.context.name} ${flags.changeCause ?? ''}` } : undefined;
}

/** The object, with the command line if that is to be recorded. */
export function recorded(session: Session, object: JsonObject, flags: RecordFlags): JsonObject {
  const cause = recordedAnnotation(session, flags);
  if (!cause) return object;
  const metadata: Metadata = metadataOf(object);
  return { ...object, metadata: { ...metadata, annotations: { ...metadata.annotations, ...cause } } };
}

/** Records the command line in an object that was changed already; gives the object as it is then. */
export async function recordAfterwards(
  session: Session,
  reference: ObjectReference & { readonly object: JsonObject },
  { flags, manager }: { readonly flags: RecordFlags; readonly manager: string },
): Promise<JsonObject> {
  const annotations = recordedAnnotation(session, flags);
  if (!annotations) return reference.object;
  return await session.api.json('PATCH', objectPath(reference), {
    contentType: 'application/merge-patch+json',
    body: { metadata: { annotations } },
    query: { fieldManager: manager },
  });
}
