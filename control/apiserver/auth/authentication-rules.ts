/**
 * What an AuthenticationConfiguration may say, in Kubernetes' sentences, and what follows from it (k/k
 * apiserver/pkg/apis/apiserver/validation). Expressions are compiled once, here. Pure.
 */
import { X509Certificate } from 'node:crypto';
import { compileClaimsExpression, compileUserExpression, type IdentityExpression } from '../../api/cel/index.ts';
import type { FieldError } from '../../api/status.ts';
import { duplicateValue, invalidText, invalidValue, required, tooManyValues } from '../../api/validation/errors.ts';
import { validateDomainPath } from '../../api/validation/ingress.ts';
import type { AuthenticationConfiguration, ConfigurationFile, JwtEntry } from './authentication-configuration.ts';
import type { ClaimMapping, ClaimRules, IdentityRule } from './claims.ts';
import { ALGORITHMS } from './issuer.ts';

/** Issuers of one file; the limit is Kubernetes'. */
export const ISSUERS_MAX = 64;

type Mappings = JwtEntry['claimMappings'];

/** The configuration is of use only where there are no errors. */
export function compileConfiguration(
  { jwt, anonymous }: ConfigurationFile,
  disallowedIssuers: readonly string[],
): { readonly errors: readonly FieldError[]; readonly configuration: AuthenticationConfiguration } {
  const errors: FieldError[] = [];
  const isTooLong = jwt.length > ISSUERS_MAX;
  if (isTooLong) errors.push(tooManyValues('jwt', jwt.length, ISSUERS_MAX));
  const entries = (isTooLong ? [] : jwt).map((entry, index) => {
    const compiler = new EntryCompiler(`jwt[${index}]`, errors);
    const rules = compiler.compile(entry, disallowedIssuers);
    const { url, discoveryURL, audiences, certificateAuthority } = entry.issuer;
    const issuer = {
      url,
      audiences,
      signingAlgorithms: ALGORITHMS,
      discoveryUrl: discoveryURL || undefined,
      authority: certificateAuthority || undefined,
    };
    for (const [name, value] of [
      ['url', url],
      ['discoveryURL', discoveryURL],
    ] as const) {
      const isRepeated = value !== '' && jwt.slice(0, index).some(other => other.issuer[name] === value);
      if (isRepeated) errors.push(duplicateValue(`jwt[${index}].issuer.${name}`, value));
    }
    return { issuer, rules, text: JSON.stringify(entry) };
  });
  const conditions = anonymous?.conditions ?? [];
  if (anonymous && !anonymous.enabled && conditions.length > 0) {
    const detail = 'enabled should be set to true when conditions are defined';
    errors.push(invalidValue('anonymous.conditions', conditions, detail));
  }
  const rule = anonymous && { enabled: anonymous.enabled, paths: conditions.map(({ path }) => path) };
  return { errors, configuration: { jwt: entries, anonymous: rule } };
}

/** Compiles one entry of `jwt`; what is wrong goes to the list. */
class EntryCompiler {
  readonly #path: string;
  readonly #errors: FieldError[];
  /** Expressions that may speak of whether an email address is verified. */
  readonly #verifying: IdentityExpression[] = [];

  constructor(path: string, errors: FieldError[]) {
    this.#path = path;
    this.#errors = errors;
  }

  compile(entry: JwtEntry, disallowedIssuers: readonly string[]): ClaimRules {
    this.#errors.push(...issuerErrors(entry.issuer, `${this.#path}.issuer`, disallowedIssuers));
    const claims = this.#claimRules(entry.claimValidationRules, `${this.#path}.claimValidationRules`);
    const mappings = this.#mappings(entry.claimMappings, `${this.#path}.claimMappings`);
    const userRules = this.#userRules(entry.userValidationRules, `${this.#path}.userValidationRules`);
    return { ...mappings, ...claims, userRules };
  }

