/** All paths of the product's own beside the Kubernetes API, as the API server takes them. */
import type { Membership, StoreClient } from '../../store/index.ts';
import { type JoinDependencies, type JoinRoute, joinRoutes } from '../join/handlers.ts';
import { memberRoutes } from './member-routes.ts';

export interface ProductRoutesOptions {
  readonly setup: Pick<JoinDependencies, 'secrets' | 'settings'>;
  readonly encryptionKeys: JoinDependencies['encryptionKeys'];
  readonly store: Pick<JoinDependencies, 'status' | 'addMember'> & {
    readonly client: StoreClient;
    membership(): Membership;
  };
  readonly now: () => number;
  readonly more: readonly JoinRoute[];
}

export function productRoutes({ setup, encryptionKeys, store, now, more }: ProductRoutesOptions) {
  const membership = () => store.membership();
  const joining = joinRoutes({
    secrets: setup.secrets,
    settings: setup.settings,
    ...(encryptionKeys && { encryptionKeys }),
    now,
    membership,
    status: () => store.status(),
    addMember: member => store.addMember(member),
  });
  return [...joining, ...memberRoutes({ store: store.client, membership }), ...more].map(asRoute);
}

function asRoute({ method, path, authenticate, handle }: JoinRoute) {
  return {
    method,
    path,
    authenticate,
    handler: async (
      request: { readonly body: Uint8Array },
      { user, groups }: { readonly user: string; readonly groups: readonly string[] },
    ) => ({
      status: 200,
      // Each handler answers with an object or a stream.
      body: (await handle({ user, groups }, readJson(request.body))) as object,
    }),
  };
}

function readJson(body: Uint8Array): unknown {
  if (body.length === 0) return undefined;
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    return undefined;
  }
}
