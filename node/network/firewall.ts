/** Puts the rules of `rules.ts` into the kernel: nftables where it works, else iptables. */
import { commandExists, mustRun, type RunCommand } from '../runtime/command.ts';
import { iptablesWaitSeconds } from './limits.ts';
import type { NetworkNames } from './names.ts';
import { NetworkUnavailableError } from './network.ts';
import { forwardRules, type IptablesRule, iptablesRules, nftScript, ownRulesIn, type PodRanges } from './rules.ts';

const iptablesChains = [
  ['filter', 'FORWARD'],
  ['filter', 'OUTPUT'],
  ['nat', 'POSTROUTING'],
] as const;

export class Firewall {
  readonly #run: RunCommand;
  readonly #names: NetworkNames;

  constructor(run: RunCommand, names: NetworkNames) {
    this.#run = run;
    this.#names = names;
  }

  /** Idempotent. Throws {@link NetworkUnavailableError} if the machine has neither program. */
  async apply(ranges: PodRanges): Promise<void> {
    if (await commandExists(this.#run, 'nft', ['list', 'tables'])) {
      await mustRun(this.#run, 'nft', ['-f', '-'], { input: nftScript(this.#names, ranges) });
    } else if (await this.#hasIptables()) {
      await this.#removeIptables();
      for (const rule of iptablesRules(this.#names, ranges)) await this.#ensure(rule);
    } else {
      throw new NetworkUnavailableError('neither nft nor iptables works: install nftables');
    }
    await this.ensureForwarding();
  }

  /** Docker may start later than we and close the chain then, so this is repeated. */
  async ensureForwarding(): Promise<void> {
    if (!(await this.#forwardingIsClosed())) return;
    for (const rule of forwardRules(this.#names)) await this.#ensure(rule);
  }

  async remove(): Promise<void> {
    if (await commandExists(this.#run, 'nft', ['list', 'tables'])) {
      // Adding first makes the deletion succeed whether or not the table was there.
      const { table } = this.#names;
      await mustRun(this.#run, 'nft', ['-f', '-'], { input: `table ip ${table}\ndelete table ip ${table}\n` });
    }
    if (await this.#hasIptables()) await this.#removeIptables();
  }

  #iptables(table: string, args: readonly string[]): Promise<{ code: number; stdout: string }> {
    return this.#run('iptables', ['-w', String(iptablesWaitSeconds), '-t', table, ...args]);
  }

  #hasIptables(): Promise<boolean> {
    return commandExists(this.#run, 'iptables', ['-w', String(iptablesWaitSeconds), '-S', 'FORWARD']);
  }

  /** True if packets between interfaces are not simply let through, or if Docker is about to see to that. */
  async #forwardingIsClosed(): Promise<boolean> {
    if (!(await this.#hasIptables())) return false;
    const listing = (await this.#iptables('filter', ['-S'])).stdout;
    return listing.split('\n').some(line => line.startsWith('-A FORWARD') || /^-P FORWARD (?!ACCEPT)/.test(line));
  }

  async #ensure({ table, chain, rule }: IptablesRule): Promise<void> {
    if ((await this.#iptables(table, ['-C', chain, ...rule])).code === 0) return;
    await mustRun(this.#run, 'iptables', ['-w', String(iptablesWaitSeconds), '-t', table, '-I', chain, ...rule]);
  }

  async #removeIptables(): Promise<void> {
    for (const [table, chain] of iptablesChains) {
      const listing = await this.#iptables(table, ['-S', chain]);
      if (listing.code !== 0) continue;
      for (const rule of ownRulesIn(listing.stdout, this.#names)) await this.#iptables(table, ['-D', ...rule]);
    }
  }
}
