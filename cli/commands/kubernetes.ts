/** The commands in kubectl's grammar: one line a command. Each is loaded only when it is the one that runs. */
import type { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { withGlobalFlags } from './cluster-command.ts';

type RegisterCommand = (program: Command, context: CommandContext) => void;
type Load = () => Promise<RegisterCommand>;

/** Commands that speak to any Kubernetes API through a kubeconfig, or that work on kubeconfigs. */
export const kubernetesCommands: Readonly<Record<string, Load>> = {
  get: async () => (await import('./get.ts')).register,
  history: async () => (await import('./history.ts')).register,
  describe: async () => (await import('./describe.ts')).register,
  explain: async () => (await import('./explain.ts')).register,
  logs: async () => (await import('./logs.ts')).register,
  exec: async () => (await import('./exec.ts')).register,
  attach: async () => (await import('./attach.ts')).register,
  debug: async () => (await import('./debug.ts')).register,
  cp: async () => (await import('./cp.ts')).register,
  'port-forward': async () => (await import('./port-forward.ts')).register,
  proxy: async () => (await import('./proxy.ts')).register,
  events: async () => (await import('./events.ts')).register,
  apply: async () => (await import('./apply.ts')).register,
  create: async () => (await import('./create.ts')).register,
  diff: async () => (await import('./diff.ts')).register,
  edit: async () => (await import('./edit.ts')).register,
  replace: async () => (await import('./replace.ts')).register,
  delete: async () => (await import('./delete.ts')).register,
  scale: async () => (await import('./scale.ts')).register,
  autoscale: async () => (await import('./autoscale.ts')).register,
  expose: async () => (await import('./expose.ts')).register,
  run: async () => (await import('./run.ts')).register,
  set: async () => (await import('./set.ts')).register,
  rollout: async () => (await import('./rollout.ts')).register,
  label: async () => (await import('./label.ts')).registerLabel,
  annotate: async () => (await import('./label.ts')).registerAnnotate,
  patch: async () => (await import('./patch.ts')).register,
  cordon: async () => (await import('./cordon.ts')).registerCordon,
  uncordon: async () => (await import('./cordon.ts')).registerUncordon,
  drain: async () => (await import('./drain.ts')).registerDrain,
  taint: async () => (await import('./taint.ts')).register,
  top: async () => (await import('./top.ts')).register,
  auth: async () => (await import('./auth.ts')).register,
  certificate: async () => (await import('./certificate.ts')).register,
  wait: async () => (await import('./wait.ts')).register,
  kustomize: async () => (await import('./kustomize.ts')).register,
  config: async () => (await import('./config.ts')).register,
  plugin: async () => (await import('./plugin.ts')).register,
  completion: async () => (await import('./completion.ts')).register,
  __complete: async () => (await import('./complete.ts')).register,
  'cluster-info': async () => (await import('./information.ts')).registerClusterInfo,
  'api-resources': async () => (await import('./information.ts')).registerApiResources,
  'api-versions': async () => (await import('./information.ts')).registerApiVersions,
  version: async () => (await import('./information.ts')).registerVersion,
  token: async () => (await import('./token.ts')).register,
  member: async () => (await import('./member.ts')).register,
  snapshot: async () => (await import('./snapshot.ts')).register,
  secrets: async () => (await import('./secrets.ts')).register,
};

/** The verb among the words of a command line; undefined if there is none. Flags may stand before it. */
export function verbOf(words: readonly string[]): string | undefined {
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    if (!word.startsWith('-')) return word;
    if (VALUED.has(word)) index++;
  }
  return undefined;
}

/** Flags before the verb whose value is the next word. */
const VALUED: ReadonlySet<string> = new Set([
  '-n',
  '-s',
  '-v',
  '--as',
  '--as-group',
  '--as-uid',
  '--cache-dir',
  '--certificate-authority',
  '--client-certificate',
  '--client-key',
  '--cluster',
  '--context',
  '--kubeconfig',
  '--namespace',
  '--password',
  '--profile',
  '--profile-output',
  '--request-timeout',
  '--server',
  '--tls-server-name',
  '--token',
  '--user',
  '--username',
  '--v',
]);

/** Adds the command that the words name, or all of them where help is asked for, or none is known by that name. */
export async function registerClusterCommands(
  program: Command,
  context: CommandContext,
  words: readonly string[],
): Promise<void> {
  // Flags may stand before the verb as well.
  withGlobalFlags(program);
  const verb = ALIASES[verbOf(words) ?? ''] ?? verbOf(words);
  const load = verb !== undefined && Object.hasOwn(kubernetesCommands, verb) ? kubernetesCommands[verb] : undefined;
  // `plugin` tells which plugins have the names of commands.
  const loads = load && verb !== 'plugin' ? [load] : Object.values(kubernetesCommands);
  for (const register of await Promise.all(loads.map(each => each()))) register(program, context);
}

/** Other names of commands. */
const ALIASES: Readonly<Record<string, string>> = {
  clusterinfo: 'cluster-info',
  apiversions: 'api-versions',
  log: 'logs',
};
