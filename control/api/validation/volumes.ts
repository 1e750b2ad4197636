/** Volumes of pods and how containers mount them. */
import type {
  DownwardAPIVolumeFile,
  HostPathVolumeSource,
  ImageVolumeSource,
  KeyToPath,
  NFSVolumeSource,
  ProjectedVolumeSource,
  Volume,
  VolumeDevice,
  VolumeMount,
} from '../generated/types.ts';
import { parseQuantity } from '../schema/quantity.ts';
import type { FieldError } from '../status.ts';
import { validateFieldRef, validateResourceFieldRef } from './env.ts';
import {
  byRule,
  duplicateValue,
  forbiddenField,
  invalidValue,
  notFoundValue,
  notSupported,
  oneOf,
  required,
} from './errors.ts';
import { configMapKey, dns1123Label } from './names.ts';

const MODE_MAX = 0o777;
const MODE_MESSAGE = 'must be a number between 0 and 0777 (octal), both inclusive';
const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'];
const TOKEN_SECONDS_MIN = 600;
const TOKEN_SECONDS_MAX = 2 ** 32;
const HOST_PATH_TYPES = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
];

/** Kinds of volume in the order in which Kubernetes looks at them: the first counts, the others are too many. */
const SOURCES = [
  'emptyDir',
  'hostPath',
  'gitRepo',
  'gcePersistentDisk',
  'awsElasticBlockStore',
  'secret',
  'nfs',
  'iscsi',
  'glusterfs',
  'flocker',
  'persistentVolumeClaim',
  'rbd',
  'cinder',
  'cephfs',
  'quobyte',
  'downwardAPI',
  'fc',
  'flexVolume',
  'configMap',
  'azureFile',
  'vsphereVolume',
  'photonPersistentDisk',
  'portworxVolume',
  'azureDisk',
  'storageos',
  'projected',
  'scaleIO',
  'csi',
  'ephemeral',
  'image',
] as const;

/** True if a path goes up somewhere. */
export const hasDotDot = (path: string): boolean => path.split('/').includes('..');

/** A path inside a volume. */
function validateLocalPath(path: string, field: string): FieldError[] {
  const errors: FieldError[] = [];
  if (path.startsWith('/')) errors.push(invalidValue(field, path, 'must be a relative path'));
  if (hasDotDot(path)) errors.push(invalidValue(field, path, `must not contain '..'`));
  return errors;
}

/** A path of a file that appears in a volume: not hidden by the way updates work (`..data`). */
function validateVisiblePath(path: string, field: string): FieldError[] {
  const errors = validateLocalPath(path, field);
  if (path.startsWith('..') && !hasDotDot(path)) errors.push(invalidValue(field, path, `must not start with '..'`));
  return errors;
}

function validateMode(mode: number | undefined, field: string): FieldError[] {
  return mode !== undefined && (mode < 0 || mode > MODE_MAX) ? [invalidValue(field, mode, MODE_MESSAGE)] : [];
}

function validateItems(items: readonly KeyToPath[] | undefined, path: string): FieldError[] {
  return (items ?? []).flatMap((item, index) => {
    const field = `${path}[${index}]`;
    return [
      ...(item.key === '' ? [required(`${field}.key`)] : byRule(`${field}.key`, item.key, configMapKey(item.key))),
      ...(item.path === '' ? [required(`${field}.path`)] : validateVisiblePath(item.path, `${field}.path`)),
      ...validateMode(item.mode, `${field}.mode`),
    ];
  });
}

