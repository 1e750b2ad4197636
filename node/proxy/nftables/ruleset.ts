/**
 * From service ports to an nft script. Pure.
 *
 * A packet is looked up once in a map from (address, protocol, port) to a chain, so its cost does not grow with the
 * number of services. The service's chain draws one endpoint, the endpoint's chain translates. What still goes to a
 * service's address after translation has nowhere to go and is refused.
 *
 * The script changes an existing table in place, in one transaction: rules and maps are replaced, the sets that remember
 * which client belongs to which endpoint are kept. Each node of each cluster has a table of its own; where two nodes
 * share a machine, whichever sees a connection first translates it, and the other then finds nothing to do.
 */
import { createHash } from 'node:crypto';
import type { Endpoint, Frontend } from '../frontends.ts';

/** The table's family. Each family of addresses has a table of its own: no packet changes its family. */
export type TableFamily = 'ip' | 'ip6';

export interface RulesetConfig {
  /** `ip` if it is not said. */
  readonly family?: TableFamily;
  readonly table: string;
  readonly clusterCIDR: string;
  readonly serviceCIDR: string;
  /** Where node ports are served, for IPv4 with 127.0.0.1. */
  readonly nodeAddresses: readonly string[];
  /** Whether the machine routes 127.0.0.0/8 only because of us (see `nftables.ts`). */
  readonly ownsRouteLocalnet: boolean;
}
/** What is in the kernel's table, or shall be. */
export interface TableContents {
  readonly chains: ReadonlySet<string>;
  readonly sets: ReadonlySet<string>;
}

/** Packets with this bit leave with the node's address. */
export const masqueradeMark = '0x20000';
/** An empty chain of this name says that `route_localnet` was off before the first of us came. */
export const routeLocalnetMarker = 'route-localnet-was-off';
/** Clients remembered per endpoint. */
const affinityClientsMax = 65_535;
/** The kernel's bound for a comment. */
const commentLengthMax = 120;

interface Chain {
  readonly name: string;
  /** For a chain that the kernel calls. */
  readonly hook?: string;
  readonly rules: readonly string[];
}
/** A set, or with `map` a map; fixed ones are filled anew each time. */
interface NamedSet {
  readonly name: string;
  readonly map: boolean;
  readonly type: string;
  /** Undefined: filled by rules, kept over changes. */
  readonly elements: readonly string[] | undefined;
}

export function renderRuleset(
  config: RulesetConfig,
  frontends: readonly Frontend[],
  existing: TableContents,
): { readonly script: string; readonly contents: TableContents } {
  const chains = [...baseChains(config), ...frontends.flatMap(serviceChains(config))];
  const sets = [...lookups(config, frontends), ...frontends.flatMap(affinitySets(config))];
  const contents = { chains: new Set(chains.map(chain => chain.name)), sets: new Set(sets.map(set => set.name)) };
  const table = `${familyOf(config)} ${config.table}`;
  const staleChains = [...existing.chains].filter(name => !contents.chains.has(name));
  const staleSets = [...existing.sets].filter(name => !contents.sets.has(name));
  const lines = [
    `add table ${table}`,
    ...sets.map(set => declare(table, set)),
    ...chains.map(chain => `add chain ${table} ${chain.name}${chain.hook ? ` { ${chain.hook} }` : ''}`),
    // Nothing may point at what is going to be deleted.
    ...chains.map(chain => `flush chain ${table} ${chain.name}`),
    ...staleChains.map(name => `flush chain ${table} ${name}`),
    ...sets
      .filter(set => set.elements !== undefined)
      .map(set => `flush ${set.map ? 'map' : 'set'} ${table} ${set.name}`),
    ...staleChains.map(name => `delete chain ${table} ${name}`),
    ...staleSets.map(name => `delete set ${table} ${name}`),
    ...chains.flatMap(chain => chain.rules.map(rule => `add rule ${table} ${chain.name} ${rule}`)),
    ...sets.flatMap(set => fill(table, set)),
  ];
  return { script: `${lines.join('\n')}\n`, contents };
}

/** Removes the table whether or not it is there. */
export function renderRemoval(table: string, family: TableFamily = 'ip'): string {
  return `add table ${family} ${table}\ndelete table ${family} ${table}\n`;
}

const familyOf = ({ family }: RulesetConfig): TableFamily => family ?? 'ip';
const addressType = (config: RulesetConfig): string => (familyOf(config) === 'ip' ? 'ipv4_addr' : 'ipv6_addr');

