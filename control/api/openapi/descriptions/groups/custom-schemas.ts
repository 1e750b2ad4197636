/** The group apiextensions.k8s.io: schemas of custom resources. */
import type { TextTable } from '../texts.ts';

const UNUSED = 'Known to JSON Schema; a schema of a custom resource must not have it.';

export const CUSTOM_SCHEMAS: TextTable = {
  prefix: 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.',
  texts: {
    JSONSchemaProps: {
      itself:
        'JSONSchemaProps is a JSON schema, of those that OpenAPI v3 knows. It has to be structural: type and fields of each value are said outside of allOf, anyOf, oneOf and not.',
      $ref: UNUSED,
      $schema: 'Which dialect the schema is written in. It has no effect.',
      additionalItems: UNUSED,
      additionalProperties:
        'What the values of a map are like, or true if they may be anything. Not beside properties.',
      allOf: 'All of these schemas have to hold. They may narrow values down, not name new fields.',
      anyOf: 'At least one of these schemas has to hold.',
      default:
        'Value that the field gets when it is missing, in requests and in what is read from the store. It has to fit the schema.',
      definitions: UNUSED,
      dependencies: UNUSED,
      description: 'What the value is, in words; kubectl explain shows it.',
      enum: 'The values that are allowed.',
      example: 'A value as an example. It has no effect.',
      exclusiveMaximum: 'True if maximum itself is too large.',
      exclusiveMinimum: 'True if minimum itself is too small.',
      externalDocs: 'Where more can be read.',
      format:
        'Finer type of a value, such as date-time, int32, ipv4, uuid or byte. Formats that the server does not know have no effect.',
      id: UNUSED,
      items: 'What the elements of a list are like: one schema for all of them.',
      maxItems: 'How many elements a list may have.',
      maxLength: 'How many characters a text may have.',
      maxProperties: 'How many fields an object may have.',
      maximum: 'Largest number that is allowed.',
      minItems: 'How many elements a list has to have.',
      minLength: 'How many characters a text has to have.',
      minProperties: 'How many fields an object has to have.',
      minimum: 'Smallest number that is allowed.',
      multipleOf: 'A number has to be this many times a whole number.',
      not: 'This schema must not hold.',
      nullable:
        'True if null is a value. Otherwise the null of a field gives way to its default, or is taken away where there is none.',
      oneOf: 'Exactly one of these schemas has to hold.',
      pattern: "Regular expression, in Go's syntax, that some part of a text has to match; ^ and $ tie it to the ends.",
      patternProperties: UNUSED,
      properties: 'The fields of an object, by name.',
      required: 'Fields that have to be there.',
      title: 'A heading for the value. It has no effect.',
      type: 'Type of the value: array, boolean, integer, number, object or string.',
      uniqueItems:
        'It must not be true: comparing all elements costs too much. For lists without duplicates there is x-kubernetes-list-type: set.',
      'x-kubernetes-embedded-resource':
        'True if the value is an object of the API, with apiVersion, kind and metadata of its own, which are checked as such.',
      'x-kubernetes-int-or-string':
        'True if the value may be a whole number or a text. There must be no type beside it.',
      'x-kubernetes-list-map-keys':
        'Fields that together tell the elements of a list of type map apart. They have to be required or have a default.',
      'x-kubernetes-list-type':
        'How lists are merged: "atomic", the default, as a whole; "set" by values, each once; "map" by the fields that x-kubernetes-list-map-keys names.',
      'x-kubernetes-map-type': 'How objects are merged: "granular", the default, field by field; "atomic" as a whole.',
      'x-kubernetes-preserve-unknown-fields':
        'True keeps fields of the object that the schema does not name. It may be missing, and is never false.',
      'x-kubernetes-validations': 'Rules in CEL that the value has to obey.',
    },
    ValidationRule: {
      itself: 'ValidationRule is a rule in CEL that a value has to obey.',
      fieldPath:
        'Field that is told to be wrong, as a path from the value, such as .spec.size. By default it is the value itself.',
      message: 'What is said if the rule does not hold, in one line. Without it, it is the rule.',
      messageExpression:
        'Expression in CEL that makes the message. It goes before message; if it fails or gives an empty text, message is said.',
      optionalOldSelf:
        'True lets a rule that mentions oldSelf hold for new values too; oldSelf is an optional value then. Otherwise such a rule is asked only where there was a value before.',
      reason:
        'Kind of the mistake, for programs: "FieldValueInvalid", the default, "FieldValueForbidden", "FieldValueRequired" or "FieldValueDuplicate".',
      rule: 'The rule: an expression that has to be true. self is the value, oldSelf what it was before.',
    },
    JSON: {
      itself: 'JSON is any value of JSON: object, list, text, number, boolean or null.',
    },
    JSONSchemaPropsOrArray: {
      itself: 'JSONSchemaPropsOrArray is a schema. JSON Schema allows a list of schemas too; custom resources do not.',
    },
    JSONSchemaPropsOrBool: {
      itself: 'JSONSchemaPropsOrBool is a schema, or a boolean: true allows any value.',
    },
    JSONSchemaPropsOrStringArray: {
      itself: 'JSONSchemaPropsOrStringArray is a schema or a list of names of fields.',
    },
  },
};
