/** ConfigMaps, Secrets, service accounts, and references to objects. */
import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const CONFIGURATION: TextTable = {
  prefix: CORE_V1,
  texts: {
    ConfigMap: {
      itself:
        'ConfigMap holds configuration by keys. Pods get it as environment variables or as files. Its data are 1 MiB together at most.',
      binaryData:
        'Bytes by key, in base64. A key is of letters, digits, "-", "_" and ".", and must not be one of data.',
      data: 'Texts in UTF-8 by key. A key is of letters, digits, "-", "_" and ".".',
      immutable:
        'True to let nobody change the data any more. It cannot be taken back: such an object can only be deleted.',
    },
    Secret: {
      itself:
        'Secret holds passwords, keys and the like by keys. Its values lie encrypted, but who may read the object reads them in the clear. They are 1 MiB together at most.',
      data: 'Values by key, in base64. A key is of letters, digits, "-", "_" and ".".',
      immutable:
        'True to let nobody change the data any more. It cannot be taken back: such an object can only be deleted.',
      stringData: 'Values by key, as plain text. They are put into data, over what is there, and are never read back.',
      type: 'What the secret is for. The default is Opaque. Types of kubernetes.io/, such as kubernetes.io/tls, must have certain keys. It cannot be changed.',
    },
    ServiceAccount: {
      itself:
        'ServiceAccount is a name under which programs use the API. Its user is system:serviceaccount:NAMESPACE:NAME. Each namespace has one called default.',
      automountServiceAccountToken:
        'False to give pods with this account no token, unless they say otherwise themselves. The default is true.',
      imagePullSecrets: 'Secrets with credentials for registries. Pods with this account that name none get them.',
      secrets:
        'Secrets that pods with this account may use, if its annotation kubernetes.io/enforce-mountable-secrets is "true"; without that no more than a list. For a token make a TokenRequest.',
    },
    ObjectReference: {
      itself: 'ObjectReference names an object. Which of the fields are needed depends on where it stands.',
      apiVersion: 'API version of the object.',
      fieldPath: 'A part of the object, such as spec.containers{web} for the container web.',
      kind: 'Kind of the object.',
      name: 'Name of the object.',
      namespace: 'Namespace of the object.',
      resourceVersion: 'State of the object that is meant, if it is a certain one.',
      uid: 'UID of the object.',
    },
    LocalObjectReference: {
      itself: 'LocalObjectReference names an object of a known kind in the same namespace.',
      name: 'Name of the object.',
    },
    SecretReference: {
      itself: 'SecretReference names a Secret of any namespace.',
      name: 'Name of the Secret.',
      namespace: 'Namespace of the Secret.',
    },
  },
};
