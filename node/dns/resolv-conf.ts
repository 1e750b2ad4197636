/** resolv.conf: the node's, read; a pod's, made from it by dnsPolicy and dnsConfig as kubelet does. Pure. */
import { isIP } from 'node:net';
import type { Pod } from '../api.ts';
import { NAMESERVERS_MAX, SEARCH_LENGTH_MAX, SEARCHES_MAX } from './limits.ts';

export interface ResolvConf {
  readonly nameservers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}
export interface ResolvConfContext {
  /** The text of the node's own. */
  readonly nodeResolvConf: string;
  /** Set where the cluster has a DNS of its own. */
  readonly clusterDns: { readonly addresses: readonly string[]; readonly domain: string } | undefined;
}
export interface PodResolvConf extends ResolvConf {
  /** What did not fit, as kubelet's events of reason DNSConfigForming say it. */
  readonly warnings: readonly string[];
}

export function parseResolvConf(text: string): ResolvConf {
  const nameservers: string[] = [];
  let searches: readonly string[] = [];
  let options: readonly string[] = [];
  for (const line of text.split('\n')) {
    const [key, ...values] = line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/);
    if (key === 'nameserver' && values[0]) nameservers.push(values[0]);
    // Of several the last one counts (resolv.conf(5)).
    if (key === 'search') searches = values.map(name => (name === '.' ? name : name.replace(/\.$/, '')));
    if (key === 'options') options = values;
  }
  return { nameservers, searches, options };
}

/** The resolvers that a forwarder on the node can ask. */
export function resolversOf(text: string, port: number): { address: string; port: number }[] {
  return parseResolvConf(text)
    .nameservers.filter(address => isIP(address.replace(/%.*$/, '')) !== 0)
    .map(address => ({ address, port }));
}

/**
 * By dnsPolicy: the node's for Default (and for ClusterFirst on the host's network, or where the cluster has no DNS), the
 * cluster's for ClusterFirst, nothing for None; then what dnsConfig adds, within the limits.
 */
export function planResolvConf(pod: Pod, context: ResolvConfContext): PodResolvConf {
  const base = baseOf(pod, context);
  const { nameservers = [], searches = [], options = [] } = pod.spec?.dnsConfig ?? {};
  const merged = new Map(base.options.map(option => [option.split(':')[0] ?? option, option]));
  for (const { name = '', value } of options) merged.set(name, value ? `${name}:${value}` : name);
  return withinLimits({
    nameservers: unique([...base.nameservers, ...nameservers]),
    searches: unique([...base.searches, ...searches]),
    options: [...merged.values()],
  });
}

export function formatResolvConf({ nameservers, searches, options }: ResolvConf): string {
  return [
    ...(searches.length > 0 ? [`search ${searches.join(' ')}`] : []),
    ...nameservers.map(address => `nameserver ${address}`),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : []),
    '',
  ].join('\n');
}

function baseOf(pod: Pod, { nodeResolvConf, clusterDns }: ResolvConfContext): ResolvConf {
  const { dnsPolicy = 'ClusterFirst', hostNetwork = false } = pod.spec ?? {};
  if (dnsPolicy === 'None') return { nameservers: [], searches: [], options: [] };
  const node = parseResolvConf(nodeResolvConf);
  const wantsCluster = dnsPolicy === 'ClusterFirstWithHostNet' || (dnsPolicy === 'ClusterFirst' && !hostNetwork);
  if (!wantsCluster || !clusterDns) return node;
  const { domain, addresses } = clusterDns;
  const own = [`${pod.metadata?.namespace}.svc.${domain}`, `svc.${domain}`, domain];
  return { nameservers: addresses, searches: [...own, ...node.searches], options: ['ndots:5'] };
}

function withinLimits(wanted: ResolvConf): PodResolvConf {
  const warnings: string[] = [];
  const nameservers = wanted.nameservers.slice(0, NAMESERVERS_MAX);
  if (nameservers.length < wanted.nameservers.length)
    warnings.push(
      `Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: ${nameservers.join(' ')}`,
    );
  const searches = wanted.searches.slice(0, SEARCHES_MAX);
  while (searches.join(' ').length > SEARCH_LENGTH_MAX) searches.pop();
  if (searches.length < wanted.searches.length)
    warnings.push(
      `Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${searches.join(' ')}`,
    );
  return { nameservers, searches, options: wanted.options, warnings };
}

const unique = (values: readonly string[]): string[] => [...new Set(values)];
