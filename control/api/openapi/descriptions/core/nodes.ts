/** Nodes and what they report. */
import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const NODES: TextTable = {
  prefix: CORE_V1,
  texts: {
    Node: {
      itself: 'Node is a machine that runs pods. Its agent makes the object and keeps the status.',
      spec: 'What the control plane and administrators say of the node.',
      status: 'What the agent of the node reports.',
    },
    NodeSpec: {
      itself: 'NodeSpec is what the control plane and administrators say of a node.',
      configSource: 'Where the agent was to take its configuration from. Left from earlier versions; it does nothing.',
      externalID: 'Left from earlier versions; it does nothing.',
      podCIDR: 'Range of addresses for the pods of the node; the first of podCIDRs.',
      podCIDRs:
        'Ranges of addresses for the pods of the node, at most one of IPv4 and one of IPv6. Once set, they cannot be changed.',
      providerID: 'Id of the machine at its cloud, as PROVIDER://ID. Once set, it cannot be changed.',
      taints: 'What keeps pods from the node, unless they tolerate it. No two have the same key and effect.',
      unschedulable: 'True to have no new pods put on the node ("kubectl cordon"). Those that are there stay.',
    },
    NodeConfigSource: {
      itself:
        "NodeConfigSource named the source of an agent's configuration. Left from earlier versions; it does nothing.",
      configMap: 'A ConfigMap of the cluster.',
    },
    ConfigMapNodeConfigSource: {
      itself:
        "ConfigMapNodeConfigSource named a ConfigMap with an agent's configuration. Left from earlier versions; it does nothing.",
      kubeletConfigKey: 'The key in its data.',
      name: 'Name of the ConfigMap.',
      namespace: 'Namespace of the ConfigMap.',
      resourceVersion: 'Resource version of the ConfigMap; only in a status.',
      uid: 'UID of the ConfigMap; only in a status.',
    },
    NodeConfigStatus: {
      itself: 'NodeConfigStatus told which configuration an agent used. Left from earlier versions; it does nothing.',
      active: 'The source that was in use.',
      assigned: 'The source that was to be used.',
      error: 'What was wrong with it.',
      lastKnownGood: 'The source to fall back on.',
    },
    NodeStatus: {
      itself: 'NodeStatus is how a node is, and what it has.',
      addresses: 'Addresses and names under which the node is reached.',
      allocatable: 'How much of each resource pods may have: the capacity less what the system keeps.',
      capacity: 'How much of each resource the node has in all.',
      conditions:
        'Conditions of the node: Ready, MemoryPressure, DiskPressure, PIDPressure and those that others add. If nothing is heard of the node, they become Unknown.',
      config: 'Which configuration the agent used. Left from earlier versions.',
      daemonEndpoints: 'Where the agent of the node listens.',
      features: 'What the runtime of the node can do.',
      images: 'Images that are on the node; not always all of them. Scheduling prefers nodes that have those of a pod.',
      nodeInfo: 'What the machine is, and which versions run on it.',
      phase: 'Left from earlier versions; it is never set.',
      runtimeHandlers: 'Handlers of the runtime, which a RuntimeClass can name.',
      volumesAttached: 'What is attached to the node at present.',
      volumesInUse: 'Volumes that are attached and that the node is using. They must not be detached.',
    },
    NodeAddress: {
      itself: 'NodeAddress is an address or a name of a node.',
      address: 'The address or name.',
      type: '"InternalIP", "ExternalIP", "Hostname", "InternalDNS" or "ExternalDNS".',
    },
    NodeCondition: {
      itself: 'NodeCondition tells one thing about a node.',
      lastHeartbeatTime: 'When the node last said so.',
    },
    NodeDaemonEndpoints: {
      itself: 'NodeDaemonEndpoints tells where what runs on a node listens.',
      kubeletEndpoint: "Where the node's agent listens.",
    },
    DaemonEndpoint: {
      itself: 'DaemonEndpoint is where one program of a node listens.',
      Port: 'Number of the port.',
    },
    NodeFeatures: {
      itself: 'NodeFeatures tells what the runtime of a node can do.',
      supplementalGroupsPolicy:
        'True if the runtime knows supplementalGroupsPolicy of pods, and ContainerUser in their status.',
    },
    NodeRuntimeHandler: {
      itself: 'NodeRuntimeHandler is a handler of the runtime.',
      features: 'What the handler can do.',
      name: 'Name of the handler. Empty for the default one.',
    },
    NodeRuntimeHandlerFeatures: {
      itself: 'NodeRuntimeHandlerFeatures tells what a handler of a runtime can do.',
      recursiveReadOnlyMounts: 'True if it can make the mounts below a mount read-only too.',
      userNamespaces: 'True if it can give pods user ids of their own (hostUsers: false).',
    },
    NodeSystemInfo: {
      itself: 'NodeSystemInfo tells what a machine is, and which versions run on it.',
      architecture: 'Architecture of the processor, such as amd64.',
      bootID: 'Another at each start of the machine.',
      containerRuntimeVersion: 'The runtime with its version, such as containerd://1.7.0.',
      kernelVersion: 'Version of the kernel.',
      kubeProxyVersion: 'Left from earlier versions. It tells nothing to rely on.',
      kubeletVersion: 'Version that the agent of the node reports.',
      machineID: 'Id of the installed system, as /etc/machine-id has it.',
      operatingSystem: '"linux" or "windows".',
      osImage: 'The system with its version, as /etc/os-release has it.',
      swap: 'Swap space of the node.',
      systemUUID: 'UUID of the machine, as its hardware tells it.',
    },
    NodeSwapStatus: {
      itself: 'NodeSwapStatus tells of the swap space of a node.',
      capacity: 'Its size in bytes.',
    },
    ContainerImage: {
      itself: 'ContainerImage is an image that is on a node.',
      names: 'Names of the image, with tags and with digests.',
      sizeBytes: 'Its size in bytes.',
    },
    AttachedVolume: {
      itself: 'AttachedVolume is a volume that is attached to a node.',
      devicePath: 'Where the node has it as a device, if that is known.',
      name: 'Name of the attached volume, which is not that of the PersistentVolume.',
    },
  },
};
