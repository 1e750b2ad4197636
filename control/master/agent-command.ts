/** How a process that starts agents runs its own program as one. */

/**
 * An agent works in bursts. V8 lets what is new grow to 128 MiB on a large machine before it looks through it, and gives little of
 * that back: an agent with 110 pods held 270 MB, of which 35 were in use. With this bound the starts of 110 pods cost no more.
 */
const YOUNG_MEBIBYTES = 4;

/** `command` runs `raftsman`; flags of Node's that its user gave it stand behind ours and win. Pure. */
export function agentCommand([program, ...leading]: readonly [string, ...string[]]): readonly [string, ...string[]] {
  return [program, `--max-semi-space-size=${YOUNG_MEBIBYTES}`, ...leading];
}
