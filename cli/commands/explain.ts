/** `raftsman explain`: the fields of a kind, from the server's OpenAPI description. */
import type { Command } from 'commander';
import { groupVersionOf, type Resource } from '../client/discovery.ts';
import { CommandError, failure } from '../client/errors.ts';
import { type Session, withSession } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand, withGlobalFlags } from './cluster-command.ts';

interface Flags {
  readonly recursive?: boolean;
  readonly apiVersion?: string;
  readonly output: string;
}

interface Schema {
  readonly $ref?: string;
  readonly allOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly 'x-kubernetes-group-version-kind'?: readonly {
    readonly group: string;
    readonly version: string;
    readonly kind: string;
  }[];
}
type Schemas = Readonly<Record<string, Schema>>;

/** What a line of a description holds at most, with what it is moved in by. */
const LINE_WIDTH = 80;
const ENUM_SHOWN_MAX = 4;

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('explain')
    .argument('[words...]')
    .usage('TYPE[.FIELD…] [--recursive]')
    .summary('show which fields a kind has')
    .description('Shows the fields of a kind, or of one of its fields, with their types.')
    .option('--recursive', 'the fields of fields too')
    .option('--output <format>', 'plaintext or plaintext-openapiv2', 'plaintext')
    .option('--api-version <version>', 'of this version of the kind, such as apps/v1')
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman explain pods\n  raftsman explain deployment.spec.strategy\n  raftsman explain pod.spec --recursive',
    )
    .action(withSession<Flags>(context, explain));
  program.addCommand(withGlobalFlags(command));
}

async function explain(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  const [word, ...more] = words;
  if (word === undefined)
    throw failure(
      'You must specify the type of resource to explain. Use "raftsman api-resources" for a complete list of supported resources.',
    );
  if (more.length > 0) throw failure('We accept only this format: explain RESOURCE');
  if (flags.output && !['plaintext', 'plaintext-openapiv2'].includes(flags.output)) {
    throw failure(`unrecognized format: ${flags.output}`);
  }
  const { resource, path } = await find(session, word, flags.apiVersion);
  const root = resource.group === '' ? `api/${resource.version}` : `apis/${groupVersionOf(resource)}`;
  const document = await session.api.json<{ components?: { schemas?: Schemas } }>('GET', `/openapi/v3/${root}`);
  const schemas = document.components?.schemas ?? {};
  const start = Object.values(schemas).find(schema =>
    schema['x-kubernetes-group-version-kind']?.some(
      ({ group, version, kind }) => group === resource.group && version === resource.version && kind === resource.kind,
    ),
  );
  if (!start) throw failure(`the server describes no fields of ${word}`);
  if (flags.output === 'plaintext-openapiv2') {
    for (const line of olderLines(resource, start, { path, schemas })) session.print(line);
    return;
  }
  const heading = [
    ...(resource.group === '' ? [] : [`GROUP:      ${resource.group}`]),
    `KIND:       ${resource.kind}`,
    `VERSION:    ${resource.version}`,
    '',
  ];
  for (const line of heading) session.print(line);
  for (const line of fieldHeading(start, path, schemas)) session.print(line);
  for (const line of content(propertyAt(start, path, schemas), schemas, flags.recursive ?? false)) session.print(line);
}

