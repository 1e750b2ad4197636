/**
 * From service ports to what a table of nftables shall hold; `script.ts` puts it into the kernel's words. Pure.
 *
 * A packet is looked up once in a map from (address, protocol, port) to a chain, so its cost does not grow with the
 * number of services. A chain of the service draws one endpoint, the endpoint's chain translates. There are up to three
 * of a service: for all endpoints (`svc-`), for those of this node (`loc-`), and for what comes to node ports and external
 * addresses (`ext-`), which leads to one of the others. What still goes to a service's address after translation has nowhere
 * to go: it is refused, or dropped if only other nodes have endpoints, so that the client tries another node and not another
 * service. That is decided after all tables of a machine had their say, since of two nodes on it one may have the endpoint.
 *
 * A load balancer's address that not everybody may use is looked up before translation, in a map of its own, which leads to a
 * chain of the service (`fw-`) that drops what is not from its ranges. Only new connections are: kube-proxy v1.33 does the same.
 *
 * Names of chains and of the sets that remember clients are hashes of what they belong to, so that two plans are compared
 * by name. Each node of each cluster has a table of its own; where two nodes share a machine, whichever sees a connection
 * first translates it, and the other then finds nothing to do.
 */
import { hash } from 'node:crypto';
import { type Endpoint, type Frontend, isExternal, waysOf } from '../frontends.ts';
import { sourcesLetIn } from '../source-ranges.ts';

/** The table's family. Each family of addresses has a table of its own: no packet changes its family. */
export type TableFamily = 'ip' | 'ip6';

export interface RulesetConfig {
  /** `ip` if it is not said. */
  readonly family?: TableFamily;
  readonly table: string;
  readonly clusterCIDR: string;
  /** Where node ports are served, for IPv4 with 127.0.0.1; the node's own first. */
  readonly nodeAddresses: readonly string[];
  /** Whether the machine routes 127.0.0.0/8 only because of us (see `nftables.ts`). */
  readonly ownsRouteLocalnet: boolean;
  /** Whether a table can say how long the kernel remembers connections; some kernels are built without. */
  readonly hasTimeouts?: boolean;
}
/** All that a table shall hold, by name. */
export interface TablePlan {
  readonly family: TableFamily;
  readonly table: string;
  /** Of `ct timeout`; never change under their names. */
  readonly timeouts: ReadonlyMap<string, string>;
  readonly chains: ReadonlyMap<string, Chain>;
  readonly sets: ReadonlyMap<string, NamedSet>;
  /** What each frontend brought, by all that is said of it: the next plan takes over what stays as it is. */
  readonly parts: ReadonlyMap<string, FrontendPart>;
}
/** What one frontend brings into the table. */
interface FrontendPart {
  readonly chains: readonly Named<Chain>[];
  readonly affinitySets: readonly Named<NamedSet>[];
  /** Elements of the maps and sets that packets are looked up in; of maps with their data. */
  readonly serviceIps: readonly (readonly [key: string, data: string])[];
  readonly nodePorts: readonly (readonly [key: string, data: string])[];
  /** Those of the node ports that all of the machine's addresses have. */
  readonly hostPorts: readonly (readonly [key: string, data: string])[];
  readonly refusedIps: readonly (readonly [key: string, data: string])[];
  readonly refusedNodePorts: readonly (readonly [key: string, data: string])[];
  readonly limitedIps: readonly (readonly [key: string, data: string])[];
}
export interface Chain {
  /** For a chain that the kernel calls; never changes under its name. */
  readonly hook?: string;
  readonly rules: readonly string[];
}
export interface NamedSet {
  readonly isMap: boolean;
  /** Never changes under its name. */
  readonly type: string;
  /** Key to data, which is '' in a plain set. Undefined: filled by packets, kept over changes. */
  readonly elements: ReadonlyMap<string, string> | undefined;
}

/** Packets with this bit leave with the node's address. */
export const masqueradeMark = '0x20000';
/** An empty chain of this name says that `route_localnet` was off before the first of us came. */
export const routeLocalnetMarker = 'route-localnet-was-off';
/** Clients remembered per endpoint. */
const affinityClientsMax = 65_535;
/** The kernel's bound for a comment. */
const commentLengthMax = 120;

const servicesTimeout = 'services';
/** Seconds for which the kernel remembers a connection to a service of which one side is ended (kube-proxy's; Linux: 60). */
const closeWaitSeconds = 3_600;

/** What `ct timeout` says of connections to services. */
export function timeoutOfServices(family: TableFamily): string {
  return `protocol tcp ; l3proto ${family} ; policy = { close_wait : ${closeWaitSeconds} } ;`;
}

