/** How the first objects are read and written: through the server's own chain, in the process. */
import type { Kind, KubernetesObject } from '../api/kind.ts';
import { ApiError, hasReason } from '../api/status.ts';
import { apiVersionOf } from './keys.ts';
import type { ApiServer } from './server.ts';
import type { Identity } from './types.ts';

export interface BootstrapCaller {
  readonly server: Pick<ApiServer, 'handle'>;
  /** Under whom to write; with the leadership's term, so that a deposed master cannot. */
  readonly identity: Identity;
}

const JSON_HEADERS = { 'content-type': 'application/json', accept: 'application/json' };

/** Creates the object if it is not there. Throws ApiError. */
export async function ensure(caller: BootstrapCaller, kind: Kind, object: KubernetesObject): Promise<void> {
  if (await read(caller, kind, object)) return;
  await create(caller, kind, object);
}

/** Creates the object; that somebody else was faster is as good. */
export async function create(caller: BootstrapCaller, kind: Kind, object: KubernetesObject): Promise<void> {
  try {
    await call(caller, { method: 'POST', path: pathOf(kind, object, { isCollection: true }), body: object });
  } catch (error) {
    if (!hasReason(error, 'AlreadyExists')) throw error;
  }
}

export async function read(
  caller: BootstrapCaller,
  kind: Kind,
  object: KubernetesObject,
): Promise<KubernetesObject | undefined> {
  try {
    return await call(caller, { method: 'GET', path: pathOf(kind, object) });
  } catch (error) {
    if (hasReason(error, 'NotFound')) return undefined;
    throw error;
  }
}

export function pathOf(kind: Kind, { metadata }: KubernetesObject, { isCollection = false } = {}): string {
  const root = kind.group ? `/apis/${apiVersionOf(kind)}` : `/api/${kind.version}`;
  const namespace = metadata?.namespace ? `/namespaces/${metadata.namespace}` : '';
  return `${root}${namespace}/${kind.plural}${isCollection ? '' : `/${metadata?.name}`}`;
}

export async function call<T extends KubernetesObject = KubernetesObject>(
  { server, identity }: BootstrapCaller,
  request: {
    readonly method: string;
    readonly path: string;
    readonly body?: object;
    readonly headers?: Readonly<Record<string, string>>;
  },
): Promise<T> {
  const { method, path, body, headers } = request;
  const response = await server.handle(
    { method, path, headers: { ...JSON_HEADERS, ...headers }, ...(body && { body: JSON.stringify(body) }) },
    identity,
  );
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  const answer = JSON.parse(Buffer.concat(chunks).toString());
  if (response.status >= 400) throw ApiError.fromStatus(answer);
  return answer;
}
