/** Why a server could not be called, in the words of Go's net/http and crypto/tls, which users of Kubernetes know. */
import type { PeerCertificate } from 'node:tls';

export const DEADLINE_EXCEEDED = 'context deadline exceeded';

/** A call that brought no answer. The message begins with the method and the URL. */
export class CalloutError extends Error {
  override readonly name = 'CalloutError';
  readonly code = 'CALLOUT';
}

/** The whole sentence: `Post "https://…": why`. */
export function callFailed(method: string, url: string, error: unknown): CalloutError {
  const verb = `${method.slice(0, 1).toUpperCase()}${method.slice(1).toLowerCase()}`;
  return new CalloutError(`${verb} ${JSON.stringify(url)}: ${whyFailed(error)}`, { cause: error });
}

const UNTRUSTED = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
  'INVALID_CA',
]);
const UNVERIFIED = 'tls: failed to verify certificate: x509:';

/** What went wrong, in Go's words where there are some. */
export function whyFailed(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (UNTRUSTED.has(code)) return `${UNVERIFIED} certificate signed by unknown authority`;
  switch (code) {
    case 'CERT_HAS_EXPIRED':
    case 'CERT_NOT_YET_VALID':
      return `${UNVERIFIED} certificate has expired or is not yet valid`;
    case 'INVALID_PURPOSE':
      return `${UNVERIFIED} certificate specifies an incompatible key usage`;
    case 'ECONNRESET':
    case 'EPIPE':
      return message.startsWith('read ') ? message : 'EOF';
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
    case 'EPROTO':
      return /wrong version number|packet length/.test(message)
        ? 'http: server gave HTTP response to HTTPS client'
        : `remote error: tls: ${message}`;
    default:
      return message;
  }
}

/**
 * Whether a certificate is in the name that was called, by Go's rules: only its alternative names count, never its common
 * name (x509.Certificate.VerifyHostname).
 */
export function nameMismatch(serverName: string, certificate: PeerCertificate, isAddress: boolean): Error | undefined {
  const names = (certificate.subjectaltname ?? '').split(', ').filter(Boolean);
  const dnsNames = names.flatMap(name => (name.startsWith('DNS:') ? [unquoted(name.slice(4))] : []));
  const addresses = names.flatMap(name => (name.startsWith('IP Address:') ? [name.slice(11)] : []));
  if (isAddress ? addresses.some(address => sameAddress(address, serverName)) : dnsNames.some(covers(serverName))) {
    return undefined;
  }
  const failed = (why: string) => new Error(`${UNVERIFIED} ${why}`);
  if (isAddress) {
    if (addresses.length === 0) {
      return failed(`cannot validate certificate for ${serverName} because it doesn't contain any IP SANs`);
    }
    return failed(`certificate is valid for ${addresses.join(', ')}, not ${serverName}`);
  }
  if (names.length === 0 && certificate.subject?.CN) {
    return failed('certificate relies on legacy Common Name field, use SANs instead');
  }
  if (dnsNames.length === 0) {
    return failed(`certificate is not valid for any names, but wanted to match ${serverName}`);
  }
  return failed(`certificate is valid for ${dnsNames.join(', ')}, not ${serverName}`);
}

const unquoted = (name: string) => (name.startsWith('"') ? String(JSON.parse(name)) : name);

/** A wildcard stands for the whole first label, and for one only. */
const covers = (serverName: string) => (pattern: string) => {
  const [wanted, name] = [serverName.toLowerCase(), pattern.toLowerCase()].map(text => text.replace(/\.$/, ''));
  if (wanted === name) return true;
  if (!name?.startsWith('*.') || !wanted?.includes('.')) return false;
  return wanted.slice(wanted.indexOf('.')) === name.slice(1);
};

function sameAddress(a: string, b: string): boolean {
  if (a === b) return true;
  if (!a.includes(':') || !b.includes(':')) return false;
  return new URL(`http://[${a}]`).hostname === new URL(`http://[${b}]`).hostname;
}
