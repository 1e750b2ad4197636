/** What commands that write have in common: dry runs, `-o`, and what they print. */

import type { Command } from 'commander';
import { Option } from 'commander';
import { objectPrinter, PLAIN_FORMATS } from '../output/objects.ts';
import type { JsonObject } from './api.ts';
import { failure } from './errors.ts';
import { displayName, type ObjectReference } from './objects.ts';
import type { Session } from './session.ts';

export interface WriteFlags {
  readonly dryRun?: string | true;
  readonly output?: string;
  readonly showManagedFields?: boolean;
  readonly template?: string;
  readonly allowMissingTemplateKeys?: boolean;
}

export function withWriteFlags<T extends Command>(command: T): T {
  return withOutputFlags(withDryRunFlag(command));
}

export function withDryRunFlag<T extends Command>(command: T): T {
  command.addOption(new Option('--dry-run [mode]', 'none, client or server: only show what would be sent or stored'));
  return command;
}

/** The flags of {@link withWriteFlags} that say what is printed. */
export function withOutputFlags<T extends Command>(command: T): T {
  command
    .option('-o, --output <format>', 'print the object: yaml, json, name, jsonpath=…')
    .option('--template <template>', 'the template for -o go-template or jsonpath')
    .option('--allow-missing-template-keys', 'keys that are missing are empty', true)
    .option('--show-managed-fields', 'keep managedFields in yaml and json');
  return command;
}

export type DryRun = 'none' | 'client' | 'server';

export function dryRunOf({ dryRun }: WriteFlags): DryRun {
  if (dryRun === undefined || dryRun === 'none' || dryRun === 'false') return 'none';
  // What kubectl once called true.
  if (dryRun === true || dryRun === 'client' || dryRun === 'true') return 'client';
  if (dryRun === 'server') return 'server';
  throw failure(`Invalid dry-run value (${dryRun}). Must be "none", "server", or "client".`);
}

/** The query parameter of a write. */
export const dryRunQuery = (flags: WriteFlags): string | undefined =>
  dryRunOf(flags) === 'server' ? 'All' : undefined;

/** Whether `-o` shows all of the object but who set which field; templates may ask for that. */
export function hidesManagedFields({ output = '', showManagedFields = false }: WriteFlags): boolean {
  // With a template that is not asked for as well.
  return !showManagedFields && /^(?:json|yaml)(?:=|$)/.test(output);
}

/** Who set which field interests few. */
export function withoutManagedFields(object: JsonObject): JsonObject {
  if (typeof object.metadata !== 'object' || object.metadata === null) return object;
  const { managedFields: _hidden, ...metadata } = object.metadata as JsonObject;
  return { ...object, metadata };
}

/** Prints `pod/x created`, or the object if `-o` asks for it. */
export function printWritten(
  session: Session,
  written: Pick<ObjectReference, 'resource' | 'name'> & { readonly object: JsonObject },
  operation: string,
  flags: WriteFlags,
): void {
  const mode = dryRunOf(flags);
  if (flags.output || flags.template) {
    const format = !flags.template ? (flags.output ?? '') : `${flags.output || 'go-template'}=${flags.template}`;
    // Documents of YAML that follow each other have a line between.
    if (format === 'yaml' && session.documentCount++ > 0) session.print('---');
    const print = objectPrinter(format, { allowed: PLAIN_FORMATS, mayMiss: flags.allowMissingTemplateKeys });
    const object = hidesManagedFields(flags) ? withoutManagedFields(written.object) : written.object;
    session.context.stdout.write(print({ objects: [{ ...written, object }], isList: false }));
    return;
  }
  const suffix = mode === 'client' ? ' (dry run)' : mode === 'server' ? ' (server dry run)' : '';
  // kubectl says so of reviews, which are not stored.
  const named = written.name === '' ? { ...written, name: '<unknown>' } : written;
  session.print(`${displayName(named)} ${operation}${suffix}`);
}
