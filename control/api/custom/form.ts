/**
 * The three moments at which a custom resource is brought into form (apiextensions-apiserver pkg/apiserver/customresource_handler.go):
 * as a client sent it, as it goes into the store, and as it comes out again, perhaps after its definition has changed.
 */
import type { KubernetesObject } from '../kind.ts';
import type { Convert } from './declaration.ts';
import { applyDefaults } from './defaults.ts';
import type { CustomDefinition, CustomVersion } from './definition.ts';
import { readEmbedded, readMetadata } from './embedded.ts';
import { pruneNulls, pruneObject } from './prune.ts';
import { isJsonObject, type JsonObject, type JsonSchema } from './schema.ts';

/**
 * Reads what a client sent, in place: unknown fields go and are told, metadata is brought into form, defaults come in.
 * Throws {@link DecodeError} for metadata that is none.
 */
export function readSent(value: JsonObject, schema: JsonSchema, onUnknown?: (path: string) => void): KubernetesObject {
  const options = { dropsInvalid: false, ...(onUnknown && { onUnknown }) };
  const { metadata, ...body } = value;
  const read = metadata === undefined ? undefined : readMetadata(metadata, 'metadata', options);
  const unknown: string[] = [];
  pruneObject(body, schema, path => unknown.push(path));
  if (onUnknown) for (const path of unknown.sort()) onUnknown(path);
  pruneNulls(body, schema);
  readEmbedded(body, schema, '', options);
  applyDefaults(body, schema);
  return { ...body, ...(read && { metadata: read }) } as KubernetesObject;
}

/** An object in the version in which its definition stores. */
export function storeAs(object: KubernetesObject, definition: CustomDefinition, convert: Convert): KubernetesObject {
  const { storageVersion } = definition;
  if (versionOf(object) === storageVersion) return object;
  return pruned(convert(object, storageVersion, definition), definition, storageVersion);
}

interface ReadStored {
  readonly definition: CustomDefinition;
  readonly version: CustomVersion;
  readonly convert: Convert;
}

/** A stored object in a served version. It may have been stored in another version, and by an older schema. */
export function readStored(stored: KubernetesObject, { definition, version, convert }: ReadStored): KubernetesObject {
  const storedIn = definition.versions.find(({ name }) => name === versionOf(stored)) ?? version;
  const object = pruned(stored, definition, storedIn.name);
  const { metadata } = object;
  if (metadata && !metadata.generation) metadata.generation = 1;
  applyDefaults(object, storedIn.schema);
  if (storedIn.name === version.name) return object;
  return pruned(convert(object, version.name, definition), definition, version.name);
}

function pruned(object: KubernetesObject, definition: CustomDefinition, version: string): KubernetesObject {
  const schema = definition.versions.find(({ name }) => name === version)?.schema;
  if (schema && isJsonObject(object)) {
    pruneObject(object, schema);
    pruneNulls(object, schema);
  }
  return object;
}

const versionOf = ({ apiVersion = '' }: KubernetesObject): string => apiVersion.slice(apiVersion.indexOf('/') + 1);
