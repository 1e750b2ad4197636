/**
 * A node, composed: joins the cluster at its first start, then runs the agent with the runtime, the network and the proxy
 * that this machine has.
 */
import { randomInt } from 'node:crypto';
import { access, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { HttpsTransport } from '../control/client/https.ts';
import { RestClient } from '../control/client/rest.ts';
import type { ClusterSettings } from '../control/join/protocol.ts';
import { createDefaultCertificate } from '../control/pki/authority.ts';
import { type Agent, createAgent } from './agent.ts';
import { agentLogger } from './agent-logger.ts';
import type { AgentOptions } from './agent-options.ts';
import { splitRanges } from './api.ts';
import { DNS_PORT } from './dns/limits.ts';
import { clusterDnsAddress, createNodeDns } from './dns/node-dns.ts';
import { removeRedirection } from './dns/redirect.ts';
import { parseResolvConf, resolversOf } from './dns/resolv-conf.ts';
import { evictionSettings } from './eviction/settings.ts';
import { imagePolicy } from './housekeeping/image-plan.ts';
import { assembleParts, chooseRuntime } from './machine-parts.ts';
import { clusterIdOf, loadOrJoin } from './membership/membership.ts';
import { keepServers } from './membership/servers.ts';
import { NetworkUnavailableError } from './network/network.ts';
import type { NodeContext, NodeOptions, RuntimeName } from './node-options.ts';
import { removeHoldings } from './removal.ts';
import { isRoot } from './runtime/processes.ts';

export { chooseRuntime } from './machine-parts.ts';
export type { DnsOptions, HousekeepingOptions, NodeContext, NodeOptions, RuntimeName } from './node-options.ts';

/** What the node reports as its kubelet: the Kubernetes version whose behaviour it follows. */
const KUBELET_VERSION = 'v1.33.1+raftsman';

/** Where drivers' manifests look for a kubelet's folders. */
const KUBELET_DIR = '/var/lib/kubelet';

/** Runs a node until it is told to stop. */
export async function runAgent(options: NodeOptions, context: NodeContext): Promise<void> {
  const logger = agentLogger(
    { level: context.env.RAFTSMAN_LOG ?? 'info', node: options.name },
    pino.destination({ dest: 2, sync: true }),
  );
  await mkdir(options.dataDir, { recursive: true, mode: 0o700 });
  const stop = new AbortController();
  const stopped = Promise.withResolvers<NodeJS.Signals>();
  const release = context.onSignal(['SIGTERM', 'SIGINT', 'SIGUSR2'], signal => {
    stop.abort();
    stopped.resolve(signal);
  });
  try {
    const runtimeName = await chooseRuntime(options.runtime, context.env, options.runtimeEndpoint);
    const membership = await loadOrJoin(options, { context, logger, signal: stop.signal });
    if (!membership) return;
    const clusterId = clusterIdOf(membership.authority);
    const { policyEnforcer, proxyKind, ...parts } = await assembleParts({
      name: options.name,
      dataDir: options.dataDir,
      runtime: runtimeName,
      runtimeEndpoint: options.runtimeEndpoint,
      env: context.env,
      clusterId,
      registriesFile: options.registriesFile,
      nodeNetwork: options.nodeNetwork,
    });
    if (runtimeName !== 'fake') await checkFamilies(membership.settings, proxyKind);
    const resolvConf = await readResolvConf(options.dns.resolvConf);
    const dns = composeDns(options, {
      clusterId,
      settings: membership.settings,
      resolvConf,
      proxyKind,
      context,
      logger,
    });
    // Rules of a start before this one.
    if (!options.networkPolicy) await policyEnforcer?.close({ remove: true });
    const transport = new HttpsTransport({
      servers: membership.servers,
      clock: context.clock,
      random: context.random,
      tls: { ca: membership.authority, cert: membership.pair.certificate, key: membership.pair.key },
    });
    const agent = createAgent({
      name: options.name,
      client: new RestClient({ transport, clock: context.clock, userAgent: 'kubelet/v1.33 raftsman-agent' }),
      ...parts,
      ...(options.networkPolicy && policyEnforcer && { policyEnforcer }),
      dataDir: options.dataDir,
      clock: context.clock,
      random: context.random,
      logger,
      tls: { cert: membership.pair.certificate, key: membership.pair.key, clientCa: membership.authority },
      listen: options.listen,
      ...(options.nodeIp !== undefined && { addresses: options.nodeIp.split(',') }),
      labels: options.labels,
      taints: [...options.taints],
      eviction: evictionSettings(options.housekeeping?.eviction ?? {}),
      imagePolicy: imagePolicy(options.housekeeping?.images),
      ...(options.podManifestPath !== undefined && { podManifestPath: options.podManifestPath }),
      // A runtime that only pretends has no driver either: its folder is no place of the machine's.
      ...((options.kubeletDir !== undefined || runtimeName !== 'fake') && {
        kubeletDir: options.kubeletDir ?? KUBELET_DIR,
      }),
      ...(options.leaseDurationSeconds !== undefined && {
        timing: { leaseDurationSeconds: options.leaseDurationSeconds },
      }),
      ...(await ingressOf(options, context)),
      version: KUBELET_VERSION,
      clusterCIDR: membership.settings.clusterCIDR,
      serviceCIDR: membership.settings.serviceCIDR,
      resolvConf,
      ...dns,
      canMount: isRoot(),
    });
    await agent.start();
    logger.info({ runtime: runtimeName, servers: membership.servers }, 'the node runs');
    const refresh = keepServers({
      transport,
      dataDir: options.dataDir,
      given: options.servers,
      settings: membership.settings,
      context,
      signal: stop.signal,
    });
    const signal = await stopped.promise;
    try {
      await end(agent, signal);
    } finally {
      await refresh;
      await transport.close();
    }
  } finally {
    release();
  }
}

/** A dual-stack cluster asks more of its nodes. Throws {@link NetworkUnavailableError} with what is missing. */
async function checkFamilies({ clusterCIDR }: ClusterSettings, proxyKind: DnsParts['proxyKind']): Promise<void> {
  if (splitRanges(clusterCIDR).ipv6 === undefined) return;
  const hasIpv6 = await access('/proc/net/if_inet6').then(
    () => true,
    () => false,
  );
  const why = !hasIpv6
    ? 'IPv6 in the kernel, and there is no /proc/net/if_inet6: boot without ipv6.disable=1'
    : proxyKind === 'userspace' && 'nft, since the userspace proxy serves IPv4 only: install nftables';
  if (why) throw new NetworkUnavailableError(`this cluster is dual-stack, and its nodes need ${why}`);
}

/** Where systemd-resolved keeps the resolvers that stand behind it. */
const RESOLVED_FILE = '/run/systemd/resolve/resolv.conf';

/** What the node's resolv.conf says; where it names only this machine, which pods cannot reach, what stands behind that. */
async function readResolvConf(file: string | undefined): Promise<string> {
  if (file !== undefined) return file === '' ? '' : readFile(file, 'utf8');
  const text = await readFile('/etc/resolv.conf', 'utf8').catch(() => '');
  const isLoopback = parseResolvConf(text).nameservers.every(address => address === '127.0.0.53');
  return isLoopback ? readFile(RESOLVED_FILE, 'utf8').catch(() => text) : text;
}

interface DnsParts {
  readonly clusterId: string;
  readonly settings: ClusterSettings;
  readonly resolvConf: string;
  readonly proxyKind: 'nftables' | 'userspace' | undefined;
  readonly context: NodeContext;
  readonly logger: pino.Logger;
}

/** The cluster's DNS on this node, and what pods are told of it. */
function composeDns({ name, dns }: NodeOptions, parts: DnsParts): Pick<AgentOptions, 'dns' | 'clusterDns'> {
  const { clusterId, settings, resolvConf, proxyKind, context, logger } = parts;
  const domain = dns.domain ?? settings.clusterDomain;
  const address = clusterDnsAddress(splitRanges(settings.serviceCIDR).ipv4);
  const addresses = dns.addresses ?? (address === undefined ? [] : [address]);
  return {
    ...(addresses.length > 0 && { clusterDns: { addresses, domain } }),
    ...(proxyKind !== undefined && {
      dns: createNodeDns({
        clusterId,
        nodeName: name,
        domain,
        serviceCIDR: settings.serviceCIDR,
        proxy: proxyKind,
        resolvers: resolversOf(resolvConf, DNS_PORT),
        ...(dns.stubZones && { stubZones: dns.stubZones }),
        clock: context.clock,
        // Others must not guess the ids of our questions.
        random: () => randomInt(2 ** 32) / 2 ** 32,
        logger,
      }),
    }),
  };
}

/** The certificate for hosts without one of their own is made anew at each start: nobody is to trust it. */
async function ingressOf({ ingress, name }: NodeOptions, { clock }: NodeContext) {
  if (ingress.http === undefined && ingress.https === undefined) return {};
  const pair = await createDefaultCertificate(name, { nowMs: clock.now() });
  return { ingress: { ports: ingress, defaultCertificate: { cert: pair.certificate, key: pair.key } } };
}

/** Stops an agent as the signal asks: SIGUSR2 takes the pods along. */
async function end(agent: Agent, signal: NodeJS.Signals): Promise<void> {
  if (signal === 'SIGUSR2') await agent.drainAndRemove();
  else await agent.close();
}

/**
 * Removes what an agent that was killed left on this machine: containers, mounts, links, routes, rules. Throws
 * `RemovalError` if something is still there.
 */
export async function removeNodeRemains(options: {
  readonly name: string;
  readonly dataDir: string;
  readonly runtime: RuntimeName;
  readonly runtimeEndpoint?: string | undefined;
  readonly env: NodeContext['env'];
}): Promise<void> {
  const authority = await readFile(join(options.dataDir, 'pki', 'ca.crt'), 'utf8').catch(() => undefined);
  if (authority === undefined) return;
  const { name, dataDir } = options;
  const clusterId = clusterIdOf(authority);
  const { runtime, network, proxy, proxyKind, policyEnforcer } = await assembleParts({ ...options, clusterId });
  const redirection = { close: () => removeRedirection({ clusterId, nodeName: name }) };
  await runtime.start();
  const services = [proxyKind === 'nftables' ? redirection : undefined, proxy];
  await removeHoldings({ dataDir, runtime, network, services, policies: policyEnforcer });
}
