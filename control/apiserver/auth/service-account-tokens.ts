/**
 * ServiceAccount tokens: JSON Web Tokens signed with the cluster's RSA key. This file makes and reads them; whether what
 * they speak of still exists is judged in service-accounts.ts. Claims are those of k/k:pkg/serviceaccount/claims.go.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { exportJWK, type JWK, errors as joseErrors, jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import type { Clock } from '../types.ts';
import { VerifiedTokens } from './verified-tokens.ts';

export const DEFAULT_ISSUER = 'https://kubernetes.default.svc.cluster.local';
/**
 * The odd life that admission writes into pods marks tokens whose holder may be an old client that reads its token only
 * once: such a token holds for a year, while its file is renewed after the hour (k/k:pkg/serviceaccount/util.go).
 */
export const MOUNTED_TOKEN_SECONDS = 3_607;
const ALGORITHM = 'RS256';
/** By how much the clocks of masters may differ. */
const LEEWAY_SECONDS = 60;

const reference = z.object({ name: z.string(), uid: z.string() });
const claimsSchema = z.object({
  sub: z.string(),
  aud: z.union([z.string(), z.array(z.string())]),
  jti: z.string().optional(),
  'kubernetes.io': z.object({
    namespace: z.string(),
    serviceaccount: reference,
    pod: reference.optional(),
    secret: reference.optional(),
    node: z.object({ name: z.string(), uid: z.string().optional() }).optional(),
  }),
});

/** The tokens that lie in Secrets have claims of their own form, for no audience in particular, and no end. */
const SECRET_ISSUER = 'kubernetes/serviceaccount';
const secretClaimsSchema = z.object({
  sub: z.string(),
  'kubernetes.io/serviceaccount/namespace': z.string(),
  'kubernetes.io/serviceaccount/secret.name': z.string(),
  'kubernetes.io/serviceaccount/service-account.name': z.string(),
  'kubernetes.io/serviceaccount/service-account.uid': z.string(),
});

/** For whom the token in a Secret speaks. */
export interface SecretTokenSubject {
  readonly namespace: string;
  readonly secret: string;
  readonly serviceAccount: ObjectId;
}

export interface ObjectId {
  readonly name: string;
  readonly uid: string;
}
/** For whom a token speaks, and what it is bound to: it ends when one of these does. */
export interface TokenSubject {
  readonly namespace: string;
  readonly serviceAccount: ObjectId;
  readonly pod?: ObjectId | undefined;
  readonly secret?: ObjectId | undefined;
  /** For a token bound to a pod only told; for one bound to nothing else a binding. */
  readonly node?: { readonly name: string; readonly uid?: string | undefined } | undefined;
}
export interface TokenTerms {
  readonly audiences: readonly string[];
  readonly lifeSeconds: number;
  /** After this the holder should have renewed it, though it still holds. */
  readonly warnAfterSeconds?: number | undefined;
}
export interface TokenClaims extends TokenSubject {
  readonly audiences: readonly string[];
  readonly id: string | undefined;
}

/** A token whose signature holds, and between which seconds since the epoch the rest does. */
export interface VerifiedToken {
  readonly claims: TokenClaims;
  readonly beginsAt: number;
  readonly endsAt: number;
}

export class ServiceAccountTokens {
  readonly issuer: string;
  readonly #key: KeyObject;
  readonly #publicKey: KeyObject;
  readonly #keyId: string;
  readonly #clock: Clock;
  readonly #newUid: () => string;
  readonly #verified = new VerifiedTokens<VerifiedToken>();

