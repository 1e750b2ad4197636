/** Puts the rules of `rules.ts` into the kernel: nftables where it works, else iptables. */
import { commandExists, mustRun, type RunCommand } from '../runtime/command.ts';
import { iptablesWaitSeconds } from './limits.ts';
import type { NetworkNames } from './names.ts';
import { NetworkUnavailableError } from './network.ts';
import {
  forwardRules,
  type IptablesRule,
  iptablesRules,
  nftScript,
  nftScript6,
  ownRulesIn,
  type PodRanges,
} from './rules.ts';

const iptablesChains = [
  ['filter', 'FORWARD'],
  ['filter', 'OUTPUT'],
  ['nat', 'POSTROUTING'],
] as const;

/** One for each family. */
const programs = ['iptables', 'ip6tables'] as const;
type Program = (typeof programs)[number];

export class Firewall {
  readonly #run: RunCommand;
  readonly #names: NetworkNames;
  #hasIpv6 = false;

  constructor(run: RunCommand, names: NetworkNames) {
    this.#run = run;
    this.#names = names;
  }

  /** Idempotent. Throws {@link NetworkUnavailableError} if the machine has neither program. */
  async apply(ranges: PodRanges): Promise<void> {
    this.#hasIpv6 = ranges.ipv6 !== undefined;
    if (await commandExists(this.#run, 'nft', ['list', 'tables'])) {
      await mustRun(this.#run, 'nft', ['-f', '-'], { input: nftScript(this.#names, ranges) });
      if (ranges.ipv6) await mustRun(this.#run, 'nft', ['-f', '-'], { input: nftScript6(this.#names, ranges.ipv6) });
    } else if (ranges.ipv6) {
      throw new NetworkUnavailableError('a dual-stack cluster needs nft on each node: install nftables');
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
    for (const program of this.#hasIpv6 ? programs : (['iptables'] as const)) {
      if (!(await this.#forwardingIsClosed(program))) continue;
      for (const rule of forwardRules(this.#names)) await this.#ensure(rule, program);
    }
  }

  async remove(): Promise<void> {
    if (await commandExists(this.#run, 'nft', ['list', 'tables'])) {
      // Adding first makes the deletion succeed whether or not the table was there.
      const { table } = this.#names;
      await mustRun(this.#run, 'nft', ['-f', '-'], { input: `table ip ${table}\ndelete table ip ${table}\n` });
      // Fails on a kernel without IPv6, where there is none.
      await this.#run('nft', ['-f', '-'], { input: `table ip6 ${table}\ndelete table ip6 ${table}\n` });
    }
    for (const program of programs) if (await this.#hasIptables(program)) await this.#removeIptables(program);
  }

  #iptables(
    table: string,
    args: readonly string[],
    program: Program = 'iptables',
  ): Promise<{ code: number; stdout: string }> {
    return this.#run(program, ['-w', String(iptablesWaitSeconds), '-t', table, ...args]);
  }

  #hasIptables(program: Program = 'iptables'): Promise<boolean> {
    return commandExists(this.#run, program, ['-w', String(iptablesWaitSeconds), '-S', 'FORWARD']);
  }

  /** True if packets between interfaces are not simply let through, or if Docker is about to see to that. */
  async #forwardingIsClosed(program: Program): Promise<boolean> {
    if (!(await this.#hasIptables(program))) return false;
    const listing = (await this.#iptables('filter', ['-S'], program)).stdout;
    return listing.split('\n').some(line => line.startsWith('-A FORWARD') || /^-P FORWARD (?!ACCEPT)/.test(line));
  }

  async #ensure({ table, chain, rule }: IptablesRule, program: Program = 'iptables'): Promise<void> {
    if ((await this.#iptables(table, ['-C', chain, ...rule], program)).code === 0) return;
    await mustRun(this.#run, program, ['-w', String(iptablesWaitSeconds), '-t', table, '-I', chain, ...rule]);
  }

  async #removeIptables(program: Program = 'iptables'): Promise<void> {
    for (const [table, chain] of iptablesChains) {
      const listing = await this.#iptables(table, ['-S', chain], program);
      if (listing.code !== 0) continue;
      for (const rule of ownRulesIn(listing.stdout, this.#names)) await this.#iptables(table, ['-D', ...rule], program);
    }
  }
}
