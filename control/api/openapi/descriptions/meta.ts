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
    Time: {
      itself: 'A moment to the second, as text after RFC 3339 in UTC: "2026-01-31T12:00:00Z". Null stands for none.',
    },
    MicroTime: {
      itself: 'A moment to the microsecond, as text after RFC 3339 in UTC: "2026-01-31T12:00:00.000000Z".',
    },
    FieldsV1: {
      itself:
        'FieldsV1 is a set of fields as a tree of JSON objects. "f:name" stands for a field, "k:{…}" for the list entry with these keys, "v:…" for a value of a set, "i:0" for a place in a list, and "." for the thing itself.',
    },
    Patch: {
      itself:
        'Patch is the body of a PATCH request. What may stand in it follows from the content type: JSON patch, merge patch, strategic merge patch, or a whole configuration for server-side apply.',
    },
    Condition: {
      itself: 'Condition tells one thing about the state of an object, and since when it is so.',
      type: 'Name of the condition, in CamelCase, with a domain in front if need be. There is one of each type.',
      observedGeneration:
        'The generation of the object that was looked at. If metadata.generation is larger, the condition may not hold any more.',
      reason: 'One word for why the status is what it is, in CamelCase. It must not be empty.',
    },
    LabelSelector: {
      itself:
        'LabelSelector chooses objects by their labels. All that it says must hold. An empty one chooses all objects, one that is missing chooses none.',
      matchExpressions: 'Requirements with operators. All of them must hold.',
      matchLabels:
        'Labels that must be there with just these values. Each is short for an expression with "In" and one value.',
    },
    LabelSelectorRequirement: {
      itself: 'LabelSelectorRequirement is one requirement on a label.',
      key: 'Key of the label.',
      operator:
        '"In": the label has one of the values. "NotIn": it has none of them, or is missing. "Exists": the label is there. "DoesNotExist": it is not.',
      values: 'What the label is compared with. At least one for In and NotIn; none for Exists and DoesNotExist.',
    },
    FieldSelectorRequirement: {
      itself: 'FieldSelectorRequirement is one requirement on a field of an object.',
      key: 'Path of the field, such as metadata.name.',
      operator:
        '"In": the field has one of the values. "NotIn": it has none of them. "Exists": it is set. "DoesNotExist": it is not.',
      values: 'What the field is compared with. At least one for In and NotIn; none for Exists and DoesNotExist.',
    },
    DeleteOptions: {
      itself:
        'DeleteOptions says how an object is to be deleted. It is the body of a DELETE request, and may be left out.',
      dryRun: 'With "All" everything is checked and answered, and nothing is deleted. No other value is known.',
      gracePeriodSeconds:
        'Seconds that the object has to end by itself; 0 deletes it at once. Without it the time is that of the object or its kind: pods have 30 seconds unless they say otherwise.',
      ignoreStoreReadErrorWithClusterBreakingPotential:
        'Asks to delete an object that the server can no longer read, whatever that leaves behind. It is off in this version and makes no difference.',
      orphanDependents:
        'The older form of propagationPolicy: true keeps the objects that depend on this one. Only one of the two may be set.',
      preconditions: 'What must be true of the object, or the deletion is refused with a conflict (409).',
      propagationPolicy:
        'What becomes of objects that depend on this one. "Background": it goes now, they follow. "Foreground": they go first. "Orphan": they stay. Without it the kind and the finalizers in place decide.',
    },
    Preconditions: {
      itself: 'Preconditions must hold for a change to be made.',
      resourceVersion: 'The object must still be in this state.',
      uid: 'The object must be this one, and not another of the same name.',
    },
    Status: {
      itself:
        'Status is the answer to a request that has no object to answer with: an error, or a deletion that is done.',
      code: 'The HTTP status code of the answer.',
      details: 'More about the failure, for programs. What it holds depends on the reason.',
      message: 'What happened, for people.',
      metadata: 'What every list has; here it is mostly empty.',
      reason: 'One word for the kind of failure, such as NotFound or AlreadyExists. It is finer than the code.',
      status: '"Success" or "Failure".',
    },
    StatusCause: {
      itself: 'StatusCause is one thing that was wrong with a request. One answer may have several.',
      field:
        'Which field of the sent object it is about, as a path such as "spec.containers[0].name". It may be empty or name more than one.',
      message: 'What is wrong, for people.',
      reason: 'One word for what is wrong, such as FieldValueInvalid.',
    },
    StatusDetails: {
      itself: 'StatusDetails tells which object a failure is about, and why it came to it.',
      causes: 'All that was wrong, one by one. Not every failure has them.',
      group: 'API group of the object.',
      kind: 'Resource or kind of the object. It may be another than that of the request.',
      name: 'Name of the object.',
      retryAfterSeconds:
        'Number of seconds after which it makes sense to try again. Some failures ask for another request at that time instead.',
      uid: 'UID of the object, if it is a single one.',
    },
    WatchEvent: {
      itself: 'WatchEvent is one piece of news in the answer to a watch.',
      object:
        'The object as it is now; as it was last, for DELETED; only its resource version, for BOOKMARK; a Status, for ERROR.',
      type: '"ADDED", "MODIFIED" or "DELETED"; "BOOKMARK" tells how far the watch has come; "ERROR" ends it.',
    },
    APIVersions: {
      itself: 'APIVersions is what the server answers under /api: the versions of the core group.',
      serverAddressByClientCIDRs: 'Under which address clients of which networks best reach the server.',
      versions: 'The versions, such as v1.',
    },
    APIGroupList: {
      itself: 'APIGroupList is what the server answers under /apis: all groups but the core one.',
      groups: 'The groups with their versions.',
    },
    APIGroup: {
      itself: 'APIGroup is one group of the API and the versions in which it is served.',
      name: 'Name of the group, such as apps.',
      preferredVersion: 'The version that clients should take if they know it.',
      serverAddressByClientCIDRs: 'Under which address clients of which networks best reach the server of the group.',
      versions: 'All versions of the group that are served.',
    },
    GroupVersionForDiscovery: {
      itself: 'GroupVersionForDiscovery is a version of a group, written in both ways.',
      groupVersion: 'Group and version, such as apps/v1.',
      version: 'The version alone, such as v1.',
    },
    ServerAddressByClientCIDR: {
      itself: 'ServerAddressByClientCIDR is the address of the server for clients of one network.',
      clientCIDR: 'The network of the clients, such as 10.0.0.0/8.',
      serverAddress: 'Where they reach the server: a host name or an address, with a port if it is not the usual one.',
    },
    APIResourceList: {
      itself: 'APIResourceList is what there is in one version of a group.',
      groupVersion: 'The group and version, such as apps/v1.',
      resources: 'The resources and their subresources.',
    },
    APIResource: {
      itself: 'APIResource is a resource or a subresource: what kind it holds and what can be done with it.',
      categories: 'Words under which clients take several resources together, such as "all".',
      group:
        'Group of the kind, where it is not that of the list: the kind of a "scale" subresource is one of autoscaling.',
      kind: 'Kind of the objects.',
      name: 'Plural name, as it stands in addresses: "pods", or "pods/log" for a subresource.',
      namespaced: 'True if the objects lie in namespaces, false if they belong to the cluster.',
      shortNames: 'Short names for the command line, such as "po".',
      singularName: 'Name of a single one, for the command line.',
      storageVersionHash:
        'Hash of the version in which the objects are stored. It can only be compared for equality: another hash, another version.',
      verbs: 'What can be done: get, list, watch, create, update, patch, delete, deletecollection, proxy.',
      version: 'Version of the kind, where it is not that of the list.',
    },
  },
};
