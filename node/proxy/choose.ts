/** Which proxy a machine can have. */
import { type CommandResult, type RunCommand, runCommand } from '../runtime/command.ts';
import { createNftablesProxy } from './nftables/nftables.ts';
import type { ServiceProxy } from './proxy.ts';
import { createUserspaceProxy } from './userspace/userspace.ts';

export interface ChooseProxyOptions {
  readonly clusterId: string;
  readonly nodeName: string;
  readonly run?: RunCommand;
}

/** nftables where `nft` can make a table, else the forwarder; and a sentence on why. */
export async function chooseProxy(
  options: ChooseProxyOptions,
): Promise<{ readonly kind: 'nftables' | 'userspace'; readonly reason: string; readonly proxy: ServiceProxy }> {
  const run = options.run ?? runCommand;
  const trial = 'add table ip raftsman-trial\ndelete table ip raftsman-trial\n';
  const result: CommandResult = await run('nft', ['-f', '-'], { input: trial }).catch((error: unknown) => ({
    code: -1,
    stdout: '',
    stderr: error instanceof Error ? error.message : String(error),
  }));
  if (result.code === 0) return { kind: 'nftables', reason: 'nft works', proxy: createNftablesProxy(options) };
  return { kind: 'userspace', reason: result.stderr.trim(), proxy: createUserspaceProxy(options) };
}
