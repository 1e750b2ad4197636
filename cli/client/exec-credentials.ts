/** Credentials from a program that the kubeconfig names (client.authentication.k8s.io, KEP-541). */
import { spawnSync } from 'node:child_process';
import { CommandError, failure } from './errors.ts';
import type { ExecEntry } from './kubeconfig-file.ts';

export interface ExecCredentials {
  readonly token: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** What the program gets to see. */
export interface PluginSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether it may ask a person. */
  readonly isTerminal: boolean;
}

/** As kubectl tells of all that goes wrong between it and the program. */
const refused = (text: string, cause?: unknown): CommandError =>
  new CommandError(`Unable to connect to the server: getting credentials: ${text}`, { cause });

const NOT_INSTALLED = `It looks like you are trying to use a client-go credential plugin that is not installed.

To learn more about this feature, consult the documentation available at:
      https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins`;

/** What Go says of text where an object belongs. */
const NO_OBJECT = `couldn't get version/kind; json parse error: json: cannot unmarshal string into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`;

const VERSIONS = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'];

/** Runs the program. @throws CommandError if it fails, or answers with something else. */
export function execCredentials(
  exec: ExecEntry,
  cluster: object,
  { env, isTerminal }: PluginSurroundings,
): ExecCredentials {
  const { apiVersion = '', command = '', args, env: own, installHint, interactiveMode, provideClusterInfo } = exec;
  if (!VERSIONS.includes(apiVersion)) throw failure(`exec plugin: invalid apiVersion ${JSON.stringify(apiVersion)}`);
  const isInteractive = interactiveMode !== 'Never' && isTerminal;
  if (interactiveMode === 'Always' && !isInteractive) {
    throw failure('exec plugin cannot support interactive mode: standard input is not a terminal');
  }
  const info = {
    apiVersion,
    kind: 'ExecCredential',
    spec: { interactive: isInteractive, ...(provideClusterInfo && { cluster }) },
  };
  const result = spawnSync(command, [...(args ?? [])], {
    encoding: 'utf8',
    stdio: [isInteractive ? 'inherit' : 'ignore', 'pipe', 'inherit'],
    env: {
      ...env,
      ...Object.fromEntries((own ?? []).map(({ name, value }) => [name, value])),
      KUBERNETES_EXEC_INFO: JSON.stringify(info),
    },
  });
  if (result.error) {
    throw refused(
      `exec: executable ${command} not found\n\n${NOT_INSTALLED}${installHint ? `\n\n${installHint}` : ''}`,
      result.error,
    );
  }
  if (result.status !== 0) {
    throw refused(`exec: executable ${command} failed with exit code ${result.status}`);
  }
  return credentialsOf(result.stdout, apiVersion);
}

function credentialsOf(text: string, apiVersion: string): ExecCredentials {
  let answer: {
    apiVersion?: string;
    kind?: string;
    status?: { token?: string; clientCertificateData?: string; clientKeyData?: string };
  };
  try {
    answer = JSON.parse(text);
  } catch (error) {
    throw refused(`decoding stdout: ${NO_OBJECT}`, error);
  }
  if (answer.kind !== 'ExecCredential' || answer.apiVersion !== apiVersion) {
    throw refused(
      `exec plugin is configured to use API version ${apiVersion}, plugin returned version ${answer.apiVersion ?? ''}`,
    );
  }
  const { token, clientCertificateData: cert, clientKeyData: key } = answer.status ?? {};
  if (!token && !(cert && key)) {
    throw refused("exec plugin didn't return a token or cert/key pair");
  }
  return { token, cert, key };
}
