/** What each sub-command of `set` changes. One entry a sub-command. */
import type { Container, EnvVar, PodSpec } from '../../control/api/generated/types.ts';
import type { JsonObject } from '../client/api.ts';
import { resolveTargets } from '../client/arguments.ts';
import { pathOf } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import { metadataOf, type ObjectReference } from '../client/objects.ts';
import type { Session } from '../client/session.ts';
import { type SubjectFlags, subjectsOf } from '../client/subjects.ts';
import { templateSpecOf } from '../client/templates.ts';
import { list, ownOption, repeated } from './cluster-command.ts';
import { labelMap } from './expose.ts';
import type { SetCommand, SetFlags } from './set.ts';

function split(words: readonly string[], isPair: (word: string) => boolean) {
  return { words: words.filter(word => !isPair(word)), pairs: words.filter(isPair) };
}

const splitPair = (pair: string): [string, string] => {
  const equals = pair.indexOf('=');
  return [pair.slice(0, equals), pair.slice(equals + 1)];
};

/** The pod's specification in an object, to be changed in place. */
function specOf(object: JsonObject, { resource, name }: ObjectReference): PodSpec {
  const spec = templateSpecOf(object);
  if (!spec) {
    const type = `*${resource.version}.${resource.kind}`;
    throw failure(`${resource.name}/${name} the object is not a pod or does not have a pod template: ${type}`);
  }
  return spec as unknown as PodSpec; // templates hold nothing else there
}

/** `*`, `web`, `web-*` */
function matcher(pattern: string): (name: string) => boolean {
  const text = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  const expression = new RegExp(`^${text}$`);
  return name => expression.test(name);
}

const image: SetCommand = {
  name: 'image',
  usage: '(-f FILENAME | TYPE NAME) CONTAINER_NAME_1=CONTAINER_IMAGE_1 ... [flags]',
  description: 'Set the images of containers; * means all containers.',
  example: 'raftsman set image deployment/web nginx=nginx:1.27\n  raftsman set image daemonset/agent *=agent:2',
  done: 'image updated',
  isRecordable: true,
  failed: 'failed to patch image update to pod template:',
  async plan(session, given) {
    const { words, pairs } = split(given, word => word.includes('='));
    const images = pairs.map(splitPair);
    return {
      words,
      mistake: pairs.length === 0 ? 'at least one image update is required' : undefined,
      change(object, reference) {
        const spec = specOf(object, reference);
        const containers = [...(spec.containers ?? []), ...(spec.initContainers ?? [])];
        const missing: string[] = [];
        for (const [name, value] of images) {
          const found = containers.filter(container => name === '*' || container.name === name);
          if (found.length === 0) missing.push(name);
          for (const container of found) container.image = value;
        }
        if (missing.length === images.length) throw missingContainers(missing);
        if (missing.length > 0) {
          // The others are changed all the same.
          session.error(missingContainers(missing).message);
          session.context.setExitCode(1);
        }
        return object;
      },
    };
  },
};

const missingContainers = (names: readonly string[]) =>
  failure(names.map(name => `unable to find container named ${JSON.stringify(name)}`).join('\nerror: '));

interface EnvFlags extends SetFlags {
  readonly containers: string;
  readonly list?: boolean;
  readonly resolve?: boolean;
  readonly from?: string;
  readonly prefix?: string;
  readonly keys?: readonly string[];
  readonly overwrite: boolean;
  readonly env?: readonly string[];
}

