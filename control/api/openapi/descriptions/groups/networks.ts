/** The group networking.k8s.io: NetworkPolicies, and which Service has which address. */
import type { TextTable } from '../texts.ts';

export const NETWORKS: TextTable = {
  prefix: 'io.k8s.api.networking.v1.',
  texts: {
    NetworkPolicy: {
      itself:
        'NetworkPolicy says which connections some pods may have. A pod that no policy selects may have all of them; one that is selected has only those that one of its policies allows, in the directions that these are about.',
    },
    NetworkPolicySpec: {
      itself: 'NetworkPolicySpec says which pods a policy is for and what it allows them.',
      egress:
        'What may leave the pods. Each rule adds to what is allowed; with none, and "Egress" among the policyTypes, nothing may leave.',
      ingress:
        'What may come to the pods. Each rule adds to what is allowed; with none, and "Ingress" among the policyTypes, nothing may come. The own node may always reach its pods.',
      podSelector: 'Labels of the pods that the policy is for, in its own namespace. Empty, it is for all of them.',
      policyTypes:
        'Directions that the policy is about: "Ingress", "Egress" or both. By default "Ingress", and "Egress" too if there are egress rules.',
    },
    NetworkPolicyIngressRule: {
      itself:
        'NetworkPolicyIngressRule allows connections to the pods: those from one of its peers to one of its ports.',
      from: 'Where connections may come from. Empty or missing: from anywhere.',
      ports: 'Ports of the pods that may be reached. Empty or missing: all.',
    },
    NetworkPolicyEgressRule: {
      itself:
        'NetworkPolicyEgressRule allows connections from the pods: those to one of its peers at one of its ports.',
      ports: 'Ports that may be reached. Empty or missing: all.',
      to: 'Where connections may go. Empty or missing: anywhere.',
    },
    NetworkPolicyPeer: {
      itself: 'NetworkPolicyPeer is a set of pods, or a range of addresses: an ipBlock has no selectors beside it.',
      ipBlock: 'A range of addresses.',
      namespaceSelector:
        'Labels of namespaces: the peers are their pods, or those of them that podSelector fits too. Empty, all namespaces are meant; missing, that of the policy.',
      podSelector: 'Labels of the pods that are meant. Empty or missing: all pods of the namespaces.',
    },
    NetworkPolicyPort: {
      itself: 'NetworkPolicyPort is a port, or a range of ports, of one protocol.',
      endPort: 'Last port of a range that begins with port. Only where port is a number, and not below it.',
      port: "Number of the port, or the name of a port of the pods' containers. Missing: all ports of the protocol.",
      protocol: '"TCP", the default, "UDP" or "SCTP".',
    },
    IPBlock: {
      itself: 'IPBlock is a range of IP addresses, meant for what is not a pod: addresses of pods come and go.',
      cidr: 'The range, such as 192.168.0.0/16 or 2001:db8::/64.',
      except: 'Ranges within cidr that are left out. Each has to be smaller than it.',
    },
    IPAddress: {
      itself:
        'IPAddress says that an address of the ranges for Services is taken, and by whom. Its name is the address. The server makes and removes it along with the Service.',
      spec: 'Who has the address.',
    },
    IPAddressSpec: {
      itself: 'IPAddressSpec says who has the address.',
      parentRef: 'The object that has the address: a Service. It cannot be changed.',
    },
    ParentReference: {
      itself: 'ParentReference names the object that has an address.',
      group: 'Group of the object; empty for the core group.',
      name: 'Name of the object.',
      namespace: 'Namespace of the object.',
      resource: 'Resource of the object in the plural, such as services.',
    },
    ServiceCIDR: {
      itself:
        'ServiceCIDR is a range from which Services get their cluster addresses. The one named kubernetes comes from the settings of the server.',
      spec: 'Which addresses there are for Services.',
      status: 'Whether addresses are given out of the range.',
    },
    ServiceCIDRSpec: {
      itself: 'ServiceCIDRSpec says which addresses there are for Services.',
      cidrs:
        'One range, or two of different families. A range cannot be changed; one of the other family may be added to it.',
    },
    ServiceCIDRStatus: {
      itself: 'ServiceCIDRStatus is how a range stands.',
      conditions:
        'What holds of the range: "Ready" is true while addresses are given out of it, and false while it is being deleted and waits for its addresses to be free.',
    },
  },
};
