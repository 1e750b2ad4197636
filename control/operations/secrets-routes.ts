/** The masters' answers about the keys under which Secrets lie in the store, for administrators. */
import { z } from 'zod';
import { ApiError } from '../api/status.ts';
import { administratorRoute, type JoinRoute } from '../join/handlers.ts';
import { type EncryptionStatusAnswer, PATHS, type RotatedAnswer } from '../join/protocol.ts';
import {
  type EncryptionKeyRing,
  type EncryptionKeys,
  encryptionKeysSchema,
  pendingKey,
} from '../pki/encryption-keys.ts';
import { OperationError } from './errors.ts';

const nothing = z.unknown();

export interface SecretsRoutesDependencies {
  /** Undefined where a file has the keys. */
  readonly ring: EncryptionKeyRing | undefined;
  /** What a Secret is written under now. */
  readonly writes: () => string;
  readonly count: () => Promise<{ readonly byKey: Readonly<Record<string, number>>; readonly stale: number }>;
  /** A new key, in use on all masters; begins to rewrite what lies under older ones. */
  readonly rotate: () => Promise<RotatedAnswer>;
}

export function secretsRoutes({ ring, writes, count, rotate }: SecretsRoutesDependencies): readonly JoinRoute[] {
  const what = 'see or change the keys of Secrets';
  const own = () => {
    if (ring) return ring;
    throw new ApiError(
      'Conflict',
      'the keys are in the file of --encryption-provider-config: put a new key behind the present one on every master and start them again, then put it first and start them again; values are rewritten by themselves',
    );
  };
  return [
    administratorRoute({
      method: 'GET',
      path: PATHS.encryption,
      what,
      body: nothing,
      handle: async (): Promise<EncryptionStatusAnswer> => {
        const { byKey, stale } = await count();
        return {
          source: ring ? 'masters' : 'file',
          writes: writes(),
          keys: ring ? describeKeys(ring.current) : [],
          values: { ...byKey },
          stale,
        };
      },
    }),
    administratorRoute({
      method: 'GET',
      path: PATHS.encryptionKeys,
      what,
      body: nothing,
      handle: async () => own().current,
    }),
    administratorRoute({
      method: 'POST',
      path: PATHS.encryptionKeys,
      what,
      body: encryptionKeysSchema,
      handle: keys => own().merge(keys),
    }),
    administratorRoute({
      method: 'POST',
      path: PATHS.rotateEncryptionKeys,
      what,
      body: nothing,
      handle: async () => {
        own();
        return rotate().catch((error: unknown) => {
          throw error instanceof OperationError
            ? new ApiError('ServiceUnavailable', error.message, { cause: error })
            : error;
        });
      },
    }),
  ];
}

function describeKeys(keys: EncryptionKeys): EncryptionStatusAnswer['keys'] {
  const pending = pendingKey(keys)?.id;
  return keys.keys.map(({ id, createdAt }) => ({
    id,
    createdAt,
    state: id === keys.active ? 'active' : id === pending ? 'next' : 'old',
  }));
}