const env: SetCommand = {
  name: 'env',
  usage: 'TYPE/NAME KEY_1=VAL_1 ... KEY_N- [--from=TYPE/NAME] [--list] [flags]',
  description: 'Set, remove and list environment variables of containers.',
  example:
    'raftsman set env deployment/web MODE=fast DEBUG-\n  raftsman set env deployment/web --from=secret/login\n  raftsman set env deployment/web --list',
  done: 'env updated',
  failed: 'failed to patch env update to pod template:',
  flags: command =>
    command
      .option('-c, --containers <names>', 'only containers of these names; * stands for anything', '*')
      .option('-e, --env <key=value>', 'a variable (repeatable)', repeated)
      .option('--list', 'show the variables')
      .option('--resolve', 'of no effect: with --list references are shown, not what they lead to')
      .option('--from <type/name>', 'a config map or secret whose keys become variables')
      .option('--prefix <text>', 'with --from: before each name')
      .option('--keys <keys>', 'with --from: only these keys', list)
      .option('--overwrite', 'change variables that are set already', true),
  async plan(session, given, flags) {
    const own = flags as EnvFlags; // its own flags, declared above
    const { words: named, pairs } = split(given, word => word.includes('=') || /^\w[\w.-]*-$/.test(word));
    const isMine = matcher(own.containers);
    // A dash stands for variables on standard input, a line each.
    const words = named.filter(word => word !== '-');
    if (words.length < named.length) pairs.push(...(await variablesOnStdin(session)));
    if (own.list) {
      return { words, change: (object, reference) => void listVariables(session, object, { reference, isMine }) };
    }
    const changes = [...pairs, ...(own.env ?? [])];
    const added = own.from === undefined ? [] : await variablesFrom(session, own.from, own);
    if (words.length === 0 && !own.filename?.length) {
      throw failure('one or more resources must be specified as <resource> <name> or <resource>/<name>');
    }
    const removed = new Set(changes.filter(change => !change.includes('=')).map(change => change.slice(0, -1)));
    const set = [
      ...changes
        .filter(change => change.includes('='))
        .map(splitPair)
        .map(([name, value]) => ({ name, value })),
      ...added,
    ];
    return {
      words,
      mistake:
        changes.length === 0 && added.length === 0 ? 'at least one environment variable must be provided' : undefined,
      change(object, reference) {
        const containers = containersOf(specOf(object, reference)).filter(({ name }) => isMine(name));
        if (containers.length === 0) {
          session.error(
            `Warning: ${reference.resource.kind}/${reference.name} does not have any containers matching ${JSON.stringify(own.containers)}`,
          );
        }
        for (const container of containers)
          container.env = changedVariables(container.env ?? [], set, { removed, own });
        return object;
      },
    };
  },
};

/** Variables belong to init containers as well. */
const containersOf = (spec: PodSpec): readonly Container[] => [
  ...(spec.initContainers ?? []),
  ...(spec.containers ?? []),
];

async function variablesOnStdin(session: Session): Promise<string[]> {
  let text = '';
  for await (const chunk of session.context.stdin) text += String(chunk);
  return text.split('\n').filter(line => line.trim() !== '' && !line.startsWith('#'));
}

function changedVariables(
  before: readonly EnvVar[],
  set: readonly EnvVar[],
  { removed, own }: { readonly removed: ReadonlySet<string>; readonly own: EnvFlags },
): EnvVar[] {
  const after = before.filter(({ name }) => !removed.has(name));
  for (const variable of set) {
    const index = after.findIndex(({ name }) => name === variable.name);
    if (index >= 0 && !own.overwrite) throw failure(`${variable.name} already has a value, and --overwrite is false`);
    if (index >= 0) after[index] = variable;
    else after.push(variable);
  }
  return after;
}

/** Variables that refer to the keys of a config map or secret. */
async function variablesFrom(session: Session, from: string, flags: EnvFlags): Promise<EnvVar[]> {
  const { targets } = await resolveTargets([from], session.discovery);
  const [target] = targets;
  const kind = target?.resource.kind;
  if (!target?.name || (kind !== 'ConfigMap' && kind !== 'Secret')) {
    throw failure('unsupported resource specified in --from');
  }
  const { data = {} } = await session.api.json<{ data?: Record<string, string> }>(
    'GET',
    pathOf(target.resource, session.namespace, target.name),
  );
  const keys = Object.keys(data)
    .filter(key => !flags.keys || flags.keys.includes(key))
    .sort();
  return keys.map(key => {
    const upper = key.toUpperCase().replaceAll(/[^A-Z0-9_]/g, '_');
    if (upper !== key) session.error(`Warning: key ${key} transferred to ${upper}`);
    const reference = { name: target.name ?? '', key };
    return {
      name: `${flags.prefix ?? ''}${upper}`,
      valueFrom: kind === 'Secret' ? { secretKeyRef: reference } : { configMapKeyRef: reference },
    };
  });
}

