/** CustomResourceDefinition: a kind that makes kinds. What its objects mean is in `custom/`. */
import { validateDefinition, validateDefinitionUpdate, validateStatus } from '../custom/validate-definition.ts';
import * as kinds from '../generated/kinds.ts';
import type { CustomResourceDefinition } from '../generated/types.ts';
import { subdomainName } from '../validation/names.ts';
import { declare, STATUS } from './declare.ts';

/** The port of a webhook's Service that names none. */
const SERVICE_PORT = 443;

export const customResourceDefinition = declare(kinds.customresourcedefinitions, {
  subresources: [STATUS],
  tracksGeneration: true,
  allowUnconditionalUpdate: false,
  nameRule: subdomainName,
  judgesOnlyChanges: true,
  defaults(crd) {
    const { names } = crd.spec;
    if (names.kind !== '') {
      names.singular ||= names.kind.toLowerCase();
      names.listKind ||= `${names.kind}List`;
    }
    crd.spec.conversion ??= { strategy: '' };
    crd.spec.conversion.strategy ||= 'None';
    const service = crd.spec.conversion.webhook?.clientConfig?.service;
    if (service) service.port ??= SERVICE_PORT;
  },
  prepareForCreate: addStorageVersion,
  prepareForUpdate: addStorageVersion,
  validate: validateDefinition,
  validateUpdate: (crd, old, subresource) =>
    subresource === 'status' ? validateStatus(crd) : validateDefinitionUpdate(crd, old),
});

/** The version in which objects are stored from now on is one in which there may be objects. */
function addStorageVersion(crd: CustomResourceDefinition): void {
  const storage = crd.spec.versions?.find(version => version.storage)?.name;
  if (storage === undefined) return;
  crd.status ??= {};
  const stored = crd.status.storedVersions ?? [];
  if (!stored.includes(storage)) crd.status.storedVersions = [...stored, storage];
}
