/** Other images and other counts. */
import { failure } from '../client/errors.ts';
import { changeField } from './fields.ts';
import type { ImageEntry, ReplicasEntry } from './kustomization.ts';
import { identities, isObject, type Resource } from './resource.ts';

/** Changes the images of all containers, in whatever kind of object they stand. */
export function changeImages(resources: readonly Resource[], entries: readonly ImageEntry[]): void {
  for (const { object } of resources) for (const entry of entries) changeIn(object, entry);
}

function changeIn(node: unknown, entry: ImageEntry): void {
  if (Array.isArray(node)) for (const item of node) changeIn(item, entry);
  if (!isObject(node)) return;
  for (const [key, value] of Object.entries(node)) {
    if ((key === 'containers' || key === 'initContainers') && Array.isArray(value)) {
      for (const container of value.filter(isObject)) {
        if (typeof container.image === 'string') container.image = changedImage(container.image, entry);
      }
    }
    changeIn(value, entry);
  }
}

/** The image with what the entry says, if it has the entry's name. */
export function changedImage(image: string, { name, newName, newTag, tagSuffix, digest }: ImageEntry): string {
  const [, found = '', tag, hash] = /^(.*?)(?::([\w.{}-]*))?(?:@(sha256:[\w.{}-]*))?$/.exec(image) ?? [];
  if (found !== name) return image;
  const changes = newTag !== undefined || digest !== undefined;
  const nextTag = changes ? newTag : tagSuffix !== undefined && tag !== undefined ? `${tag}${tagSuffix}` : tag;
  const nextHash = changes ? digest : hash;
  return `${newName || found}${nextTag ? `:${nextTag}` : ''}${nextHash ? `@${nextHash}` : ''}`;
}

const SCALED = ['Deployment', 'StatefulSet', 'ReplicaSet', 'ReplicationController'];

/** @throws CommandError if there is nothing of that name that has replicas. */
export function changeReplicas(resources: readonly Resource[], { name, count }: ReplicasEntry): void {
  const meant = resources.filter(one =>
    identities(one).some(identity => SCALED.includes(identity.kind) && identity.name === name),
  );
  if (meant.length === 0) {
    const kinds = SCALED.map(kind => `${kind}.[noVer].[noGrp]`).join(' ');
    throw failure(`resource with name ${name} does not match a config with the following GVK [${kinds}]`);
  }
  for (const { object } of meant) changeField(object, { path: 'spec/replicas', create: true }, () => count);
}
