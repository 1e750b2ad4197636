/** Where kinds keep their pod's specification. */
import type { JsonObject } from './api.ts';

/** The path of the pod's specification within an object of this kind. */
function templatePathOf(object: JsonObject): readonly string[] {
  if (object.kind === 'Pod') return ['spec'];
  if (object.kind === 'CronJob') return ['spec', 'jobTemplate', 'spec', 'template', 'spec'];
  return ['spec', 'template', 'spec'];
}

/** The pod's specification; undefined if the object has none. */
export function templateSpecOf(object: JsonObject): JsonObject | undefined {
  let current: unknown = object;
  for (const key of templatePathOf(object)) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = Reflect.get(current, key);
  }
  return typeof current === 'object' && current !== null ? (current as JsonObject) : undefined;
}

interface Selecting {
  readonly spec?: {
    readonly selector?: {
      readonly matchLabels?: Readonly<Record<string, string>>;
      readonly matchExpressions?: readonly {
        readonly key: string;
        readonly operator: string;
        readonly values?: readonly string[];
      }[];
    } & Readonly<Record<string, unknown>>;
  };
}

/** The `-l` text that finds an object's pods: of a label selector, or of a plain map. */
export function podSelectorOf(object: JsonObject): string | undefined {
  const selector = (object as Selecting).spec?.selector;
  if (!selector) return undefined;
  const isPlain = !('matchLabels' in selector) && !('matchExpressions' in selector);
  const labels = isPlain ? selector : (selector.matchLabels ?? {});
  const parts = Object.entries(labels).map(([key, value]) => `${key}=${String(value)}`);
  for (const { key, operator, values } of isPlain ? [] : (selector.matchExpressions ?? [])) {
    const list = (values ?? []).join(',');
    if (operator === 'In') parts.push(`${key} in (${list})`);
    if (operator === 'NotIn') parts.push(`${key} notin (${list})`);
    if (operator === 'Exists') parts.push(key);
    if (operator === 'DoesNotExist') parts.push(`!${key}`);
  }
  return parts.length === 0 ? undefined : parts.join(',');
}
