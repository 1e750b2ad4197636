/**
 * Certificates by host, for the next handshake of each client. A Secret that cannot be used leaves the certificate in place
 * that it had before.
 */
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Secret } from '../api.ts';
import { type CertificateReference, hostLevels } from './table.ts';

export interface CertificatePair {
  readonly cert: string;
  readonly key: string;
}
interface Known {
  readonly context: SecureContext;
  readonly pair: CertificatePair;
}

export class CertificateStore {
  readonly #fallback: Known;
  /** By `namespace/name`. */
  readonly #secrets = new Map<string, Known>();
  #secretOfHost: ReadonlyMap<string, string> = new Map();

  /** `fallback` is shown to clients that ask for a host without a certificate. */
  constructor(fallback: CertificatePair) {
    this.#fallback = { pair: fallback, context: contextOf(fallback) };
  }

  /** Which Secret is for which host from now on; Secrets that nobody names are forgotten. */
  setReferences(references: readonly CertificateReference[]): void {
    this.#secretOfHost = new Map(references.map(({ host, secret }) => [host, secret]));
    const named = new Set(this.#secretOfHost.values());
    for (const key of this.#secrets.keys()) if (!named.has(key)) this.#secrets.delete(key);
  }

  /** Takes a Secret over. Gives a sentence if it cannot be used. */
  setSecret(key: string, { data }: Secret): string | undefined {
    const [cert, privateKey] = [decode(data?.['tls.crt']), decode(data?.['tls.key'])];
    if (cert === '' || privateKey === '') return `the Secret ${key} has no tls.crt or no tls.key`;
    const pair = { cert, key: privateKey };
    try {
      this.#secrets.set(key, { pair, context: contextOf(pair) });
      return undefined;
    } catch (error) {
      return `the Secret ${key} holds no certificate with its key: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  removeSecret(key: string): void {
    this.#secrets.delete(key);
  }

  /** What a client is shown that asks for the host. */
  contextFor(host: string): SecureContext {
    return this.#find(host.toLowerCase()).context;
  }

  /** What a client is shown that asks for no host. */
  get nameless(): CertificatePair {
    return this.#find('').pair;
  }

  #find(host: string): Known {
    for (const level of hostLevels(host)) {
      const secret = this.#secretOfHost.get(level);
      const known = secret === undefined ? undefined : this.#secrets.get(secret);
      if (known) return known;
    }
    return this.#fallback;
  }
}

const contextOf = ({ cert, key }: CertificatePair) => createSecureContext({ cert, key, minVersion: 'TLSv1.2' });
const decode = (base64: string | undefined) => (base64 ? Buffer.from(base64, 'base64').toString('utf8').trim() : '');