  #claimRules(rules: JwtEntry['claimValidationRules'], path: string) {
    const requiredClaims: Record<string, string> = {};
    const claimRules: IdentityRule[] = [];
    const seen = new Set<string>();
    for (const [index, { claim, requiredValue, expression, message }] of rules.entries()) {
      const place = `${path}[${index}]`;
      if (claim !== '' && expression !== '') {
        this.#errors.push(invalidValue(place, claim, "claim and expression can't both be set"));
      } else if (claim === '' && expression === '') {
        this.#errors.push(required(place, 'claim or expression is required'));
      } else if (claim !== '') {
        const detail = 'may not be specified when claim is set';
        if (message !== '') this.#errors.push(invalidValue(`${place}.message`, message, detail));
        if (Object.hasOwn(requiredClaims, claim)) this.#errors.push(duplicateValue(`${place}.claim`, claim));
        requiredClaims[claim] = requiredValue;
      } else {
        const detail = 'may not be specified when expression is set';
        if (requiredValue !== '') this.#errors.push(invalidValue(`${place}.requiredValue`, requiredValue, detail));
        const compiled = this.#once(seen, `${place}.expression`, expression, () =>
          compileClaimsExpression(expression, 'rule'),
        );
        if (compiled) claimRules.push({ expression: compiled, message });
      }
    }
    this.#verifying.push(...claimRules.map(rule => rule.expression));
    return { requiredClaims, claimRules };
  }

  #userRules(rules: JwtEntry['userValidationRules'], path: string): IdentityRule[] {
    const seen = new Set<string>();
    return rules.flatMap(({ expression: text, message }, index) => {
      const place = `${path}[${index}].expression`;
      if (text === '') {
        this.#errors.push(required(place));
        return [];
      }
      const expression = this.#once(seen, place, text, () => compileUserExpression(text));
      return expression ? [{ expression, message }] : [];
    });
  }

  #mappings({ username, groups, uid, extra }: Mappings, path: string) {
    const name = this.#mapping(username, `${path}.username`, true);
    const mappings = {
      // Without one there is an error, and nothing of this is used.
      username: name ?? { claim: 'sub', prefix: '' },
      groups: this.#mapping(groups, `${path}.groups`, false),
      uid: this.#uid(uid, `${path}.uid`),
      extra: this.#extra(extra, `${path}.extra`),
    };
    if (name?.expression) this.#verifying.push(name.expression);
    this.#verifying.push(...mappings.extra.map(({ expression }) => expression));
    const isVerified = () => this.#verifying.some(expression => expression.reads('email_verified'));
    if (name?.expression?.reads('email') && !isVerified()) {
      this.#errors.push(invalidValue(`${path}.username.expression`, username.expression, UNVERIFIED));
    }
    return mappings;
  }

  #mapping(mapping: Mappings['username'], path: string, isRequired: boolean): ClaimMapping | undefined {
    const { claim, prefix, expression } = mapping;
    if (claim !== '' && expression !== '') {
      this.#errors.push(invalidValue(path, '', "claim and expression can't both be set"));
    } else if (claim !== '') {
      if (prefix === undefined) {
        const detail = 'prefix is required when claim is set. It can be set to an empty string to disable prefixing';
        this.#errors.push(required(`${path}.prefix`, detail));
      }
      return { claim, prefix: prefix ?? '' };
    } else if (expression !== '') {
      const detail = 'may not be specified when expression is set';
      if (prefix !== undefined) this.#errors.push(invalidValue(`${path}.prefix`, prefix, detail));
      return this.#value(`${path}.expression`, expression);
    } else if (isRequired) {
      this.#errors.push(required(path, 'claim or expression is required'));
    }
    return undefined;
  }

  #uid({ claim, expression }: Mappings['uid'], path: string): ClaimMapping | undefined {
    if (claim !== '' && expression !== '') {
      this.#errors.push(invalidValue(path, '', "claim and expression can't both be set"));
      return undefined;
    }
    if (claim !== '') return { claim, prefix: '' };
    return expression === '' ? undefined : this.#value(`${path}.expression`, expression);
  }

  #extra(extra: Mappings['extra'], path: string) {
    const seen = new Set<string>();
    return extra.flatMap(({ key, valueExpression }, index) => {
      const place = `${path}[${index}]`;
      this.#errors.push(...keyErrors(key, `${place}.key`));
      if (seen.has(key)) {
        this.#errors.push(duplicateValue(`${place}.key`, key));
        return [];
      }
      seen.add(key);
      if (valueExpression === '') {
        this.#errors.push(required(`${place}.valueExpression`));
        return [];
      }
      const value = this.#value(`${place}.valueExpression`, valueExpression);
      return value ? [{ key, expression: value.expression }] : [];
    });
  }

  #value(place: string, text: string): { readonly expression: IdentityExpression } | undefined {
    const expression = this.#kept(place, text, compileClaimsExpression(text, 'value'));
    return expression && { expression };
  }

  #once(
    seen: Set<string>,
    place: string,
    text: string,
    compile: () => IdentityExpression | { readonly error: string },
  ): IdentityExpression | undefined {
    if (seen.has(text)) {
      this.#errors.push(duplicateValue(place, text));
      return undefined;
    }
    seen.add(text);
    return this.#kept(place, text, compile());
  }

  #kept(
    place: string,
    text: string,
    compiled: IdentityExpression | { readonly error: string },
  ): IdentityExpression | undefined {
    if (!('error' in compiled)) return compiled;
    this.#errors.push(invalidValue(place, text, compiled.error));
    return undefined;
  }
}