/** The form of earlier versions of kubectl. */
function olderLines(
  resource: Resource,
  start: Schema,
  { path, schemas }: { readonly path: readonly string[]; readonly schemas: Schemas },
): string[] {
  const field = propertyAt(start, path, schemas);
  const described = inner(field, schemas);
  const fields = Object.entries(described.properties ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const heading = fields.length > 0 ? 'RESOURCE: ' : 'FIELD:    ';
  const texts = [
    ...(field.description ? olderText(field.description) : []),
    ...(described !== field && described.description ? ['', ...olderText(described.description)] : []),
  ];
  return [
    `KIND:     ${resource.kind}`,
    `VERSION:  ${groupVersionOf(resource)}`,
    '',
    ...(path.length > 0 ? [`${heading}${path.at(-1)} <${olderType(field, schemas)}>`, ''] : []),
    'DESCRIPTION:',
    ...(texts.length > 0 ? texts : ['     <empty>']),
    ...(fields.length > 0 ? ['', 'FIELDS:'] : []),
    ...fields.flatMap(([name, schema]) => [
      `   ${name}\t<${olderType(schema, schemas)}>${described.required?.includes(name) ? ' -required-' : ''}`,
      ...(schema.description ? olderText(schema.description) : []),
      '',
    ]),
  ];
}

/** What hangs in a list hangs no further in here. */
const olderText = (text: string): string[] =>
  wrapped(text.replaceAll(/\n[ \t]+/g, '\n'), '     ').map(line => line.trimEnd());

/** Whatever has fields is an `Object`; a number that may be text is text. */
function olderType(schema: Schema, schemas: Schemas): string {
  const ref = refOf(schema);
  if (ref !== undefined) {
    const { type, oneOf } = schemas[nameOf(ref)] ?? {};
    return oneOf ? 'string' : type === undefined || type === 'object' ? 'Object' : type;
  }
  if (schema.items) return `[]${olderType(schema.items, schemas)}`;
  if (typeof schema.additionalProperties === 'object') {
    return `map[string]${olderType(schema.additionalProperties, schemas)}`;
  }
  return typeOf(schema, schemas);
}

/** The longest beginning of the word that names a resource; the rest are fields. */
async function find(
  session: Session,
  word: string,
  apiVersion: string | undefined,
): Promise<{ resource: Resource; path: string[] }> {
  const parts = word.split('.');
  const all = await session.discovery.resources();
  for (let count = parts.length; count > 0; count--) {
    const found = await session.discovery.find(parts.slice(0, count).join('.')).catch(error => {
      if (error instanceof CommandError) return undefined;
      throw error;
    });
    if (!found) continue;
    const versioned =
      apiVersion === undefined
        ? found
        : all.find(other => other.kind === found.kind && groupVersionOf(other) === apiVersion);
    if (!versioned) {
      const version = apiVersion?.includes('/') ? apiVersion : `/${apiVersion}`;
      const isKnown = (await session.discovery.resources()).some(each => groupVersionOf(each) === apiVersion);
      throw failure(
        isKnown
          ? `GVR (${apiVersion}, Resource=${found.name}) not found in OpenAPI schema`
          : `couldn't find resource for "${version}, Resource=${found.name}"`,
      );
    }
    return { resource: versioned, path: parts.slice(count) };
  }
  throw new CommandError(`the server doesn't have a resource type ${JSON.stringify(parts[0])}`);
}

const nameOf = (ref: string) => ref.slice(ref.lastIndexOf('/') + 1);
const refOf = (schema: Schema): string | undefined => schema.$ref ?? schema.allOf?.[0]?.$ref;

/** What stands behind references, lists and maps: the thing that has fields. */
function inner(schema: Schema, schemas: Schemas): Schema {
  const ref = refOf(schema);
  if (ref !== undefined) return inner(schemas[nameOf(ref)] ?? {}, schemas);
  if (schema.items) return inner(schema.items, schemas);
  if (typeof schema.additionalProperties === 'object') return inner(schema.additionalProperties, schemas);
  return schema;
}

function propertyAt(start: Schema, path: readonly string[], schemas: Schemas): Schema {
  let current = start;
  for (const name of path) {
    const next = inner(current, schemas).properties?.[name];
    if (!next) throw failure(`field ${JSON.stringify(name)} does not exist`);
    current = next;
  }
  return current;
}

/** `[]ContainerPort`, `map[string]string`, `integer`. What is text by another name, such as a time, is `string`. */
function typeOf(schema: Schema, schemas: Schemas): string {
  const ref = refOf(schema);
  if (ref !== undefined) {
    const { type } = schemas[nameOf(ref)] ?? {};
    return type !== undefined && type !== 'object' ? type : (nameOf(ref).split('.').at(-1) ?? '');
  }
  if (schema.items) return `[]${typeOf(schema.items, schemas)}`;
  if (typeof schema.additionalProperties === 'object') {
    return `map[string]${typeOf(schema.additionalProperties, schemas)}`;
  }
  return schema.type === 'object' || schema.type === undefined ? 'Object' : schema.type;
}

function fieldHeading(start: Schema, path: readonly string[], schemas: Schemas): string[] {
  if (path.length === 0) return [];
  const field = propertyAt(start, path, schemas);
  const values = field.enum ?? [];
  return [
    `FIELD: ${path.at(-1)} <${typeOf(field, schemas)}>`,
    ...(values.length > 0 ? ['ENUM:', ...values.map(value => `    ${wordText(value)}`)] : ['']),
    '',
  ];
}

function content(field: Schema, schemas: Schemas, isRecursive: boolean): string[] {
  const described = inner(field, schemas);
  const texts = [field.description, described === field ? undefined : described.description].filter(Boolean);
  const fields = Object.keys(described.properties ?? {});
  return [
    'DESCRIPTION:',
    ...(texts.length === 0 ? ['    <empty>'] : [...texts.flatMap(text => wrapped(text ?? '', '    ')), '    ']),
    ...(fields.length > 0 ? ['FIELDS:', ...fieldLines(described, { schemas, isRecursive, by: '  ', seen: [] })] : []),
    '',
  ];
}

interface Listing {
  readonly schemas: Schemas;
  readonly isRecursive: boolean;
  readonly by: string;
  /** Kinds that this stands in: a kind within itself is not opened again. */
  readonly seen: readonly Schema[];
}

function fieldLines(schema: Schema, listing: Listing): string[] {
  const { schemas, isRecursive, by, seen } = listing;
  return Object.entries(schema.properties ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, field]) => {
      const line = `${by}${name}\t<${typeOf(field, schemas)}>${schema.required?.includes(name) ? ' -required-' : ''}`;
      const values = field.enum?.length ? [`${by}enum: ${enumText(field.enum)}`] : [];
      const within = inner(field, schemas);
      if (!isRecursive) {
        const text = field.description;
        return [line, ...values, ...(text ? wrapped(text, `${by}  `) : [`${by}  <no description>`]), ''];
      }
      const isOpened = seen.includes(within);
      return [
        line,
        ...values,
        ...(isOpened ? [] : fieldLines(within, { ...listing, by: `${by}  `, seen: [...seen, within] })),
      ];
    });
}

const wordText = (value: unknown): string => (value === '' ? '""' : String(value));

/** Only the first few. */
function enumText(values: readonly unknown[]): string {
  return [...values.slice(0, ENUM_SHOWN_MAX).map(wordText), ...(values.length > ENUM_SHOWN_MAX ? ['....'] : [])].join(
    ', ',
  );
}

/** Folds between words; spaces within a line stay as they are, and a word that is too long has a line of its own. */
function wrapped(text: string, by: string): string[] {
  return text.split('\n').flatMap(paragraph => {
    const lines: string[] = [];
    const width = LINE_WIDTH - by.length;
    let line = '';
    for (const [, spaces = '', word = ''] of paragraph.matchAll(/(\s*)(\S+)/g)) {
      if (line.length + spaces.length + word.length > width && line !== '') {
        lines.push(line);
        line = word;
      } else line += spaces + word;
    }
    return [...lines, line].map(each => `${by}${each}`);
  });
}
