/** Which resources answer a DELETE with the object, even when it is gone: all others answer with a Status. */

/** `ReturnDeletedObject` of a kind's storage in k/k:pkg/registry; OpenAPI tells of it too. */
const RETURNED = new Set([
  'persistentvolumeclaims',
  'persistentvolumes',
  'pods',
  'podtemplates',
  'resourcequotas',
  'serviceaccounts',
  'services',
  'csidrivers.storage.k8s.io',
  'csinodes.storage.k8s.io',
  'storageclasses.storage.k8s.io',
  'volumeattachments.storage.k8s.io',
]);

export function isReturnedWhenDeleted({ group, plural }: { readonly group: string; readonly plural: string }): boolean {
  return RETURNED.has(group === '' ? plural : `${plural}.${group}`);
}
