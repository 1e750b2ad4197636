/**
 * Passwords as slow hashes: scrypt (RFC 7914), each with its parameters and salt beside it, so that later ones may be slower.
 * One is computed at a time: it takes a thread of the pool that the disk's writes need too.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { etcdError } from './errors.ts';
import { GrpcError, STATUS } from './grpc/status.ts';
import {
  PASSWORD_BYTES_MAX,
  PASSWORD_HASH_BYTES,
  PASSWORD_HASHES_WAITING_MAX,
  PASSWORD_SALT_BYTES,
  SCRYPT_BLOCK_SIZE,
  SCRYPT_COST,
} from './limits.ts';

interface Parameters {
  readonly cost: number;
  readonly blockSize: number;
  readonly salt: Buffer;
  readonly length: number;
}

export class Passwords {
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** @throws {GrpcError} the password is too long, or too many wait */
  async hash(password: string): Promise<string> {
    if (Buffer.byteLength(password) > PASSWORD_BYTES_MAX) {
      throw new GrpcError(STATUS.invalidArgument, `raftsman: a password has at most ${PASSWORD_BYTES_MAX} bytes`);
    }
    const parameters: Parameters = {
      cost: SCRYPT_COST,
      blockSize: SCRYPT_BLOCK_SIZE,
      salt: randomBytes(PASSWORD_SALT_BYTES),
      length: PASSWORD_HASH_BYTES,
    };
    const hash = await this.#inTurn(() => derived(password, parameters));
    const { cost, blockSize, salt } = parameters;
    return ['scrypt', cost, blockSize, salt.toString('base64'), hash.toString('base64')].join(':');
  }

  /** True if `stored` is the hash of the password. @throws {GrpcError} too many wait */
  async matches(password: string, stored: string): Promise<boolean> {
    const [kind, cost, blockSize, salt = '', hash = ''] = stored.split(':');
    if (kind !== 'scrypt' || Buffer.byteLength(password) > PASSWORD_BYTES_MAX) return false;
    const wanted = Buffer.from(hash, 'base64');
    const parameters: Parameters = {
      cost: Number(cost),
      blockSize: Number(blockSize),
      salt: Buffer.from(salt, 'base64'),
      length: wanted.length,
    };
    return timingSafeEqual(await this.#inTurn(() => derived(password, parameters)), wanted);
  }

  async #inTurn(work: () => Promise<Buffer>): Promise<Buffer> {
    if (this.#waiting >= PASSWORD_HASHES_WAITING_MAX) throw etcdError('tooManyRequests');
    this.#waiting++;
    const turn = this.#last.then(work);
    // Who comes next waits for this one, whatever becomes of it.
    this.#last = turn.catch(() => {});
    try {
      return await turn;
    } finally {
      this.#waiting--;
    }
  }
}

function derived(password: string, { cost, blockSize, salt, length }: Parameters): Promise<Buffer> {
  // What scrypt needs, and a little beside it.
  const maxmem = 130 * cost * blockSize + 1024 * 1024;
  return new Promise((resolve, reject) => {
    scrypt(password, salt, length, { cost, blockSize, maxmem }, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}
