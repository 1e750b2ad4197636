/** Two connections joined byte for byte, each half-close passed on: how the API server reaches a port of a pod. */
import type { Duplex } from 'node:stream';

/** What a client puts into `Upgrade:` to get a tunnel. */
export const TUNNEL_PROTOCOL = 'tcp';

/** Passes bytes both ways; an end goes on as an end, and when one side closes or breaks, so does the other. */
export function joinSockets(a: Duplex, b: Duplex): void {
  // A TLS server's sockets end their own side when the peer ends its; here either may still have much to say.
  a.allowHalfOpen = true;
  b.allowHalfOpen = true;
  a.pipe(b);
  b.pipe(a);
  tieTo(a, b);
  tieTo(b, a);
}

function tieTo(one: Duplex, other: Duplex): void {
  one.on('error', () => other.destroy());
  one.on('close', () => {
    // What is still on its way out goes out; what still comes in has no reader, and must not keep the end from coming.
    other.end();
    other.resume();
  });
}
