/**
 * The WireGuard link of a node: pods' packets to other nodes travel encrypted. The key pair lies in the node's data
 * directory, the public key in an annotation; `wg` (wireguard-tools) tells the kernel. A peer may send only from the
 * addresses of its own pods.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { commandExists, mustRun, type RunCommand } from '../runtime/command.ts';
import { wireguardPortCount, wireguardPortMin } from './limits.ts';
import { type Links, tryLink } from './links.ts';
import { NetworkUnavailableError } from './network.ts';
import type { WireguardEnd } from './way.ts';

export interface WireguardPeer extends WireguardEnd {
  readonly podCIDR: string;
  /** Its pods' range of IPv6, on a dual-stack cluster. */
  readonly podCIDR6?: string;
}
export interface WireguardOptions {
  readonly link: string;
  readonly dataDir: string;
  readonly endpoint: string;
  readonly mtu: number;
}

/** Why WireGuard cannot be had here; undefined if it can. */
export async function wireguardUnavailable(run: RunCommand): Promise<string | undefined> {
  if (!(await commandExists(run, 'wg', ['--version']))) return 'wg is missing: install wireguard-tools';
  const refusal = await tryLink(run, ['wireguard']);
  return refusal === undefined ? undefined : `this kernel has no WireGuard: ${refusal}`;
}

export class WireguardLink {
  readonly #run: RunCommand;
  readonly #links: Links;
  readonly #options: WireguardOptions;
  #privateKey = '';
  #port = 0;

  constructor(run: RunCommand, links: Links, options: WireguardOptions) {
    this.#run = run;
    this.#links = links;
    this.#options = options;
  }

  /** Makes the link with its key, at the first port that is free; gives what others have to know. */
  async ensure(): Promise<WireguardEnd> {
    const { link, dataDir, endpoint, mtu } = this.#options;
    this.#privateKey = await loadKey(path.join(dataDir, 'wireguard.key'));
    const isThere = await this.#links.exists(link);
    await this.#links.change([
      ...(isThere ? [] : [`link add ${link} type wireguard`]),
      `link set dev ${link} mtu ${mtu}`,
      `link set dev ${link} addrgenmode none`,
    ]);
    const present = isThere ? await this.#presentPort() : 0;
    // One that a crash left down has a port in its settings, and does not listen.
    this.#port = present > 0 && (await this.#up()) === undefined ? present : await this.#takePort();
    return { publicKey: publicKeyOf(this.#privateKey), endpoint, port: this.#port };
  }

  /** One step for all peers; sessions with those that stay go on. */
  async sync(peers: readonly WireguardPeer[]): Promise<void> {
    await this.#configure('syncconf', this.#port, peers);
  }

  async remove(): Promise<void> {
    await this.#links.remove(this.#options.link);
  }

  async #presentPort(): Promise<number> {
    const shown = await this.#run('wg', ['show', this.#options.link, 'listen-port']);
    return shown.code === 0 ? Number(shown.stdout.trim()) || 0 : 0;
  }

  /** Several nodes may share a machine, each with a port. */
  async #takePort(): Promise<number> {
    let said: string | undefined;
    for (let port = wireguardPortMin; port < wireguardPortMin + wireguardPortCount; port += 1) {
      await this.#configure('setconf', port, []);
      said = await this.#up();
      if (said === undefined) return port;
    }
    throw new NetworkUnavailableError(`no port for WireGuard is free from ${wireguardPortMin} on: ${said}`);
  }

  /** The port is bound when the link goes up. Gives what the kernel has against it. */
  async #up(): Promise<string | undefined> {
    const up = await this.#run('ip', ['link', 'set', 'dev', this.#options.link, 'up']);
    return up.code === 0 ? undefined : up.stderr.trim();
  }

  /**
   * `wg` opens its configuration by name. What Node gives a program to read is a socket, which the kernel does not open, so it
   * goes through a pipe of the shell's; the key then lies in no other file.
   */
  async #configure(verb: 'setconf' | 'syncconf', port: number, peers: readonly WireguardPeer[]): Promise<void> {
    await mustRun(this.#run, 'sh', ['-c', 'cat | wg "$0" "$1" /dev/stdin', verb, this.#options.link], {
      input: wireguardConfig({ privateKey: this.#privateKey, port, peers }),
    });
  }
}

/** As `wg setconf` reads it. Pure. */
export function wireguardConfig(config: {
  readonly privateKey: string;
  readonly port: number;
  readonly peers: readonly WireguardPeer[];
}): string {
  const peers = config.peers.map(({ publicKey, endpoint, port, podCIDR, podCIDR6 }) => {
    const allowed = [podCIDR, ...(podCIDR6 === undefined ? [] : [podCIDR6])].join(', ');
    return ['[Peer]', `PublicKey = ${publicKey}`, `AllowedIPs = ${allowed}`, `Endpoint = ${endpoint}:${port}`].join(
      '\n',
    );
  });
  const own = ['[Interface]', `PrivateKey = ${config.privateKey}`, `ListenPort = ${config.port}`].join('\n');
  return `${[own, ...peers].join('\n')}\n`;
}

/** WireGuard's text form of an X25519 key: base64 of its 32 bytes. */
export function publicKeyOf(privateKey: string): string {
  // PKCS #8 (RFC 8410): this header, then the key.
  const der = Buffer.concat([
    Buffer.from('302e020100300506032b656e04220420', 'hex'),
    Buffer.from(privateKey, 'base64'),
  ]);
  const { x = '' } = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })).export({
    format: 'jwk',
  });
  return Buffer.from(x, 'base64url').toString('base64');
}

/**
 * The node's own key, made at the first time. One that a crash left half written is made anew. Throws
 * {@link NetworkUnavailableError} for what is no key: `wg` would print it.
 */
export async function loadKey(file: string): Promise<string> {
  const known = (await readFile(file, 'utf8').catch(() => '')).trim();
  if (known !== '' && !/^[A-Za-z0-9+/]{43}=$/.test(known)) {
    throw new NetworkUnavailableError(`${file} holds no WireGuard key: remove it, and the node makes another`);
  }
  if (known !== '') return known;
  const { d = '' } = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
  const key = Buffer.from(d, 'base64url').toString('base64');
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(`${file}.new`, `${key}\n`, { mode: 0o600, flush: true });
  await rename(`${file}.new`, file);
  return key;
}
