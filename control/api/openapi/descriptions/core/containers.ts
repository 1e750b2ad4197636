/** Containers: what they run, with which environment, resources and mounts. */
import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

/** What containers and ephemeral containers have alike. */
const CONTAINER = {
  args: 'Arguments of the command, in place of the CMD of the image. $(NAME) stands for an environment variable of the container; $$(NAME) is left as $(NAME), and so is the name of a variable that does not exist.',
  command:
    'The program to run with its first arguments, in place of the ENTRYPOINT of the image; no shell is involved. Variables are filled in as in args.',
  env: 'Environment variables. They go before those of envFrom.',
  envFrom:
    'ConfigMaps and Secrets whose keys become environment variables. Of one name in several of them the last one counts.',
  imagePullPolicy:
    'When the image is pulled. "Always": at each start, though layers that are there are kept. "IfNotPresent": if the node does not have it. "Never": it must be there. The default is Always for the tag latest or none, else IfNotPresent.',
  resizePolicy: 'For each resource, whether the container has to be restarted when its amount is changed.',
  stdin: 'True to keep an open standard input for the container. Otherwise reading from it ends at once.',
  stdinOnce: 'True to close standard input when the first client that was attached to it leaves. It needs stdin.',
  terminationMessagePath:
    'File in the container whose content becomes the message of its end in the status. At most 4096 bytes are taken, and 12 KiB of all containers together. The default is /dev/termination-log.',
  terminationMessagePolicy:
    'Where that message comes from. "File" (the default): from terminationMessagePath alone. "FallbackToLogsOnError": where there is nothing in the file after a failure, from the end of the log, at most 2048 bytes or 80 lines.',
  tty: 'True to give the container a terminal. It needs stdin.',
  volumeDevices: 'Volumes that the container gets as block devices.',
  workingDir: 'Directory in which the program starts. Without it the image decides.',
} as const;

const BY_NAME = {
  name: 'Name of the object in the namespace of the pod.',
} as const;

const KEY = {
  ...BY_NAME,
  optional:
    'True to do without the object or the key if it is missing. Otherwise the container does not start before it is there.',
} as const;

