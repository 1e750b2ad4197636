/**
 * An AuthenticationConfiguration of Kubernetes (`apiserver.config.k8s.io`): issuers of tokens, how their claims make users, and
 * where nobody need say who he is. This file reads it; `authentication-rules.ts` judges and compiles it. Pure.
 */
import { parse } from 'yaml';
import { z } from 'zod';
import { compileConfiguration } from './authentication-rules.ts';
import type { JwtAuthenticatorOptions } from './jwt-authenticator.ts';

/** The file cannot be used; `message` says where and why. */
export class AuthenticationConfigurationError extends Error {
  override readonly name = 'AuthenticationConfigurationError';
  readonly code = 'AUTHENTICATION_CONFIGURATION';
  /** A master must not be started again with it. */
  readonly exitCode = 3;
}

const text = z.string().default('');
const issuerSchema = z.strictObject({
  url: text,
  discoveryURL: text,
  certificateAuthority: text,
  audiences: z.array(z.string()).default([]),
  audienceMatchPolicy: text,
});
const mappingSchema = z
  .strictObject({ claim: text, prefix: z.string().optional(), expression: text })
  .default({ claim: '', expression: '' });
const uidSchema = z.strictObject({ claim: text, expression: text }).default({ claim: '', expression: '' });
const jwtSchema = z.strictObject({
  issuer: issuerSchema.default({
    url: '',
    discoveryURL: '',
    certificateAuthority: '',
    audiences: [],
    audienceMatchPolicy: '',
  }),
  claimValidationRules: z
    .array(z.strictObject({ claim: text, requiredValue: text, expression: text, message: text }))
    .default([]),
  claimMappings: z
    .strictObject({
      username: mappingSchema,
      groups: mappingSchema,
      uid: uidSchema,
      extra: z.array(z.strictObject({ key: text, valueExpression: text })).default([]),
    })
    .default({
      username: { claim: '', expression: '' },
      groups: { claim: '', expression: '' },
      uid: { claim: '', expression: '' },
      extra: [],
    }),
  userValidationRules: z.array(z.strictObject({ expression: text, message: text })).default([]),
});
const schema = z.strictObject({
  apiVersion: z.enum(['apiserver.config.k8s.io/v1beta1', 'apiserver.config.k8s.io/v1alpha1']),
  kind: z.literal('AuthenticationConfiguration'),
  jwt: z.array(jwtSchema).default([]),
  anonymous: z
    .strictObject({
      enabled: z.boolean().default(false),
      conditions: z.array(z.strictObject({ path: text })).default([]),
    })
    .optional(),
});

/** The file as it was read, with nothing left out. */
export type ConfigurationFile = z.infer<typeof schema>;
export type JwtEntry = z.infer<typeof jwtSchema>;

export interface AnonymousRule {
  readonly enabled: boolean;
  /** Only there; everywhere if there are none. */
  readonly paths: readonly string[];
}

/** What is to be done; expressions are compiled. */
export interface AuthenticationConfiguration {
  /** `text` is the entry in JSON: entries with the same text are the same. */
  readonly jwt: readonly (JwtAuthenticatorOptions & { readonly text: string })[];
  readonly anonymous: AnonymousRule | undefined;
}

/**
 * Reads the text of such a file, YAML or JSON.
 *
 * @param disallowedIssuers issuers that others answer for already: that of service accounts
 * @throws AuthenticationConfigurationError
 */
export function readAuthenticationConfiguration(
  content: string,
  { disallowedIssuers = [] }: { readonly disallowedIssuers?: readonly string[] } = {},
): AuthenticationConfiguration {
  let document: unknown;
  try {
    document = parse(content, { maxAliasCount: 0 });
  } catch (error) {
    throw new AuthenticationConfigurationError(
      `it is not YAML: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const { success, data, error } = schema.safeParse(withoutNulls(document));
  if (!success) throw new AuthenticationConfigurationError(error.issues.map(sentence).join('; '));
  const { errors, configuration } = compileConfiguration(data, disallowedIssuers);
  if (errors.length === 0) return configuration;
  const texts = [...new Set(errors.map(({ field, message }) => `${field}: ${message}`))];
  throw new AuthenticationConfigurationError(texts.length === 1 ? texts.join('') : `[${texts.join(', ')}]`);
}

function sentence(issue: z.core.$ZodIssue): string {
  const path = issue.path.map(part => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  const place = path.replace(/^\./, '');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => `unknown field "${place === '' ? key : `${place}.${key}`}"`).join('; ');
  }
  return `${place || 'file'}: ${issue.message}`;
}

/** Go takes null for nothing said. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== null);
  return Object.fromEntries(entries.map(([key, inner]) => [key, withoutNulls(inner)]));
}