function listVariables(
  session: Session,
  object: JsonObject,
  { reference, isMine }: { readonly reference: ObjectReference; readonly isMine: (name: string) => boolean },
): void {
  const { containers, initContainers = [] } = specOf(object, reference);
  for (const { name, env: variables } of [...(containers ?? []), ...initContainers]) {
    if (!isMine(name)) continue;
    session.print(
      `# ${String(object.kind)} ${reference.name}, container ${name}`.replace(
        /^# (\w)/,
        (_, first: string) => `# ${first.toUpperCase()}`,
      ),
    );
    for (const variable of variables ?? []) session.print(variableLine(variable));
  }
}

function variableLine({ name, value, valueFrom }: EnvVar): string {
  if (valueFrom?.configMapKeyRef) {
    return `# ${name} from configmap ${valueFrom.configMapKeyRef.name}, key ${valueFrom.configMapKeyRef.key}`;
  }
  if (valueFrom?.secretKeyRef) {
    return `# ${name} from secret ${valueFrom.secretKeyRef.name}, key ${valueFrom.secretKeyRef.key}`;
  }
  if (valueFrom?.fieldRef) return `# ${name} from field path ${valueFrom.fieldRef.fieldPath}`;
  if (valueFrom?.resourceFieldRef) return `# ${name} from resource ${valueFrom.resourceFieldRef.resource}`;
  return `${name}=${value ?? ''}`;
}

interface ResourceFlags extends SetFlags {
  readonly containers: string;
  readonly limits?: string;
  readonly requests?: string;
}

const resources: SetCommand = {
  name: 'resources',
  usage: '(-f FILENAME | TYPE NAME) ([--limits=LIMITS] [--requests=REQUESTS]) [flags]',
  description: 'Set how much of a node containers ask for and may use.',
  example:
    'raftsman set resources deployment/web --limits=cpu=200m,memory=512Mi --requests=cpu=100m\n  raftsman set resources deployment/web --limits=cpu=0',
  done: 'resource requirements updated',
  isRecordable: true,
  failed: 'failed to patch resources update to pod template',
  flags: command =>
    command
      .option('-c, --containers <names>', 'only containers of these names; * stands for anything', '*')
      .option('--limits <amounts>', 'what may be used at most')
      .option('--requests <amounts>', 'what is asked for'),
  async plan(_session, words, flags) {
    const { containers, limits, requests } = flags as ResourceFlags; // its own flags, declared above
    const isMine = matcher(containers);
    return {
      words,
      mistake:
        limits === undefined && requests === undefined
          ? 'you must specify an update to requests or limits (in the form of --requests/--limits)'
          : undefined,
      change(object, reference) {
        const found = (specOf(object, reference).containers ?? []).filter(({ name }) => isMine(name));
        if (found.length === 0) throw failure(`unable to find container named ${containers}`);
        for (const container of found) setAmounts(container, { limits, requests });
        return object;
      },
    };
  },
};

/** As Go prints what is wrong with an amount. */
const AMOUNT = /^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$/;

/** @throws CommandError for what is no list of amounts. */
function amountsOf(text: string): Record<string, string> {
  for (const pair of text.split(',')) {
    const [name, amount, ...more] = pair.split('=');
    if (!name || amount === undefined || more.length > 0) {
      throw failure(`Invalid argument syntax ${pair}, expected <resource>=<value>`);
    }
    if (!AMOUNT.test(amount)) throw failure(`quantities must match the regular expression '${AMOUNT.source}'`);
  }
  return labelMap(text);
}

