/** Pods: what is wanted of them. */
import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const PODS: TextTable = {
  prefix: CORE_V1,
  texts: {
    Pod: {
      itself: 'Pod is one or more containers that run together on one node and share its network address and volumes.',
      spec: 'What the pod is to be. Most of it cannot be changed later: only images, deadlines, tolerations that are added, and, through the subresource "resize", CPU and memory.',
      status:
        'What the node and the control plane say of the pod. The node brings it up to date; it may be a little behind.',
    },
    PodTemplate: {
      itself: 'PodTemplate is a pod template that is stored as an object. Nothing makes pods of it by itself.',
      template: 'The template.',
    },
    PodTemplateSpec: {
      itself: 'PodTemplateSpec is what pods are made from: their labels, annotations and spec.',
      metadata:
        'Metadata of the pods. Labels, annotations and finalizers are taken over; a name is given by who makes the pods.',
      spec: 'What the pods are to be.',
    },
    PodSpec: {
      itself: 'PodSpec says what runs in a pod, where, and under which conditions.',
      activeDeadlineSeconds:
        'Seconds, from its start on the node, that the pod may run. After that it is stopped and failed with reason DeadlineExceeded. It can be set later and lowered, but not raised or removed.',
      affinity: 'Rules on which nodes the pod may or should run, after their labels and after the pods that are there.',
      automountServiceAccountToken:
        'Whether the containers get a token of the service account as a file. What is said here goes before what the service account says; if neither says anything, they do.',
      containers:
        'The containers, at least one. They start when the init containers are done and run beside each other. None can be added or removed later.',
      dnsConfig: 'DNS servers, search domains and options that are added to those of dnsPolicy.',
      dnsPolicy:
        'Where names are looked up. "ClusterFirst" (the default): in the cluster\'s DNS, which asks others for names that it does not have; for pods in the host\'s network that means Default. "ClusterFirstWithHostNet": in the cluster\'s DNS also in the host\'s network. "Default": as the node does. "None": only after dnsConfig.',
      enableServiceLinks:
        'Whether containers get environment variables with the addresses of all services of the namespace, as WEB_SERVICE_HOST. The default is true. Those of the service "kubernetes" are there in any case.',
      ephemeralContainers:
        'Containers that were put into the running pod for debugging, through the subresource "ephemeralcontainers". They cannot be given at creation, nor changed or removed.',
      hostAliases: 'Lines that are added to /etc/hosts of the containers.',
      hostIPC: "True to use the node's namespace of shared memory and semaphores in place of one of the pod's own.",
      hostNetwork:
        "True to use the node's network: the pod has the node's addresses, and its ports are ports of the node. Then hostPort and containerPort are the same.",
      hostPID: "True to see and signal all of the node's processes. Not together with shareProcessNamespace.",
      hostUsers:
        "False gives the pod user ids of its own: root in its containers is nobody on the node. It takes support by the runtime and rules out the host's network, processes and IPC. Without it the pod has the node's ids.",
      hostname: 'Host name of the pod, a DNS label. Without it the name of the pod is taken.',
      imagePullSecrets:
        "Secrets of the namespace that hold credentials for registries. They must have a type for that, and are tried in turn. Without any the service account's are put here.",
      initContainers:
        "Containers that run before the others, one after the other, each until it succeeds. One with restartPolicy Always goes on beside the others as a sidecar. If one fails, the pod's restartPolicy decides whether it is tried again. The pod's room counts the largest of their requests.",
      nodeName:
        'Name of the node that the pod runs on. The scheduler sets it; a pod that is made with it goes to that node without being scheduled. It cannot be changed.',
      nodeSelector:
        'Labels that a node must have, with just these values, for the pod to go there. It can be narrowed while scheduling gates hold the pod back, and not later.',
      os: 'Operating system of the containers. It decides which fields may be set; the scheduler does not look at it.',
      overhead:
        'What the pod uses besides its containers, such as for a virtual machine around it. It comes from the RuntimeClass, and counts for scheduling and quotas.',
      preemptionPolicy:
        'Whether pods of lower priority may be ended to make room for this one: "PreemptLowerPriority" (the default) or "Never". It comes from the priority class.',
      priority:
        'Priority of the pod as a number; higher goes first in scheduling and lasts longer when a node is short. The server takes it from the priority class and refuses any other.',
      priorityClassName:
        'Name of the PriorityClass. Without it the default class is taken, or priority 0. The highest are built in: "system-node-critical", and below it "system-cluster-critical".',
      readinessGates:
        'Conditions that must be True, besides all containers being ready, for the pod to be ready. Somebody outside the pod sets them in its status.',
      resourceClaims:
        'Claims on devices that containers of the pod may use, each under a name. They cannot be changed. They are off in this version: nothing acts on them.',
      resources:
        'CPU and memory for all containers of the pod together. It is off in this version: the server drops it.',
      restartPolicy:
        'What happens when a container ends. "Always" (the default): it is started again. "OnFailure": only after a failure. "Never": not at all. Starting again waits 10 s, then twice as long each time, up to 5 min.',
      runtimeClassName:
        'Name of the RuntimeClass that says which handler runs the pod. A pod whose class does not exist is refused. Without it the node takes its default handler.',
      schedulerName: 'Which scheduler finds a node for the pod. The default is "default-scheduler".',
      schedulingGates:
        'While there are any, the pod is not scheduled. They can be given only at creation, and afterwards only be removed.',
      securityContext: 'Users, groups and protections of all containers; their own security contexts go before it.',
      serviceAccount: 'The old name of serviceAccountName. Both always hold the same.',
      serviceAccountName:
        'The service account in whose name the pod speaks to the API. It must exist in the namespace. The default is "default".',
      setHostnameAsFQDN:
        'True to make the host name in the containers the whole domain name, host name and subdomain included, and not its first part only. It must not be longer than 64 characters.',
      shareProcessNamespace:
        "True to have all containers of the pod see and signal each other's processes; then the first process in a container is not number 1. Not together with hostPID.",
      subdomain:
        'With it the domain name of the pod is HOSTNAME.SUBDOMAIN.NAMESPACE.svc and the domain of the cluster. A headless service of that name makes DNS know it.',
      terminationGracePeriodSeconds:
        'Seconds between the signal to end and the kill, when the pod is deleted; hooks count too. 0 kills at once. The default is 30.',
      tolerations: 'Taints of nodes that do not keep the pod away. Further ones can be added later.',
      topologySpreadConstraints:
        'How evenly pods of one group are to be spread over zones, nodes and the like. All constraints count.',
      volumes: 'Volumes that containers of the pod can mount, each with a name.',
    },
    PodOS: {
      itself: 'PodOS names the operating system of a pod.',
      name: '"linux" or "windows".',
    },
    PodReadinessGate: {
      itself: 'PodReadinessGate names a condition that a pod needs to be ready.',
      conditionType: 'Type of the condition in status.conditions. If it is not there, it counts as False.',
    },
    PodSchedulingGate: {
      itself: 'PodSchedulingGate holds a pod back from scheduling until who put it there takes it away.',
      name: 'Name of the gate. No two of a pod are alike.',
    },
    PodDNSConfig: {
      itself: 'PodDNSConfig adds to the resolver settings of a pod, /etc/resolv.conf.',
      nameservers:
        'Addresses of DNS servers, at most three. They come behind those of dnsPolicy; what is there twice is left out. With the policy None at least one is needed.',
      options: 'Options of the resolver. One with the name of another that dnsPolicy gives takes its place.',
      searches:
        'Domains in which short names are looked up, behind those of dnsPolicy. At most 32, with 2048 characters together.',
    },
    PodDNSConfigOption: {
      itself: 'PodDNSConfigOption is one option of the resolver.',
      name: 'Name of the option, such as ndots.',
      value: 'Its value, such as "2". Some options have none.',
    },
    HostAlias: {
      itself: 'HostAlias is a line of /etc/hosts.',
      hostnames: 'Names that lead to the address.',
      ip: 'The address.',
    },
    PodResourceClaim: {
      itself:
        'PodResourceClaim gives the pod a ResourceClaim: one that exists, or one that is made for the pod from a template and goes with it. Just one of the two is named.',
      name: 'Name by which containers refer to the claim in resources.claims; a DNS label, unique in the pod.',
      resourceClaimName: 'Name of a ResourceClaim in the namespace of the pod.',
      resourceClaimTemplateName:
        'Name of a ResourceClaimTemplate in the namespace of the pod. The claim that is made of it stands in status.resourceClaimStatuses.',
    },
    Binding: {
      itself: 'Binding gives a pod its node. Schedulers send it to the subresource "binding" of the pod.',
      metadata: 'Name and namespace of the pod. A UID must be that of the pod; labels and annotations are taken over.',
      target: 'The node: a reference of kind Node with its name.',
    },
  },
};
