/** The group discovery.k8s.io: where Services lead. */
import type { TextTable } from '../texts.ts';

export const ENDPOINT_SLICES: TextTable = {
  prefix: 'io.k8s.api.discovery.v1.',
  texts: {
    EndpointSlice: {
      itself:
        'EndpointSlice lists endpoints of a Service: the addresses that its traffic goes to. A Service may have several; the label kubernetes.io/service-name says whose they are.',
      addressType: 'What the addresses are: "IPv4", "IPv6" or "FQDN". It cannot be changed.',
      endpoints: 'The endpoints; at most 1000. The controller puts up to 100 into a slice.',
      ports: 'Ports that each of the endpoints has. Missing or empty: the endpoints are told without ports.',
    },
    Endpoint: {
      itself: 'Endpoint is one place that traffic may go to, in most cases a pod.',
      addresses:
        'Addresses of the endpoint, all of the same type; 1 to 100. They are taken to lead to the same place, so the first one is used.',
      conditions: 'Whether the endpoint can take traffic.',
      deprecatedTopology: 'Left from v1beta1: labels of where the endpoint is. nodeName and zone have taken its place.',
      hints: 'Whose traffic the endpoint is meant for.',
      hostname: 'Host name of the endpoint in DNS, below that of the Service. In lower case.',
      nodeName: 'Name of the node that the endpoint is on.',
      targetRef: 'The object that stands behind the endpoint, such as a Pod.',
      zone: 'Zone that the endpoint is in.',
    },
    EndpointConditions: {
      itself: 'EndpointConditions says whether an endpoint can take traffic.',
      ready:
        'True if traffic may go to the endpoint: it serves and does not terminate, or the Service wants endpoints that are not ready too. Missing counts as true.',
      serving: 'True if the endpoint answers, even while it terminates. Missing counts as ready.',
      terminating: 'True if the endpoint is about to go. Missing counts as false.',
    },
    EndpointHints: {
      itself: 'EndpointHints says whose traffic an endpoint is meant for.',
      forNodes: 'Nodes whose traffic is meant. Not written in this version.',
      forZones:
        'Zones whose traffic is meant. Proxies that heed it pass the endpoint over in other zones, unless there is no other.',
    },
    ForNode: {
      itself: 'ForNode is one node.',
      name: 'Name of the node.',
    },
    ForZone: {
      itself: 'ForZone is one zone.',
      name: 'Name of the zone.',
    },
    EndpointPort: {
      itself: 'EndpointPort is a port that the endpoints of a slice have.',
      appProtocol:
        'What is spoken on the port, for load balancers: a registered name such as https, or one with a domain, such as kubernetes.io/h2c.',
      name: 'Name of the port: that of the port of the Service. Each once in a slice; it may be empty.',
      port: 'Number of the port. Missing: it is left to whoever reads the slice.',
      protocol: '"TCP", the default, "UDP" or "SCTP".',
    },
  },
};
