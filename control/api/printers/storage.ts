/** Volumes, claims and the classes and drivers behind them. */
import type {
  CSIDriver,
  CSINode,
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
  VolumeAttachment,
} from '../generated/types.ts';
import { age, column, columns, NAME, nameOf, type Printer, printer, wide } from './printer.ts';

/** In the order in which they are told. */
const ACCESS_MODES: readonly (readonly [mode: string, short: string])[] = [
  ['ReadWriteOnce', 'RWO'],
  ['ReadOnlyMany', 'ROX'],
  ['ReadWriteMany', 'RWX'],
  ['ReadWriteOncePod', 'RWOP'],
];

const accessModes = (modes: readonly string[] | undefined): string =>
  ACCESS_MODES.filter(([mode]) => (modes ?? []).includes(mode))
    .map(([, short]) => short)
    .join(',');

/** What the beta annotation says before there was the field. */
const CLASS_ANNOTATION = 'volume.beta.kubernetes.io/storage-class';

export const persistentVolume: Printer = printer<PersistentVolume>(
  columns(
    NAME,
    'Capacity',
    'Access Modes',
    'Reclaim Policy',
    'Status',
    'Claim',
    'StorageClass',
    'VolumeAttributesClass',
    'Reason',
    'Age',
    wide('VolumeMode'),
  ),
  (object, now) => {
    const { spec, status, metadata } = object;
    const claim = spec?.claimRef;
    return [
      nameOf(object),
      String(spec?.capacity?.storage ?? '0'),
      accessModes(spec?.accessModes),
      spec?.persistentVolumeReclaimPolicy ?? '',
      metadata?.deletionTimestamp ? 'Terminating' : (status?.phase ?? ''),
      claim ? `${claim.namespace ?? ''}/${claim.name ?? ''}` : '',
      metadata?.annotations?.[CLASS_ANNOTATION] ?? spec?.storageClassName ?? '',
      spec?.volumeAttributesClassName ?? '<unset>',
      status?.reason ?? '',
      age(object, now),
      spec?.volumeMode ?? '<unset>',
    ];
  },
);

export const persistentVolumeClaim: Printer = printer<PersistentVolumeClaim>(
  columns(
    NAME,
    'Status',
    'Volume',
    'Capacity',
    'Access Modes',
    'StorageClass',
    'VolumeAttributesClass',
    'Age',
    wide('VolumeMode'),
  ),
  (object, now) => {
    const { spec, status, metadata } = object;
    const isBound = (spec?.volumeName ?? '') !== '';
    return [
      nameOf(object),
      metadata?.deletionTimestamp ? 'Terminating' : (status?.phase ?? ''),
      spec?.volumeName ?? '',
      isBound ? String(status?.capacity?.storage ?? '0') : '',
      isBound ? accessModes(status?.accessModes) : '',
      metadata?.annotations?.[CLASS_ANNOTATION] ?? spec?.storageClassName ?? '',
      spec?.volumeAttributesClassName ?? '<unset>',
      age(object, now),
      spec?.volumeMode ?? '<unset>',
    ];
  },
);

const DEFAULT_CLASS_ANNOTATIONS = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];

export const storageClass: Printer = printer<StorageClass>(
  columns(NAME, 'Provisioner', 'ReclaimPolicy', 'VolumeBindingMode', 'AllowVolumeExpansion', 'Age'),
  (object, now) => {
    const isDefault = DEFAULT_CLASS_ANNOTATIONS.some(key => object.metadata?.annotations?.[key] === 'true');
    return [
      isDefault ? `${nameOf(object)} (default)` : nameOf(object),
      object.provisioner,
      object.reclaimPolicy ?? 'Delete',
      object.volumeBindingMode ?? '<unset>',
      object.allowVolumeExpansion ?? false,
      age(object, now),
    ];
  },
);

export const csiDriver: Printer = printer<CSIDriver>(
  columns(
    NAME,
    column('AttachRequired', 'boolean'),
    column('PodInfoOnMount', 'boolean'),
    column('StorageCapacity', 'boolean'),
    'TokenRequests',
    column('RequiresRepublish', 'boolean'),
    'Modes',
    'Age',
  ),
  (object, now) => [
    nameOf(object),
    object.spec.attachRequired ?? true,
    object.spec.podInfoOnMount ?? false,
    object.spec.storageCapacity ?? false,
    (object.spec.tokenRequests ?? []).map(request => request.audience).join(',') || '<unset>',
    object.spec.requiresRepublish ?? false,
    (object.spec.volumeLifecycleModes ?? []).join(',') || '<none>',
    age(object, now),
  ],
);

export const csiNode: Printer = printer<CSINode>(columns(NAME, column('Drivers', 'integer'), 'Age'), (object, now) => [
  nameOf(object),
  // A node without any driver has none, and not an empty list.
  object.spec.drivers?.length ?? 0,
  age(object, now),
]);

export const volumeAttachment: Printer = printer<VolumeAttachment>(
  columns(NAME, { ...column('Attacher'), format: 'name' }, 'PV', 'Node', column('Attached', 'boolean'), 'Age'),
  (object, now) => [
    nameOf(object),
    object.spec.attacher,
    object.spec.source.persistentVolumeName ?? '',
    object.spec.nodeName,
    object.status?.attached ?? false,
    age(object, now),
  ],
);