export const CONTAINERS: TextTable = {
  prefix: CORE_V1,
  texts: {
    Container: {
      itself: 'Container is one program with its image, environment and limits, running in a pod.',
      ...CONTAINER,
      image:
        'Name of the image, with registry, tag or digest as needed. It can be changed later; then the container is started anew.',
      lifecycle:
        'What is done right after the container starts and before it is stopped. Init containers have it only as sidecars, and probes too.',
      livenessProbe:
        'Checks whether the container is still well. When it fails, the container is stopped, and started again if restartPolicy says so.',
      name: 'Name of the container, a DNS label, unique among all containers of the pod. It cannot be changed.',
      ports:
        'Ports that the container listens at. They tell people and name ports for services; a port that is not listed can be reached all the same.',
      readinessProbe:
        'Checks whether the container can serve. While it fails, the pod is not ready and gets no traffic from services.',
      resources: 'Amounts of CPU, memory and the like that the container asks for and may use at most.',
      restartPolicy:
        'Only for init containers, and only "Always": the container is a sidecar, which is started in its turn, restarted whenever it ends, and stopped after the main containers.',
      securityContext: 'User, rights and protections of the container. It goes before the security context of the pod.',
      startupProbe:
        'Checks whether the program has finished starting. Until it succeeds the other probes wait; when it fails, it is as with the liveness probe.',
      volumeMounts: 'Volumes of the pod that the container sees in its files.',
    },
    EphemeralContainer: {
      itself:
        'EphemeralContainer is a container that is put into a running pod for debugging. It is never restarted and has no guaranteed resources.',
      ...CONTAINER,
      image: 'Name of the image, with registry, tag or digest as needed.',
      lifecycle: 'Not allowed here.',
      livenessProbe: 'Not allowed here.',
      name: 'Name of the container, unique among all containers of the pod.',
      ports: 'Not allowed here.',
      readinessProbe: 'Not allowed here.',
      resizePolicy: 'Not allowed here.',
      resources: 'Not allowed here: it uses what the pod has left.',
      restartPolicy: 'Not allowed here.',
      securityContext: 'User, rights and protections of the container. It goes before the security context of the pod.',
      startupProbe: 'Not allowed here.',
      targetContainerName:
        'A container of the pod whose processes this one sees. The runtime must know how to do that. Without it the processes are those that the pod shares.',
      volumeMounts:
        'Volumes of the pod that the container sees in its files. Parts of volumes (subPath) are not allowed.',
    },
    ContainerPort: {
      itself: 'ContainerPort is a port that a container listens at.',
      containerPort: 'Number of the port at the address of the pod, 1 to 65535.',
      hostIP: "Address of the node at which hostPort is open. Without it all of the node's addresses.",
      hostPort:
        "Port of the node that leads to this one, 1 to 65535. Of several pods with the same one only one fits on a node. With the host's network it is the same as containerPort.",
      name: 'Name of the port, by which services and probes may refer to it: at most 15 small letters, digits and dashes, with a letter among them. No two of a pod are alike.',
      protocol: '"TCP" (the default), "UDP" or "SCTP".',
    },
    ContainerResizePolicy: {
      itself: 'ContainerResizePolicy says what a change of one resource means for a running container.',
      resourceName: '"cpu" or "memory".',
      restartPolicy:
        '"NotRequired" (the default): the amount is changed while the container runs, if that is possible. "RestartContainer": the container is started anew.',
    },
    ResourceRequirements: {
      itself: 'ResourceRequirements are the amounts of resources that a container asks for and may use.',
      claims:
        'Claims of spec.resourceClaims of the pod that the container uses. They cannot be changed. They are off in this version: nothing acts on them.',
      limits:
        'The most that the container may use. Above its CPU it is slowed down; above its memory it is killed. Without a limit there is none.',
      requests:
        'What is set aside for the container; the scheduler counts it. It must not be above the limit. What is missing is taken from the limits, if they are set.',
    },
    ResourceClaim: {
      itself: 'ResourceClaim names a claim of the pod that a container uses.',
      name: 'Name of the entry in spec.resourceClaims of the pod.',
      request:
        'Name of one request of the claim, if only that part of it is for the container. Without it all of it is.',
    },
    VolumeMount: {
      itself: 'VolumeMount puts a volume of the pod into the files of a container.',
      mountPath:
        'Where the volume appears in the container. It must not have a colon in it, and no two mounts are at one place.',
      mountPropagation:
        'Whether mounts made later cross the border. "None" (the default): they do not. "HostToContainer": those of the node show up in the container. "Bidirectional": those of the container show up on the node as well; only privileged containers may have it.',
      name: 'Name of the volume in spec.volumes.',
      readOnly: 'True to let the container only read. The default is false.',
      recursiveReadOnly:
        'Whether mounts below a read-only mount are read-only too. "Disabled" (the default): they may stay writable. "IfPossible": they are if the runtime can do that. "Enabled": they are, or the pod does not start. It needs readOnly, and no propagation.',
      subPath:
        'Part of the volume that is mounted, as a path relative to its root, without "..". Without it the whole volume.',
      subPathExpr:
        'As subPath, with $(NAME) filled in from the environment of the container. Only one of the two may be set.',
    },
    VolumeDevice: {
      itself: 'VolumeDevice gives a container a volume as a raw block device.',
      devicePath: 'Where the device appears in the container, such as /dev/data.',
      name: 'Name of the volume in spec.volumes, whose claim must have the mode Block.',
    },
    EnvVar: {
      itself: 'EnvVar is an environment variable.',
      name: 'Name of the variable: any printable ASCII characters but "=".',
      value:
        'The value; empty by default. $(NAME) stands for a variable that was set before this one; $$(NAME) is left as $(NAME), and so is the name of a variable that does not exist.',
      valueFrom: 'Where the value comes from, in place of value.',
    },
    EnvVarSource: {
      itself:
        'EnvVarSource says where the value of an environment variable comes from. Just one is set. It is read once, when the container starts.',
      configMapKeyRef: 'A key of a ConfigMap.',
      fieldRef:
        "A field of the pod: metadata.name, metadata.namespace, metadata.uid, metadata.labels['KEY'], metadata.annotations['KEY'], spec.nodeName, spec.serviceAccountName, status.hostIP, status.hostIPs, status.podIP or status.podIPs.",
      resourceFieldRef:
        'A limit or request of a container: limits or requests, a dot, and cpu, memory, ephemeral-storage or hugepages of a size.',
      secretKeyRef: 'A key of a Secret.',
    },
    EnvFromSource: {
      itself: 'EnvFromSource makes an environment variable of every key of a ConfigMap or a Secret.',
      configMapRef: 'The ConfigMap.',
      prefix: 'What is put in front of each key to get the name of the variable.',
      secretRef: 'The Secret.',
    },
    ConfigMapEnvSource: {
      itself: 'ConfigMapEnvSource names a ConfigMap whose keys become environment variables.',
      ...BY_NAME,
      optional: 'True to do without the ConfigMap if it is missing.',
    },
    SecretEnvSource: {
      itself: 'SecretEnvSource names a Secret whose keys become environment variables.',
      ...BY_NAME,
      optional: 'True to do without the Secret if it is missing.',
    },
    ConfigMapKeySelector: {
      itself: 'ConfigMapKeySelector names a key of a ConfigMap.',
      ...KEY,
      key: 'The key in its data.',
    },
    SecretKeySelector: {
      itself: 'SecretKeySelector names a key of a Secret.',
      ...KEY,
      key: 'The key in its data.',
    },
    ObjectFieldSelector: {
      itself: 'ObjectFieldSelector names a field of the pod.',
      apiVersion: 'Version in which the path is written. The default is v1.',
      fieldPath: "Path of the field, such as metadata.name or metadata.labels['app'].",
    },
    ResourceFieldSelector: {
      itself: 'ResourceFieldSelector names a limit or a request of a container.',
      containerName:
        'The container. In volumes it must be named; in an environment it is the container itself by default.',
      divisor:
        'Unit in which the amount is told; it is rounded up. The default is 1: whole processors, bytes. "1m" gives thousandths of a processor, "1Mi" mebibytes.',
      resource: 'What is told, such as limits.cpu. A limit that is not set counts as what the node has to give.',
    },
  },
};
