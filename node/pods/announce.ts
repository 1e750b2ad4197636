/** Events of pods and containers, in a kubelet's words. */
import type { EventRecorder, Pod } from '../api.ts';
import { EVENT_MESSAGE_LENGTH_MAX } from '../limits.ts';
import type { StopReason } from './record.ts';

export class Announcer {
  readonly #recorder: EventRecorder;
  readonly #pod: Pod;

  constructor(recorder: EventRecorder, pod: Pod) {
    this.#recorder = recorder;
    this.#pod = { apiVersion: 'v1', kind: 'Pod', ...pod };
  }

  /** Something about the pod; `container` narrows it down. */
  tell(type: 'Normal' | 'Warning', reason: string, message: string, container?: string): void {
    const fieldPath = container === undefined ? undefined : this.#fieldPath(container);
    const text = message.length > EVENT_MESSAGE_LENGTH_MAX ? message.slice(0, EVENT_MESSAGE_LENGTH_MAX) : message;
    this.#recorder.record(this.#pod, { type, reason, message: text, ...(fieldPath && { fieldPath }) });
  }

  killing(container: string, reason: StopReason): void {
    this.tell('Normal', 'Killing', killingText(container, reason), container);
  }

  /** `Back-off restarting failed container c in pod p_ns(uid)`. */
  restartBackOff(container: string): void {
    const { name, namespace, uid } = this.#pod.metadata ?? {};
    const message = `Back-off restarting failed container ${container} in pod ${name}_${namespace}(${uid})`;
    this.tell('Warning', 'BackOff', message, container);
  }

  unhealthy(container: string, kind: string, output: string): void {
    const title = kind.charAt(0).toUpperCase() + kind.slice(1);
    this.tell('Warning', 'Unhealthy', `${title} probe failed: ${output}`, container);
  }

  #fieldPath(container: string): string {
    const { initContainers = [], ephemeralContainers = [] } = this.#pod.spec ?? {};
    if (initContainers.some(({ name }) => name === container)) return `spec.initContainers{${container}}`;
    if (ephemeralContainers.some(({ name }) => name === container)) return `spec.ephemeralContainers{${container}}`;
    return `spec.containers{${container}}`;
  }
}

function killingText(container: string, reason: StopReason): string {
  switch (reason) {
    case 'pod':
      return `Stopping container ${container}`;
    case 'liveness':
    case 'startup':
      return `Container ${container} failed ${reason} probe, will be restarted`;
    case 'changed':
      return `Container ${container} definition changed, will be restarted`;
    case 'resize':
      return `Container ${container} resize requires restart`;
    case 'postStart':
      return 'FailedPostStartHook';
  }
}
