/** The group apiextensions.k8s.io: definitions of custom resources, their versions and conversion. */
import type { TextTable } from '../texts.ts';

export const CUSTOM_RESOURCES: TextTable = {
  prefix: 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.',
  texts: {
    CustomResourceDefinition: {
      itself:
        'CustomResourceDefinition adds a kind to the API. Its name is PLURAL.GROUP. When it is deleted, all objects of the kind go with it.',
      spec: 'What the kind is called, and what its versions are.',
      status: 'Whether the kind is served, and under which names.',
    },
    CustomResourceDefinitionSpec: {
      itself: 'CustomResourceDefinitionSpec says what a kind is called and what its versions are.',
      conversion: 'How objects get from one version into another. By default nothing but their apiVersion changes.',
      group:
        'API group of the kind, a domain with at least one dot. It is served under /apis/GROUP. It cannot be changed.',
      names: 'What the kind is called.',
      preserveUnknownFields:
        'Left from earlier versions; it has to be false. Put x-kubernetes-preserve-unknown-fields into the schema instead.',
      scope:
        'Whether objects are in namespaces: "Namespaced" or "Cluster". Once the kind is established it cannot be changed.',
      versions: 'Versions of the kind; at least one. Exactly one of them is the one that is stored.',
    },
    CustomResourceDefinitionNames: {
      itself:
        'CustomResourceDefinitionNames is what a kind is called. No other kind of the group may have the same names; status.acceptedNames tells which are in use.',
      categories: 'Groups of resources that kubectl shows together, such as all.',
      kind: 'Name of the kind, usually in the singular and CamelCase. Once it is established it cannot be changed.',
      listKind: 'Name of the kind of lists; by default the kind with "List" after it.',
      plural:
        'Name of the resource in the plural and lower case, as in /apis/GROUP/VERSION/PLURAL. It cannot be changed.',
      shortNames: 'Short names for the command line, in lower case.',
      singular: 'Name of the resource in the singular and lower case; by default the kind in lower case.',
    },
    CustomResourceDefinitionVersion: {
      itself: 'CustomResourceDefinitionVersion is one version of a kind.',
      additionalPrinterColumns: 'Columns of the tables that kubectl get prints. By default there is one with the age.',
      deprecated: 'True if clients that use the version are to be warned. False by default.',
      deprecationWarning:
        'The warning, in place of the usual one; up to 256 characters. Only where deprecated is true.',
      name: 'Name of the version, such as v1beta1. Each once.',
      schema: 'What objects of the version look like. It is required.',
      selectableFields: 'Fields that lists and watches can be narrowed down by with a field selector; at most 8.',
      served: 'True if the version can be used through the API.',
      storage: 'True for the one version in which objects are stored.',
      subresources: 'Which subresources the objects have.',
    },
    CustomResourceColumnDefinition: {
      itself: 'CustomResourceColumnDefinition is one column of a table.',
      description: 'What the column shows, in words.',
      format: 'Finer type of the value: byte, date, date-time, double, float, int32, int64 or password.',
      jsonPath: 'Where the value is found in the object, such as .spec.size.',
      name: 'Heading of the column.',
      priority: 'Columns with a number above 0 are left out where there is little room; 0 by default.',
      type: 'Type of the value: boolean, date, integer, number or string. A date is shown as an age.',
    },
    SelectableField: {
      itself: 'SelectableField is a field that lists and watches can be narrowed down by.',
      jsonPath:
        'Where the field is, such as .spec.color: a string, a boolean or an integer of the schema, not within a list and not of the metadata.',
    },
    CustomResourceSubresources: {
      itself: 'CustomResourceSubresources says which subresources objects have.',
      scale: 'Gives the objects a subresource scale, through which kubectl scale and autoscalers set their size.',
      status:
        'Gives the objects a subresource status: through it only the status is written, and through the object itself everything but the status.',
    },
    CustomResourceSubresourceStatus: {
      itself: 'CustomResourceSubresourceStatus has no settings: that it is there is enough.',
    },
    CustomResourceSubresourceScale: {
      itself: 'CustomResourceSubresourceScale says where the numbers of the subresource scale are kept in the objects.',
      labelSelectorPath:
        'Where the labels of the pods are kept, as a text; below .spec or .status. Horizontal autoscalers need it.',
      specReplicasPath: 'Where the wanted number of replicas is kept; below .spec.',
      statusReplicasPath: 'Where the number of replicas that there are is kept; below .status. Missing there, it is 0.',
    },
    CustomResourceConversion: {
      itself: 'CustomResourceConversion says how objects get from one version into another.',
      strategy: '"None", where nothing but the apiVersion changes, or "Webhook", where a server is asked.',
      webhook: 'Which server is asked. Required with the strategy "Webhook", and only there.',
    },
    WebhookConversion: {
      itself: 'WebhookConversion says which server converts objects, and how it is spoken to.',
      clientConfig: 'Where the server is.',
      conversionReviewVersions:
        'Versions of ConversionReview that the server understands, the preferred one first. One of them has to be v1 or v1beta1.',
    },
    WebhookClientConfig: {
      itself: 'WebhookClientConfig says where a server is: either url or service is set.',
      caBundle:
        'Certificates, in PEM and then base64, of who may have signed that of the server. If missing, it is those that the machine trusts.',
      service: 'A Service that leads to the server. The certificate has to be for NAME.NAMESPACE.svc.',
      url: 'Address of the server: https://HOST:PORT/PATH, without user, query or fragment.',
    },
    ServiceReference: {
      itself: 'ServiceReference names a Service that is called.',
      name: 'Name of the Service.',
      namespace: 'Namespace of the Service.',
      path: 'Path of the URL that is called.',
      port: 'Port of the Service; 443 by default.',
    },
    CustomResourceDefinitionStatus: {
      itself: 'CustomResourceDefinitionStatus is how a definition stands.',
      acceptedNames:
        'The names that the kind has at present. They may differ from the wanted ones if others have these.',
      conditions:
        'What holds of the definition: "NamesAccepted", "Established" (it is served), "Terminating" (its objects are being removed), "NonStructuralSchema", "KubernetesAPIApprovalPolicyConformant".',
      storedVersions:
        'Versions in which objects may still be stored. One may be taken away once all objects were written anew; only then can it leave the spec.',
    },
    CustomResourceDefinitionCondition: {
      itself: 'CustomResourceDefinitionCondition is one thing that holds, or does not, of a definition.',
      type: '"NamesAccepted", "Established", "Terminating", "NonStructuralSchema" or "KubernetesAPIApprovalPolicyConformant".',
    },
    CustomResourceValidation: {
      itself: 'CustomResourceValidation holds the schema of a version.',
      openAPIV3Schema:
        'The schema. What it does not name is removed from objects, and what does not fit it is refused.',
    },
    ExternalDocumentation: {
      itself: 'ExternalDocumentation says where more can be read.',
      description: 'What can be read there.',
      url: 'Address of the page.',
    },
  },
};
