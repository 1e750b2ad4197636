/** Events of a watch as bytes: a line of JSON each, in the form that the client asked for. */
import type { CachedObject } from '../cache/cached-object.ts';
import type { Core, ResourceRequest } from '../core.ts';
import type { Representation } from '../http/negotiate.ts';
import { parseAs, partialParts, readIncludeObject, readyOf, table } from './representation.ts';

export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** Encodes one event. `key` names the form where frames can be shared. */
export interface FrameMaker {
  (type: EventType, object: CachedObject): Buffer;
  readonly key: string | undefined;
}

/** How a watcher with this representation has events encoded. */
export function frameMaker(
  core: Core,
  { kind, exchange }: ResourceRequest,
  representation: Representation,
): FrameMaker {
  const { form, metaVersion } = representation;
  if (form === 'Table') {
    const include = readIncludeObject(exchange.query);
    let hasColumns = true;
    const make = (type: EventType, object: CachedObject) => {
      const metadata = { resourceVersion: String(object.revision) };
      const options = { now: core.clock.now(), include, metaVersion, metadata, hasColumns };
      hasColumns = false;
      return jsonFrame(type, table(kind, [parseAs(kind, object)], options));
    };
    return Object.assign(make, { key: undefined });
  }
  if (form !== 'Object') {
    const make = (type: EventType, object: CachedObject) =>
      Buffer.concat([frameStart(type), ...partialParts(kind, object, metaVersion), FRAME_END]);
    return Object.assign(make, {
      key: `partial ${metaVersion}${kind.form ? ` ${kind.version} ${formIdOf(kind.form)}` : ''}`,
    });
  }
  const make = (type: EventType, object: CachedObject) =>
    Buffer.concat([frameStart(type), readyOf(kind, object).bytes, FRAME_END]);
  // Two declarations of one custom resource may show its objects in two ways.
  return Object.assign(make, { key: `${kind.group}/${kind.version}${kind.form ? ` ${formIdOf(kind.form)}` : ''}` });
}

let formCount = 0;
const formIds = new WeakMap<object, number>();

function formIdOf(form: object): number {
  let id = formIds.get(form);
  if (id === undefined) {
    id = ++formCount;
    formIds.set(form, id);
  }
  return id;
}

const FRAME_END = Buffer.from('}\n');
const frameStart = (type: EventType) => Buffer.from(`{"type":"${type}","object":`);
const jsonFrame = (type: EventType, object: object) => Buffer.from(`${JSON.stringify({ type, object })}\n`);
