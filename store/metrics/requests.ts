/** Figures about what this member's own clients ask. */
import type { Figure } from './exposition.ts';
import { RequestTally } from './tallies.ts';

/** One tally a method, made when it is first asked for and kept: methods are few. */
export class RequestTallies {
  readonly methods = new Map<string, RequestTally>();

  of(method: string): RequestTally {
    let tally = this.methods.get(method);
    if (tally === undefined) {
      tally = new RequestTally();
      this.methods.set(method, tally);
    }
    return tally;
  }
}

export function requestFigures({ methods }: RequestTallies): readonly Figure[] {
  return [
    {
      type: 'counter',
      name: 'client_requests_total',
      help: 'Requests of clients to this member, by method and outcome: ok, or the code of the error.',
      labels: ['method', 'outcome'],
      read: () =>
        [...methods].flatMap(([method, { ok, failures }]) => [
          { labels: { method, outcome: 'ok' }, value: ok },
          ...[...failures].map(([outcome, value]) => ({ labels: { method, outcome }, value })),
        ]),
    },
    {
      type: 'histogram',
      name: 'client_request_duration_seconds',
      help: 'From a client’s request to its answer, by method.',
      labels: ['method'],
      read: () => [...methods].map(([method, { durations }]) => ({ labels: { method }, value: durations })),
    },
    {
      type: 'counter',
      name: 'ranges_total',
      help: 'Ranges read by clients of this member.',
      read: () => methods.get('range')?.ok ?? 0,
      etcd: [{ name: 'etcd_mvcc_range_total' }, { name: 'etcd_debugging_mvcc_range_total' }],
    },
  ];
}
