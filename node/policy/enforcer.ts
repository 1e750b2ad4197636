/**
 * Keeps one table of nftables equal to a ruleset. The rules outlive the agent, so that a restart of it opens nothing; the
 * first update of a new agent puts its own table in place of the old one in one step. Each node of each cluster has a
 * table of its own, since several may share a machine.
 */
import { createHash } from 'node:crypto';
import { CommandMissingError, commandExists, mustRun, type RunCommand, runCommand } from '../runtime/command.ts';
import { renderChange, renderRemoval, renderTable } from './render.ts';
import { emptyRuleset, type PolicyRuleset, PolicyUnavailableError } from './ruleset.ts';

export interface PolicyEnforcer {
  /** Throws {@link PolicyUnavailableError} if the machine cannot enforce policies. */
  start(): Promise<void>;
  /** Makes the rules equal to `ruleset` in one step. Not to be called twice at once. */
  apply(ruleset: PolicyRuleset): Promise<void>;
  /** False if somebody took the rules away; the next `apply` brings them back. */
  isInPlace(): Promise<boolean>;
  /** Leaves rules in place (agent restart), or takes all away with `remove`. */
  close(options: { readonly remove: boolean }): Promise<void>;
}

export interface NftablesEnforcerOptions {
  readonly clusterId: string;
  readonly nodeName: string;
  /** Runs `nft`; for tests in a network namespace of their own. */
  readonly run?: RunCommand;
}

export function createNftablesEnforcer(options: NftablesEnforcerOptions): PolicyEnforcer {
  return new NftablesEnforcer(options);
}

class NftablesEnforcer implements PolicyEnforcer {
  readonly #table: string;
  readonly #run: RunCommand;
  /** What is known to be in the kernel; undefined if that has to be made anew. */
  #present: PolicyRuleset | undefined;

  constructor({ clusterId, nodeName, run = runCommand }: NftablesEnforcerOptions) {
    const hash = createHash('sha256').update(`${clusterId}\0${nodeName}`).digest('hex');
    this.#table = `raftsman-pol-${hash.slice(0, 10)}`;
    this.#run = run;
  }

  async start(): Promise<void> {
    const trial = `${this.#table}-trial`;
    // With what the rules need most: the inet family and connection tracking.
    const input = [
      `add table inet ${trial}`,
      `add chain inet ${trial} forward { type filter hook forward priority 0 ; policy accept ; }`,
      `add rule inet ${trial} forward ct state established,related accept`,
      `delete table inet ${trial}`,
    ];
    try {
      await mustRun(this.#run, 'nft', ['-f', '-'], { input: `${input.join('\n')}\n` });
    } catch (error) {
      const missing = error instanceof CommandMissingError;
      const why = error instanceof Error ? error.message : String(error);
      throw new PolicyUnavailableError(missing ? 'nft is missing: install nftables' : `nft does not work: ${why}`, {
        cause: error,
      });
    }
  }

  async apply(ruleset: PolicyRuleset): Promise<void> {
    const before = this.#present;
    // Until it has worked nothing is known.
    this.#present = undefined;
    if (isEmpty(ruleset)) {
      // No table at all: packets of a cluster without policies pay nothing.
      if (!before || !isEmpty(before)) await this.#nft(renderRemoval(this.#table));
      this.#present = emptyRuleset;
      return;
    }
    if (!before || isEmpty(before)) {
      await this.#nft(renderTable(this.#table, ruleset));
    } else {
      const input = renderChange(this.#table, before, ruleset);
      // Where it fails somebody else has changed the table: all of it is made anew.
      if (input !== '') await this.#nft(input).catch(() => this.#nft(renderTable(this.#table, ruleset)));
    }
    this.#present = ruleset;
  }

  async isInPlace(): Promise<boolean> {
    if (this.#present && isEmpty(this.#present)) return true;
    const probe = await this.#run('nft', ['-t', 'list', 'chain', 'inet', this.#table, 'forward']);
    const isThere = probe.code === 0 && probe.stdout.includes('@ingress4');
    if (!isThere) this.#present = undefined;
    return isThere;
  }

  async close({ remove }: { readonly remove: boolean }): Promise<void> {
    this.#present = undefined;
    // Where nft does not work there is nothing of ours.
    if (!remove || !(await commandExists(this.#run, 'nft', ['list', 'tables']))) return;
    await this.#nft(renderRemoval(this.#table));
  }

  async #nft(input: string): Promise<void> {
    await mustRun(this.#run, 'nft', ['-f', '-'], { input });
  }
}

function isEmpty({ isolated }: PolicyRuleset): boolean {
  return isolated.ingress.size === 0 && isolated.egress.size === 0;
}
