/** Security contexts of pods and containers. */
import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

/** What the contexts of pods and of containers have alike. */
const CONTEXT = {
  appArmorProfile: 'The AppArmor profile of the processes. Not for Windows.',
  runAsGroup:
    'Group id of the first process, 0 to 2147483647. Without it the runtime decides, mostly 0. Not for Windows.',
  runAsNonRoot:
    'True to refuse to start as root: if the user id is 0, or the image names its user by a word only, the container does not start.',
  runAsUser: 'User id of the first process, 0 to 2147483647. Without it the one of the image. Not for Windows.',
  seLinuxOptions: 'The SELinux label. Without it the runtime chooses one. Not for Windows.',
  seccompProfile: 'Which system calls are allowed. Not for Windows.',
  windowsOptions: 'What is only for Windows.',
} as const;

export const SECURITY: TextTable = {
  prefix: CORE_V1,
  texts: {
    PodSecurityContext: {
      itself:
        'PodSecurityContext holds users, groups and protections of all containers of a pod. Where a container says otherwise in its own, that counts.',
      ...CONTEXT,
      fsGroup:
        'A group that all containers are in besides, and that volumes which allow it are given to: their files belong to it, may be read and written by it, and new ones inherit it. Not for Windows.',
      fsGroupChangePolicy:
        'When the files of volumes are given to fsGroup. "Always" (the default): all of them, each time a volume is mounted. "OnRootMismatch": only if the root of the volume does not yet have that group and those rights. Not for Windows.',
      seLinuxChangePolicy:
        'How volumes get the SELinux label of the pod: "MountOption": all at once as it is mounted. "Recursive": file by file. The default is MountOption for volumes of the mode ReadWriteOncePod whose driver can do that, else Recursive.',
      supplementalGroups:
        'Further groups of the first process of each container, besides its own, fsGroup and those that supplementalGroupsPolicy lets in. Not for Windows.',
      supplementalGroupsPolicy:
        'Whether groups that the image has for the user count. "Merge" (the default): they do. "Strict": only those that the pod names. Not every node can do the latter, see status.features of the node.',
      sysctls:
        "Kernel settings of the pod's own namespaces. A node refuses pods with settings that are not known to be safe, unless it was told to allow them. Not for Windows.",
    },
    SecurityContext: {
      itself: 'SecurityContext holds user, rights and protections of one container. It goes before that of the pod.',
      ...CONTEXT,
      allowPrivilegeEscalation:
        'Whether a process may get more rights than the one that started it. False sets no_new_privs. It is always true for privileged containers and those with CAP_SYS_ADMIN. Not for Windows.',
      capabilities: "Capabilities that are added to and dropped from the runtime's default. Not for Windows.",
      privileged:
        'True to give the container nearly all rights of root on the node. The default is false. Not for Windows.',
      procMount:
        'How /proc is shown. "Default": some paths are hidden or read-only. "Unmasked": they are not; the pod must have hostUsers false. Not for Windows.',
      readOnlyRootFilesystem:
        'True to make the files of the container read-only, volumes aside. The default is false. Not for Windows.',
    },
    Capabilities: {
      itself: 'Capabilities changes which capabilities of Linux a container has.',
      add: 'Those that it gets besides, without CAP_ in front, such as NET_ADMIN; "ALL" for all.',
      drop: 'Those that are taken from it; "ALL" for all.',
    },
    SELinuxOptions: {
      itself: 'SELinuxOptions are the parts of an SELinux label.',
      level: 'Its level.',
      role: 'Its role.',
      type: 'Its type.',
      user: 'Its user.',
    },
    SeccompProfile: {
      itself: 'SeccompProfile says which system calls a container may make.',
      localhostProfile:
        "Path of the profile's file on the node, relative to its folder of profiles. It is needed for Localhost, and not allowed otherwise.",
      type: '"RuntimeDefault": the profile of the runtime. "Unconfined": all calls. "Localhost": a file on the node.',
    },
    AppArmorProfile: {
      itself: 'AppArmorProfile says which AppArmor profile a container runs under.',
      localhostProfile:
        'Name of a profile that is loaded on the node. It is needed for Localhost, and not allowed otherwise.',
      type: '"RuntimeDefault": the profile of the runtime. "Unconfined": none. "Localhost": one that is loaded on the node.',
    },
    Sysctl: {
      itself: 'Sysctl is a kernel setting.',
      name: 'Its name, such as net.ipv4.ip_local_port_range. At most 253 characters.',
      value: 'Its value.',
    },
    WindowsSecurityContextOptions: {
      itself: 'WindowsSecurityContextOptions are the settings that only Windows has.',
      gmsaCredentialSpec:
        'The credential spec of a group managed service account. The GMSA webhook puts it here, after gmsaCredentialSpecName.',
      gmsaCredentialSpecName: 'Name of the GMSACredentialSpec to use.',
      hostProcess:
        'True to run the container as a process of the host. All containers of a pod are alike in this, and it takes hostNetwork.',
      runAsUserName: 'Name of the user that the first process runs as. Without it the one of the image.',
    },
  },
};
