/** `raftsman create quota`, `poddisruptionbudget`, `priorityclass`, `ingress`. */
import type { JsonObject } from '../client/api.ts';
import { failure } from '../client/errors.ts';
import { integer, list, repeated } from './cluster-command.ts';
import { kind, onlyName, type RegisterKind } from './create-kind.ts';

interface QuotaFlags {
  readonly hard?: string;
  readonly scopes?: readonly string[];
}

/** `cpu=1,pods=2` */
function pairsOf(text: string): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const pair of text.split(',').filter(part => part !== '')) {
    const [key = '', value, ...more] = pair.split('=');
    if (key === '' || value === undefined || more.length > 0) {
      throw failure(`Invalid argument syntax ${pair}, expected <resource>=<value>`);
    }
    pairs[key] = value;
  }
  return pairs;
}

const quota = kind<QuotaFlags>({
  name: 'quota',
  aliases: ['resourcequota'],
  usage: 'NAME [--hard=key1=value1,key2=value2] [--scopes=Scope1,Scope2]',
  description: 'Creates a quota.',
  example: 'raftsman create quota team --hard=cpu=8,memory=16Gi,pods=20',
  flags: command =>
    command.option('--hard <pairs>', 'what may be used at most').option('--scopes <scopes>', 'what is counted', list),
  build: (words, flags) => ({
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name: onlyName(words) },
    spec: {
      ...(flags.hard && { hard: pairsOf(flags.hard) }),
      ...(flags.scopes && { scopes: flags.scopes }),
    },
  }),
});

interface BudgetFlags {
  readonly selector?: string;
  readonly minAvailable?: string;
  readonly maxUnavailable?: string;
}

const numberOrPercent = (text: string) => (/^\d+$/.test(text) ? Number(text) : text);

const budget = kind<BudgetFlags>({
  name: 'poddisruptionbudget',
  aliases: ['pdb'],
  usage: 'NAME --selector=SELECTOR --min-available=N',
  description: 'Creates a disruption budget.',
  example: 'raftsman create pdb web --selector=app=web --min-available=50%',
  flags: command =>
    command
      .option('--selector <labels>', 'the pods’ labels')
      .option('--min-available <number>', 'how many stay, or which part: 50%')
      .option('--max-unavailable <number>', 'how many may go, or which part: 50%'),
  build: (words, { selector, minAvailable, maxUnavailable }) => {
    const name = onlyName(words);
    if (!selector) throw failure('a selector must be specified');
    if (minAvailable === undefined && maxUnavailable === undefined) {
      throw failure('one of min-available or max-unavailable must be specified');
    }
    if (minAvailable !== undefined && maxUnavailable !== undefined) {
      throw failure('min-available and max-unavailable cannot be both specified');
    }
    return {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name },
      spec: {
        ...(minAvailable !== undefined && { minAvailable: numberOrPercent(minAvailable) }),
        ...(maxUnavailable !== undefined && { maxUnavailable: numberOrPercent(maxUnavailable) }),
        selector: { matchLabels: pairsOf(selector) },
      },
    };
  },
});

interface PriorityFlags {
  readonly value?: number;
  readonly globalDefault?: boolean;
  readonly description?: string;
  readonly preemptionPolicy: string;
}

const priorityClass = kind<PriorityFlags>({
  name: 'priorityclass',
  aliases: ['pc'],
  usage: 'NAME --value=VALUE --global-default=BOOL',
  description: 'Creates a priority class.',
  example: 'raftsman create priorityclass urgent --value=1000 --description="before all else"',
  flags: command =>
    command
      .option('--value <number>', 'the priority', integer)
      .option('--global-default', 'of pods that name no class')
      .option('--description <text>', 'what it is for')
      .option('--preemption-policy <policy>', 'PreemptLowerPriority or Never', 'PreemptLowerPriority'),
  build: (words, flags) => ({
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name: onlyName(words) },
    value: flags.value ?? 0,
    ...(flags.globalDefault && { globalDefault: true }),
    ...(flags.description && { description: flags.description }),
    preemptionPolicy: flags.preemptionPolicy,
  }),
});

interface IngressFlags {
  readonly class?: string;
  readonly rule?: readonly string[];
  readonly annotation?: readonly string[];
  readonly defaultBackend?: string;
}

const ingress = kind<IngressFlags>({
  name: 'ingress',
  aliases: ['ing'],
  usage: 'NAME --rule=host/path=service:port[,tls[=secret]]',
  description: 'Creates an ingress.',
  example: 'raftsman create ingress web --rule="web.example.com/*=web:80,tls=web-cert" --class=nginx',
  flags: command =>
    command
      .option('--class <name>', 'the ingress class')
      .option('--rule <rule>', 'host/path=service:port[,tls[=secret]] (repeatable)', repeated)
      .option('--annotation <key=value>', 'an annotation (repeatable)', repeated)
      .option('--default-backend <service:port>', 'where all else leads'),
  build: (words, flags) => {
    const name = onlyName(words);
    if (!flags.rule?.length && !flags.defaultBackend) {
      throw failure(
        'not enough information provided: every ingress has to either specify a default-backend (which catches all traffic) or a list of rules (which catch specific paths)',
      );
    }
    const rules = (flags.rule ?? []).map(parseRule);
    const hosts = [...new Set(rules.map(({ host }) => host))];
    const tls = rules.filter(({ secret }) => secret !== undefined);
    return {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: {
        name,
        ...(flags.annotation && { annotations: pairsOf(flags.annotation.join(',')) }),
      },
      spec: {
        ...(flags.class && { ingressClassName: flags.class }),
        ...(flags.defaultBackend && { defaultBackend: backendOf(flags.defaultBackend) }),
        ...(rules.length > 0 && {
          rules: hosts.map(host => ({
            ...(host && { host }),
            http: { paths: rules.filter(rule => rule.host === host).map(({ path }) => path) },
          })),
        }),
        ...(tls.length > 0 && {
          tls: tls.map(({ host, secret }) => ({
            ...(host && { hosts: [host] }),
            ...(secret && { secretName: secret }),
          })),
        }),
      },
    };
  },
});

function parseRule(text: string): { host: string; path: JsonObject; secret: string | undefined } {
  const match = /^([^/=]*)(\/[^=]*)=([^,:]+:[^,:]+)(?:,(tls)(?:=(.*))?)?$/.exec(text);
  if (!match) throw failure(`rule ${text} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]`);
  const [, host = '', path = '/', backend = '', tls, secret = ''] = match;
  const isPrefix = path.endsWith('*');
  return {
    host,
    path: {
      backend: backendOf(backend),
      path: isPrefix ? path.slice(0, -1) : path,
      pathType: isPrefix ? 'Prefix' : 'Exact',
    },
    secret: tls ? secret : undefined,
  };
}

function backendOf(text: string): JsonObject {
  const [name = '', port = ''] = text.split(':');
  return { service: { name, port: /^\d+$/.test(port) ? { number: Number(port) } : { name: port } } };
}

export const policyKinds: readonly RegisterKind[] = [budget, ingress, priorityClass, quota];
