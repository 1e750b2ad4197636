/**
 * Join tokens. A token is a Kubernetes bootstrap token (`id.secret`, kept as a Secret in kube-system), in front of which
 * stands the fingerprint of the cluster's authority, so that whoever joins knows that it talks to the right cluster:
 *
 *     raftsman:<64 hex digits>:<6 characters>.<16 characters>
 *
 * The bare `id.secret` is taken too (then the first connection trusts whom it finds), and so is any other text of eight
 * characters or more, from which id and secret are derived: operators like to choose their own.
 */
import { createHash, randomInt } from 'node:crypto';

/** A token, taken apart. */
export interface JoinToken {
  /** SHA-256 of the authority's certificate; undefined where the token does not pin one. */
  readonly fingerprint: string | undefined;
  readonly id: string;
  readonly secret: string;
}

const BOOTSTRAP = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const PINNED = /^raftsman:([0-9a-f]{64}):(.+)$/;
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';
const ID_LENGTH = 6;
const SECRET_LENGTH = 16;
/** A chosen token shorter than this could be guessed. */
const CHOSEN_TOKEN_LENGTH_MIN = 8;

/** The token's text is unusable. */
export class TokenFormatError extends Error {
  override readonly name = 'TokenFormatError';
  readonly code = 'TOKEN_FORMAT';
}

/** Reads a token as an operator gives it. */
export function parseToken(text: string): JoinToken {
  const pinned = PINNED.exec(text);
  const rest = pinned?.[2] ?? text;
  const plain = BOOTSTRAP.exec(rest);
  if (plain) return { fingerprint: pinned?.[1], id: plain[1] ?? '', secret: plain[2] ?? '' };
  if (text.startsWith('raftsman:') && !pinned) {
    throw new TokenFormatError(
      'the token is damaged: it should read raftsman:<64 hex digits>:<id>.<secret>; copy it again with `raftsman token create`',
    );
  }
  if (rest.length < CHOSEN_TOKEN_LENGTH_MIN) {
    throw new TokenFormatError(
      `the token is too short: use at least ${CHOSEN_TOKEN_LENGTH_MIN} characters, or make one with \`raftsman token create\``,
    );
  }
  const derived = deriveText(rest);
  return { fingerprint: pinned?.[1], id: derived.slice(0, ID_LENGTH), secret: derived.slice(ID_LENGTH) };
}

/** Makes a fresh `id.secret`. */
export function randomToken(): JoinToken {
  const pick = (length: number) => Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
  return { fingerprint: undefined, id: pick(ID_LENGTH), secret: pick(SECRET_LENGTH) };
}

/** What is sent as the bearer token. */
export const bearerOf = (token: JoinToken) => `${token.id}.${token.secret}`;

/** The text for the operator, with the authority pinned. */
export const formatToken = (token: JoinToken, authorityFingerprint: string) =>
  `raftsman:${authorityFingerprint}:${bearerOf(token)}`;

function deriveText(chosen: string): string {
  const digest = createHash('sha512').update(`raftsman join token\0${chosen}`).digest();
  return Array.from(digest.subarray(0, ID_LENGTH + SECRET_LENGTH), byte => ALPHABET[byte % ALPHABET.length]).join('');
}
