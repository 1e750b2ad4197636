/** Services and endpoints. */
import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

const APP_PROTOCOL =
  'What is spoken at the port: a name of IANA, such as https; "kubernetes.io/h2c", "kubernetes.io/ws" or "kubernetes.io/wss"; or a name with a domain of one\'s own. It is a hint.';

export const SERVICES: TextTable = {
  prefix: CORE_V1,
  texts: {
    Service: {
      itself:
        'Service is a name and an address behind which stand all ready pods that a selector chooses. What comes to a port of it is passed on to one of them.',
      spec: 'Which pods, which ports, and from where they can be reached.',
      status: 'What the service was given by a load balancer.',
    },
    ServiceSpec: {
      itself: 'ServiceSpec says which pods stand behind a service, and how it is reached.',
      allocateLoadBalancerNodePorts:
        'False to give a LoadBalancer no node ports; one that reaches pods without them is needed then. Ports that it already has stay. The default is true; other types cannot have it.',
      clusterIP:
        'Address of the service within the cluster; the first of clusterIPs. The server chooses one, or takes a free one that is asked for. "None" makes the service headless: its name leads to the pods themselves. It cannot be changed, but for changes to and from ExternalName.',
      clusterIPs:
        'Addresses of the service, at most one of IPv4 and one of IPv6. The first is clusterIP and as fixed as that.',
      externalIPs:
        'Further addresses at which nodes take traffic for the service. Who uses the cluster sees to it that the traffic gets to a node.',
      externalName: 'For the type ExternalName: the domain name that DNS answers with. Nothing is passed on.',
      externalTrafficPolicy:
        'Where traffic from outside goes. "Cluster" (the default): to any pod; the sender\'s address may be lost. "Local": only to pods of the node that it came to, with the sender\'s address, and nowhere if there are none.',
      healthCheckNodePort:
        'Port at which each node tells load balancers whether it has pods of the service. Only for LoadBalancer with the external policy Local; the server chooses it, or takes a free one. It cannot be changed.',
      internalTrafficPolicy:
        'Where traffic to clusterIP goes. "Cluster" (the default): to any pod. "Local": only to pods of the node that it comes from, and nowhere if there are none.',
      ipFamilies:
        'Families of the addresses: "IPv4", "IPv6" or both. The first cannot be changed; the second can be added and removed, as ipFamilyPolicy says.',
      ipFamilyPolicy:
        '"SingleStack" (the default, but for headless services without a selector): one family. "PreferDualStack": both, if the cluster has them. "RequireDualStack": both, or the service is refused. ExternalName has none.',
      loadBalancerClass:
        'Which implementation is to balance the service; without it the one of the cluster. Others leave it alone. Only for LoadBalancer. Once set, it cannot be changed as long as the type stays.',
      loadBalancerIP:
        'Address that the load balancer is asked to take. Few look at it; use annotations of your load balancer.',
      loadBalancerSourceRanges:
        'Ranges of addresses from which clients may come. Only for LoadBalancer, and if it knows that.',
      ports: 'Ports of the service. Only headless services and those of type ExternalName may have none.',
      publishNotReadyAddresses:
        'True to have pods found in DNS and endpoints before they are ready. It is for members of a set that look for each other as they start.',
      selector:
        'Labels of the pods that stand behind the service. Without it somebody else has to write its endpoints. ExternalName does not look at it.',
      sessionAffinity:
        '"None" (the default): each connection goes to any pod. "ClientIP": those of one client go to the same pod.',
      sessionAffinityConfig: 'Settings of the session affinity. Only for ClientIP.',
      trafficDistribution:
        'Which pods are preferred. "PreferClose": those of the same zone, if there are any. Without it all are treated alike. It is a wish; the traffic policies are not.',
      type: 'How the service is reached. "ClusterIP" (the default): at an address of the cluster. "NodePort": besides, at a port of every node. "LoadBalancer": besides, at the address of a load balancer. "ExternalName": it is another name for a domain name.',
    },
    ServicePort: {
      itself: 'ServicePort is a port of a service.',
      appProtocol: APP_PROTOCOL,
      name: 'Name of the port, a DNS label. It may be left out if there is one port only. Ingresses and endpoints refer to it.',
      nodePort:
        'Port of every node that leads to this one, for NodePort and LoadBalancer. The server chooses a free one of its range, 30000 to 32767 unless it was told otherwise, or takes one that is asked for.',
      port: 'Number of the port, 1 to 65535.',
      protocol: '"TCP" (the default), "UDP" or "SCTP".',
      targetPort:
        'Port of the pods: a number, or the name of a port of their containers. The default is the number of port. Headless services do not look at it.',
    },
    SessionAffinityConfig: {
      itself: 'SessionAffinityConfig holds the settings of a session affinity.',
      clientIP: 'Settings of ClientIP.',
    },
    ClientIPConfig: {
      itself: "ClientIPConfig holds the settings of affinity by the client's address.",
      timeoutSeconds:
        'Seconds without traffic after which a client may be sent elsewhere, 1 to 86400. The default is 10800, three hours.',
    },
    ServiceStatus: {
      itself: 'ServiceStatus is what is known of a service.',
      conditions: 'Conditions of the service. Those who work with it add them.',
      loadBalancer: 'What the load balancer gave it.',
    },
    LoadBalancerStatus: {
      itself: 'LoadBalancerStatus is what a load balancer gave a service.',
      ingress: 'Where traffic for the service is taken. Nothing is there before it works.',
    },
    LoadBalancerIngress: {
      itself: 'LoadBalancerIngress is an address at which a load balancer takes traffic.',
      hostname: 'Its name, for those that have names.',
      ip: 'Its address, for those that have addresses.',
      ipMode:
        '"VIP": traffic comes to the node with this address as its destination, and the node may take it directly. "Proxy": it comes with the address of the node or the pod, and has to go through the load balancer. Only where ip is set.',
      ports: 'How each port is doing.',
    },
    PortStatus: {
      itself: 'PortStatus tells how a port of a load balancer is doing.',
      error: 'What is wrong with it: a word in CamelCase, with a domain in front if it is not one of Kubernetes.',
      port: 'Number of the port of the service.',
      protocol: '"TCP", "UDP" or "SCTP".',
    },
    Endpoints: {
      itself:
        'Endpoints are the addresses behind the service of the same name. EndpointSlices, which hold more and say more, have taken their place.',
      subsets: 'Groups of addresses, each with its ports. An address may be in several groups.',
    },
    EndpointSubset: {
      itself: 'EndpointSubset is addresses that all have the same ports.',
      addresses: 'Addresses that are ready for traffic.',
      notReadyAddresses: 'Addresses that are not ready: still starting, or failing their readiness probe.',
      ports: 'Ports that each of the addresses has.',
    },
    EndpointAddress: {
      itself: 'EndpointAddress is one address.',
      hostname: 'Host name of this endpoint, for DNS of headless services.',
      ip: 'The address. It must not be a loopback, link-local or multicast one.',
      nodeName: 'Node that the endpoint is on, if it is on one.',
      targetRef: 'The object, mostly a pod, that the address is of.',
    },
    EndpointPort: {
      itself: 'EndpointPort is a port of addresses.',
      appProtocol: APP_PROTOCOL,
      name: 'Name of the port, as in the service. It may be left out if there is one port only.',
      port: 'Number of the port.',
      protocol: '"TCP" (the default), "UDP" or "SCTP".',
    },
  },
};