function validateDownwardFile(file: DownwardAPIVolumeFile, path: string): FieldError[] {
  const errors = file.path === '' ? [required(`${path}.path`)] : validateVisiblePath(file.path, `${path}.path`);
  if (file.fieldRef) {
    errors.push(...validateFieldRef(file.fieldRef, `${path}.fieldRef`, 'volume'));
    if (file.resourceFieldRef) {
      errors.push(invalidValue(path, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'));
    }
  } else if (file.resourceFieldRef) {
    errors.push(...validateResourceFieldRef(file.resourceFieldRef, `${path}.resourceFieldRef`, true));
  } else errors.push(required(path, 'one of fieldRef and resourceFieldRef is required'));
  errors.push(...validateMode(file.mode, `${path}.mode`));
  return errors;
}

function validateProjected(projected: ProjectedVolumeSource, path: string): FieldError[] {
  const errors = validateMode(projected.defaultMode, `${path}.defaultMode`);
  for (const [index, source] of (projected.sources ?? []).entries()) {
    const field = `${path}.sources[${index}]`;
    let count = 0;
    const take = (name: string, validate: (inner: string) => FieldError[]): void => {
      if (count++ > 0) errors.push(forbiddenField(field, 'may not specify more than 1 volume type per source'));
      else errors.push(...validate(`${field}.${name}`));
    };
    const { secret, configMap, downwardAPI, serviceAccountToken, clusterTrustBundle } = source;
    const named = (name: string | undefined, items: readonly KeyToPath[] | undefined) => (inner: string) => [
      ...(name ? [] : [required(`${inner}.name`)]),
      ...validateItems(items, `${inner}.items`),
    ];
    if (secret) take('secret', named(secret.name, secret.items));
    if (configMap) take('configMap', named(configMap.name, configMap.items));
    // As in Kubernetes, files of the downward API are named without their index.
    if (downwardAPI) {
      take('downwardAPI', inner => (downwardAPI.items ?? []).flatMap(file => validateDownwardFile(file, inner)));
    }
    if (serviceAccountToken) {
      take('serviceAccountToken', inner => {
        const seconds = serviceAccountToken.expirationSeconds ?? TOKEN_SECONDS_MIN;
        const refuse = (detail: string) => invalidValue(`${inner}.expirationSeconds`, seconds, detail);
        return [
          ...(seconds < TOKEN_SECONDS_MIN ? [refuse('may not specify a duration less than 10 minutes')] : []),
          ...(seconds > TOKEN_SECONDS_MAX ? [refuse('may not specify a duration larger than 2^32 seconds')] : []),
          ...(serviceAccountToken.path === ''
            ? [required(`${inner}.path`)]
            : validateVisiblePath(serviceAccountToken.path, `${inner}.path`)),
        ];
      });
    }
    if (clusterTrustBundle) take('clusterTrustBundle', () => []);
    if (count === 0) errors.push(required(field, 'must specify one of the volume types'));
  }
  return errors;
}

/** A path of the node. */
export function validateHostPath(source: HostPathVolumeSource | undefined, path: string): FieldError[] {
  const { path: hostPath = '', type = '' } = source ?? {};
  if (hostPath === '') return [required(`${path}.path`)];
  return [
    ...(hasDotDot(hostPath) ? [invalidValue(`${path}.path`, hostPath, `must not contain '..'`)] : []),
    ...(HOST_PATH_TYPES.includes(type) ? [] : [notSupported(`${path}.type`, type, HOST_PATH_TYPES)]),
  ];
}

/** A directory of an NFS server. */
export function validateNfs(source: NFSVolumeSource | undefined, path: string): FieldError[] {
  const { server = '', path: exported = '' } = source ?? {};
  return [
    ...(server === '' ? [required(`${path}.server`)] : []),
    ...(exported === '' ? [required(`${path}.path`)] : []),
    ...(exported !== '' && !exported.startsWith('/')
      ? [invalidValue(`${path}.path`, exported, 'must be an absolute path')]
      : []),
  ];
}

/** Whose volumes they are: a template may leave open what whoever makes pods of it fills in. */
export type VolumesOwner = 'pod' | 'template';

function validateImage(source: ImageVolumeSource | undefined, path: string, owner: VolumesOwner): FieldError[] {
  const { reference = '', pullPolicy = '' } = source ?? {};
  return [
    ...(reference === '' && owner === 'pod' ? [required(`${path}.reference`)] : []),
    ...(pullPolicy === '' ? [required(`${path}.pullPolicy`)] : oneOf(`${path}.pullPolicy`, pullPolicy, PULL_POLICIES)),
  ];
}

function validateSource(
  volume: Volume,
  name: (typeof SOURCES)[number],
  { path, owner }: { readonly path: string; readonly owner: VolumesOwner },
): FieldError[] {
  switch (name) {
    case 'emptyDir': {
      const limit = volume.emptyDir?.sizeLimit;
      return limit !== undefined && parseQuantity(String(limit)).unscaled < 0n
        ? [forbiddenField(`${path}.sizeLimit`, 'SizeLimit field must be a valid resource quantity')]
        : [];
    }
    case 'hostPath':
      return validateHostPath(volume.hostPath, path);
    case 'secret':
      return [
        ...(volume.secret?.secretName ? [] : [required(`${path}.secretName`)]),
        ...validateMode(volume.secret?.defaultMode, `${path}.defaultMode`),
        ...validateItems(volume.secret?.items, `${path}.items`),
      ];
    case 'configMap':
      return [
        ...(volume.configMap?.name ? [] : [required(`${path}.name`)]),
        ...validateMode(volume.configMap?.defaultMode, `${path}.defaultMode`),
        ...validateItems(volume.configMap?.items, `${path}.items`),
      ];
    case 'persistentVolumeClaim':
      return volume.persistentVolumeClaim?.claimName ? [] : [required(`${path}.claimName`)];
    case 'nfs':
      return validateNfs(volume.nfs, path);
    case 'downwardAPI':
      return [
        ...validateMode(volume.downwardAPI?.defaultMode, `${path}.defaultMode`),
        ...(volume.downwardAPI?.items ?? []).flatMap(file => validateDownwardFile(file, path)),
      ];
    case 'projected':
      return volume.projected ? validateProjected(volume.projected, path) : [];
    case 'csi':
      return volume.csi?.driver ? [] : [required(`${path}.driver`)];
    case 'ephemeral':
      return volume.ephemeral?.volumeClaimTemplate ? [] : [required(`${path}.volumeClaimTemplate`)];
    case 'image':
      return validateImage(volume.image, path, owner);
    default:
      // Volumes that no runtime here mounts: stored as they are, refused by the node.
      return [];
  }
}

/** The list `volumes`. */
export function validateVolumes(
  volumes: readonly Volume[] | undefined,
  path: string,
  owner: VolumesOwner,
): FieldError[] {
  const names = new Set<string>();
  return (volumes ?? []).flatMap((volume, index) => {
    const field = `${path}[${index}]`;
    const errors: FieldError[] = [];
    let count = 0;
    for (const source of SOURCES) {
      if (volume[source] === undefined) continue;
      if (count++ === 0) errors.push(...validateSource(volume, source, { path: `${field}.${source}`, owner }));
      else errors.push(forbiddenField(`${field}.${source}`, 'may not specify more than 1 volume type'));
    }
    if (count === 0) errors.push(required(field, 'must specify a volume type'));
    if (volume.name === '') errors.push(required(`${field}.name`));
    else {
      const sentences = dns1123Label(volume.name);
      errors.push(...byRule(`${field}.name`, volume.name, sentences));
      if (sentences.length === 0 && names.has(volume.name)) errors.push(duplicateValue(`${field}.name`, volume.name));
      names.add(volume.name);
    }
    return errors;
  });
}

/** What a container's mounts and devices may refer to. */
export interface MountContext {
  readonly volumes: ReadonlyMap<string, Volume>;
  readonly mounts: readonly VolumeMount[];
  readonly devices: readonly VolumeDevice[];
}

/** The list `volumeMounts`. */
export function validateVolumeMounts({ volumes, mounts, devices }: MountContext, path: string): FieldError[] {
  const paths = new Set<string>();
  return mounts.flatMap((mount, index) => {
    const field = `${path}[${index}]`;
    const errors: FieldError[] = [];
    if (mount.name === '') errors.push(required(`${field}.name`));
    if (!volumes.has(mount.name)) errors.push(notFoundValue(`${field}.name`, mount.name));
    if (mount.mountPath === '') errors.push(required(`${field}.mountPath`));
    if (paths.has(mount.mountPath)) errors.push(invalidValue(`${field}.mountPath`, mount.mountPath, 'must be unique'));
    paths.add(mount.mountPath);
    if (devices.some(device => device.name === mount.name)) {
      errors.push(invalidValue(`${field}.name`, mount.name, 'must not already exist in volumeDevices'));
    }
    if (devices.some(device => device.devicePath === mount.mountPath)) {
      errors.push(
        invalidValue(`${field}.mountPath`, mount.mountPath, 'must not already exist as a path in volumeDevices'),
      );
    }
    // As in Kubernetes, these two are named without the index.
    if (mount.subPath) errors.push(...validateLocalPath(mount.subPath, `${path}.subPath`));
    if (mount.subPathExpr) {
      if (mount.subPath) {
        errors.push(
          invalidValue(`${path}.subPathExpr`, mount.subPathExpr, 'subPathExpr and subPath are mutually exclusive'),
        );
      }
      errors.push(...validateLocalPath(mount.subPathExpr, `${path}.subPathExpr`));
    }
    if (mount.mountPropagation) {
      errors.push(
        ...oneOf(`${field}.mountPropagation`, mount.mountPropagation, ['Bidirectional', 'HostToContainer', 'None']),
      );
    }
    return errors;
  });
}

/** The list `volumeDevices`. */
export function validateVolumeDevices({ volumes, mounts, devices }: MountContext, path: string): FieldError[] {
  const names = new Set<string>();
  const paths = new Set<string>();
  return devices.flatMap((device, index) => {
    const field = `${path}[${index}]`;
    const errors: FieldError[] = [];
    if (device.name === '') errors.push(required(`${field}.name`));
    if (names.has(device.name)) errors.push(invalidValue(`${field}.name`, device.name, 'must be unique'));
    const volume = volumes.get(device.name);
    if (volume && !volume.persistentVolumeClaim && !volume.ephemeral) {
      errors.push(
        invalidValue(
          `${field}.name`,
          device.name,
          'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode',
        ),
      );
    } else if (!volume) errors.push(notFoundValue(`${field}.name`, device.name));
    if (device.devicePath === '') errors.push(required(`${field}.devicePath`));
    if (paths.has(device.devicePath)) {
      errors.push(invalidValue(`${field}.devicePath`, device.devicePath, 'must be unique'));
    }
    if (device.devicePath !== '' && hasDotDot(device.devicePath)) {
      errors.push(invalidValue(`${field}.devicePath`, device.devicePath, `can not contain backsteps ('..')`));
    }
    names.add(device.name);
    paths.add(device.devicePath);
    if (mounts.some(mount => mount.name === device.name)) {
      errors.push(invalidValue(`${field}.name`, device.name, 'must not already exist in volumeMounts'));
    }
    if (mounts.some(mount => mount.mountPath === device.devicePath)) {
      errors.push(
        invalidValue(`${field}.devicePath`, device.devicePath, 'must not already exist as a path in volumeMounts'),
      );
    }
    return errors;
  });
}