function baseChains(config: RulesetConfig): Chain[] {
  const { clusterCIDR, serviceCIDR } = config;
  const ip = familyOf(config);
  return [
    { name: 'prerouting', hook: 'type nat hook prerouting priority -100 ;', rules: ['jump services'] },
    { name: 'output', hook: 'type nat hook output priority -100 ;', rules: ['jump services'] },
    {
      name: 'services',
      rules: [
        `${ip} daddr ${serviceCIDR} ${ip} saddr != ${clusterCIDR} meta mark set meta mark or ${masqueradeMark}`,
        `${ip} daddr . meta l4proto . th dport vmap @service-ips`,
        `${ip} daddr @node-addresses meta l4proto . th dport vmap @node-ports`,
      ],
    },
    {
      name: 'postrouting',
      hook: 'type nat hook postrouting priority 100 ;',
      rules: [`meta mark and ${masqueradeMark} != 0 masquerade`],
    },
    // Before the rules of others: a firewall that drops would make clients wait instead of being refused.
    { name: 'filter-input', hook: 'type filter hook input priority -10 ;', rules: ['jump refuse'] },
    { name: 'filter-forward', hook: 'type filter hook forward priority -10 ;', rules: ['jump refuse'] },
    { name: 'filter-output', hook: 'type filter hook output priority -10 ;', rules: ['jump refuse'] },
    {
      name: 'refuse',
      rules: [
        `${ip} daddr @cluster-ips reject`,
        `${ip} daddr . meta l4proto . th dport @no-endpoints reject`,
        `${ip} daddr @node-addresses meta l4proto . th dport @node-ports-no-endpoints reject`,
      ],
    },
    ...(ip === 'ip' ? [martians] : []),
    ...(config.ownsRouteLocalnet ? [{ name: routeLocalnetMarker, rules: [] }] : []),
  ];
}

/** With route_localnet the kernel no longer drops these itself (CVE-2020-8558). IPv6 has nothing like it. */
const martians: Chain = {
  name: 'martians',
  hook: 'type filter hook prerouting priority -300 ;',
  rules: ['iifname != "lo" ip daddr 127.0.0.0/8 drop'],
};

/** What a packet is looked up in. */
function lookups(config: RulesetConfig, frontends: readonly Frontend[]): NamedSet[] {
  const served = frontends.filter(one => one.endpoints.length > 0);
  const unserved = frontends.filter(one => one.endpoints.length === 0);
  const type = addressType(config);
  const address = `${type} . inet_proto . inet_service`;
  const loopback = familyOf(config) === 'ip' ? ['127.0.0.1'] : [];
  const key = (one: Frontend, ip: string) => `${ip} . ${one.protocol} . ${one.port}`;
  const nodePort = (one: Frontend) => (one.nodePort > 0 ? [`${one.protocol} . ${one.nodePort}`] : []);
  const serviceIps = served.flatMap(one => [
    ...one.clusterIPs.map(ip => `${key(one, ip)} : goto ${chainName(one)}`),
    ...one.externalIPs.map(ip => `${key(one, ip)} : goto ${externalChainName(one)}`),
  ]);
  const nodePorts = served.flatMap(one => nodePort(one).map(port => `${port} : goto ${externalChainName(one)}`));
  const clusterIps = [...new Set(frontends.flatMap(one => one.clusterIPs))];
  const refused = unserved.flatMap(one => one.externalIPs.map(ip => key(one, ip)));
  const fixed = (name: string, of: string, elements: readonly string[]) => ({ name, map: false, type: of, elements });
  return [
    { name: 'service-ips', map: true, type: `${address} : verdict`, elements: serviceIps },
    { name: 'node-ports', map: true, type: 'inet_proto . inet_service : verdict', elements: nodePorts },
    fixed('node-addresses', type, [...new Set([...loopback, ...config.nodeAddresses])]),
    fixed('cluster-ips', type, clusterIps),
    fixed('no-endpoints', address, refused),
    fixed('node-ports-no-endpoints', 'inet_proto . inet_service', unserved.flatMap(nodePort)),
  ];
}

function serviceChains(config: RulesetConfig): (frontend: Frontend) => Chain[] {
  return frontend => {
    if (frontend.endpoints.length === 0) return [];
    const hasExternal = frontend.nodePort > 0 || frontend.externalIPs.length > 0;
    return [
      ...(hasExternal ? externalChains(config, frontend) : []),
      { name: chainName(frontend), rules: drawRules(config, frontend, frontend.endpoints) },
      ...frontend.endpoints.map(endpoint => endpointChain(config, frontend, endpoint)),
    ];
  };
}

