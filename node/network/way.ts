/**
 * By which way packets go to another node's pods. Pure. Each node announces in annotations of its Node how it wants to be
 * reached and what that takes; both ends come to the same answer from the two announcements.
 */
import { z } from 'zod';

/** What a node is set to: `auto` is host routes where the other node is on the same network, else VXLAN. */
export const nodeNetworkModes = ['auto', 'routes', 'vxlan', 'wireguard'] as const;
export type NodeNetworkMode = (typeof nodeNetworkModes)[number];
export type Way = Exclude<NodeNetworkMode, 'auto'>;

export interface VxlanEnd {
  /** The hardware address of the node's link. */
  readonly mac: string;
  /** Where its packets are sent. */
  readonly endpoint: string;
}
export interface WireguardEnd {
  readonly publicKey: string;
  readonly endpoint: string;
  readonly port: number;
}
/** What a node says of itself. */
export interface Announcement {
  readonly mode: NodeNetworkMode;
  readonly vxlan?: VxlanEnd;
  readonly wireguard?: WireguardEnd;
}

export const modeAnnotation = 'raftsman.io/node-network';
export const vxlanAnnotation = 'raftsman.io/vxlan';
const wireguardAnnotation = 'raftsman.io/wireguard';

const vxlanSchema = z.object({ mac: z.string().regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/), endpoint: z.ipv4() });
const wireguardSchema = z.object({
  publicKey: z.string().regex(/^[A-Za-z0-9+/]{43}=$/),
  endpoint: z.ipv4(),
  port: z.int().min(1).max(65_535),
});

/** Annotations of the node; null for those that it must not have. */
export function announcementAnnotations({ mode, vxlan, wireguard }: Announcement): Record<string, string | null> {
  return {
    [modeAnnotation]: mode,
    [vxlanAnnotation]: vxlan ? JSON.stringify(vxlan) : null,
    [wireguardAnnotation]: wireguard ? JSON.stringify(wireguard) : null,
  };
}

/** A node that says nothing, or nothing sensible, is one that knows only routes. */
export function readAnnouncement(annotations: Readonly<Record<string, string>> | undefined): Announcement {
  const mode = nodeNetworkModes.find(one => one === annotations?.[modeAnnotation]) ?? 'routes';
  const vxlan = vxlanSchema.safeParse(json(annotations?.[vxlanAnnotation])).data;
  const wireguard = wireguardSchema.safeParse(json(annotations?.[wireguardAnnotation])).data;
  return { mode, ...(vxlan && { vxlan }), ...(wireguard && { wireguard }) };
}

/**
 * The way between two nodes, or why there is none. A node that is set to encrypt is never sent to, and never sends, in
 * the clear.
 */
export function chooseWay(
  own: Announcement,
  other: Announcement,
  isOnLink: boolean,
): { readonly way: Way } | { readonly trouble: string } {
  const wanted = (mode: NodeNetworkMode) => own.mode === mode || other.mode === mode;
  if (wanted('wireguard')) {
    if (own.wireguard && other.wireguard) return { way: 'wireguard' };
    return {
      trouble: `one node is set to WireGuard, the other to ${own.mode === 'wireguard' ? other.mode : own.mode}`,
    };
  }
  const bothHaveVxlan = own.vxlan !== undefined && other.vxlan !== undefined;
  if (wanted('vxlan')) {
    return bothHaveVxlan ? { way: 'vxlan' } : { trouble: 'one node is set to VXLAN, which the other does not have' };
  }
  if (wanted('routes') || isOnLink || !bothHaveVxlan) return { way: 'routes' };
  return { way: 'vxlan' };
}

/** Bytes that the way takes from each packet (RFC 7348: 50 on IPv4; WireGuard: 80 where its own packets may be IPv6). */
export const overheadBytes: Readonly<Record<Way, number>> = { routes: 0, vxlan: 50, wireguard: 80 };

function json(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
