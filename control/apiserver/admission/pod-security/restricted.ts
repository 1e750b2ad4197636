/** The checks that the level `restricted` has besides those of `baseline`, up to Kubernetes v1.33. */
import { isSeccompType, wrongSeccomp } from './baseline.ts';
import {
  type Check,
  containersNamed,
  containersOf,
  distinct,
  type Finding,
  namesOf,
  plural,
  quoted,
  type Subject,
  setters,
} from './check.ts';

const since = (minor: number, look: (subject: Subject) => Finding | undefined) => ({ since: minor, look });

/** From v1.25 on, pods that say they are for Windows need not say what Windows does not have. */
const unlessWindows =
  (look: (subject: Subject) => Finding | undefined) =>
  (subject: Subject): Finding | undefined =>
    subject.spec.os?.name === 'windows' ? undefined : look(subject);

function allowPrivilegeEscalation(subject: Subject): Finding | undefined {
  const wrong = containersOf(subject).filter(
    ({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false,
  );
  if (wrong.length === 0) return undefined;
  return {
    reason: 'allowPrivilegeEscalation != false',
    detail: `${containersNamed(namesOf(wrong))} must set securityContext.allowPrivilegeEscalation=false`,
  };
}

function capabilities(subject: Subject): Finding | undefined {
  const containers = containersOf(subject);
  const keeping = containers.filter(each => !each.securityContext?.capabilities?.drop?.includes('ALL'));
  const added = (each: (typeof containers)[number]) =>
    (each.securityContext?.capabilities?.add ?? []).filter(name => name !== 'NET_BIND_SERVICE');
  const adding = containers.filter(each => added(each).length > 0);
  const details = [
    ...(keeping.length > 0
      ? [`${containersNamed(namesOf(keeping))} must set securityContext.capabilities.drop=["ALL"]`]
      : []),
    ...(adding.length > 0
      ? [
          `${containersNamed(namesOf(adding))} must not include ${quoted(distinct(adding.flatMap(added)))} in securityContext.capabilities.add`,
        ]
      : []),
  ];
  return details.length > 0 ? { reason: 'unrestricted capabilities', detail: details.join('; ') } : undefined;
}

const FREE_VOLUMES = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
]);
/** Those that have a name in findings; what came later is called unknown. */
const NAMED_VOLUMES = new Set([
  'hostPath',
  'gcePersistentDisk',
  'awsElasticBlockStore',
  'gitRepo',
  'nfs',
  'iscsi',
  'glusterfs',
  'rbd',
  'flexVolume',
  'cinder',
  'cephfs',
  'flocker',
  'fc',
  'azureFile',
  'vsphereVolume',
  'quobyte',
  'azureDisk',
  'photonPersistentDisk',
  'portworxVolume',
  'scaleIO',
  'storageos',
]);

function volumes({ spec }: Subject): Finding | undefined {
  const wrong = (spec.volumes ?? []).filter(volume => !Object.keys(volume).some(name => FREE_VOLUMES.has(name)));
  if (wrong.length === 0) return undefined;
  const types = distinct(wrong.map(each => Object.keys(each).find(name => NAMED_VOLUMES.has(name)) ?? 'unknown'));
  const names = wrong.map(({ name }) => name);
  const verb = plural('uses', 'use', wrong.length);
  const what = plural('restricted volume type', 'restricted volume types', types.length);
  return {
    reason: 'restricted volume types',
    detail: `${plural('volume', 'volumes', wrong.length)} ${quoted(names)} ${verb} ${what} ${quoted(types)}`,
  };
}

function runAsNonRoot(subject: Subject): Finding | undefined {
  const reason = 'runAsNonRoot != true';
  const podSays = subject.spec.securityContext?.runAsNonRoot;
  const containers = containersOf(subject);
  const saying = (value: boolean | undefined) =>
    namesOf(containers.filter(({ securityContext }) => securityContext?.runAsNonRoot === value));
  const who = setters(podSays === false, saying(false));
  if (who !== '') return { reason, detail: `${who} must not set securityContext.runAsNonRoot=false` };
  const silent = podSays ? [] : saying(undefined);
  if (silent.length === 0) return undefined;
  return { reason, detail: `pod or ${containersNamed(silent)} must set securityContext.runAsNonRoot=true` };
}

function runAsUser(subject: Subject): Finding | undefined {
  const containers = containersOf(subject).filter(({ securityContext }) => securityContext?.runAsUser === 0);
  const who = setters(subject.spec.securityContext?.runAsUser === 0, namesOf(containers));
  return who === '' ? undefined : { reason: 'runAsUser=0', detail: `${who} must not set runAsUser=0` };
}

function seccomp(subject: Subject): Finding | undefined {
  const wrong = wrongSeccomp(subject);
  if (wrong || isSeccompType(subject.spec.securityContext?.seccompProfile?.type)) return wrong;
  const silent = namesOf(containersOf(subject).filter(each => !each.securityContext?.seccompProfile));
  if (silent.length === 0) return undefined;
  return {
    reason: 'seccompProfile',
    detail: `pod or ${containersNamed(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
  };
}

/** In the order of their identifiers. */
export const RESTRICTED: readonly Check[] = [
  {
    id: 'allowPrivilegeEscalation',
    versions: [since(8, allowPrivilegeEscalation), since(25, unlessWindows(allowPrivilegeEscalation))],
  },
  {
    id: 'capabilities_restricted',
    versions: [since(22, capabilities), since(25, unlessWindows(capabilities))],
    includes: ['capabilities_baseline'],
  },
  { id: 'restrictedVolumes', versions: [since(0, volumes)], includes: ['hostPathVolumes'] },
  { id: 'runAsNonRoot', versions: [since(0, runAsNonRoot)] },
  { id: 'runAsUser', versions: [since(23, runAsUser)] },
  {
    id: 'seccompProfile_restricted',
    versions: [since(19, seccomp), since(25, unlessWindows(seccomp))],
    includes: ['seccompProfile_baseline'],
  },
];