/** For node ports and external addresses. */
function externalChains(config: RulesetConfig, frontend: Frontend): Chain[] {
  const name = externalChainName(frontend);
  const masquerade = `meta mark set meta mark or ${masqueradeMark}`;
  if (!frontend.localOnly) return [{ name, rules: [masquerade, `goto ${chainName(frontend)}`] }];
  const local = frontend.endpoints.filter(endpoint => endpoint.local);
  // What comes from inside the cluster may go anywhere; what comes from outside keeps its address and stays here.
  return [
    {
      name,
      rules: [
        `${familyOf(config)} saddr ${config.clusterCIDR} goto ${chainName(frontend)}`,
        `fib saddr type local ${masquerade} goto ${chainName(frontend)}`,
        ...(local.length === 0 ? ['drop'] : drawRules(config, frontend, local)),
      ],
    },
  ];
}

function drawRules(config: RulesetConfig, frontend: Frontend, endpoints: readonly Endpoint[]): string[] {
  const targets = endpoints.map((endpoint, index) => `${index} : goto ${endpointName(frontend, endpoint)}`);
  const remembered =
    frontend.affinitySeconds === 0
      ? []
      : endpoints.map(
          one => `${familyOf(config)} saddr @${affinityName(frontend, one)} goto ${endpointName(frontend, one)}`,
        );
  const draw = `numgen random mod ${endpoints.length} vmap { ${targets.join(', ')} }`;
  return [...remembered, `${draw} comment "${commentOf(frontend)}"`];
}

function endpointChain(config: RulesetConfig, frontend: Frontend, endpoint: Endpoint): Chain {
  const { address, port } = endpoint;
  const ip = familyOf(config);
  const target = ip === 'ip' ? `${address}:${port}` : `[${address}]:${port}`;
  return {
    name: endpointName(frontend, endpoint),
    rules: [
      // A pod that reaches itself would answer itself, past the translation.
      `${ip} saddr ${address} meta mark set meta mark or ${masqueradeMark}`,
      ...(frontend.affinitySeconds === 0 ? [] : [`update @${affinityName(frontend, endpoint)} { ${ip} saddr }`]),
      `meta l4proto ${frontend.protocol} dnat to ${target}`,
    ],
  };
}

function affinitySets(config: RulesetConfig): (frontend: Frontend) => NamedSet[] {
  return frontend => {
    const { affinitySeconds, endpoints } = frontend;
    if (affinitySeconds === 0) return [];
    const flags = `flags dynamic,timeout ; timeout ${affinitySeconds}s ; size ${affinityClientsMax}`;
    return endpoints.map(endpoint => ({
      name: affinityName(frontend, endpoint),
      map: false,
      type: `${addressType(config)} ; ${flags}`,
      elements: undefined,
    }));
  };
}

function declare(table: string, set: NamedSet): string {
  return `add ${set.map ? 'map' : 'set'} ${table} ${set.name} { type ${set.type} ; }`;
}

function fill(table: string, set: NamedSet): string[] {
  if (set.elements === undefined || set.elements.length === 0) return [];
  return [`add element ${table} ${set.name} { ${set.elements.join(', ')} }`];
}

const hashLength = 12;

function nameOf(prefix: string, ...parts: readonly (string | number)[]): string {
  return `${prefix}-${createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, hashLength)}`;
}

function chainName(one: Frontend): string {
  return nameOf('svc', one.id, one.protocol, one.port);
}
function externalChainName(one: Frontend): string {
  return nameOf('ext', one.id, one.protocol, one.port);
}
function endpointName(one: Frontend, endpoint: Endpoint): string {
  return nameOf('ep', one.id, one.protocol, one.port, endpoint.address, endpoint.port);
}
/** The time is part of the name, because a set's cannot be changed. */
function affinityName(one: Frontend, endpoint: Endpoint): string {
  return nameOf('aff', one.id, one.protocol, one.port, endpoint.address, endpoint.port, one.affinitySeconds);
}

/** Only what needs no quoting in an nft script. */
function commentOf(one: Frontend): string {
  return one.id.replace(/[^\w.:/-]/g, '_').slice(0, commentLengthMax);
}