type Named<T> = readonly [name: string, T];

/**
 * What the table holds if these are the services.
 *
 * @param before saves working out anew what it has already; of the same configuration
 */
export function planTable(config: RulesetConfig, frontends: readonly Frontend[], before?: TablePlan): TablePlan {
  const parts = new Map<string, FrontendPart>();
  for (const frontend of frontends) {
    const key = JSON.stringify(frontend);
    parts.set(key, before?.parts.get(key) ?? partOf(config, frontend));
  }
  const all = [...parts.values()];
  const clusterIps = frontends.flatMap(one => one.clusterIPs);
  return {
    family: familyOf(config),
    table: config.table,
    timeouts: new Map(config.hasTimeouts ? [[servicesTimeout, timeoutOfServices(familyOf(config))]] : []),
    chains: byName([...baseChains(config), ...all.flatMap(part => part.chains)]),
    sets: byName([...lookups(config, all, clusterIps), ...all.flatMap(part => part.affinitySets)]),
    parts,
  };
}

/** Of two ports that are called the same the first has the chain, as it has the addresses. */
function byName<T>(all: readonly Named<T>[]): Map<string, T> {
  const result = new Map<string, T>();
  for (const [name, one] of all) if (!result.has(name)) result.set(name, one);
  return result;
}

const familyOf = ({ family }: RulesetConfig): TableFamily => family ?? 'ip';
const loopbackOf = (config: RulesetConfig): string => (familyOf(config) === 'ip' ? '127.0.0.0/8' : '::1');
const addressType = (config: RulesetConfig): string => (familyOf(config) === 'ip' ? 'ipv4_addr' : 'ipv6_addr');

function baseChains(config: RulesetConfig): Named<Chain>[] {
  const ip = familyOf(config);
  const services = [
    // Service addresses may come from more than one range (ServiceCIDR objects).
    `${ip} daddr @cluster-ips ${ip} saddr != ${config.clusterCIDR} meta mark set meta mark or ${masqueradeMark}`,
    `${ip} daddr . meta l4proto . th dport vmap @service-ips`,
    `${ip} daddr @node-addresses meta l4proto . th dport vmap @node-ports`,
    // Of the loopback range only 127.0.0.1 is a node's: others have resolvers of the machine.
    `${ip} daddr != ${loopbackOf(config)} fib daddr type local meta l4proto . th dport vmap @host-ports`,
  ];
  // Of those that were translated, once it is known which: where each passes whichever way it goes.
  const remember = config.hasTimeouts ? [`ct status dnat meta l4proto tcp ct timeout set "${servicesTimeout}"`] : [];
  const refuse = [
    ...remember,
    `${ip} daddr . meta l4proto . th dport vmap @refused-ips`,
    `${ip} daddr @cluster-ips reject`,
    `${ip} daddr @node-addresses meta l4proto . th dport vmap @refused-node-ports`,
  ];
  const masquerade = [
    `meta mark and ${masqueradeMark} == 0 return`,
    // A tunnel's packet inherits the mark of the packet within and would be translated too.
    `meta mark set meta mark xor ${masqueradeMark}`,
    'masquerade fully-random',
  ];
  // What belongs to no connection that the kernel knows is not translated back: the client would reset whom it never asked,
  // and with that the connection that it is of. It lost nothing, for its sender sends again.
  const stray = `ct state invalid ${ip} saddr ${config.clusterCIDR} meta l4proto tcp drop`;
  const admit = [`${ip} daddr . meta l4proto . th dport vmap @limited-ips`];
  return [
    // Between the kernel's look at connections and the translation, which hides what was asked for.
    ['admit-prerouting', { hook: 'type filter hook prerouting priority -110 ;', rules: ['ct state new jump admit'] }],
    ['admit-output', { hook: 'type filter hook output priority -110 ;', rules: ['ct state new jump admit'] }],
    ['admit', { rules: admit }],
    ['prerouting', { hook: 'type nat hook prerouting priority -100 ;', rules: ['jump services'] }],
    ['output', { hook: 'type nat hook output priority -100 ;', rules: ['jump services'] }],
    ['services', { rules: services }],
    ['postrouting', { hook: 'type nat hook postrouting priority 100 ;', rules: masquerade }],
    // Before the rules of others: a firewall that drops would make clients wait instead of being refused.
    // Only what begins: a reply may go to a port that is a service's too.
    ['filter-input', { hook: 'type filter hook input priority -10 ;', rules: ['ct state new jump refuse', stray] }],
    ['filter-forward', { hook: 'type filter hook forward priority -10 ;', rules: ['ct state new jump refuse', stray] }],
    ['filter-output', { hook: 'type filter hook output priority -10 ;', rules: ['ct state new jump refuse'] }],
    ['refuse', { rules: refuse }],
    // No verdict of its own, as a map's data has to be.
    ['refused', { rules: ['reject'] }],
    ...(ip === 'ip' ? [martians] : []),
    ...(config.ownsRouteLocalnet ? [[routeLocalnetMarker, { rules: [] }] as const] : []),
  ];
}

