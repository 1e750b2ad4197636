/** PUT of a namespace's `finalize`: the only way to take away finalizers of its spec, for the controller that empties it. */
import type { Namespace } from '../../api/generated/types.ts';
import type { Core, ResourceRequest } from '../core.ts';
import type { Reply } from '../types.ts';
import { readObject } from '../verbs/body.ts';
import { singleReply } from '../verbs/get.ts';
import { readWriteOptions } from '../verbs/options.ts';
import { ownersOfChanged } from '../verbs/ownership.ts';
import { changeObject, checkName } from '../verbs/update.ts';

export async function finalizeNamespace(core: Core, request: ResourceRequest): Promise<Reply> {
  const { exchange, kind } = request;
  const { isDryRun, fieldValidation } = readWriteOptions(exchange.query, 'UpdateOptions');
  const sent: Namespace = await readObject(exchange, kind, fieldValidation);
  checkName(request, sent);
  const stored = await changeObject(core, request, {
    isDryRun,
    isInternal: true,
    owners: (old, object) => ownersOfChanged(core, request, { old, object }),
    change(old: Namespace): Namespace {
      const { resourceVersion, uid } = sent.metadata ?? {};
      const metadata = { ...old.metadata, ...(uid && { uid }) };
      if (resourceVersion) metadata.resourceVersion = resourceVersion;
      const { finalizers: _, ...spec } = old.spec ?? {};
      const finalizers = sent.spec?.finalizers ?? [];
      return { ...old, metadata, spec: { ...spec, ...(finalizers.length > 0 && { finalizers }) } };
    },
  });
  return singleReply(core, request, stored);
}
