/** `debug --custom`: a part of a container's specification that is merged into the container that looks. */
import { readFileSync } from 'node:fs';
import type { Container } from '../../control/api/generated/types.ts';
import type { JsonObject } from '../../control/api/patch/json.ts';
import { strategicMergePatch } from '../../control/api/patch/strategic-merge-patch.ts';
import { failure } from '../client/errors.ts';
import { manifestYaml, yaml } from '../client/yaml.ts';

/** What the other flags say, or what makes no sense for a container that only looks. */
const TAKEN = ['name', 'command', 'image', 'lifecycle', 'volumeDevices'];

/** What the file holds. @throws CommandError if it cannot be read or says what it must not. */
export function readCustom(path: string): JsonObject {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw failure(
      `must pass a container spec json file for custom profile: open ${path}: no such file or directory`,
      error,
    );
  }
  let value: unknown;
  try {
    value = yaml().parse(text, manifestYaml);
  } catch (error) {
    throw failure(
      `${path} does not contain a valid container spec: ${error instanceof Error ? error.message : error}`,
      error,
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw failure(`${path} does not contain a valid container spec`);
  }
  const custom = value as JsonObject;
  if (TAKEN.some(field => isSet(custom[field]))) {
    throw failure('name, command, image, lifecycle and volume devices are not modifiable via custom profile');
  }
  return custom;
}

const isSet = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== '' && !(Array.isArray(value) && value.length === 0);

/** The container with what is wanted of it besides. */
export function withCustom(container: Container, custom: JsonObject): Container {
  // Merged by the schema of containers, it stays one.
  return strategicMergePatch(
    container as unknown as JsonObject,
    custom,
    'io.k8s.api.core.v1.Container',
  ) as unknown as Container;
}
