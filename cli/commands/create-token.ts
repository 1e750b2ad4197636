/** `raftsman create token`: a token for a service account. */
import { ApiError } from '../../control/api/status.ts';
import { pathOf } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import { withSession } from '../client/session.ts';
import { objectPrinter } from '../output/objects.ts';
import { ClusterCommand, durationMs, list, withGlobalFlags } from './cluster-command.ts';
import { onlyName, type RegisterKind } from './create-kind.ts';

interface Flags {
  readonly audience?: readonly string[];
  readonly duration?: number;
  readonly boundObjectKind?: string;
  readonly boundObjectName?: string;
  readonly boundObjectUid?: string;
  readonly output?: string;
}

const BOUND_KINDS: Readonly<Record<string, string>> = { Pod: 'v1', Secret: 'v1', Node: 'v1' };

export const tokenKind: RegisterKind = (parent, context) => {
  const command = new ClusterCommand('token')
    .argument('[words...]')
    .usage('SERVICE_ACCOUNT_NAME [flags]')
    .description('Asks for a token of a service account.')
    .option('--audience <names>', 'for whom it is', list)
    .option('--duration <duration>', 'how long it is valid', durationMs)
    .option('--bound-object-kind <kind>', 'valid while this object is there: Pod, Secret or Node')
    .option('--bound-object-name <name>', 'its name')
    .option('--bound-object-uid <uid>', 'its uid')
    .option('-o, --output <format>', 'the whole answer: yaml, json, jsonpath=…')
    .addHelpText('after', '\nExamples:\n  raftsman create token builder --duration=10m')
    .action(
      withSession<Flags>(context, async (session, words, flags) => {
        const name = onlyName(words);
        const { boundObjectKind: kind, boundObjectName: boundName, boundObjectUid: uid } = flags;
        if (kind && BOUND_KINDS[kind] === undefined) {
          throw failure(`supported --bound-object-kind values are ${Object.keys(BOUND_KINDS).sort().join(', ')}`);
        }
        if (kind && !boundName) throw failure('--bound-object-name is required if --bound-object-kind is provided');
        if (!kind && boundName) throw failure('--bound-object-name can only be set if --bound-object-kind is provided');
        const resource = await session.discovery.find('serviceaccounts');
        const request = {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          metadata: {},
          spec: {
            audiences: flags.audience ?? null,
            expirationSeconds: flags.duration === undefined ? null : Math.floor(flags.duration / 1000),
            boundObjectRef: kind ? { apiVersion: BOUND_KINDS[kind], kind, name: boundName, ...(uid && { uid }) } : null,
          },
        };
        const answer = await session.api
          .json('POST', pathOf(resource, session.namespace, name, 'token'), { body: request })
          .catch(error => {
            if (!(error instanceof ApiError)) throw error;
            throw failure(`failed to create token: ${error.message}`, error);
          });
        if (flags.output) {
          session.context.stdout.write(
            objectPrinter(flags.output)({ objects: [{ resource, object: answer }], isList: false }),
          );
          return;
        }
        const isTerminal = 'isTTY' in session.context.stdout && session.context.stdout.isTTY === true;
        const { token = '' } = (answer.status ?? {}) as { token?: string };
        // A program that reads it wants the token alone.
        session.context.stdout.write(isTerminal ? `${token}\n` : token);
      }),
    );
  parent.addCommand(withGlobalFlags(command));
};
