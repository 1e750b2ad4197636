/**
 * A PUT or an apply that finds nothing creates the object, and then one needs the verb `create` besides the one that the
 * request asked for (k/k apiserver endpoints/handlers: withAuthorization).
 */
import { forbidden } from '../../api/status.ts';
import { resourceAttributes } from '../auth/attributes.ts';
import type { Authorizer } from '../auth/authorizer.ts';
import { resourceName } from '../keys.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

export function createPermission(authorizer: Authorizer): AdmissionPlugin {
  return {
    name: 'CreatePermission',
    conclude(request) {
      const { operation, info } = request;
      if (operation !== 'CREATE' || (info.verb !== 'update' && info.verb !== 'patch')) return {};
      return refuseUnlessAllowed(authorizer, request).then(() => ({}));
    },
  };
}

/** Throws 403. */
async function refuseUnlessAllowed(authorizer: Authorizer, { info, identity, kind }: AdmissionRequest): Promise<void> {
  const { group, namespace, resource, name } = info;
  const asked = resourceAttributes(identity, { verb: 'create', group, namespace, resource, name });
  const verdict = await authorizer.authorize(asked);
  if (!verdict.allowed) throw forbidden(resourceName(kind), name, verdict.reason ?? '');
}
