/** `raftsman auth can-i` and `auth whoami`: what the server thinks of who is asking. */
import type { Command } from 'commander';
import { CommandError, failure } from '../client/errors.ts';
import { type Session, withSession } from '../client/session.ts';
import { withWriteFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { objectPrinter, PLAIN_FORMATS } from '../output/objects.ts';
import { TableWriter } from '../output/tables.ts';
import { listAllowed, type ReconcileFlags, reconcile } from './auth-more.ts';
import { ClusterCommand, list, withGlobalFlags } from './cluster-command.ts';

interface CanFlags {
  readonly allNamespaces?: boolean;
  readonly quiet?: boolean;
  readonly subresource?: string;
  readonly list?: boolean;
  readonly headers: boolean;
}

export function register(program: Command, context: CommandContext): void {
  const auth = new ClusterCommand('auth')
    .summary('ask what one may do, and who one is')
    .description('Asks the server who one is to it, and what it allows.')
    .asGroup(context);
  auth.addCommand(
    withGlobalFlags(
      new ClusterCommand('can-i')
        .argument('[words...]')
        .usage('VERB [TYPE | TYPE/NAME | NONRESOURCEURL]')
        .summary('ask whether something is allowed')
        .description('Says yes or no; ends with 1 for no.')
        .option('-A, --all-namespaces', 'in all namespaces')
        .option('-q, --quiet', 'only set the exit code')
        .option('--list', 'show all that is allowed in the namespace')
        .option('--no-headers', 'with --list: leave out the header')
        .option('--subresource <name>', 'a part of the object, such as log')
        .addHelpText(
          'after',
          '\nExamples:\n  raftsman auth can-i create pods -n prod\n  raftsman auth can-i get /metrics',
        )
        .action(withSession<CanFlags>(context, canI)),
    ),
  );
  auth.addCommand(
    withGlobalFlags(
      new ClusterCommand('whoami')
        .argument('[words...]')
        .usage('[flags]')
        .summary('show who one is')
        .description('Shows the name and the groups that the server knows one by.')
        .option('-o, --output <format>', 'yaml, json, jsonpath=…')
        .addHelpText('after', '\nExamples:\n  raftsman auth whoami\n  raftsman auth whoami -o json')
        .action(withSession<{ readonly output?: string }>(context, whoAmI)),
    ),
  );
  auth.addCommand(
    withWriteFlags(
      withGlobalFlags(
        new ClusterCommand('reconcile')
          .argument('[words...]')
          .usage('-f FILENAME')
          .summary('make roles and bindings hold what files say')
          .description('Makes roles and bindings hold at least what files say. What they hold besides stays.')
          .option('-f, --filename <file>', 'a file, a folder, a URL, or - for standard input', list)
          .option('-k, --kustomize <folder>', 'the objects of a kustomization')
          .option('-R, --recursive', 'read folders within folders')
          .option('--remove-extra-permissions', 'what roles allow besides goes')
          .option('--remove-extra-subjects', 'who has them besides loses them')
          .addHelpText('after', '\nExamples:\n  raftsman auth reconcile -f roles.yaml')
          .action(withSession<ReconcileFlags>(context, reconcile)),
      ),
    ),
  );
  auth.addHelpText('after', '\nExamples:\n  raftsman auth can-i delete nodes\n  raftsman auth whoami');
  program.addCommand(auth);
}

async function canI(session: Session, words: readonly string[], flags: CanFlags): Promise<void> {
  if (flags.list) {
    if (words.length > 0) throw failure('list option must be specified with no arguments');
    return listAllowed(session, flags);
  }
  const [verb, what, ...more] = words;
  if (verb === undefined || what === undefined || more.length > 0) {
    throw new CommandError(
      "error: you must specify two arguments: verb resource or verb resource/resourceName.\nSee 'raftsman auth can-i -h' for help and examples.",
      { isUsage: true },
    );
  }
  const isPath = what.startsWith('/');
  if (isPath && flags.subresource !== undefined) throw failure('--subresource can not be used with NonResourceURL');
  const attributes = isPath
    ? { nonResourceAttributes: { verb, path: what } }
    : { resourceAttributes: await resourceAttributes(session, verb, [what], flags) };
  if (!isPath && !VERBS.has(verb)) session.error(`Warning: verb '${verb}' is not a known verb\n`);
  const { status } = await session.api.json<{ status?: { allowed?: boolean; reason?: string } }>(
    'POST',
    '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
    { body: { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec: attributes } },
  );
  const isAllowed = status?.allowed === true;
  const reason = !isAllowed && status?.reason ? ` - ${status.reason}` : '';
  if (!flags.quiet) session.print(`${isAllowed ? 'yes' : 'no'}${reason}`);
  if (!isAllowed) session.context.setExitCode(1);
}

/** Verbs that rules are made of; others are odd, but may be asked about. */
const VERBS: ReadonlySet<string> = new Set(
  'get list watch create update patch delete deletecollection use bind escalate impersonate * approve sign attest'.split(
    ' ',
  ),
);

async function resourceAttributes(
  session: Session,
  verb: string,
  [what = '', name]: readonly string[],
  flags: CanFlags,
) {
  const [type = '', slashed] = what.split('/');
  const found = type === '*' ? undefined : await session.discovery.find(type).catch(() => undefined);
  if (!found && type !== '*') {
    session.error(`Warning: the server doesn't have a resource type '${type}'\n`);
  } else if (found && !found.isNamespaced && !flags.allNamespaces) {
    session.error(
      `Warning: resource '${found.name}' is not namespace scoped${found.group ? ` in group '${found.group}'` : ''}\n`,
    );
  }
  return {
    verb,
    group: found?.group ?? '',
    resource: found?.name ?? type,
    ...(flags.allNamespaces ? {} : { namespace: session.namespace }),
    ...((slashed ?? name) && { name: slashed ?? name }),
    ...(flags.subresource && { subresource: flags.subresource }),
  };
}

async function whoAmI(session: Session, _words: readonly string[], flags: { readonly output?: string }): Promise<void> {
  const review = await session.api.json('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
  });
  if (flags.output) {
    const resource = await session.discovery.find('selfsubjectreviews');
    session.context.stdout.write(
      objectPrinter(flags.output, { allowed: PLAIN_FORMATS })({
        objects: [{ resource, object: review }],
        isList: false,
      }),
    );
    return;
  }
  const { userInfo } = (review.status ?? {}) as {
    userInfo?: { username?: string; uid?: string; groups?: string[]; extra?: Record<string, string[]> };
  };
  const rows = [
    ['ATTRIBUTE', 'VALUE'],
    ['Username', userInfo?.username ?? ''],
    ...(userInfo?.uid ? [['UID', userInfo.uid]] : []),
    ...(userInfo?.groups?.length ? [['Groups', `[${userInfo.groups.join(' ')}]`]] : []),
    ...Object.entries(userInfo?.extra ?? {})
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, values]) => [`Extra: ${key}`, `[${values.join(' ')}]`]),
  ];
  new TableWriter(line => session.print(line)).print(rows);
}
