/** Bridges, wires and routes through `ip` (iproute2), whose JSON answers are read here. */
import { z } from 'zod';
import { CommandMissingError, mustRun, type RunCommand } from '../runtime/command.ts';
import { mtuBytesDefault, mtuBytesMin, routeProtocol } from './limits.ts';
import { NetworkUnavailableError } from './network.ts';

const linkSchema = z.array(
  z.object({
    ifname: z.string().optional(),
    mtu: z.number().optional(),
    master: z.string().optional(),
    addr_info: z
      .array(
        z.object({ family: z.string().optional(), local: z.string().optional(), prefixlen: z.number().optional() }),
      )
      .optional(),
  }),
);
const routeSchema = z.array(
  z.object({
    dst: z.string(),
    gateway: z.string().optional(),
    dev: z.string().optional(),
    metric: z.number().optional(),
  }),
);

export interface Link {
  readonly name: string;
  readonly mtu: number;
  readonly master: string | undefined;
  /** IPv4, with prefix length: `10.42.0.1/24`. */
  readonly addresses: readonly string[];
  /** The same of IPv6, with those of the link alone: `fe80::1/64`. */
  readonly ipv6: readonly string[];
}
export type Family = 4 | 6;
export interface Route {
  readonly destination: string;
  readonly gateway: string | undefined;
  readonly device: string | undefined;
  readonly metric: number;
}

export class Links {
  readonly #run: RunCommand;

  constructor(run: RunCommand) {
    this.#run = run;
  }