/** With route_localnet the kernel no longer drops these itself (CVE-2020-8558). IPv6 has nothing like it. */
const martians: Named<Chain> = [
  'martians',
  {
    hook: 'type filter hook prerouting priority -300 ;',
    rules: ['iifname != "lo" ip daddr 127.0.0.0/8 drop'],
  },
];

/** What a packet is looked up in. */
function lookups(
  config: RulesetConfig,
  parts: readonly FrontendPart[],
  clusterIps: readonly string[],
): Named<NamedSet>[] {
  const address = addressType(config);
  const place = `${address} . inet_proto . inet_service`;
  const port = 'inet_proto . inet_service';
  const loopback = familyOf(config) === 'ip' ? ['127.0.0.1'] : [];
  const serviceIps = new Map(parts.flatMap(part => part.serviceIps));
  const nodePorts = new Map(parts.flatMap(part => part.nodePorts));
  const hostPorts = new Map(parts.flatMap(part => part.hostPorts));
  const refusedIps = new Map(parts.flatMap(part => part.refusedIps));
  const refusedNodePorts = new Map(parts.flatMap(part => part.refusedNodePorts));
  const limitedIps = new Map(parts.flatMap(part => part.limitedIps));
  return [
    ['service-ips', { isMap: true, type: `${place} : verdict`, elements: serviceIps }],
    ['node-ports', { isMap: true, type: `${port} : verdict`, elements: nodePorts }],
    ['host-ports', { isMap: true, type: `${port} : verdict`, elements: hostPorts }],
    ['node-addresses', plain(address, [...loopback, ...config.nodeAddresses])],
    ['cluster-ips', plain(address, clusterIps)],
    ['refused-ips', { isMap: true, type: `${place} : verdict`, elements: refusedIps }],
    ['refused-node-ports', { isMap: true, type: `${port} : verdict`, elements: refusedNodePorts }],
    ['limited-ips', { isMap: true, type: `${place} : verdict`, elements: limitedIps }],
  ];
}

function partOf(config: RulesetConfig, frontend: Frontend): FrontendPart {
  const { clusterIPs, externalIPs, protocol, port, nodePort } = frontend;
  const { internal, external, shortCut } = waysOf(frontend);
  const isServed = frontend.endpoints.length > 0;
  const hasExternalChain = external.length > 0 || shortCut.length > 0;
  const key = (ip: string) => `${ip} . ${protocol} . ${port}`;
  const all = (keys: readonly string[], data: string) => keys.map(one => [one, data] as const);
  const [ips, others] = [clusterIPs.map(key), externalIPs.map(key)];
  const nodePorts = nodePort > 0 ? [`${protocol} . ${nodePort}`] : [];
  const toInternal = `goto ${frontend.internalLocalOnly ? localChainName(frontend) : chainName(frontend)}`;
  const toExternal = `goto ${externalChainName(frontend)}`;
  const refusal = isServed ? 'drop' : 'goto refused';
  return {
    chains: serviceChains(config, frontend),
    affinitySets: affinitySets(config, frontend),
    serviceIps: [
      ...(internal.length > 0 ? all(ips, toInternal) : []),
      ...(hasExternalChain ? all(others, toExternal) : []),
    ],
    nodePorts: hasExternalChain ? all(nodePorts, toExternal) : [],
    hostPorts: hasExternalChain && frontend.everyAddress ? all(nodePorts, toExternal) : [],
    refusedIps: [
      // Where nobody has an endpoint, all that goes to a cluster address is refused anyway.
      ...(internal.length === 0 && isServed ? all(ips, refusal) : []),
      ...(external.length === 0 ? all(others, refusal) : []),
    ],
    refusedNodePorts: external.length === 0 ? all(nodePorts, refusal) : [],
    limitedIps: all((frontend.limit?.addresses ?? []).map(key), `goto ${limitChainName(frontend)}`),
  };
}

function plain(type: string, keys: readonly string[]): NamedSet {
  return { isMap: false, type, elements: new Map(keys.map(key => [key, ''])) };
}

