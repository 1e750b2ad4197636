/** The commands in kubectl's grammar: one line a command. */
import type { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { register as apply } from './apply.ts';
import { register as attach } from './attach.ts';
import { register as auth } from './auth.ts';
import { ClusterCommand, withGlobalFlags } from './cluster-command.ts';
import { register as cp } from './cp.ts';
import { register as create } from './create.ts';
import { register as remove } from './delete.ts';
import { register as describe } from './describe.ts';
import { register as events } from './events.ts';
import { register as exec } from './exec.ts';
import { register as explain } from './explain.ts';
import { register as expose } from './expose.ts';
import { register as get } from './get.ts';
import { registerApiResources, registerApiVersions, registerClusterInfo, registerVersion } from './information.ts';
import { registerAnnotate, registerLabel } from './label.ts';
import { register as logs } from './logs.ts';
import { register as member } from './member.ts';
import { registerCordon, registerDrain } from './nodes.ts';
import { register as patch } from './patch.ts';
import { register as replace } from './replace.ts';
import { register as rollout } from './rollout.ts';
import { register as run } from './run.ts';
import { register as scale } from './scale.ts';
import { register as secrets } from './secrets.ts';
import { register as set } from './set.ts';
import { register as snapshot } from './snapshot.ts';
import { register as taint } from './taint.ts';
import { register as token } from './token.ts';
import { register as wait } from './wait.ts';

type RegisterCommand = (program: Command, context: CommandContext) => void;

/** Commands that speak to any Kubernetes API through a kubeconfig. */
export const kubernetesCommands: readonly RegisterCommand[] = [
  get,
  describe,
  explain,
  logs,
  exec,
  attach,
  cp,
  events,
  apply,
  create,
  replace,
  remove,
  scale,
  expose,
  run,
  set,
  rollout,
  registerLabel,
  registerAnnotate,
  patch,
  registerCordon,
  registerDrain,
  taint,
  auth,
  wait,
  registerClusterInfo,
  registerApiResources,
  registerApiVersions,
  registerVersion,
  token,
  member,
  snapshot,
  secrets,
];

/** What kubectl can do and this program cannot yet. */
const NOT_YET = [
  'autoscale',
  'certificate',
  'config',
  'debug',
  'diff',
  'edit',
  'kustomize',
  'port-forward',
  'proxy',
  'top',
];

/** Adds all of them; a verb that is not there yet says so. */
export function registerClusterCommands(program: Command, context: CommandContext): void {
  // Flags may stand before the verb as well.
  withGlobalFlags(program);
  for (const register of kubernetesCommands) register(program, context);
  for (const name of NOT_YET) {
    const command = new ClusterCommand(name).argument('[words...]').allowUnknownOption().helpOption(false);
    command.action(() => {
      context.stderr.write(`error: raftsman has no "${name}" yet: use kubectl ${name} with the same kubeconfig\n`);
      context.setExitCode(1);
    });
    program.addCommand(command, { hidden: true });
  }
}
