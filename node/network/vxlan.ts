/**
 * The VXLAN link of a machine: pods' packets to nodes on other networks travel in UDP (RFC 7348). Nothing is learned or
 * asked for on the wire: which hardware address is where comes from the nodes' annotations (static neighbours and
 * forwarding entries). Nodes of one cluster on one machine share the link, because the kernel has room for one of a number
 * and port.
 */
import { z } from 'zod';
import { mustRun, type RunCommand } from '../runtime/command.ts';
import { routeProtocol, vxlanPort } from './limits.ts';
import { type Links, tryLink } from './links.ts';
import { NetworkUnavailableError } from './network.ts';
import type { VxlanEnd } from './way.ts';

export interface VxlanPeer extends VxlanEnd {
  /** The next hops of its pods: the first address of the peer's range, for IPv6 the link's own of its hardware address. */
  readonly gateways: readonly string[];
}
export interface VxlanOptions {
  readonly link: string;
  readonly id: number;
  readonly own: VxlanEnd;
  readonly mtu: number;
}

const neighbourSchema = z.array(z.object({ dst: z.string().optional(), lladdr: z.string().optional() }));
const forwardingSchema = z.array(z.object({ mac: z.string().optional(), dst: z.string().optional() }));
const linkSchema = z.array(
  z.object({
    address: z.string(),
    linkinfo: z
      .object({ info_data: z.object({ id: z.number(), local: z.string(), port: z.number() }).partial().optional() })
      .optional(),
  }),
);

/** Whether this kernel can make such a link. */
export async function hasVxlan(run: RunCommand): Promise<boolean> {
  return (await tryLink(run, ['vxlan', 'id', '1', 'dstport', '0'])) === undefined;
}

export class VxlanLink {
  readonly #run: RunCommand;
  readonly #links: Links;
  readonly #options: VxlanOptions;
  #hasIpv6 = false;

  constructor(run: RunCommand, links: Links, options: VxlanOptions) {
    this.#run = run;
    this.#links = links;
    this.#options = options;
  }

  /** Makes the link, or finds it. Throws {@link NetworkUnavailableError} if it belongs to another address. */
  async ensure(): Promise<void> {
    const { link, id, own, mtu } = this.#options;
    const present = await this.#find();
    const isRight = present?.id === id && present.local === own.endpoint && present.port === vxlanPort;
    if (present && !isRight) {
      throw new NetworkUnavailableError(
        `link ${link} is there for ${present.local}: nodes on one machine need the same --node-ip to share it`,
      );
    }
    const kind = `type vxlan id ${id} local ${own.endpoint} dstport ${vxlanPort} nolearning`;
    await this.#links.change([
      ...(present ? [] : [`link add ${link} address ${own.mac} mtu ${mtu} ${kind}`]),
      `link set dev ${link} mtu ${mtu}`,
      `link set dev ${link} addrgenmode none`,
      `link set dev ${link} up`,
    ]);
  }

  /** Makes the entries equal to these peers: exactly those that lead to them, no others. */
  async sync(peers: readonly VxlanPeer[]): Promise<void> {
    const { link } = this.#options;
    const neighbours = new Map(peers.flatMap(({ gateways, mac }) => gateways.map(gateway => [gateway, mac] as const)));
    const endpoints = new Map(peers.map(({ mac, endpoint }) => [mac, endpoint]));
    const known: z.infer<typeof neighbourSchema> = [];
    for (const family of this.#families(peers)) {
      const shown = await this.#json([family, 'neigh', 'show', 'dev', link, 'nud', 'permanent']);
      known.push(...neighbourSchema.parse(shown));
    }
    for (const { dst, lladdr } of known) {
      if (dst === undefined || neighbours.has(dst)) {
        if (dst !== undefined && neighbours.get(dst) === lladdr) neighbours.delete(dst);
        continue;
      }
      await this.#run('ip', ['neigh', 'delete', dst, 'dev', link]);
    }
    const entries = forwardingSchema.parse(
      JSON.parse((await mustRun(this.#run, 'bridge', ['-j', 'fdb', 'show', 'dev', link])).trim() || '[]'),
    );
    for (const { mac, dst } of entries) {
      if (mac === undefined || dst === undefined) continue;
      if (endpoints.get(mac) === dst) endpoints.delete(mac);
      else await this.#run('bridge', ['fdb', 'delete', mac, 'dev', link, 'dst', dst]);
    }
    for (const [mac, endpoint] of endpoints) {
      await mustRun(this.#run, 'bridge', ['fdb', 'replace', mac, 'dev', link, 'dst', endpoint]);
    }
    await this.#links.change(
      [...neighbours].map(([gateway, mac]) => `neigh replace ${gateway} lladdr ${mac} dev ${link} nud permanent`),
    );
  }

  /** Takes the link away, unless routes of another node on this machine lead through it. */
  async remove(): Promise<void> {
    const { link } = this.#options;
    if (!(await this.#links.exists(link))) return;
    for (const family of ['-4', '-6']) {
      const args = ['-j', family, 'route', 'show', 'dev', link, 'proto', String(routeProtocol)];
      // Fails for a family that the kernel does not have.
      const { stdout } = await this.#run('ip', args);
      if (z.array(z.unknown()).parse(JSON.parse(stdout.trim() || '[]')).length > 0) return;
    }
    await this.#links.remove(link);
  }

  /** IPv6 is looked at from the first peer on that has it. */
  #families(peers: readonly VxlanPeer[]): readonly string[] {
    this.#hasIpv6 ||= peers.some(({ gateways }) => gateways.some(gateway => gateway.includes(':')));
    return this.#hasIpv6 ? ['-4', '-6'] : ['-4'];
  }

  async #find(): Promise<
    { id?: number | undefined; local?: string | undefined; port?: number | undefined } | undefined
  > {
    const { link } = this.#options;
    const shown = await this.#run('ip', ['-d', '-j', 'link', 'show', 'dev', link]);
    if (shown.code !== 0) return undefined;
    return linkSchema.parse(JSON.parse(shown.stdout))[0]?.linkinfo?.info_data ?? {};
  }

  async #json(args: readonly string[]): Promise<unknown> {
    const text = (await mustRun(this.#run, 'ip', ['-j', ...args])).trim();
    return text === '' ? [] : JSON.parse(text);
  }
}