  /** `key` is PKCS#8 PEM. Throws if it is no RSA key. */
  constructor(options: {
    readonly key: string;
    readonly issuer: string;
    readonly clock: Clock;
    readonly newUid: () => string;
  }) {
    this.issuer = options.issuer;
    this.#key = createPrivateKey(options.key);
    if (this.#key.asymmetricKeyType !== 'rsa') throw new Error('service account tokens need an RSA key');
    this.#publicKey = createPublicKey(this.#key);
    const der = this.#publicKey.export({ format: 'der', type: 'spki' });
    this.#keyId = createHash('sha256').update(der).digest('base64url');
    this.#clock = options.clock;
    this.#newUid = options.newUid;
  }

  async sign(subject: TokenSubject, { audiences, lifeSeconds, warnAfterSeconds }: TokenTerms): Promise<string> {
    const now = Math.floor(this.#clock.now() / 1000);
    const { namespace, serviceAccount, pod, secret, node } = subject;
    return new SignJWT({
      aud: [...audiences],
      exp: now + lifeSeconds,
      iat: now,
      iss: this.issuer,
      jti: this.#newUid(),
      'kubernetes.io': {
        namespace,
        ...(node && { node }),
        ...(pod && { pod }),
        ...(secret && { secret }),
        serviceaccount: serviceAccount,
        ...(warnAfterSeconds !== undefined && { warnafter: now + warnAfterSeconds }),
      },
      nbf: now,
      sub: `system:serviceaccount:${namespace}:${serviceAccount.name}`,
    })
      .setProtectedHeader({ alg: ALGORITHM, kid: this.#keyId })
      .sign(this.#key);
  }

  /** The token of a Secret. It holds as long as the Secret, which has to be asked for. */
  async signForSecret({ namespace, secret, serviceAccount }: SecretTokenSubject): Promise<string> {
    return new SignJWT({
      iss: SECRET_ISSUER,
      'kubernetes.io/serviceaccount/namespace': namespace,
      'kubernetes.io/serviceaccount/secret.name': secret,
      'kubernetes.io/serviceaccount/service-account.name': serviceAccount.name,
      'kubernetes.io/serviceaccount/service-account.uid': serviceAccount.uid,
      sub: `system:serviceaccount:${namespace}:${serviceAccount.name}`,
    })
      .setProtectedHeader({ alg: ALGORITHM, kid: this.#keyId })
      .sign(this.#key);
  }

  /** What the token of a Secret says; undefined if it is none of ours. */
  async readForSecret(token: string): Promise<SecretTokenSubject | undefined> {
    try {
      const { payload } = await jwtVerify(token, this.#publicKey, { algorithms: [ALGORITHM], issuer: SECRET_ISSUER });
      const { data } = secretClaimsSchema.safeParse(payload);
      if (!data) return undefined;
      const namespace = data['kubernetes.io/serviceaccount/namespace'];
      const name = data['kubernetes.io/serviceaccount/service-account.name'];
      if (data.sub !== `system:serviceaccount:${namespace}:${name}`) return undefined;
      return {
        namespace,
        secret: data['kubernetes.io/serviceaccount/secret.name'],
        serviceAccount: { name, uid: data['kubernetes.io/serviceaccount/service-account.uid'] },
      };
    } catch (error) {
      if (error instanceof joseErrors.JOSEError) return undefined;
      throw error;
    }
  }

  /** What a token of ours says; undefined if it is not ours, has ended, or is for none of the `audiences`. */
  async read(token: string, audiences: readonly string[]): Promise<TokenClaims | undefined> {
    return (await this.verify(token, audiences))?.claims;
  }

  /** The same for those who ask for it again and again: {@link holds} says later whether it still does. */
  async verify(token: string, audiences: readonly string[]): Promise<VerifiedToken | undefined> {
    const known = this.#verified.get(token);
    if (known) return this.holds(known, audiences) ? known : undefined;
    try {
      const { payload } = await jwtVerify(token, this.#publicKey, {
        algorithms: [ALGORITHM],
        issuer: this.issuer,
        audience: [...audiences],
        requiredClaims: ['exp'],
        clockTolerance: LEEWAY_SECONDS,
        currentDate: new Date(this.#clock.now()),
      });
      const claims = claimsOf(payload);
      // jose has seen to it that there is an end.
      const { exp = 0, nbf = 0 } = payload;
      const verified = claims && { claims, endsAt: exp, beginsAt: nbf };
      if (verified) this.#verified.add(token, verified);
      return verified;
    } catch (error) {
      if (error instanceof joseErrors.JOSEError) return undefined;
      throw error;
    }
  }

  /** What jose checks, but for the signature, which does not change. */
  holds({ claims, beginsAt, endsAt }: VerifiedToken, audiences: readonly string[]): boolean {
    const now = Math.floor(this.#clock.now() / 1000);
    if (beginsAt > now + LEEWAY_SECONDS || endsAt <= now - LEEWAY_SECONDS) return false;
    return claims.audiences.some(audience => audiences.includes(audience));
  }

  /** The public key as OpenID Connect clients fetch it. */
  async keySet(): Promise<{ readonly keys: readonly JWK[] }> {
    const key = await exportJWK(this.#publicKey);
    return { keys: [{ use: 'sig', kty: 'RSA', kid: this.#keyId, alg: ALGORITHM, ...key }] };
  }
}

function claimsOf(payload: unknown): TokenClaims | undefined {
  const { data } = claimsSchema.safeParse(payload);
  if (!data) return undefined;
  const { namespace, serviceaccount, pod, secret, node } = data['kubernetes.io'];
  if (data.sub !== `system:serviceaccount:${namespace}:${serviceaccount.name}`) return undefined;
  return {
    namespace,
    serviceAccount: serviceaccount,
    pod,
    secret,
    node,
    audiences: [data.aud].flat(),
    id: data.jti,
  };
}
