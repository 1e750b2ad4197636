/** Calls to etcd's gRPC API, under the names that go-grpc-prometheus gives them and etcd dashboards look for. */
import type { Figure } from './exposition.ts';

export type RpcType = 'unary' | 'client_stream' | 'server_stream' | 'bidi_stream';
export interface Rpc {
  /** Such as `etcdserverpb.KV`. */
  readonly service: string;
  /** Such as `Range`. */
  readonly method: string;
  readonly type: RpcType;
}

/** Counts the calls of one method. Keep it: making it looks it up. */
export class RpcTally {
  readonly rpc: Rpc;
  started = 0;
  /** By gRPC's name of the status, such as `OK`. */
  readonly handled = new Map<string, number>();

  constructor(rpc: Rpc) {
    this.rpc = rpc;
  }
  ended(status: string): void {
    this.handled.set(status, (this.handled.get(status) ?? 0) + 1);
  }
}

export class RpcTallies {
  readonly #tallies = new Map<string, RpcTally>();
  /** Bytes of messages, without what gRPC adds. */
  sentBytes = 0;
  receivedBytes = 0;

  of(rpc: Rpc): RpcTally {
    const name = `${rpc.service}/${rpc.method}`;
    let tally = this.#tallies.get(name);
    if (tally === undefined) {
      tally = new RpcTally(rpc);
      this.#tallies.set(name, tally);
    }
    return tally;
  }
  get all(): readonly RpcTally[] {
    return [...this.#tallies.values()];
  }
}

const LABELS = ['type', 'service', 'method'] as const;
const GRPC_LABELS = ['grpc_type', 'grpc_service', 'grpc_method'] as const;

export function rpcFigures(tallies: RpcTallies): readonly Figure[] {
  const labelsOf = ({ rpc }: RpcTally) => ({ type: rpc.type, service: rpc.service, method: rpc.method });
  return [
    {
      type: 'counter',
      name: 'rpcs_started_total',
      help: 'Calls to the etcd API that began.',
      labels: LABELS,
      read: () => tallies.all.map(tally => ({ labels: labelsOf(tally), value: tally.started })),
      etcd: { name: 'grpc_server_started_total', labels: GRPC_LABELS },
    },
    {
      type: 'counter',
      name: 'rpcs_handled_total',
      help: 'Calls to the etcd API that ended, by status.',
      labels: [...LABELS, 'code'],
      read: () =>
        tallies.all.flatMap(tally =>
          [...tally.handled].map(([code, value]) => ({ labels: { ...labelsOf(tally), code }, value })),
        ),
      etcd: { name: 'grpc_server_handled_total', labels: [...GRPC_LABELS, 'grpc_code'] },
    },
    {
      type: 'counter',
      name: 'rpc_sent_bytes_total',
      help: 'Bytes sent to clients of the etcd API.',
      read: () => tallies.sentBytes,
      etcd: { name: 'etcd_network_client_grpc_sent_bytes_total' },
    },
    {
      type: 'counter',
      name: 'rpc_received_bytes_total',
      help: 'Bytes received from clients of the etcd API.',
      read: () => tallies.receivedBytes,
      etcd: { name: 'etcd_network_client_grpc_received_bytes_total' },
    },
  ];
}
