/** What is reported of pods and their containers. */
import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const POD_STATUS: TextTable = {
  prefix: CORE_V1,
  texts: {
    PodStatus: {
      itself: 'PodStatus is how a pod is. When its node is cut off, it tells what was last heard.',
      conditions:
        'Conditions of the pod: PodScheduled, Initialized, PodReadyToStartContainers, ContainersReady, Ready, and those that others add.',
      containerStatuses: 'One entry for each of the containers.',
      ephemeralContainerStatuses: 'One entry for each ephemeral container that was started.',
      hostIP: 'Primary address of the node. It is empty until the pod has a node that has seen it.',
      hostIPs: 'Addresses of the node, at most one of IPv4 and one of IPv6; the first is hostIP.',
      initContainerStatuses: 'One entry for each init container, in their order.',
      message: 'Why the pod is as it is, for people.',
      nominatedNodeName:
        'Node on which room is being made for the pod by ending others. It may still go to another node, and another pod may get the room.',
      observedGeneration: 'The generation of the pod that the status was made from, where that is told.',
      phase:
        '"Pending": accepted, not all containers have been started yet. "Running": at least one runs or is being restarted. "Succeeded": all ended well, for good. "Failed": all ended, at least one badly. "Unknown": the node does not tell.',
      podIP: 'Primary address of the pod, from its start on. It is reached in the whole cluster.',
      podIPs: 'Addresses of the pod, at most one of IPv4 and one of IPv6; the first is podIP.',
      qosClass:
        'How the pod is treated when its node is short. "Guaranteed": all containers ask for just what they may use. "Burstable": they ask for something. "BestEffort": they ask for nothing, and go first. It cannot be changed.',
      reason: 'One word for why the pod is as it is, such as Evicted.',
      resize:
        'How far a change of resources is, as earlier versions told it. The conditions PodResizePending and PodResizeInProgress have taken its place.',
      resourceClaimStatuses: 'Which ResourceClaims were made from templates for the pod.',
      startTime: 'When the node took the pod, before it pulled any image.',
    },
    PodCondition: {
      itself: 'PodCondition tells one thing about a pod.',
      lastProbeTime: 'When it was last looked at. Mostly not set.',
      observedGeneration: 'The generation of the pod that the condition was made from, where that is told.',
    },
    PodIP: {
      itself: 'PodIP is an address of a pod.',
      ip: 'The address.',
    },
    HostIP: {
      itself: 'HostIP is an address of the node that a pod runs on.',
      ip: 'The address.',
    },
    PodResourceClaimStatus: {
      itself: 'PodResourceClaimStatus names the ResourceClaim that was made for an entry of spec.resourceClaims.',
      name: 'Name of the entry.',
      resourceClaimName: 'Name of the ResourceClaim in the namespace of the pod. Without it none was needed.',
    },
    ContainerStatus: {
      itself: 'ContainerStatus is how a container is.',
      allocatedResources:
        'What the node has set aside for the container. It follows its requests once the node takes a change.',
      allocatedResourcesStatus: 'How the devices are that the container was given.',
      containerID: 'Id at the runtime, as "TYPE://ID" with the type of the runtime.',
      image: 'Name of the image that runs. It may be written otherwise than in the spec.',
      imageID: 'Id of the image that runs, mostly with its digest.',
      lastState: 'How the container ended the last time, if it did.',
      name: 'Name of the container.',
      ready:
        'True while the container is started and its readiness probe, if it has one, succeeds. Init containers are ready when they are done.',
      resources: 'Requests and limits that the running container has. They may be behind those of the spec.',
      restartCount:
        'How often the container was restarted. It only grows, unless the node loses what it knew, as when it starts anew.',
      started:
        'True once the container runs, its postStart hook is done and its startup probe has succeeded. It is false again after a restart.',
      state: 'How the container is now.',
      stopSignal: 'The signal by which the container is asked to end, where that is told.',
      user: 'User and groups that the first process began with.',
      volumeMounts: 'How volumes are mounted in the container.',
    },
    ContainerState: {
      itself: 'ContainerState is one of three: waiting, running or terminated. Without any the container waits.',
      running: 'Set while it runs.',
      terminated: 'Set when it has ended.',
      waiting: 'Set while it is not yet started: an image is pulled, a volume awaited, a pause kept.',
    },
    ContainerStateRunning: {
      itself: 'ContainerStateRunning tells of a container that runs.',
      startedAt: 'When it was last started.',
    },
    ContainerStateTerminated: {
      itself: 'ContainerStateTerminated tells of a container that ended.',
      containerID: 'Id at the runtime, as "TYPE://ID".',
      exitCode: 'Exit code of its program; 0 is success, 137 mostly a kill.',
      finishedAt: 'When it ended.',
      message: 'What the container left as its last words, see terminationMessagePath, or why it could not run.',
      reason: 'One word: Completed, Error, OOMKilled and the like.',
      signal: 'Number of the signal that ended it, if one did and the runtime tells.',
      startedAt: 'When it had been started.',
    },
    ContainerStateWaiting: {
      itself: 'ContainerStateWaiting tells of a container that does not run yet.',
      message: 'What it waits for, for people.',
      reason: 'One word: ContainerCreating, ImagePullBackOff, CrashLoopBackOff and the like.',
    },
    ContainerUser: {
      itself:
        'ContainerUser is who the first process of a container began as. Processes with the right to do so may change that.',
      linux: 'User and groups on Linux.',
    },
    LinuxContainerUser: {
      itself: 'LinuxContainerUser is a user with groups.',
      gid: 'Id of the primary group.',
      supplementalGroups: 'Ids of the further groups.',
      uid: 'Id of the user.',
    },
    ResourceStatus: {
      itself: 'ResourceStatus tells how the devices of one resource are that a container was given.',
      name: 'Name of the resource. For a claim "claim:NAME", or "claim:NAME/REQUEST" for a part of it.',
      resources: 'How each device is.',
    },
    ResourceHealth: {
      itself: 'ResourceHealth tells how one device is.',
      health: '"Healthy", "Unhealthy", or "Unknown" if nothing is heard of it.',
      resourceID: 'Id of the device, unique among those of the resource on the node.',
    },
    VolumeMountStatus: {
      itself: 'VolumeMountStatus tells how a volume is mounted in a container.',
      mountPath: 'Where it is mounted, as in the spec.',
      name: 'Name of the volume.',
      readOnly: 'Whether it is mounted read-only.',
      recursiveReadOnly:
        '"Enabled" if mounts below it are read-only too, "Disabled" if not. Set for read-only mounts only.',
    },
  },
};
