/** What `/debug/api_priority_and_fairness/` shows, in the tables of kube-apiserver. */
import type { SeatScheduler } from './scheduler.ts';

export const DUMP_PATHS = ['dump_priority_levels', 'dump_queues', 'dump_requests'].map(
  name => `/debug/api_priority_and_fairness/${name}`,
);

/** The text behind one of {@link DUMP_PATHS}; undefined for another path. */
export function dumpFor(path: string, { levels }: SeatScheduler): string | undefined {
  const all = [...levels].sort(([a], [b]) => (a < b ? -1 : Number(a > b)));
  switch (DUMP_PATHS.indexOf(path)) {
    case 0:
      return table([
        'PriorityLevelName, ActiveQueues, IsIdle, IsQuiescing, WaitingRequests, ExecutingRequests, DispatchedRequests, RejectedRequests, TimedoutRequests, CancelledRequests'.split(
          ', ',
        ),
        ...all.map(([name, level]) => [
          name,
          level.queues.filter(({ waiting, executing }) => waiting.length + executing > 0).length,
          level.waiting + level.executing === 0,
          level.isQuiescing,
          level.waiting,
          level.executing,
          ...[level.counts.dispatched, level.counts.rejected, level.counts.timedOut, level.counts.cancelled],
        ]),
      ]);
    case 1:
      return table([
        'PriorityLevelName, Index, PendingRequests, ExecutingRequests, SeatsInUse, NextDispatchR, InitialSeatsSum, MaxSeatsSum, TotalWorkSum'.split(
          ', ',
        ),
        ...all.flatMap(([name, { queues }]) =>
          queues.map(({ waiting, executing, seatsInUse }, index) => {
            const seats = waiting.reduce((sum, ticket) => sum + ticket.seats, 0);
            return [
              name,
              index,
              waiting.length,
              executing,
              seatsInUse,
              `${waiting[0]?.startTag ?? 0}ss`,
              seats,
              seats,
              `${seats}ss`,
            ];
          }),
        ),
      ]);
    case 2:
      return table([
        'PriorityLevelName, FlowSchemaName, QueueIndex, RequestIndexInQueue, FlowDistingsher, ArriveTime, InitialSeats, FinalSeats, AdditionalLatency, StartTime'.split(
          ', ',
        ),
        ...all.flatMap(([name, { queues }]) =>
          queues.flatMap(({ waiting }, queue) =>
            waiting.map(({ schema, flow, arrivedMs, seats }, index) => {
              const arrived = new Date(arrivedMs).toISOString();
              return [name, schema, queue, index, flow, arrived, seats, 0, '0s', arrived];
            }),
          ),
        ),
      ]);
    default:
      return undefined;
  }
}

function table(rows: readonly (readonly (string | number | boolean)[])[]): string {
  const texts = rows.map(row => row.map((cell, index) => `${cell}${index === row.length - 1 ? '' : ','}`));
  const widths = (texts[0] ?? []).map((_, column) => Math.max(...texts.map(row => row[column]?.length ?? 0)));
  return texts
    .map(
      row =>
        `${row
          .map((cell, column) => cell.padEnd((widths[column] ?? 0) + 1))
          .join('')
          .trimEnd()}\n`,
    )
    .join('');
}
