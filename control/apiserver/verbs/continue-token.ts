/** Where the next page of a list begins (apiserver/pkg/storage/continue.go): opaque to clients, checked when it comes back. */
import { type ApiError, badRequest } from '../../api/status.ts';

export interface ContinueToken {
  /** The revision of the first page; -1 for the latest, after that one has expired. */
  readonly revision: number;
  /** The first key of the next page, behind the list's prefix. */
  readonly start: string;
}

const VERSION = 'meta.k8s.io/v1';
const BASE64 = /^[A-Za-z0-9_-]*={0,2}$/;

export function encodeContinue({ revision, start }: ContinueToken): string {
  return Buffer.from(JSON.stringify({ v: VERSION, rv: revision, start })).toString('base64url');
}

/** Throws 400 for anything that {@link encodeContinue} did not make. */
export function decodeContinue(token: string): ContinueToken {
  const refuse = (why: string): ApiError => badRequest(`invalid continue token: continue key is not valid: ${why}`);
  const at = [...token].findIndex(character => !/[A-Za-z0-9_=-]/.test(character));
  if (!BASE64.test(token) || token.length % 4 === 1) {
    throw refuse(`illegal base64 data at input byte ${at < 0 ? token.length - 1 : at}`);
  }
  let parsed: { v?: unknown; rv?: unknown; start?: unknown };
  try {
    parsed = JSON.parse(Buffer.from(token, 'base64url').toString()) ?? {};
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : String(error));
  }
  const { v, rv, start } = parsed;
  if (v !== VERSION) throw refuse(`server does not recognize this encoded version "${String(v)}"`);
  if (typeof rv !== 'number' || !Number.isSafeInteger(rv) || rv === 0)
    throw refuse('incorrect encoded start resourceVersion');
  if (typeof start !== 'string' || start === '' || start.includes('/../'))
    throw refuse('encoded start key empty or invalid');
  return { revision: rv, start };
}
