/**
 * Hosts of the soak: one network namespace each, all on one bridge. The soak itself lives in a namespace of its own (see
 * `main.ts`), which holds the bridge, so nothing of this is seen from outside and all of it goes with the last process.
 */
import { mustRun, run } from '../helpers/run.ts';

const BRIDGE = 'soak0';
const NETWORK = '10.77.0';
/** Where the clients are. */
const CLIENT_ADDRESS = `${NETWORK}.254`;

/** What a host does to what comes in. All of it holds at once. */
export interface NetworkFault {
  /** Addresses from which nothing arrives. */
  readonly deafTo: readonly string[];
  /** Per cent of all packets lost on their way in. */
  readonly lossPercent: number;
  /** Packets wait so long on their way out; needs the kernel's netem. */
  readonly delayMs: number;
}
export const HEALTHY_NETWORK: NetworkFault = { deafTo: [], lossPercent: 0, delayMs: 0 };

export class Host {
  readonly address: string;
  readonly #name: string;
  #isDelayed = false;

  private constructor(number: number) {
    this.#name = `soak-${number}`;
    this.address = `${NETWORK}.${number}`;
  }

  static async create(number: number): Promise<Host> {
    const host = new Host(number);
    const name = host.#name;
    await mustRun('ip', ['netns', 'add', name]);
    await mustRun('ip', ['link', 'add', `v${number}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name]);
    await mustRun('ip', ['link', 'set', `v${number}`, 'master', BRIDGE, 'up']);
    await host.#inside('ip', ['addr', 'add', `${host.address}/24`, 'dev', 'eth0']);
    await host.#inside('ip', ['link', 'set', 'eth0', 'up']);
    await host.#inside('ip', ['link', 'set', 'lo', 'up']);
    return host;
  }

  /** The words that start a program on this host. */
  command(program: string, args: readonly string[]): [string, ...string[]] {
    return ['nsenter', `--net=/run/netns/${this.#name}`, program, ...args];
  }

  /** Takes the place of the fault before. */
  async setFault(fault: NetworkFault): Promise<void> {
    const rules = [
      ...fault.deafTo.map(address => `ip saddr ${address} drop`),
      ...(fault.lossPercent > 0 ? [`numgen random mod 100 < ${fault.lossPercent} drop`] : []),
    ];
    const chain = `chain input { type filter hook input priority 0; policy accept;\n${rules.join('\n')}\n}`;
    const text = `table inet soak\ndelete table inet soak\ntable inet soak {\n${chain}\n}\n`;
    await this.#inside('nft', ['-f', '-'], text);
    if (fault.delayMs > 0 || this.#isDelayed) await this.#delay(fault.delayMs);
  }

  async #delay(delayMs: number): Promise<void> {
    const [program, ...args] = this.command('tc', ['qdisc', 'replace', 'dev', 'eth0', 'root']);
    const spread = Math.ceil(delayMs / 3);
    await mustRun(program, [...args, 'netem', 'delay', `${delayMs}ms`, `${spread}ms`]);
    this.#isDelayed = delayMs > 0;
  }

  async #inside(program: string, args: readonly string[], input = ''): Promise<void> {
    const [first, ...rest] = this.command(program, args);
    await mustRun(first, rest, { input });
  }
}

/** Makes the network that hosts are put on. To be called once, in a network and mount namespace of its own. */
export async function createNetwork(): Promise<void> {
  // Names of namespaces are files in a folder that the whole machine shares, unless it is covered first.
  await mustRun('mkdir', ['-p', '/run/netns']);
  await mustRun('mount', ['-t', 'tmpfs', 'tmpfs', '/run/netns']);
  await mustRun('ip', ['link', 'set', 'lo', 'up']);
  await mustRun('ip', ['link', 'add', BRIDGE, 'type', 'bridge']);
  await mustRun('ip', ['addr', 'add', `${CLIENT_ADDRESS}/24`, 'dev', BRIDGE]);
  await mustRun('ip', ['link', 'set', BRIDGE, 'up']);
}

/** Whether this kernel can delay packets. */
export async function canDelay(): Promise<boolean> {
  const added = await run('tc', ['qdisc', 'replace', 'dev', 'lo', 'root', 'netem', 'delay', '1ms']);
  if (added.code !== 0) return false;
  await mustRun('tc', ['qdisc', 'del', 'dev', 'lo', 'root']);
  return true;
}
