/**
 * Secrets that ask for the token of a ServiceAccount (type kubernetes.io/service-account-token): they are filled with a token
 * that ends with them, the cluster's authority and the namespace, and go when their account does (k/k
 * pkg/controller/serviceaccount/tokens_controller.go).
 */
import { serviceaccounts as accountsKind, secrets as secretsKind } from '../api/generated/kinds.ts';
import type { Secret, ServiceAccount } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { Informer } from '../client/informer.ts';
import { keyOf, objectKey } from '../client/keys.ts';
import { type Controller, type ControllerContext, newQueue, queueController, readerOf } from './context.ts';
import { byNamespace, NAMESPACE_INDEX } from './owners.ts';

export const TOKEN_TYPE = 'kubernetes.io/service-account-token';
export const ACCOUNT_NAME = 'kubernetes.io/service-account.name';
export const ACCOUNT_UID = 'kubernetes.io/service-account.uid';

/** What a Secret of that type needs next. */
export type SecretStep = 'none' | 'fill' | 'remove';

/** Pure. `account` is the one that the Secret names, if it exists. */
export function planSecret(
  secret: Secret,
  account: ServiceAccount | undefined,
  rootCa: string | undefined,
): SecretStep {
  const { annotations = {}, deletionTimestamp } = secret.metadata ?? {};
  if (deletionTimestamp) return 'none';
  const uid = annotations[ACCOUNT_UID];
  if (!account || (uid !== undefined && uid !== '' && uid !== account.metadata?.uid)) return 'remove';
  const data = secret.data ?? {};
  const isFilled =
    uid === account.metadata?.uid &&
    Boolean(data.token) &&
    // Whoever gave it another namespace wants that one.
    Boolean(data.namespace) &&
    (rootCa === undefined || data['ca.crt'] === encode(rootCa));
  return isFilled ? 'none' : 'fill';
}

const encode = (text: string) => Buffer.from(text).toString('base64');

/** Undefined where nothing to sign with was handed in. */
export function serviceAccountSecretController(context: ControllerContext): Controller | undefined {
  const { client, informers, options } = context;
  const { signSecretToken, rootCa } = options;
  if (!signSecretToken) return undefined;
  const queue = newQueue(context);
  const accounts = informers.for<ServiceAccount>(accountsKind);
  const secrets = tokenSecrets(context);
  const enqueue = (secret: Secret) => queue.add(keyOf(secret));
  /** Secrets that went, by key, until their accounts do not name them any more. */
  const gone = new Map<string, Secret>();
  secrets.addHandler({
    added: enqueue,
    updated: enqueue,
    deleted: secret => {
      gone.set(keyOf(secret), secret);
      enqueue(secret);
    },
  });
  const enqueueOf = ({ metadata }: ServiceAccount) => {
    for (const secret of secrets.byIndex(NAMESPACE_INDEX, metadata?.namespace ?? '')) {
      if (secret.metadata?.annotations?.[ACCOUNT_NAME] === metadata?.name) enqueue(secret);
    }
  };
  accounts.addHandler({ added: enqueueOf, deleted: enqueueOf });
  const find = async (secret: Secret): Promise<ServiceAccount | undefined> => {
    const key = {
      namespace: secret.metadata?.namespace ?? '',
      name: secret.metadata?.annotations?.[ACCOUNT_NAME] ?? '',
    };
    const known = accounts.get(`${key.namespace}/${key.name}`);
    if (known) return known;
    try {
      // Its account may have been made a moment ago, and what is removed does not come back.
      return await client.get(accountsKind, key);
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  };
  const fill = async (secret: Secret, account: ServiceAccount) => {
    const { name = '', namespace = '' } = secret.metadata ?? {};
    const id = { name: account.metadata?.name ?? '', uid: account.metadata?.uid ?? '' };
    const token = secret.data?.token || encode(await signSecretToken({ namespace, secret: name, serviceAccount: id }));
    await client.update(secretsKind, {
      ...secret,
      metadata: {
        ...secret.metadata,
        annotations: { ...secret.metadata?.annotations, [ACCOUNT_NAME]: id.name, [ACCOUNT_UID]: id.uid },
      },
      data: {
        ...secret.data,
        token,
        namespace: secret.data?.namespace || encode(namespace),
        ...(rootCa !== undefined && { 'ca.crt': encode(rootCa) }),
      },
    });
  };
  /** An account names no Secret that is not there. */
  const release = async (key: string): Promise<undefined> => {
    const secret = gone.get(key);
    const account = secret && (await find(secret));
    const uid = secret?.metadata?.annotations?.[ACCOUNT_UID];
    const named = account?.secrets ?? [];
    const kept = named.filter(({ name }) => name !== secret?.metadata?.name);
    if (account && kept.length < named.length && (!uid || uid === account.metadata?.uid)) {
      try {
        await client.update(accountsKind, { ...account, secrets: kept });
      } catch (error) {
        if (!hasReason(error, 'NotFound')) throw error;
      }
    }
    gone.delete(key);
  };
  return withSecrets(
    context,
    secrets,
    queueController(context, {
      name: 'service-account-token-controller',
      queue,
      async reconcile(key) {
        const secret = secrets.get(key);
        if (!secret) return release(key);
        gone.delete(key);
        const account = await find(secret);
        const step = planSecret(secret, account, rootCa);
        try {
          if (step === 'fill' && account) await fill(secret, account);
          if (step === 'remove')
            await client.delete(secretsKind, objectKey(secret), { uid: secret.metadata?.uid ?? '' });
        } catch (error) {
          if (!hasReason(error, 'NotFound')) throw error;
        }
        return undefined;
      },
    }),
  );
}

/** Only these Secrets, not everybody's. */
function tokenSecrets(context: ControllerContext): Informer<Secret> {
  const fieldSelector = `type=${TOKEN_TYPE}`;
  const secrets = new Informer<Secret>({ ...context, client: readerOf(context), kind: secretsKind, fieldSelector });
  secrets.addIndex(NAMESPACE_INDEX, byNamespace);
  return secrets;
}

function withSecrets({ signal }: ControllerContext, secrets: Informer<Secret>, controller: Controller): Controller {
  return {
    name: controller.name,
    run: async () => {
      const watching = secrets.run(signal);
      if (await secrets.waitForSync(signal)) await controller.run();
      await watching;
    },
  };
}
