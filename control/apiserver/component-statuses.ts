/**
 * ComponentStatus: how the store, the scheduler and the controllers are. Nothing of it is stored; each request asks the
 * store for its revision, and looks at the leases that the leading master holds for the other two.
 */
import { leases } from '../api/generated/kinds.ts';
import type { ComponentStatus, Lease } from '../api/generated/types.ts';
import type { KindDeclaration } from '../api/kind.ts';
import { declarationOf } from '../api/registry.ts';
import { notFound } from '../api/status.ts';
import { CachedObject } from './cache/cached-object.ts';
import { encodeStored } from './cache/encoding.ts';
import type { Core, ResourceRequest } from './core.ts';
import { negotiate } from './http/negotiate.ts';
import { resourceName } from './keys.ts';
import type { Reply } from './types.ts';
import { cached, singleReply } from './verbs/get.ts';
import { pageReply } from './verbs/list.ts';
import { refuseListForm, refuseObjectForm } from './verbs/representation.ts';

/** In which order they are listed, and under what Kubernetes' users know them. */
const STORE = 'etcd-0';
const LED = { scheduler: 'kube-scheduler', 'controller-manager': 'kube-controller-manager' } as const;
const LEASE_NAMESPACE = 'kube-system';
const LEASE_SECONDS = 15;

export const isComponentStatus = ({ group, plural }: KindDeclaration): boolean =>
  group === '' && plural === 'componentstatuses';

/** Answers `get` and `list`. Throws 404 for a component that there is not. */
export async function answerComponents(core: Core, request: ResourceRequest, verb: string): Promise<Reply> {
  const { exchange, info, kind } = request;
  const representation = negotiate(exchange.headers.accept, { isCollection: verb === 'list' });
  if (verb === 'list') refuseObjectForm(representation, kind);
  else refuseListForm(representation, kind);
  const components = (await look(core)).map(toCached);
  if (verb === 'list') {
    const page = { revision: core.cache.revision, objects: components, next: undefined, remaining: undefined };
    return pageReply(core, request, { page, representation });
  }
  const found = components.find(({ key }) => key === info.name);
  if (!found) throw notFound(resourceName(kind), info.name);
  return singleReply(core, request, found);
}

async function look(core: Core): Promise<ComponentStatus[]> {
  const storeError = await core.cache.freshen().then(
    () => '',
    error => (error instanceof Error ? error.message : String(error)),
  );
  return [
    component(STORE, storeError),
    ...Object.entries(LED).map(([name, lease]) => component(name, whyNotLed(core, lease))),
  ].sort((a, b) => ((a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1));
}

/** Empty if somebody holds the lease. */
function whyNotLed(core: Core, name: string): string {
  const { spec } = cached(core, declarationOf(leases) as KindDeclaration, LEASE_NAMESPACE, name)?.parse<Lease>() ?? {};
  if (!spec?.renewTime || !spec.holderIdentity) return 'no master leads';
  const endMs = Date.parse(spec.renewTime) + (spec.leaseDurationSeconds ?? LEASE_SECONDS) * 1_000;
  return endMs > core.clock.now() ? '' : `its lease has not been renewed since ${spec.renewTime}`;
}

function component(name: string, error: string): ComponentStatus {
  return {
    kind: 'ComponentStatus',
    apiVersion: 'v1',
    metadata: { name },
    conditions: [{ type: 'Healthy', status: error === '' ? 'True' : 'False', message: error === '' ? 'ok' : error }],
  };
}

const toCached = (status: ComponentStatus): CachedObject =>
  CachedObject.fromStored(status.metadata?.name ?? '', encodeStored(status), 0);
