/** Makes a user of the claims of a token, as flags or an AuthenticationConfiguration say. Pure. */
import type { JWTPayload } from 'jose';
import {
  Budget,
  CALL_COST_MAX,
  CostLimitError,
  EvaluationError,
  type IdentityExpression,
  textsOf,
  type Value,
} from '../../api/cel/index.ts';
import type { Identity } from '../types.ts';

/** Where a name comes from: a claim, with something in front, or an expression. */
export type ClaimMapping =
  | { readonly claim: string; readonly prefix: string; readonly expression?: never }
  | { readonly expression: IdentityExpression; readonly claim?: never };

/** An expression that must give true. */
export interface IdentityRule {
  readonly expression: IdentityExpression;
  readonly message: string;
}

export interface ClaimRules {
  readonly username: ClaimMapping;
  readonly groups?: ClaimMapping | undefined;
  readonly uid?: ClaimMapping | undefined;
  readonly extra?: readonly { readonly key: string; readonly expression: IdentityExpression }[];
  /** Claims that must be there, each a text with this value. */
  readonly requiredClaims?: Readonly<Record<string, string>>;
  readonly claimRules?: readonly IdentityRule[];
  readonly userRules?: readonly IdentityRule[];
}

/** The claims make no user. The message holds no claim's value. */
export class ClaimsError extends Error {
  override readonly name = 'ClaimsError';
  readonly code = 'CLAIMS';
}

/** @throws ClaimsError */
export function identityOf(payload: JWTPayload, rules: ClaimRules): Identity {
  const user = usernameOf(payload, rules.username);
  const groups = groupsOf(payload, rules.groups);
  const uid = rules.uid && textOf(payload, rules.uid, 'uid');
  const extra = Object.fromEntries(
    (rules.extra ?? []).flatMap(({ key, expression }) => {
      const texts = texted(valueFrom(expression, payload, 'extra'), 'extra');
      return texts.length > 0 ? [[key, texts]] : [];
    }),
  );
  for (const [claim, value] of Object.entries(rules.requiredClaims ?? {})) {
    if (!Object.hasOwn(payload, claim)) throw new ClaimsError(`required claim ${claim} not present in ID token`);
    if (payload[claim] !== value) throw new ClaimsError(`required claim ${claim} value does not match`);
  }
  check(rules.claimRules ?? [], payload, 'claim validation');
  check(rules.userRules ?? [], { username: user, uid: uid ?? '', groups, extra }, 'user info validation');
  return {
    user,
    groups,
    ...(uid !== undefined && uid !== '' && { uid }),
    ...(Object.keys(extra).length > 0 && { extra }),
  };
}

function usernameOf(payload: JWTPayload, mapping: ClaimMapping): string {
  if (mapping.claim === 'email' && Object.hasOwn(payload, 'email_verified') && payload.email_verified !== true) {
    throw new ClaimsError('email not verified');
  }
  const name = textOf(payload, mapping, 'username');
  if (name === '') throw new ClaimsError('the username is empty');
  return mapping.claim === undefined ? name : mapping.prefix + name;
}

function groupsOf(payload: JWTPayload, mapping: ClaimMapping | undefined): readonly string[] {
  if (!mapping) return [];
  if (mapping.claim === undefined) return texted(valueFrom(mapping.expression, payload, 'group'), 'group');
  if (!Object.hasOwn(payload, mapping.claim)) return [];
  const claimed = payload[mapping.claim];
  const groups = typeof claimed === 'string' ? [claimed] : claimed;
  if (!Array.isArray(groups) || !groups.every(group => typeof group === 'string')) {
    throw new ClaimsError(`parse groups claim "${mapping.claim}": it is neither a text nor a list of texts`);
  }
  return groups.map(group => mapping.prefix + group);
}

/** One text, before anything is put in front of it. */
function textOf(payload: JWTPayload, mapping: ClaimMapping, what: string): string {
  if (mapping.claim === undefined) {
    const value = valueFrom(mapping.expression, payload, what);
    if (typeof value === 'string') return value;
    throw new ClaimsError(`error evaluating ${what} claim expression: ${what} claim expression must return a string`);
  }
  const text = Object.hasOwn(payload, mapping.claim) ? payload[mapping.claim] : undefined;
  if (text === undefined) throw new ClaimsError(`parse ${what} claims "${mapping.claim}": claim not present`);
  if (typeof text !== 'string') throw new ClaimsError(`parse ${what} claims "${mapping.claim}": it is no text`);
  return text;
}

function texted(value: Value, what: string): readonly string[] {
  const texts = textsOf(value);
  if (texts) return texts;
  throw new ClaimsError(
    `error evaluating ${what} claim expression: expression must return a string or a list of strings`,
  );
}

function check(rules: readonly IdentityRule[], input: unknown, what: string): void {
  for (const { expression, message } of rules) {
    if (valueFrom(expression, input, what) === true) continue;
    throw new ClaimsError(
      `error evaluating ${what} expression: validation expression '${expression.text}' failed: ${message}`,
    );
  }
}

function valueFrom(expression: IdentityExpression, input: unknown, what: string): Value {
  try {
    return expression.evaluate(input, new Budget(CALL_COST_MAX));
  } catch (error) {
    if (!(error instanceof EvaluationError) && !(error instanceof CostLimitError)) throw error;
    throw new ClaimsError(`error evaluating ${what} expression '${expression.text}': ${error.message}`);
  }
}
