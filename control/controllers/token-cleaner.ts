/** Bootstrap tokens that are past their end are removed (k/k pkg/controller/bootstrap/tokencleaner.go). */
import { secrets as secretsKind } from '../api/generated/kinds.ts';
import type { Secret } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { Informer } from '../client/informer.ts';
import { type Controller, type ControllerContext, newQueue, queueController, readerOf } from './context.ts';
import { LOOK_AGAIN_MS_MAX } from './limits.ts';

const NAMESPACE = 'kube-system';
const TYPE = 'bootstrap.kubernetes.io/token';

export function tokenCleanerController(context: ControllerContext): Controller {
  const { client, clock } = context;
  const queue = newQueue(context);
  // Only these Secrets, not everybody's.
  const tokens = new Informer<Secret>({
    ...context,
    client: readerOf(context),
    kind: secretsKind,
    namespace: NAMESPACE,
    fieldSelector: `type=${TYPE}`,
  });
  const enqueue = ({ metadata }: Secret) => queue.add(`${NAMESPACE}/${metadata?.name ?? ''}`);
  tokens.addHandler({ added: enqueue, updated: enqueue });
  const reconcile = async (key: string) => {
    const secret = tokens.get(key);
    if (!secret) return undefined;
    const end = endOfToken(secret);
    if (end === undefined) return undefined;
    const leftMs = end - clock.now();
    if (leftMs > 0) return { afterMs: Math.min(leftMs, LOOK_AGAIN_MS_MAX) };
    const { name = '', uid = '' } = secret.metadata ?? {};
    try {
      await client.delete(secretsKind, { namespace: NAMESPACE, name }, { uid });
    } catch (error) {
      if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
    }
    return undefined;
  };
  const controller = queueController(context, { name: 'token-cleaner-controller', queue, reconcile });
  return {
    name: controller.name,
    run: async () => {
      const watching = tokens.run(context.signal);
      if (await tokens.waitForSync(context.signal)) await controller.run();
      await watching;
    },
  };
}

/** When a token ends, in milliseconds since the epoch; undefined for never. One whose end cannot be read is over. Pure. */
export function endOfToken({ data }: Secret): number | undefined {
  const expiration = Buffer.from(data?.expiration ?? '', 'base64').toString();
  if (expiration === '') return undefined;
  const end = Date.parse(expiration);
  return Number.isNaN(end) ? 0 : end;
}
