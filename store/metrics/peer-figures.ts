/** Figures about the other members: connections, bytes, round trips, heartbeats, snapshots. */
import type { RaftStatus } from '../../raft/index.ts';
import type { Distribution } from './distribution.ts';
import type { EtcdName, Figure, Sample } from './exposition.ts';
import type { PeerTally, RaftTally, TransferTally } from './tallies.ts';

export function peerFigures(tally: RaftTally, status: () => RaftStatus): readonly Figure[] {
  const each = <Value>(read: (peer: PeerTally) => Value): readonly Sample<Value>[] =>
    [...tally.peers].map(([peer, its]) => ({ labels: { peer }, value: read(its) }));
  const sum = (read: (peer: PeerTally) => number) =>
    [...tally.peers.values()].reduce((total, peer) => total + read(peer), 0);
  const perPeer = (
    name: string,
    help: string,
    etcd: EtcdName | undefined,
    read: (peer: PeerTally) => number,
  ): Figure => ({
    type: 'counter',
    name,
    help,
    labels: ['peer'],
    read: () => each(read),
    ...(etcd && { etcd }),
  });
  const distribution = (
    name: string,
    help: string,
    etcd: EtcdName | undefined,
    read: (peer: PeerTally) => Distribution,
  ): Figure => ({ type: 'histogram', name, help, labels: ['peer'], read: () => each(read), ...(etcd && { etcd }) });
  const network = (name: string, label?: 'To' | 'From'): EtcdName => ({
    name: `etcd_network_${name}`,
    ...(label && { labels: [label] }),
  });
  return [
    {
      type: 'gauge',
      name: 'peer_connected',
      help: '1 if there is a connection to the peer.',
      labels: ['member', 'peer'],
      read: () => {
        const { id: member, membership } = status();
        return membership.members
          .filter(({ id }) => id !== member)
          .map(({ id: peer }) => ({
            labels: { member, peer },
            value: Number((tally.peers.get(peer)?.connections ?? 0) > 0),
          }));
      },
      etcd: { name: 'etcd_network_active_peers', labels: ['Local', 'Remote'] },
    },
    perPeer(
      'peer_disconnects_total',
      'Connections to the peer that ended.',
      network('disconnected_peers_total', 'To'),
      peer => peer.disconnects,
    ),
    perPeer(
      'peer_sent_bytes_total',
      'Bytes sent to the peer, without snapshots.',
      network('peer_sent_bytes_total', 'To'),
      peer => peer.sentBytes,
    ),
    perPeer(
      'peer_received_bytes_total',
      'Bytes received from the peer, without snapshots.',
      network('peer_received_bytes_total', 'From'),
      peer => peer.receivedBytes,
    ),
    perPeer(
      'peer_send_failures_total',
      'Messages to the peer that were dropped: no connection, or a full queue.',
      network('peer_sent_failures_total', 'To'),
      peer => peer.sendFailures,
    ),
    perPeer(
      'peer_receive_failures_total',
      'Frames of the peer that could not be understood.',
      network('peer_received_failures_total', 'From'),
      peer => peer.receiveFailures,
    ),
    distribution(
      'peer_round_trip_seconds',
      'A ping to the peer and back, on the connection that carries everything else.',
      network('peer_round_trip_time_seconds', 'To'),
      peer => peer.roundTrips,
    ),
    perPeer(
      'heartbeat_failures_total',
      'On the leader: heartbeats to the peer that left too late, because this process was too slow.',
      undefined,
      peer => peer.heartbeatFailures,
    ),
    {
      type: 'counter',
      name: 'heartbeats_late_total',
      help: 'The same for all peers together.',
      read: () => sum(peer => peer.heartbeatFailures),
      etcd: { name: 'etcd_server_heartbeat_send_failures_total' },
    },
    ...transfers('send', 'To', peer => peer.snapshotsSent, { each, perPeer, distribution }),
    ...transfers('receive', 'From', peer => peer.snapshotsReceived, { each, perPeer, distribution }),
  ];
}

interface Make {
  readonly each: (read: (peer: PeerTally) => number) => readonly Sample<number>[];
  readonly perPeer: (
    name: string,
    help: string,
    etcd: EtcdName | undefined,
    read: (peer: PeerTally) => number,
  ) => Figure;
  readonly distribution: (
    name: string,
    help: string,
    etcd: EtcdName | undefined,
    read: (peer: PeerTally) => Distribution,
  ) => Figure;
}

function transfers(
  way: 'send' | 'receive',
  label: 'To' | 'From',
  of: (peer: PeerTally) => TransferTally,
  { each, perPeer, distribution }: Make,
): readonly Figure[] {
  const etcd = (what: string): EtcdName => ({ name: `etcd_network_snapshot_${way}_${what}`, labels: [label] });
  const where = way === 'send' ? 'to the peer' : 'from the peer';
  const name = `snapshot_${way}`;
  return [
    {
      type: 'gauge',
      name: `${name}_inflights`,
      help: `Snapshots on their way ${where}.`,
      labels: ['peer'],
      read: () => each(peer => of(peer).underWay),
      etcd: etcd('inflights_total'),
    },
    perPeer(
      `${name}_success_total`,
      `Snapshots that came through ${where}.`,
      etcd('success'),
      peer => of(peer).complete,
    ),
    perPeer(`${name}_failures_total`, `Snapshots that broke off ${where}.`, etcd('failures'), peer => of(peer).failed),
    perPeer(`${name}_bytes_total`, `Bytes of snapshots ${where}.`, undefined, peer => of(peer).bytes),
    distribution(
      `${name}_duration_seconds`,
      `Snapshots that came through ${where}.`,
      etcd('total_duration_seconds'),
      peer => of(peer).durations,
    ),
  ];
}