function serviceChains(config: RulesetConfig, frontend: Frontend): Named<Chain>[] {
  const { everywhere, here, all } = drawnFrom(frontend);
  const drawing = (name: string, endpoints: readonly Endpoint[]): Named<Chain>[] =>
    endpoints.length > 0 ? [[name, { rules: drawRules(config, frontend, endpoints) }]] : [];
  return [
    ...limitChains(config, frontend),
    ...(isExternal(frontend) ? externalChains(config, frontend) : []),
    ...drawing(localChainName(frontend), here),
    ...drawing(chainName(frontend), everywhere),
    ...all.map(endpoint => endpointChain(config, frontend, endpoint)),
  ];
}

/** The endpoints that a frontend's chains draw from, without those that none would lead to. */
function drawnFrom(frontend: Frontend): Record<'everywhere' | 'here' | 'all', readonly Endpoint[]> {
  const { localOnly, internalLocalOnly, endpoints } = frontend;
  const usesAll = !internalLocalOnly || isExternal(frontend);
  const usesHere = internalLocalOnly || (localOnly && isExternal(frontend));
  const everywhere = endpoints.filter(({ cluster }) => usesAll && cluster);
  const here = endpoints.filter(({ local }) => usesHere && local);
  return { everywhere, here, all: [...new Set([...everywhere, ...here])] };
}

/** For a load balancer's addresses that not everybody may use. */
function limitChains(config: RulesetConfig, frontend: Frontend): Named<Chain>[] {
  if (!frontend.limit) return [];
  const sources = sourcesLetIn(frontend.limit, config.nodeAddresses[0]);
  const others = sources.length > 0 ? `${familyOf(config)} saddr != { ${sources.join(', ')} } ` : '';
  return [[limitChainName(frontend), { rules: [`${others}drop`] }]];
}

/** For node ports and external addresses. */
function externalChains(config: RulesetConfig, frontend: Frontend): Named<Chain>[] {
  const { external, shortCut } = waysOf(frontend);
  const name = externalChainName(frontend);
  const masquerade = `meta mark set meta mark or ${masqueradeMark}`;
  const toAll = `goto ${chainName(frontend)}`;
  const shortCuts = [
    `${familyOf(config)} saddr ${config.clusterCIDR} ${toAll}`,
    `fib saddr type local ${masquerade} ${toAll}`,
  ];
  // What comes from inside the cluster may go anywhere; what comes from outside keeps its address and stays here.
  const rules = frontend.localOnly
    ? [...(shortCut.length > 0 ? shortCuts : []), ...(external.length > 0 ? [`goto ${localChainName(frontend)}`] : [])]
    : [masquerade, toAll];
  return shortCut.length > 0 || external.length > 0 ? [[name, { rules }]] : [];
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

function endpointChain(config: RulesetConfig, frontend: Frontend, endpoint: Endpoint): Named<Chain> {
  const { address, port } = endpoint;
  const ip = familyOf(config);
  const target = ip === 'ip' ? `${address}:${port}` : `[${address}]:${port}`;
  const rules = [
    // A pod that reaches itself would answer itself, past the translation.
    `${ip} saddr ${address} meta mark set meta mark or ${masqueradeMark}`,
    ...(frontend.affinitySeconds === 0 ? [] : [`update @${affinityName(frontend, endpoint)} { ${ip} saddr }`]),
    `meta l4proto ${frontend.protocol} dnat to ${target}`,
  ];
  return [endpointName(frontend, endpoint), { rules }];
}

function affinitySets(config: RulesetConfig, frontend: Frontend): Named<NamedSet>[] {
  const { affinitySeconds } = frontend;
  if (affinitySeconds === 0) return [];
  const flags = `flags dynamic,timeout ; timeout ${affinitySeconds}s ; size ${affinityClientsMax}`;
  const type = `${addressType(config)} ; ${flags}`;
  return drawnFrom(frontend).all.map(one => [affinityName(frontend, one), { isMap: false, type, elements: undefined }]);
}

const hashLength = 12;

function nameOf(prefix: string, ...parts: readonly (string | number)[]): string {
  return `${prefix}-${hash('sha256', parts.join('\0')).slice(0, hashLength)}`;
}

function chainName(one: Frontend): string {
  return nameOf('svc', one.id, one.protocol, one.port);
}
function localChainName(one: Frontend): string {
  return nameOf('loc', one.id, one.protocol, one.port);
}
function externalChainName(one: Frontend): string {
  return nameOf('ext', one.id, one.protocol, one.port);
}
function limitChainName(one: Frontend): string {
  return nameOf('fw', one.id, one.protocol, one.port);
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
