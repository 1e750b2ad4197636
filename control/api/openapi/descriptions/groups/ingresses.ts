/** The group networking.k8s.io: Ingresses and their classes. */
import type { TextTable } from '../texts.ts';

export const INGRESSES: TextTable = {
  prefix: 'io.k8s.api.networking.v1.',
  texts: {
    Ingress: {
      itself:
        'Ingress leads HTTP and HTTPS requests from outside to Services, by host name and path. A controller for its class does the work.',
    },
    IngressSpec: {
      itself: 'IngressSpec says which requests go where. It has rules, or a defaultBackend, or both.',
      defaultBackend:
        'Where requests go that no rule fits. Without it the controller answers them itself, usually with 404.',
      ingressClassName:
        'Name of the IngressClass, and so of the controller that serves the Ingress. If it is missing when the Ingress is made, and a class is marked as the default one, the server fills that in.',
      rules: 'Which requests go where, by host name.',
      tls: 'For which host names connections are encrypted, and with which certificates.',
    },
    IngressRule: {
      itself: 'IngressRule says where the requests for one host name go.',
      host: 'Host name that the rule is for: a name such as shop.example.com, no address and no port. "*.example.com" stands for all names that have one more part. If missing, the rule is for all host names.',
      http: 'Paths of the host. If missing, all of its requests go to the defaultBackend.',
    },
    HTTPIngressRuleValue: {
      itself: 'HTTPIngressRuleValue lists the paths of a host.',
      paths: 'At least one. Of several that fit, the longest goes first, and of equal ones the exact one.',
    },
    HTTPIngressPath: {
      itself: 'HTTPIngressPath says where the requests for one path go.',
      backend: 'Where they go.',
      path: 'Path of the URL, beginning with "/". It may be missing only for the type "ImplementationSpecific", and stands for all paths then.',
      pathType:
        'How the path is compared: "Exact" to the letter; "Prefix" part by part, so that /a fits /a/b and not /ab; "ImplementationSpecific" as the controller likes.',
    },
    IngressBackend: {
      itself: 'IngressBackend is where requests go: to a service, or to a resource that the controller knows.',
      resource: 'An object in the namespace of the Ingress, such as a bucket. Not beside service.',
      service: 'A Service in the namespace of the Ingress. Not beside resource.',
    },
    IngressServiceBackend: {
      itself: 'IngressServiceBackend names a port of a Service.',
      name: 'Name of the Service.',
      port: 'Port of the Service, by name or by number.',
    },
    ServiceBackendPort: {
      itself: 'ServiceBackendPort names a port of a Service by exactly one of its fields.',
      name: 'Name of the port.',
      number: 'Number of the port, 1 to 65535: the one of the Service, not that of its pods.',
    },
    IngressTLS: {
      itself: 'IngressTLS says which certificate some host names have.',
      hosts: 'Host names that the certificate is for; they should be those of the rules. If missing, it is for all.',
      secretName:
        'Name of a Secret of the type kubernetes.io/tls in the namespace of the Ingress. If missing, the controller uses a certificate of its own.',
    },
    IngressStatus: {
      itself: 'IngressStatus is what the controller tells of an Ingress.',
      loadBalancer: 'Under which addresses the Ingress can be reached.',
    },
    IngressLoadBalancerStatus: {
      itself: 'IngressLoadBalancerStatus lists the addresses of an Ingress.',
      ingress: 'The addresses under which requests arrive.',
    },
    IngressLoadBalancerIngress: {
      itself: 'IngressLoadBalancerIngress is one address of an Ingress.',
      hostname: 'The address, if it is a name.',
      ip: 'The address, if it is an IP address.',
      ports: 'Ports of the address, where the controller tells them.',
    },
    IngressPortStatus: {
      itself: 'IngressPortStatus is how one port of an address stands.',
      error:
        'What is wrong with the port, as one word in CamelCase or as a name with a domain before it. Missing if nothing is.',
      port: 'Number of the port.',
      protocol: 'Protocol of the port: "TCP", "UDP" or "SCTP".',
    },
    IngressClass: {
      itself:
        'IngressClass names a controller for Ingresses. With the annotation ingressclass.kubernetes.io/is-default-class: "true" it is that of Ingresses which name none.',
    },
    IngressClassSpec: {
      itself: 'IngressClassSpec says which controller a class stands for.',
      controller:
        'Name of the controller: a domain and a path, such as example.com/ingress, up to 250 characters. It cannot be changed.',
      parameters: 'An object with settings for the controller. What it may be is up to the controller.',
    },
    IngressClassParametersReference: {
      itself: 'IngressClassParametersReference names an object with settings for a controller.',
      apiGroup: 'Group of the object; missing for the core group.',
      kind: 'Kind of the object.',
      name: 'Name of the object.',
      namespace: 'Namespace of the object. Set if, and only if, scope is "Namespace".',
      scope: 'Whether the object is in a namespace: "Cluster", the default, or "Namespace".',
    },
  },
};
