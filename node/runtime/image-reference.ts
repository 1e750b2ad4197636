/**
 * Image names as people write them: `nginx`, `nginx:1.7.9`, `quay.io/a/b@sha256:…`. The short forms stand for Docker
 * Hub, as with every container tool (distribution/reference: the first part is a host if it has a dot or a colon or is
 * `localhost`; a bare name lies in `library/`; no tag and no digest means `latest`).
 */
export interface ImageReference {
  readonly registry: string;
  readonly repository: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

export class InvalidImageNameError extends Error {
  override readonly name = 'InvalidImageNameError';
  readonly code = 'RUNTIME_INVALID_IMAGE_NAME';
}

const pathComponent = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const tagPattern = /^\w[\w.-]{0,127}$/;
const digestPattern = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}$/;
const hostPattern = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::\d+)?$/;
const repositoryLengthMax = 255;

/** Reads a name. Throws {@link InvalidImageNameError} in the words of `docker pull`. */
export function parseImageReference(text: string): ImageReference {
  const [name, digest, ...extra] = text.split('@');
  if (name === undefined || extra.length > 0) throw invalid(text);
  if (digest !== undefined && !digestPattern.test(digest)) throw invalid(text);
  const slash = name.lastIndexOf('/');
  const colon = name.indexOf(':', slash + 1);
  const path = colon === -1 ? name : name.slice(0, colon);
  const tag = colon === -1 ? undefined : name.slice(colon + 1);
  if (tag !== undefined && !tagPattern.test(tag)) throw invalid(text);
  const { registry, repository } = splitRegistry(path);
  if (!hostPattern.test(registry) || repository.length > repositoryLengthMax) throw invalid(text);
  if (!repository.split('/').every(part => pathComponent.test(part))) throw invalid(text);
  return { registry, repository, tag: tag ?? (digest === undefined ? 'latest' : undefined), digest };
}

/** True if {@link parseImageReference} reads it, and it cannot be taken for an image's id. */
export function isImageReference(text: string): boolean {
  if (/^[a-f0-9]{64}$/.test(text)) return false;
  try {
    parseImageReference(text);
    return true;
  } catch {
    return false;
  }
}

/** The full name, for comparing: `docker.io/library/nginx:1.7.9`. */
export function formatImageReference(reference: ImageReference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
  return `${reference.registry}/${reference.repository}${tag}${digest}`;
}

function splitRegistry(path: string): { registry: string; repository: string } {
  const slash = path.indexOf('/');
  const first = slash === -1 ? '' : path.slice(0, slash);
  if (first === 'localhost' || first.includes('.') || first.includes(':')) {
    const rest = path.slice(slash + 1);
    if (first === 'docker.io' || first === 'index.docker.io') return { registry: 'docker.io', repository: hub(rest) };
    return { registry: first, repository: rest };
  }
  return { registry: 'docker.io', repository: hub(path) };
}

function hub(path: string): string {
  return path.includes('/') ? path : `library/${path}`;
}

function invalid(text: string): InvalidImageNameError {
  return new InvalidImageNameError(
    `couldn't parse image name ${JSON.stringify(text)}: invalid reference format (want [registry/]name[:tag][@digest], name in lower case)`,
  );
}
