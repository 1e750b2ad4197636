/** `raftsman certificate approve` and `deny`: decides on requests for certificates. */
import type { Command } from 'commander';
import type { CertificateSigningRequest } from '../../control/api/generated/types.ts';
import { failure } from '../client/errors.ts';
import { forEachObject, objectPath, type SelectionFlags, selectedObjects } from '../client/objects.ts';
import { type Session, withSession } from '../client/session.ts';
import { printWritten, type WriteFlags } from '../client/write.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand, list, withGlobalFlags } from './cluster-command.ts';

interface Flags extends WriteFlags, SelectionFlags {
  readonly force?: boolean;
}

const DECISIONS = {
  approve: { type: 'Approved', reason: 'KubectlApprove', done: 'approved', verb: 'approve' },
  deny: { type: 'Denied', reason: 'KubectlDeny', done: 'denied', verb: 'deny' },
} as const;
type Decision = (typeof DECISIONS)[keyof typeof DECISIONS];

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('certificate')
    .summary('decide on requests for certificates')
    .description('Approves or denies requests for certificates.')
    .asGroup(context, true)
    .addHelpText('after', '\nExamples:\n  raftsman certificate approve csr-1');
  for (const [name, decision] of Object.entries(DECISIONS)) {
    const sub = new ClusterCommand(name)
      .argument('[words...]')
      .usage('(-f FILENAME | NAME)')
      .description(`${name === 'approve' ? 'Approves' : 'Denies'} requests for certificates.`)
      .option('-f, --filename <file>', 'the requests of this file', list)
      .option('-k, --kustomize <folder>', 'the objects of a kustomization')
      .option('-R, --recursive', 'read folders within folders')
      .option('--force', 'also where that was decided before')
      .option('-o, --output <format>', 'print the object: yaml, json, name, jsonpath=…')
      .addHelpText('after', `\nExamples:\n  raftsman certificate ${name} csr-1`)
      .action(withSession<Flags>(context, (session, words, flags) => decide(session, words, { flags, decision })));
    command.addCommand(withGlobalFlags(sub));
  }
  program.addCommand(command);
}

async function decide(
  session: Session,
  words: readonly string[],
  { flags, decision }: { readonly flags: Flags; readonly decision: Decision },
): Promise<void> {
  if (words.length === 0 && !flags.filename?.length) {
    throw failure('one or more CSRs must be specified as <name> or -f <filename>');
  }
  const named = words.map(word => (word.includes('/') ? word : `certificatesigningrequests/${word}`));
  await forEachObject(session, await selectedObjects(session, named, flags), async reference => {
    // It was read by its kind.
    const { status, ...request } = reference.object as unknown as CertificateSigningRequest;
    const conditions = status?.conditions ?? [];
    const isDecided = conditions.some(({ type }) => type === decision.type);
    if (isDecided && !flags.force) {
      printWritten(session, reference, decision.done, flags);
      return;
    }
    const other = conditions.find(({ type }) => type === 'Approved' || type === 'Denied');
    if (other && other.type !== decision.type) {
      throw failure(`certificate signing request ${JSON.stringify(reference.name)} is already ${other.type}`);
    }
    const now = `${new Date(session.context.clock.now()).toISOString().slice(0, 19)}Z`;
    const condition = {
      type: decision.type,
      status: 'True',
      reason: decision.reason,
      message: `This CSR was ${decision.done} by kubectl certificate ${decision.verb}.`,
      lastUpdateTime: now,
    };
    const object = await session.api.json('PUT', objectPath(reference, 'approval'), {
      body: {
        ...request,
        status: { ...status, conditions: [...conditions.filter(({ type }) => type !== decision.type), condition] },
      },
    });
    printWritten(session, { ...reference, object }, decision.done, flags);
  });
}
