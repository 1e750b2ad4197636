/** What every object and list has, and what the server answers besides objects. */
import type { TextTable } from './texts.ts';

export const META: TextTable = {
  prefix: 'io.k8s.apimachinery.pkg.apis.meta.v1.',
  texts: {
    ObjectMeta: {
      itself: 'ObjectMeta is what every stored object has: its name, its labels, and what the server keeps about it.',
      annotations:
        'Annotations is an unstructured map of words that tools keep with the object. Nothing is selected by them.',
      creationTimestamp:
        'CreationTimestamp is a timestamp of the moment at which the server made the object, in UTC. Clients cannot set it.',
      deletionGracePeriodSeconds:
        'Number of seconds that the object has to end by itself once its deletion was asked for. Read-only; it can only become shorter.',
      deletionTimestamp:
        'DeletionTimestamp is the time at which the object is to be gone. The server sets it when the deletion is asked for; the object stays until then, and until its finalizers are gone.',
      finalizers:
        'Who has something to do before the object may go. Each takes its own entry away when it has done it; the last one gone, the object is removed.',
      generateName:
        'GenerateName is a prefix from which the server makes a name, if none is given, by adding random characters.',
      generation: 'A number that grows with each change of what is wanted of the object. Read-only.',
      labels: 'Labels is a map of keys and values by which objects are organized and selected.',
      managedFields:
        'ManagedFields tells who set which fields, in which version and when. It is kept by the server, for server-side apply.',
      name: 'Name is unique among the objects of its kind in a namespace. It cannot be changed.',
      namespace:
        'Namespace is the space within which the name is unique. Objects of the cluster have none. It cannot be changed.',
      ownerReferences:
        'The objects that this one depends on. When all of them are gone, this one is removed as well. At most one of them is its controller.',
      resourceVersion:
        'A word that stands for the state of the object, and changes with every write. Clients may only compare it for equality and hand it back to the server.',
      selfLink: 'SelfLink is left from earlier versions; the server does not fill it in any more.',
      uid: 'UID tells this object from all others that ever had its name. The server makes it; it cannot be changed.',
    },
    OwnerReference: {
      itself:
        'OwnerReference names an object that another one depends on. Both are in one namespace, or the owner is in none.',
      apiVersion: 'API version of the owner.',
      blockOwnerDeletion: 'True if the owner, deleted in the foreground, has to wait until this object is gone.',
      controller: 'True for the owner that manages this object.',
      kind: 'Kind of the owner.',
      name: 'Name of the owner.',
      uid: 'UID of the owner.',
    },
    ManagedFieldsEntry: {
      itself: 'ManagedFieldsEntry tells which fields one manager has set in one way.',
      apiVersion: 'APIVersion is the version in which the fields are named.',
      fieldsType: 'FieldsType is the format of fieldsV1. There is one: "FieldsV1".',
      fieldsV1: 'FieldsV1 is the set of fields, as a tree.',
      manager: 'Manager is who set the fields.',
      operation: 'Operation is how they were set: "Apply" or "Update".',
      subresource: 'Subresource is the one through which they were set; empty for the object itself.',
      time: 'Time is when the manager last added a field or changed a value.',
    },
    ListMeta: {
      itself: 'ListMeta is what every list has.',
      continue: 'Continue is set where the list goes on: it asks for the next part, at the same resource version.',
      remainingItemCount: 'How many objects are not in this part of the list, where that is known.',
      resourceVersion: 'The state of the server that the list shows. A watch may begin there.',
      selfLink: 'SelfLink is left from earlier versions; the server does not fill it in any more.',
    },
  },
};