  /** Throws {@link NetworkUnavailableError} if `ip` is missing. */
  async check(): Promise<void> {
    try {
      await mustRun(this.#run, 'ip', ['-V']);
    } catch (error) {
      if (!(error instanceof CommandMissingError)) throw error;
      throw new NetworkUnavailableError('`ip` is missing: install iproute2', { cause: error });
    }
  }

  /** Several changes, in order; the first that fails ends it. */
  async change(lines: readonly string[]): Promise<void> {
    await mustRun(this.#run, 'ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  /** The same inside the network namespace of a process. */
  async changeInside(pid: number, lines: readonly string[]): Promise<void> {
    const args = [...enter(pid), 'ip', '-batch', '-'];
    await mustRun(this.#run, 'nsenter', args, { input: `${lines.join('\n')}\n` });
  }

  /**
   * The same, once nobody on `device`, nor on links that come later, is believed to be an IPv6 router (CVE-2020-10749): the
   * neighbours on a bridge are other pods. Best done while the link is down.
   */
  async changeInsideDeafToRouters(pid: number, device: string, lines: readonly string[]): Promise<void> {
    const args = [...enter(pid), 'sh', '-c', deafToRouters, 'sh', 'all', 'default', device];
    await mustRun(this.#run, 'nsenter', args, { input: `${lines.join('\n')}\n` });
  }

  /** Sets a value below /proc/sys/net of the network namespace of a process. */
  async setInside(pid: number, name: string, value: string): Promise<void> {
    await mustRun(this.#run, 'nsenter', [...enter(pid), 'tee', `/proc/sys/net/${name}`], { input: value });
  }

  /** Undefined if there is no such link. */
  async find(name: string): Promise<Link | undefined> {
    // Without `-4`, which leaves out links that have no IPv4 address, such as the host's end of a pod's wire.
    return linksIn((await this.#run('ip', ['-j', 'address', 'show', 'dev', name])).stdout)[0];
  }

  async findInside(pid: number, name: string): Promise<Link | undefined> {
    const args = [...enter(pid), 'ip', '-j', 'address', 'show', 'dev', name];
    return linksIn((await this.#run('nsenter', args)).stdout)[0];
  }

  async namesOn(bridge: string): Promise<string[]> {
    const { stdout } = await this.#run('ip', ['-j', 'link', 'show', 'master', bridge]);
    return linksIn(stdout).map(link => link.name);
  }

  /** All addresses of this machine, without prefix lengths. */
  async localAddresses(): Promise<ReadonlySet<string>> {
    const links = linksIn(await mustRun(this.#run, 'ip', ['-j', '-4', 'address', 'show']));
    return new Set(links.flatMap(link => link.addresses.map(address => address.split('/')[0] ?? address)));
  }

  /** Succeeds if it is gone already. */
  async remove(name: string): Promise<void> {
    const result = await this.#run('ip', ['link', 'delete', 'dev', name]);
    if (result.code !== 0 && (await this.exists(name))) throw new Error(`link ${name}: ${result.stderr.trim()}`);
  }

  async exists(name: string): Promise<boolean> {
    return (await this.#run('ip', ['link', 'show', 'dev', name])).code === 0;
  }

  /** That of the way out of the machine, or of the link with this address: no pod can send more. */
  async mtu(address?: string): Promise<number> {
    const own = address === undefined ? undefined : await this.#linkOf(address);
    if (own) return Math.max(mtuBytesMin, own.mtu);
    const routes = routesIn(await mustRun(this.#run, 'ip', ['-j', '-4', 'route', 'show', 'default']));
    const device = routes[0]?.dev;
    const link = device === undefined ? undefined : await this.find(device);
    return Math.max(mtuBytesMin, link?.mtu ?? mtuBytesDefault);
  }

  async #linkOf(address: string): Promise<Link | undefined> {
    const links = linksIn(await mustRun(this.#run, 'ip', ['-j', '-4', 'address', 'show']));
    return links.find(({ addresses }) => addresses.some(one => one.startsWith(`${address}/`)));
  }

  /** Devices whose way out a router told (SLAAC): they would forget it once the machine forwards. */
  async toldByRouters(): Promise<string[]> {
    const text = await mustRun(this.#run, 'ip', ['-j', '-6', 'route', 'show', 'default', 'proto', 'ra']);
    return [...new Set(routesIn(text).flatMap(({ dev }) => dev ?? []))];
  }

  /** Routes that carry our mark and this metric; none of a family that the kernel does not have. */
  async ownRoutes(metric: number, family: Family = 4): Promise<Route[]> {
    const args = ['-j', `-${family}`, 'route', 'show', 'proto', String(routeProtocol)];
    const text = family === 4 ? await mustRun(this.#run, 'ip', args) : (await this.#run('ip', args)).stdout;
    return routesIn(text)
      .map(({ dst, gateway, dev, metric: own = 0 }) => ({ destination: dst, gateway, device: dev, metric: own }))
      .filter(route => route.metric === metric);
  }

  /** Through a device the gateway need not be on a network of it: `onlink`. */
  async replaceRoute(route: Route & { readonly source?: string }): Promise<void> {
    const { destination, gateway, device, source } = route;
    await mustRun(this.#run, 'ip', [
      ...['route', 'replace', destination],
      ...(gateway === undefined ? [] : ['via', gateway]),
      ...(device === undefined ? [] : ['dev', device]),
      ...(gateway === undefined || device === undefined ? [] : ['onlink']),
      ...(source === undefined ? [] : ['src', source]),
      ...['proto', String(routeProtocol), 'metric', String(route.metric)],
    ]);
  }

  async removeRoute(route: Route): Promise<void> {
    await this.#run('ip', [
      ...['route', 'delete', route.destination],
      ...['proto', String(routeProtocol), 'metric', String(route.metric)],
    ]);
  }
}

/**
 * Why the kernel makes no such link; undefined if it does. Tried in a network namespace that ends with the trial: nothing can be
 * left behind, and nodes that share a machine do not get in each other's way.
 */
export async function tryLink(run: RunCommand, kind: readonly string[]): Promise<string | undefined> {
  const made = await run('unshare', ['--net', 'ip', 'link', 'add', 'trial', 'type', ...kind]);
  return made.code === 0 ? undefined : made.stderr.trim();
}

/**
 * What `ip` cannot set, set before it makes the link that listens: a router's word must not come between. A kernel without IPv6
 * has no such files; where /proc is read-only they stay as they are. One program, as each costs a fork of the whole agent.
 */
const deafToRouters = [
  'for one in "$@"; do f=/proc/sys/net/ipv6/conf/$one/accept_ra; [ ! -e "$f" ] || echo 0 > "$f"; done 2>/dev/null',
  'exec ip -batch -',
].join('\n');

/** nsenter by the namespace's file: exact, and without entering anything else. */
function enter(pid: number): string[] {
  return [`--net=/proc/${pid}/ns/net`, '--'];
}

/** `ip` prints nothing, or `[{}]`, where there is nothing to tell. */
function linksIn(text: string): Link[] {
  const links = linkSchema.parse(text.trim() === '' ? [] : JSON.parse(text));
  return links.flatMap(link => {
    if (link.ifname === undefined) return [];
    const addressesOf = (isIpv6: boolean) =>
      (link.addr_info ?? [])
        .filter(({ family }) => (family === 'inet6') === isIpv6)
        .flatMap(({ local, prefixlen }) =>
          local === undefined || prefixlen === undefined ? [] : [`${local}/${prefixlen}`],
        );
    const [addresses, ipv6] = [addressesOf(false), addressesOf(true)];
    return [{ name: link.ifname, mtu: link.mtu ?? mtuBytesDefault, master: link.master, addresses, ipv6 }];
  });
}

function routesIn(text: string): z.infer<typeof routeSchema> {
  return routeSchema.parse(text.trim() === '' ? [] : JSON.parse(text));
}
