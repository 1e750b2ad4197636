/** A call of a gRPC service: its path, and what goes there and comes back. */
import type { Message } from './proto.ts';

/** One call. */
export interface Method<in I, out O> {
  readonly path: string;
  readonly request: Message<I, unknown>;
  readonly response: Message<never, O>;
}

export function method<I, O>(
  service: string,
  name: string,
  types: { readonly request: Message<I, unknown>; readonly response: Message<never, O> },
): Method<I, O> {
  return { path: `/${service}/${name}`, ...types };
}
