/** The files that every container of a pod gets beside its volumes: /etc/hosts, /etc/hostname and /etc/resolv.conf. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '../api.ts';

export interface PodFiles {
  readonly hosts: string;
  readonly hostname: string;
  readonly resolvConf: string;
}
export interface PodFilesContext {
  /** The pod's own address; undefined on the host's network. */
  readonly podIP: string | undefined;
  /** The node's resolv.conf. */
  readonly nodeResolvConf: string;
  /** Set where the cluster has a DNS of its own. */
  readonly clusterDns: { readonly addresses: readonly string[]; readonly domain: string } | undefined;
  readonly nodeHostname: string;
}

/** The host name that processes of the pod see: at most 63 characters. */
export function hostnameOf(pod: Pod): string {
  const name = pod.spec?.hostname || pod.metadata?.name || '';
  return name.slice(0, 63).replace(/[-.]+$/, '');
}

/** The text of /etc/hosts. On the host's network the node's own file is kept in front. */
export function hostsText(pod: Pod, podIP: string | undefined, nodeHosts: string | undefined): string {
  const head =
    nodeHosts === undefined
      ? [
          '# Kubernetes-managed hosts file.',
          '127.0.0.1\tlocalhost',
          '::1\tlocalhost ip6-localhost ip6-loopback',
          'fe00::0\tip6-localnet',
          'fe00::0\tip6-mcastprefix',
          'fe00::1\tip6-allnodes',
          'fe00::2\tip6-allrouters',
        ].join('\n')
      : `# Kubernetes-managed hosts file (host network).\n${nodeHosts.trimEnd()}`;
  const { namespace } = pod.metadata ?? {};
  const hostname = hostnameOf(pod);
  const full = pod.spec?.subdomain
    ? `${hostname}.${pod.spec.subdomain}.${namespace}.svc.cluster.local\t${hostname}`
    : hostname;
  const own = podIP && nodeHosts === undefined ? [`${podIP}\t${full}`] : [];
  const aliases = (pod.spec?.hostAliases ?? []).map(({ ip, hostnames = [] }) => [ip, ...hostnames].join('\t'));
  const extra = aliases.length > 0 ? ['', '# Entries added by HostAliases.', ...aliases] : [];
  return `${[head, ...own, ...extra].join('\n')}\n`;
}

/**
 * The text of /etc/resolv.conf by the pod's dnsPolicy: the node's for Default (and for ClusterFirst on the host's network
 * or where the cluster has no DNS), the cluster's for ClusterFirst, only what dnsConfig says for None.
 */
export function resolvConfText(pod: Pod, { nodeResolvConf, clusterDns }: PodFilesContext): string {
  const node = parseResolvConf(nodeResolvConf);
  const { dnsPolicy = 'ClusterFirst', hostNetwork = false, dnsConfig } = pod.spec ?? {};
  const wantsCluster = dnsPolicy === 'ClusterFirstWithHostNet' || (dnsPolicy === 'ClusterFirst' && !hostNetwork);
  let base = node;
  if (dnsPolicy === 'None') base = { nameservers: [], searches: [], options: [] };
  else if (wantsCluster && clusterDns) {
    const { domain, addresses } = clusterDns;
    const own = [`${pod.metadata?.namespace}.svc.${domain}`, `svc.${domain}`, domain];
    base = { nameservers: [...addresses], searches: [...own, ...node.searches], options: ['ndots:5'] };
  }
  const options = new Map(base.options.map(option => [option.split(':')[0] ?? option, option]));
  for (const { name = '', value } of dnsConfig?.options ?? []) options.set(name, value ? `${name}:${value}` : name);
  const nameservers = [...new Set([...base.nameservers, ...(dnsConfig?.nameservers ?? [])])];
  const searches = [...new Set([...base.searches, ...(dnsConfig?.searches ?? [])])];
  return [
    ...(searches.length > 0 ? [`search ${searches.join(' ')}`] : []),
    ...nameservers.map(address => `nameserver ${address}`),
    ...(options.size > 0 ? [`options ${[...options.values()].join(' ')}`] : []),
    '',
  ].join('\n');
}

function parseResolvConf(text: string): { nameservers: string[]; searches: string[]; options: string[] } {
  const result = { nameservers: [] as string[], searches: [] as string[], options: [] as string[] };
  for (const line of text.split('\n')) {
    const [key, ...values] = line.trim().split(/\s+/);
    if (key === 'nameserver' && values[0]) result.nameservers.push(values[0]);
    if (key === 'search') result.searches = values;
    if (key === 'options') result.options = values;
  }
  return result;
}

/** Writes the three files below the pod's folder and gives their paths. */
export async function writePodFiles(podDir: string, pod: Pod, context: PodFilesContext): Promise<PodFiles> {
  const etc = join(podDir, 'etc');
  await mkdir(etc, { recursive: true, mode: 0o755 });
  const nodeHosts = pod.spec?.hostNetwork ? await readFile('/etc/hosts', 'utf8').catch(() => '') : undefined;
  const files = { hosts: join(etc, 'hosts'), hostname: join(etc, 'hostname'), resolvConf: join(etc, 'resolv.conf') };
  const hostname = pod.spec?.hostNetwork ? context.nodeHostname : hostnameOf(pod);
  const hosts = hostsText(pod, context.podIP, nodeHosts);
  // A pod that got a new address (its sandbox was lost) needs it in its file too.
  const ownLine = context.podIP && !pod.spec?.hostNetwork ? `${context.podIP}\t` : '';
  await keep(files.hosts, hosts, text => text.includes(ownLine));
  await keep(files.hostname, `${hostname}\n`);
  await keep(files.resolvConf, resolvConfText(pod, context));
  return files;
}

/** Writes only what is missing or stale: containers have the files mounted, and may have changed theirs. */
async function keep(path: string, text: string, isGood: (text: string) => boolean = () => true): Promise<void> {
  const present = await readFile(path, 'utf8').catch(() => undefined);
  if (present === undefined || !isGood(present)) await writeFile(path, text, { mode: 0o644 });
}
