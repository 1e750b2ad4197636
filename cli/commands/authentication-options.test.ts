/** The flags of authentication: which go together, and what becomes of them. */
import test from 'ava';
import { Command } from 'commander';
import {
  type AuthenticationOptionFlags,
  addAuthenticationOptions,
  authenticationOf,
} from './authentication-options.ts';

function flagsOf(...args: string[]) {
  const command = addAuthenticationOptions(new Command())
    .exitOverride()
    .configureOutput({ writeErr() {} });
  command.parse(args, { from: 'user' });
  return authenticationOf(command.opts<AuthenticationOptionFlags>());
}

test('a file of issuers and flags of one exclude each other', t => {
  t.is(flagsOf('--authentication-config', 'a.yaml').configurationFile, 'a.yaml');
  t.is(flagsOf().configurationFile, undefined);
  for (const flag of ['--oidc-issuer-url', '--oidc-ca-file', '--oidc-groups-claim']) {
    t.throws(() => flagsOf('--authentication-config', 'a.yaml', flag, 'x'), {
      message: `--authentication-config and ${flag} exclude each other: the file names all issuers, under jwt`,
    });
  }
  t.throws(() => flagsOf('--authentication-config', 'a.yaml', '--oidc-required-claim', 'a=b'), {
    message: /^--authentication-config and --oidc-required-claim exclude/,
  });
});

test('how long unused tokens stay', t => {
  const flag = '--legacy-service-account-token-clean-up-period';
  t.is(flagsOf().legacyTokenUnusedMs, undefined);
  t.is(flagsOf(flag, '48h').legacyTokenUnusedMs, 48 * 3_600_000);
  t.throws(() => flagsOf(flag, '0s'), { message: /must be more than 0/ });
  t.throws(() => flagsOf(flag, 'soon'), { message: /must be a time such as 40s/ });
});
