/** The certificates with which a master shows who it is: to clients, to its peers, to agents, and its administrator's. */
import { splitRanges } from '../api/families.ts';
import { issueCertificate, type KeyPair, LEAF_VALID_DAYS } from '../pki/authority.ts';
import { createFrontProxy, type FrontProxy } from '../pki/front-proxy.ts';
import { firstAddress, servingHosts } from './addresses.ts';
import type { MasterSetup } from './setup.ts';

const ADMINISTRATOR = { commonName: 'raftsman-admin', organizations: ['system:masters'], usages: ['client'] } as const;

export interface CertificateOptions {
  readonly name: string;
  readonly tlsSans: readonly string[];
  readonly advertise: { readonly host: string } | undefined;
}

export interface OwnCertificates {
  readonly serving: KeyPair;
  readonly peer: KeyPair;
  readonly kubelet: KeyPair;
  readonly administrator: KeyPair;
  readonly frontProxy: FrontProxy;
}

/** Made afresh at each start: a master that restarts within a year never serves an expired certificate. */
export async function issueOwn(
  options: CertificateOptions,
  { secrets, settings }: Pick<MasterSetup, 'secrets' | 'settings'>,
  nowMs: number,
): Promise<OwnCertificates> {
  const terms = { nowMs, validDays: LEAF_VALID_DAYS };
  const hosts = servingHosts({
    extra: [...options.tlsSans, ...(options.advertise ? [options.advertise.host] : [])],
    clusterDomain: settings.clusterDomain,
    serviceAddress: firstAddress(splitRanges(settings.serviceCIDR).ipv4),
  });
  const [serving, peer, kubelet, administrator, frontProxy] = await Promise.all([
    issueCertificate(secrets.authority, { commonName: 'kube-apiserver', hosts, usages: ['server'] }, terms),
    issueCertificate(
      secrets.peerAuthority,
      { commonName: options.name, hosts: [...hosts, options.name], usages: ['client', 'server'] },
      terms,
    ),
    issueCertificate(
      secrets.authority,
      { commonName: 'kube-apiserver-kubelet-client', organizations: ['system:masters'], usages: ['client'] },
      terms,
    ),
    issueCertificate(secrets.authority, ADMINISTRATOR, terms),
    createFrontProxy(secrets.authority, terms),
  ]);
  return { serving, peer, kubelet, administrator, frontProxy };
}
