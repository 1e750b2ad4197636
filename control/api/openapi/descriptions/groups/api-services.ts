/** The group apiregistration.k8s.io: API servers behind this one. */
import type { TextTable } from '../texts.ts';

export const API_SERVICES: TextTable = {
  prefix: 'io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.',
  texts: {
    APIService: {
      itself:
        'APIService says who serves one version of an API group: this server itself, or one behind it that requests are passed on to. Its name is VERSION.GROUP.',
      spec: 'Which group and version it is, and who serves it.',
      status: 'Whether the server can be reached.',
    },
    APIServiceSpec: {
      itself: 'APIServiceSpec says which group and version is served, where, and with which rank.',
      caBundle:
        'Certificates, in PEM and then base64, of who may have signed that of the server. If missing, it is those that the machine trusts. Not for what this server serves itself.',
      group: 'API group. Empty is the core group, which has the version v1 only.',
      groupPriorityMinimum:
        'Rank of the group in discovery: groups with higher numbers come first, by the highest of their versions; of equal ones by name. 1 to 20000.',
      insecureSkipTLSVerify:
        'True does not check the certificate of the server, so that anybody in between may take its place. Not beside caBundle.',
      service: 'The Service that leads to the server. Missing: this server serves the version itself.',
      version: 'API version, such as v1.',
      versionPriority:
        'Rank of the version within its group: higher numbers come first. Of equal ones, released versions come before beta and alpha, and newer ones before older. 1 to 1000.',
    },
    ServiceReference: {
      itself: 'ServiceReference names a Service that is called.',
      name: 'Name of the Service.',
      namespace: 'Namespace of the Service.',
      port: 'Port of the Service; 443 by default.',
    },
    APIServiceStatus: {
      itself: 'APIServiceStatus is how an APIService stands.',
      conditions: 'What holds of the APIService: "Available" is true where the server behind it can be reached.',
    },
    APIServiceCondition: {
      itself: 'APIServiceCondition is one thing that holds, or does not, of an APIService.',
      type: '"Available": the server can be reached, or is this one.',
    },
  },
};