function setAmounts(container: Container, given: { limits: string | undefined; requests: string | undefined }): void {
  const next: Record<string, Record<string, string>> = {};
  for (const field of ['limits', 'requests'] as const) {
    const amounts = { ...container.resources?.[field] } as Record<string, string>;
    for (const [name, amount] of Object.entries(given[field] === undefined ? {} : amountsOf(given[field]))) {
      amounts[name] = amount;
    }
    if (Object.keys(amounts).length > 0) next[field] = amounts;
  }
  container.resources = { ...container.resources, limits: undefined, requests: undefined, ...next } as NonNullable<
    Container['resources']
  >; // as JSON has it: undefined is absent
  for (const field of ['limits', 'requests'] as const) {
    if (container.resources?.[field] === undefined) delete container.resources?.[field];
  }
}

const serviceAccount: SetCommand = {
  name: 'serviceaccount',
  aliases: ['sa'],
  usage: '(-f FILENAME | TYPE NAME) SERVICE_ACCOUNT [flags]',
  description: 'Set the service account of pods.',
  example: 'raftsman set serviceaccount deployment/web builder',
  done: 'serviceaccount updated',
  isRecordable: true,
  isAlwaysTold: true,
  failed: 'failed to patch ServiceAccountName',
  async plan(_session, given) {
    const name = given.at(-1);
    if (name === undefined) throw failure('serviceaccount is required');
    return {
      words: given.slice(0, -1),
      change(object, reference) {
        specOf(object, reference).serviceAccountName = name;
        return object;
      },
    };
  },
};

const selector: SetCommand = {
  name: 'selector',
  usage: '(-f FILENAME | TYPE NAME) EXPRESSIONS [flags]',
  description: 'Set the selector of a service.',
  example: "raftsman set selector service/web 'app=web,tier=front'",
  done: 'selector updated',
  isRecordable: true,
  isAlwaysTold: true,
  flags: command => command.option('--resource-version <version>', 'only if the object is still at this version'),
  async plan(_session, given, { resourceVersion }) {
    const { words: named, pairs } = split(given, word => word.includes('='));
    // Without a selector the last word is taken for it.
    const words = pairs.length === 0 ? named.slice(0, -1) : named;
    const [pair, ...more] = pairs;
    if (given.length === 0) throw failure('one selector is required');
    if (pair === undefined) {
      return { words, mistake: 'one selector is required', change: () => undefined };
    }
    if (more.length > 0) throw failure('one selector is required');
    const wanted = labelMap(pair);
    return {
      words,
      change(object, { resource }) {
        if (resource.kind !== 'Service') throw failure('setting a selector is only supported for Services');
        const spec = { ...(object.spec as JsonObject | undefined) };
        const metadata = { ...metadataOf(object), ...(resourceVersion && { resourceVersion }) };
        return { ...object, metadata, spec: { ...spec, selector: wanted } };
      },
    };
  },
};

const subject: SetCommand = {
  name: 'subject',
  usage: '(-f FILENAME | TYPE NAME) [--user=username] [--group=groupname] [--serviceaccount=namespace:name]',
  description: 'Add who has a role to its binding.',
  example: 'raftsman set subject rolebinding readers --user=ann --group=team-a',
  done: 'subjects updated',
  failed: 'failed to patch subjects to rolebinding:',
  flags: command =>
    command
      .addOption(ownOption('--user <names>', 'users', { attribute: 'subjectUsers', parse: list }))
      .option('--group <names>', 'groups', list)
      .option('--serviceaccount <namespace:name>', 'service accounts', list),
  async plan(_session, words, flags) {
    const added = subjectsOf(flags as SetFlags & SubjectFlags); // its own flags, declared above
    return {
      words,
      mistake: added.length === 0 ? 'you must specify at least one value of user, group or serviceaccount' : undefined,
      change(object, { resource }) {
        if (!['RoleBinding', 'ClusterRoleBinding'].includes(resource.kind)) {
          throw failure('setting subjects is only supported for RoleBinding/ClusterRoleBinding');
        }
        const subjects = (object.subjects ?? []) as JsonObject[];
        const isThere = (one: JsonObject) =>
          subjects.some(
            other => other.kind === one.kind && other.name === one.name && other.namespace === one.namespace,
          );
        return { ...object, subjects: [...subjects, ...added.filter(one => !isThere(one))] };
      },
    };
  },
};

export const setChanges: readonly SetCommand[] = [image, env, resources, serviceAccount, selector, subject];
