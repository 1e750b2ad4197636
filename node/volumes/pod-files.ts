/** The files that every container of a pod gets beside its volumes: /etc/hosts, /etc/hostname and /etc/resolv.conf. */
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '../api.ts';
import { formatResolvConf, planResolvConf, type ResolvConfContext } from '../dns/resolv-conf.ts';

export interface PodFiles {
  readonly hosts: string;
  readonly hostname: string;
  readonly resolvConf: string;
  /** What of the pod's DNS settings did not fit, for events of reason DNSConfigForming. */
  readonly warnings: readonly string[];
}
export interface PodFilesContext extends ResolvConfContext {
  /** The pod's own address; undefined on the host's network. */
  readonly podIP: string | undefined;
  /** All of them, where there are more. */
  readonly podIPs?: readonly string[];
  readonly nodeHostname: string;
}

const CLUSTER_DOMAIN_DEFAULT = 'cluster.local';
/** What the kernel takes as a host name. */
const HOSTNAME_LENGTH_MAX = 64;
/** Of a file that a container may have changed. The pod's own line is far in front of that. */
const POD_FILE_READ_BYTES_MAX = 64 * 1024;

/** A pod asks for its full name as its host name, and the kernel does not take one of that length. */
export class HostnameError extends Error {
  override readonly name = 'HostnameError';
  readonly code = 'POD_HOSTNAME';
}

/** The pod's short name: at most 63 characters. */
function hostnameOf(pod: Pod): string {
  const name = pod.spec?.hostname || pod.metadata?.name || '';
  return name.slice(0, 63).replace(/[-.]+$/, '');
}

/** The name by which other pods find it; undefined without a subdomain. */
export function fullNameOf(pod: Pod, clusterDomain = CLUSTER_DOMAIN_DEFAULT): string | undefined {
  const { subdomain } = pod.spec ?? {};
  return subdomain ? `${hostnameOf(pod)}.${subdomain}.${pod.metadata?.namespace}.svc.${clusterDomain}` : undefined;
}

/** The host name that the pod's processes see. Throws {@link HostnameError}. */
export function kernelHostnameOf(pod: Pod, clusterDomain = CLUSTER_DOMAIN_DEFAULT): string {
  const full = pod.spec?.setHostnameAsFQDN ? fullNameOf(pod, clusterDomain) : undefined;
  if (full !== undefined && full.length > HOSTNAME_LENGTH_MAX)
    throw new HostnameError(
      `failed to construct FQDN from pod hostname and cluster domain, FQDN ${full} is too long (${HOSTNAME_LENGTH_MAX} characters is the max, ${full.length} characters requested)`,
    );
  return full ?? hostnameOf(pod);
}

/** The text of /etc/hosts. On the host's network the node's own file is kept in front. */
export function hostsText(
  pod: Pod,
  {
    podIP,
    podIPs = [podIP ?? ''],
    nodeHosts,
    clusterDomain,
  }: Pick<PodFilesContext, 'podIP' | 'podIPs'> & {
    nodeHosts: string | undefined;
    clusterDomain?: string | undefined;
  },
): string {
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
  const names = [fullNameOf(pod, clusterDomain), hostnameOf(pod)].filter(name => name !== undefined).join('\t');
  const own = podIP && nodeHosts === undefined ? podIPs.map(ip => `${ip}\t${names}`) : [];
  const aliases = (pod.spec?.hostAliases ?? []).map(({ ip, hostnames = [] }) => [ip, ...hostnames].join('\t'));
  const extra = aliases.length > 0 ? ['', '# Entries added by HostAliases.', ...aliases] : [];
  return `${[head, ...own, ...extra].join('\n')}\n`;
}

/** Writes the three files below the pod's folder and gives their paths. */
export async function writePodFiles(podDir: string, pod: Pod, context: PodFilesContext): Promise<PodFiles> {
  const etc = join(podDir, 'etc');
  await mkdir(etc, { recursive: true, mode: 0o755 });
  const nodeHosts = pod.spec?.hostNetwork ? await readFile('/etc/hosts', 'utf8').catch(() => '') : undefined;
  const files = { hosts: join(etc, 'hosts'), hostname: join(etc, 'hostname'), resolvConf: join(etc, 'resolv.conf') };
  const clusterDomain = context.clusterDns?.domain;
  const hostname = pod.spec?.hostNetwork ? context.nodeHostname : kernelHostnameOf(pod, clusterDomain);
  const { podIP, podIPs } = context;
  const hosts = hostsText(pod, { podIP, ...(podIPs && { podIPs }), nodeHosts, clusterDomain });
  const { warnings, ...resolvConf } = planResolvConf(pod, context);
  // A pod that got a new address (its sandbox was lost) needs it in its file too.
  const ownLine = podIP && !pod.spec?.hostNetwork ? `${podIP}\t` : '';
  await keep(files.hosts, hosts, text => text.includes(ownLine));
  await keep(files.hostname, `${hostname}\n`);
  await keep(files.resolvConf, formatResolvConf(resolvConf));
  return { ...files, warnings };
}

/** Writes only what is missing or stale: containers have the files mounted, and may have changed theirs. */
async function keep(path: string, text: string, isGood: (text: string) => boolean = () => true): Promise<void> {
  const present = await beginningOf(path);
  if (present === undefined || !isGood(present)) await writeFile(path, text, { mode: 0o644 });
}

/** As much as matters: a container may have made its file as large as the disk. Undefined if there is none. */
async function beginningOf(path: string): Promise<string | undefined> {
  const file = await open(path).catch(() => undefined);
  if (!file) return undefined;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(POD_FILE_READ_BYTES_MAX), 0, POD_FILE_READ_BYTES_MAX, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
