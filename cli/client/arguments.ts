/** `pod a b`, `pod/a deploy/b`, `pods,svc`, `all`: what the words after a verb mean. */
import type { Discovery, Resource } from './discovery.ts';
import { CommandError, failure } from './errors.ts';

export interface Target {
  readonly resource: Resource;
  /** Undefined: all of the resource. */
  readonly name: string | undefined;
  /** Undefined: the session's. */
  readonly namespace?: string;
}

export interface Targets {
  readonly targets: readonly Target[];
  /** True if more than one resource was asked for, so that names must tell which. */
  readonly isMixed: boolean;
}

/**
 * Resolves words to targets.
 * @throws CommandError if there are none, or they mix the two forms.
 */
export async function resolveTargets(words: readonly string[], discovery: Discovery): Promise<Targets> {
  const [first, ...rest] = words;
  if (first === undefined)
    throw new CommandError(
      'You must specify the type of resource to get. Use "raftsman api-resources" for a complete list of supported resources.\n\nerror: Required resource not specified.\nUse "raftsman explain <resource>" for a detailed description of that resource (e.g. raftsman explain pods).\nSee \'raftsman get -h\' for help and examples',
    );
  if (words.some(word => word.includes('/'))) return resolveSlashed(words, discovery);
  const resources = await resolveTypes(first, discovery);
  const targets = resources.flatMap((resource): Target[] =>
    rest.length === 0 ? [{ resource, name: undefined }] : rest.map(name => ({ resource, name })),
  );
  return { targets, isMixed: resources.length > 1 };
}

async function resolveTypes(text: string, discovery: Discovery): Promise<Resource[]> {
  const resources: Resource[] = [];
  for (const word of text.split(',')) {
    resources.push(...((await discovery.category(word)) ?? [await discovery.find(word)]));
  }
  return resources;
}

async function resolveSlashed(words: readonly string[], discovery: Discovery): Promise<Targets> {
  const targets: Target[] = [];
  for (const word of words) {
    const parts = word.split('/');
    if (parts.length === 1) {
      throw failure(
        "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'",
      );
    }
    if (parts.length > 2) throw failure('arguments in resource/name form may not have more than one slash');
    const [type = '', name = ''] = parts;
    if (type === '' || name === '' || type.includes(',')) {
      throw failure('arguments in resource/name form must have a single resource and name');
    }
    targets.push({ resource: await discovery.find(type), name });
  }
  const kinds = new Set(targets.map(({ resource }) => `${resource.group}/${resource.name}`));
  return { targets, isMixed: kinds.size > 1 };
}
