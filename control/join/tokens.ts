/** Join tokens as the cluster keeps them: bootstrap token Secrets in kube-system, as Kubernetes has them. */
import { namespaces, secrets as secretKind } from '../api/generated/kinds.ts';
import type { Secret } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import type { Client } from '../client/client.ts';
import type { JoinToken } from '../pki/token.ts';
import { MASTER_JOINERS, NODE_JOINERS } from './protocol.ts';

export type TokenRole = 'master' | 'node';
export interface TokenSpec {
  readonly token: JoinToken;
  readonly roles: readonly TokenRole[];
  readonly description: string;
  /** Milliseconds since the epoch; undefined for never. */
  readonly expiresAt: number | undefined;
}

export const TOKEN_NAMESPACE = 'kube-system';
export const TOKEN_PREFIX = 'bootstrap-token-';
export const TOKEN_TYPE = 'bootstrap.kubernetes.io/token';
const GROUPS: Readonly<Record<TokenRole, string>> = { master: MASTER_JOINERS, node: NODE_JOINERS };

/** The Secret that stands for a token. Pure. */
function tokenSecret({ token, roles, description, expiresAt }: TokenSpec): Secret {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: `${TOKEN_PREFIX}${token.id}`, namespace: TOKEN_NAMESPACE },
    type: TOKEN_TYPE,
    stringData: {
      'token-id': token.id,
      'token-secret': token.secret,
      description,
      'usage-bootstrap-authentication': 'true',
      'auth-extra-groups': roles.map(role => GROUPS[role]).join(','),
      ...(expiresAt !== undefined && { expiration: new Date(expiresAt).toISOString().replace(/\.\d+Z$/, 'Z') }),
    },
  };
}

/** Makes the token known to the cluster, together with its namespace where that is not there yet; one that is known stays. */
export async function ensureToken(client: Client, spec: TokenSpec): Promise<void> {
  await ensureNamespace(client);
  try {
    await client.create(secretKind, tokenSecret(spec));
  } catch (error) {
    if (!hasReason(error, 'AlreadyExists')) throw error;
  }
}

async function ensureNamespace(client: Client): Promise<void> {
  try {
    await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: TOKEN_NAMESPACE } });
  } catch (error) {
    if (!hasReason(error, 'AlreadyExists')) throw error;
  }
}
