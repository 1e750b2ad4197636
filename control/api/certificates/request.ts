/**
 * What a certificate request (PKCS#10, RFC 2986) says. It is read by the API server, which judges it, and by the signers.
 * Whether its signature holds is for somebody with cryptography to find out: {@link CertificateRequest} has what it needs.
 */
import { base64ToBytes } from '../schema/base64.ts';
import {
  BIT_STRING,
  type DerElement,
  DerError,
  expectElement,
  INTEGER,
  OBJECT_IDENTIFIER,
  OCTET_STRING,
  oidText,
  readElements,
  SEQUENCE,
} from './der.ts';

export interface CertificateRequest {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  /** As text: `10.0.0.1`, `2001:db8:0:0:0:0:0:1`. */
  readonly ipAddresses: readonly string[];
  readonly emailAddresses: readonly string[];
  readonly uris: readonly string[];
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** The subject's name, DER. */
  readonly subject: Uint8Array;
  /** The SubjectAlternativeName extension's value, DER; undefined if there is none. */
  readonly alternativeNames: Uint8Array | undefined;
  /** What is signed, DER. */
  readonly signed: Uint8Array;
  readonly signatureAlgorithm: string;
  readonly signature: Uint8Array;
}

const COMMON_NAME = '2.5.4.3';
const ORGANIZATION = '2.5.4.10';
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';
const ALTERNATIVE_NAME = '2.5.29.17';
const ATTRIBUTES = 0xa0;
const EMAIL = 0x81;
const DNS = 0x82;
const URI = 0x86;
const IP = 0x87;
const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----\r?\n([\s\S]*?)-----END \1-----/;

/** The first PEM block of a text; undefined if there is none. */
export function firstPemBlock(text: string): { readonly type: string; readonly bytes: Uint8Array } | undefined {
  const [, type, body] = PEM_BLOCK.exec(text) ?? [];
  if (type === undefined || body === undefined) return undefined;
  const base64 = body.replaceAll(/\s/g, '');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) return undefined;
  return { type, bytes: base64ToBytes(base64) };
}

/** Reads a request in PEM. @throws {DerError} with the sentence that Kubernetes says. */
export function readCertificateRequest(pem: string): CertificateRequest {
  const block = firstPemBlock(pem);
  if (block?.type !== 'CERTIFICATE REQUEST') throw new DerError('PEM block type must be CERTIFICATE REQUEST');
  const top = readElements(block.bytes);
  if (top.length !== 1) throw new DerError('asn1: syntax error: trailing data');
  const parts = readElements(expectElement(top, 0, SEQUENCE).content);
  const info = expectElement(parts, 0, SEQUENCE);
  const algorithm = readElements(expectElement(parts, 1, SEQUENCE).content);
  const [, subject, publicKey, attributes] = requestInfo(info);
  const names = subjectNames(subject.content);
  const alternativeNames = attributes && requestedNames(attributes.content);
  return {
    ...names,
    ...alternatives(alternativeNames),
    publicKey: publicKey.whole,
    subject: subject.whole,
    alternativeNames,
    signed: info.whole,
    signatureAlgorithm: oidText(expectElement(algorithm, 0, OBJECT_IDENTIFIER).content),
    // The first byte tells how many bits are unused: none.
    signature: expectElement(parts, 2, BIT_STRING).content.subarray(1),
  };
}

function requestInfo({ content }: DerElement): [DerElement, DerElement, DerElement, DerElement | undefined] {
  const parts = readElements(content);
  return [
    expectElement(parts, 0, INTEGER),
    expectElement(parts, 1, SEQUENCE),
    expectElement(parts, 2, SEQUENCE),
    parts.find(({ tag }) => tag === ATTRIBUTES),
  ];
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function subjectNames(content: Uint8Array): { commonName: string; organizations: string[] } {
  let commonName = '';
  const organizations: string[] = [];
  for (const set of readElements(content)) {
    for (const attribute of readElements(set.content)) {
      const [type, value] = readElements(attribute.content);
      if (type?.tag !== OBJECT_IDENTIFIER || !value) throw new DerError('asn1: structure error: malformed name');
      const oid = oidText(type.content);
      if (oid === COMMON_NAME) commonName = text(value.content);
      if (oid === ORGANIZATION) organizations.push(text(value.content));
    }
  }
  return { commonName, organizations };
}

/** The value of the SubjectAlternativeName extension that the request asks for. */
function requestedNames(attributes: Uint8Array): Uint8Array | undefined {
  for (const attribute of readElements(attributes)) {
    const [type, values] = readElements(attribute.content);
    if (!type || !values || oidText(type.content) !== EXTENSION_REQUEST) continue;
    for (const list of readElements(values.content)) {
      for (const extension of readElements(list.content)) {
        const parts = readElements(extension.content);
        const id = expectElement(parts, 0, OBJECT_IDENTIFIER);
        const value = parts.find(({ tag }) => tag === OCTET_STRING);
        if (oidText(id.content) === ALTERNATIVE_NAME && value) return value.content;
      }
    }
  }
  return undefined;
}

type Alternatives = Pick<CertificateRequest, 'dnsNames' | 'ipAddresses' | 'emailAddresses' | 'uris'>;

function alternatives(value: Uint8Array | undefined): Alternatives {
  const names = value ? readElements(expectElement(readElements(value), 0, SEQUENCE).content) : [];
  const of = (wanted: number) => names.filter(({ tag }) => tag === wanted).map(({ content }) => content);
  return {
    dnsNames: of(DNS).map(text),
    ipAddresses: of(IP).map(addressText),
    emailAddresses: of(EMAIL).map(text),
    uris: of(URI).map(text),
  };
}

function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw new DerError(`x509: cannot parse IP address of length ${bytes.length}`);
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16),
  );
  return groups.join(':');
}