const UNVERIFIED =
  'claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression';

function keyErrors(key: string, path: string): FieldError[] {
  const errors = validateDomainPath(path, key);
  if (key !== key.toLowerCase()) errors.push(invalidValue(path, key, 'must be lowercase'));
  const [domain = ''] = key.includes('/') ? key.split('/') : [];
  if (/(^|\.)(k8s|kubernetes)\.io$/.test(domain)) {
    const detail = 'k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use';
    errors.push(invalidValue(path, key, detail));
  }
  return errors;
}

function issuerErrors(issuer: JwtEntry['issuer'], path: string, disallowed: readonly string[]): FieldError[] {
  const { url, discoveryURL, audiences, audienceMatchPolicy: policy, certificateAuthority } = issuer;
  const errors = url === '' ? [required(`${path}.url`)] : urlErrors(url, `${path}.url`);
  if (disallowed.includes(url)) {
    const detail = `URL must not overlap with disallowed issuers: [${disallowed.toSorted().join(' ')}]`;
    errors.unshift(invalidValue(`${path}.url`, url, detail));
  }
  if (discoveryURL !== '') {
    const place = `${path}.discoveryURL`;
    if (trimmed(url) === trimmed(discoveryURL)) {
      errors.push(invalidValue(place, discoveryURL, 'discoveryURL must be different from URL'));
    }
    errors.push(...urlErrors(discoveryURL, place));
  }
  errors.push(...audienceErrors(audiences, policy, path));
  if (certificateAuthority !== '' && !isAuthority(certificateAuthority)) {
    const detail = 'data does not contain any valid RSA or ECDSA certificates';
    errors.push(invalidText(`${path}.certificateAuthority`, '"<omitted>"', detail));
  }
  return errors;
}

const trimmed = (url: string) => url.replace(/\/+$/, '');

function audienceErrors(audiences: readonly string[], policy: string, path: string): FieldError[] {
  const place = `${path}.audiences`;
  if (audiences.length === 0) return [required(place, `at least one ${place} is required`)];
  const errors = audiences.flatMap((audience, index) => [
    ...(audience === '' ? [required(`${place}[${index}]`)] : []),
    ...(audiences.indexOf(audience) < index ? [duplicateValue(`${place}[${index}]`, audience)] : []),
  ]);
  if (policy === 'MatchAny' || (audiences.length === 1 && policy === '')) return errors;
  const detail =
    audiences.length > 1
      ? 'audienceMatchPolicy must be MatchAny for multiple audiences'
      : 'audienceMatchPolicy must be empty or MatchAny for single audience';
  return [...errors, invalidValue(`${path}.audienceMatchPolicy`, policy, detail)];
}

function urlErrors(text: string, path: string): FieldError[] {
  const url = URL.parse(text);
  if (!url) return [invalidValue(path, text, 'it is not a URL')];
  const wrong: readonly (readonly [boolean, string])[] = [
    [url.protocol !== 'https:', 'URL scheme must be https'],
    [url.username !== '' || url.password !== '', 'URL must not contain a username or password'],
    [url.search !== '', 'URL must not contain a query'],
    [url.hash !== '', 'URL must not contain a fragment'],
  ];
  return wrong.flatMap(([isWrong, detail]) => (isWrong ? [invalidValue(path, text, detail)] : []));
}

/** True if there is at least one certificate, and nothing that looks like one and is none. */
function isAuthority(pem: string): boolean {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  try {
    for (const block of blocks) new X509Certificate(block);
  } catch {
    return false;
  }
  return blocks.length > 0;
}
