/** The volume in which a pod finds its way to the API: a token, the cluster's authority and the name of its namespace. */
import type { PodSpec, Volume, VolumeMount } from '../../api/generated/types.ts';
import { MOUNTED_TOKEN_SECONDS } from '../auth/service-account-tokens.ts';
import { randomSuffix } from '../verbs/create.ts';

const MOUNT_PATH = '/var/run/secrets/kubernetes.io/serviceaccount';
const NAME_PREFIX = 'kube-api-access-';
const FILE_MODE = 0o644;

/** Mounts the volume into each container that has nothing there yet. Changes `spec`. */
export function mountToken(spec: PodSpec, random: () => number): void {
  const present = spec.volumes?.find(({ name }) => name.startsWith(NAME_PREFIX));
  const name = present?.name ?? NAME_PREFIX + randomSuffix(random);
  const mount: VolumeMount = { name, readOnly: true, mountPath: MOUNT_PATH };
  const lacking = [...(spec.initContainers ?? []), ...(spec.containers ?? [])].filter(
    ({ volumeMounts = [] }) => !volumeMounts.some(({ mountPath }) => mountPath === MOUNT_PATH),
  );
  for (const container of lacking) container.volumeMounts = [...(container.volumeMounts ?? []), { ...mount }];
  if (lacking.length > 0 && !present) spec.volumes = [...(spec.volumes ?? []), tokenVolume(name)];
}

function tokenVolume(name: string): Volume {
  return {
    name,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: MOUNTED_TOKEN_SECONDS, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
          },
        },
      ],
      defaultMode: FILE_MODE,
    },
  };
}
