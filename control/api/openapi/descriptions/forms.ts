/** What is said alike of all definitions of one form, so that no table has to repeat it. */
import type { SchemaFacts } from '../source.ts';
import type { DefinitionTexts } from './texts.ts';

const META = '#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.';
const KIND_EXTENSION = 'x-kubernetes-group-version-kind';

/** Of every definition that is sent or answered by itself. */
const KIND_FIELDS = {
  apiVersion:
    'Group and version in which the object is written, such as apps/v1; the core group has a version only. The server refuses what it does not serve.',
  kind: 'Kind of the object, in the singular and with capitals. It follows from the address that the object is sent to, and cannot be changed.',
} as const;

const CONDITION_FIELDS = {
  type: 'Name of the condition: what it tells about. There is one condition of each type.',
  status: '"True" if the condition holds, "False" if it does not, "Unknown" if nobody could find out.',
  reason: 'One word in CamelCase for why the status is what it is, for programs to read.',
  message: 'The same for people: what was found, in a sentence. Its wording may change.',
  lastTransitionTime: 'When the status last became another one.',
} as const;

const has = (schema: SchemaFacts, field: string) =>
  schema.properties !== undefined && Object.hasOwn(schema.properties, field);

/** The texts that follow from a definition's name and fields; those of its table go before them. */
export function textsOfForm(name: string, schema: SchemaFacts): Partial<DefinitionTexts> {
  const kind = name.slice(name.lastIndexOf('.') + 1);
  const isKind = KIND_EXTENSION in schema;
  if (isKind && kind.endsWith('List') && has(schema, 'items')) {
    return {
      ...KIND_FIELDS,
      itself: `${kind} is a list of ${kind.slice(0, -'List'.length)} objects.`,
      items: 'The objects of the list.',
      metadata: 'What every list has: the state of the server that it shows, and where it goes on.',
    };
  }
  if (isKind) return { ...KIND_FIELDS, ...(isObject(schema) && objectFields(kind)) };
  if (kind.endsWith('Condition') && has(schema, 'type') && has(schema, 'status')) return CONDITION_FIELDS;
  return {};
}

const isObject = (schema: SchemaFacts) => schema.properties?.metadata?.$ref === `${META}ObjectMeta`;

function objectFields(kind: string) {
  return {
    metadata: 'What every object has: its name, its labels, and what the server keeps about it.',
    spec: `What is wanted of the ${kind}.`,
    status: `What was last seen of the ${kind}. The system writes it; it may be a little behind.`,
  };
}
