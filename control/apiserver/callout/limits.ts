/** Every bound on what the API server asks of other servers, with its reason. */

const KIB = 1024;
const MIB = 1024 * KIB;

export interface CalloutLimits {
  /** An answer longer than this is refused: nothing that a webhook has to say comes near. */
  readonly answerBytesMax: number;
  /** Bytes of headers in an answer. */
  readonly answerHeadBytesMax: number;
  /** Connections to one server at a time; further calls wait for one. */
  readonly connectionsPerServerMax: number;
  /** Connections kept open for later calls, to one server and to all. */
  readonly idlePerServerMax: number;
  readonly idleMax: number;
  /** A kept connection that nobody used for this long is closed: below the 90 s after which Go's servers may. */
  readonly idleMs: number;
  /** How long one endpoint may take to accept a connection while others are left to try. */
  readonly dialMsMax: number;
  /** How long a server may take to agree on TLS. */
  readonly handshakeMsMax: number;
  /** An endpoint that could not be reached is tried last for this long. */
  readonly shunMs: number;
  /** How many such endpoints are remembered. */
  readonly shunnedMax: number;
  /** Trust anchors that were parsed, by their text. */
  readonly anchorsMax: number;
}

export const DEFAULT_CALLOUT_LIMITS: CalloutLimits = {
  answerBytesMax: 16 * MIB,
  answerHeadBytesMax: 64 * KIB,
  connectionsPerServerMax: 64,
  idlePerServerMax: 8,
  idleMax: 256,
  idleMs: 60_000,
  dialMsMax: 3_000,
  handshakeMsMax: 10_000,
  shunMs: 10_000,
  shunnedMax: 1_000,
  anchorsMax: 256,
};
