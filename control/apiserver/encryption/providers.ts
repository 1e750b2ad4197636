/**
 * Ways to encrypt one value, in the bytes that Kubernetes' own providers write
 * (k8s.io/apiserver/pkg/storage/value/encrypt): `k8s:enc:PROVIDER:v1:KEY:` and the sealed value behind it.
 */
import { type CipherGCMTypes, createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import nacl from 'tweetnacl';

/** Every encrypted value begins with this; JSON never does. */
export const ENCRYPTED_PREFIX = Buffer.from('k8s:enc:');

export interface Provider {
  /** What stands in front of the values that it wrote; empty for clear text. */
  readonly prefix: Buffer;
  /** `context` is where the value lies: sealed bytes that are moved to another key do not open there. */
  seal(plain: Uint8Array, context: string): Buffer;
  /** The value without its prefix. Throws if it was not sealed with this key, or not for this place. */
  open(sealed: Uint8Array, context: string): Buffer;
}

const GCM_NONCE_BYTES = 12;
const GCM_TAG_BYTES = 16;
const CBC_BLOCK_BYTES = 16;

/** AES in GCM: the place is authenticated with the value. `key` of 16, 24 or 32 bytes. */
export function aesGcm(name: string, key: Buffer): Provider {
  // Node's types know the three names that this can be.
  const algorithm = `aes-${key.length * 8}-gcm` as CipherGCMTypes;
  const prefix = Buffer.from(`k8s:enc:aesgcm:v1:${name}:`);
  return {
    prefix,
    seal(plain, context) {
      const nonce = randomBytes(GCM_NONCE_BYTES);
      const cipher = createCipheriv(algorithm, key, nonce);
      cipher.setAAD(Buffer.from(context));
      return Buffer.concat([prefix, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    },
    open(sealed, context) {
      if (sealed.length < GCM_NONCE_BYTES + GCM_TAG_BYTES) throw new Error('the value is too short');
      const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, GCM_NONCE_BYTES), {
        authTagLength: GCM_TAG_BYTES,
      });
      decipher.setAAD(Buffer.from(context));
      decipher.setAuthTag(sealed.subarray(-GCM_TAG_BYTES));
      return Buffer.concat([decipher.update(sealed.subarray(GCM_NONCE_BYTES, -GCM_TAG_BYTES)), decipher.final()]);
    },
  };
}

/** AES in CBC with PKCS#7 padding: unauthenticated, kept for stores that hold it. `key` of 16, 24 or 32 bytes. */
export function aesCbc(name: string, key: Buffer): Provider {
  const algorithm = `aes-${key.length * 8}-cbc`;
  const prefix = Buffer.from(`k8s:enc:aescbc:v1:${name}:`);
  return {
    prefix,
    seal(plain) {
      const vector = randomBytes(CBC_BLOCK_BYTES);
      const cipher = createCipheriv(algorithm, key, vector);
      return Buffer.concat([prefix, vector, cipher.update(plain), cipher.final()]);
    },
    open(sealed) {
      const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, CBC_BLOCK_BYTES));
      return Buffer.concat([decipher.update(sealed.subarray(CBC_BLOCK_BYTES)), decipher.final()]);
    },
  };
}

/** XSalsa20 and Poly1305, as NaCl's secretbox. `key` of 32 bytes. */
export function secretBox(name: string, key: Buffer): Provider {
  const prefix = Buffer.from(`k8s:enc:secretbox:v1:${name}:`);
  return {
    prefix,
    seal(plain) {
      const nonce = randomBytes(nacl.secretbox.nonceLength);
      return Buffer.concat([prefix, nonce, nacl.secretbox(plain, nonce, key)]);
    },
    open(sealed) {
      const { nonceLength } = nacl.secretbox;
      const plain = nacl.secretbox.open(sealed.subarray(nonceLength), sealed.subarray(0, nonceLength), key);
      if (!plain) throw new Error('the value does not open');
      return Buffer.from(plain);
    },
  };
}

/** Clear text. */
export const identity: Provider = {
  prefix: Buffer.alloc(0),
  seal: plain => Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength),
  open: plain => Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength),
};

export function isEncrypted(value: Uint8Array): boolean {
  return startsWith(value, ENCRYPTED_PREFIX);
}

export function startsWith(value: Uint8Array, prefix: Uint8Array): boolean {
  if (value.length < prefix.length) return false;
  for (let index = 0; index < prefix.length; index++) if (value[index] !== prefix[index]) return false;
  return true;
}
