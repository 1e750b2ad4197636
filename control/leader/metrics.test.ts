import test from 'ava';
import { leaderMetrics } from './metrics.ts';

test('scheduler and controllers are counted under the names that Kubernetes has for them', async t => {
  const { controllers, scheduler, text } = leaderMetrics({ heapBytes: () => 4096, loopDelayMs: () => 25 });
  const queue = { length: 0 };
  controllers.started('deployment', queue);
  controllers.reconciled({ controller: 'deployment', durationMs: 20, failed: false });
  controllers.reconciled({ controller: 'deployment', durationMs: 3, failed: true });
  const pods = { active: 1, backOff: 2, unschedulable: 3, inFlight: 4 };
  scheduler.started({ count: state => pods[state] });
  scheduler.decided({ placed: true, profile: 'default-scheduler', durationMs: 1 });
  scheduler.decided({ placed: false, profile: 'mine', durationMs: 1 });
  queue.length = 7;
  const lines = (await text()).split('\n');
  for (const line of [
    'workqueue_depth{name="deployment"} 7',
    'workqueue_retries_total{name="deployment"} 1',
    'workqueue_work_duration_seconds_bucket{le="0.005",name="deployment"} 1',
    'workqueue_work_duration_seconds_count{name="deployment"} 2',
    'scheduler_pending_pods{queue="active"} 1',
    'scheduler_pending_pods{queue="backoff"} 2',
    'scheduler_pending_pods{queue="unschedulable"} 3',
    'scheduler_schedule_attempts_total{result="scheduled",profile="default-scheduler"} 1',
    'scheduler_schedule_attempts_total{result="unschedulable",profile="mine"} 1',
    'scheduler_scheduling_attempt_duration_seconds_count{result="unschedulable",profile="mine"} 1',
    'raftsman_leader_heap_bytes 4096',
    'raftsman_leader_event_loop_delay_p99_seconds 0.025',
  ]) {
    t.true(lines.includes(line), line);
  }
});
