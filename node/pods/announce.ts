/** Events of pods and containers, in a kubelet's words. */
import type { EventRecorder, Pod } from '../api.ts';
import { EVENT_MESSAGE_LENGTH_MAX } from '../limits.ts';
import type { CheckResult } from '../probes/check.ts';
import type { StopReason } from './record.ts';
import { isSidecar } from './requests.ts';

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
    // What a probe ends stays ended where nothing restarts; what was given another image does not.
    const returns = this.#pod.spec?.restartPolicy !== 'Never' || this.#isSidecar(container);
    this.tell('Normal', 'Killing', killingText(container, reason, returns), container);
  }

  #isSidecar(container: string): boolean {
    return (this.#pod.spec?.initContainers ?? []).some(init => init.name === container && isSidecar(init));
  }

  /** `Back-off restarting failed container c in pod p_ns(uid)`. */
  restartBackOff(container: string): void {
    const { name, namespace, uid } = this.#pod.metadata ?? {};
    const message = `Back-off restarting failed container ${container} in pod ${name}_${namespace}(${uid})`;
    this.tell('Warning', 'BackOff', message, container);
  }

  /** What a probe found, unless all is well. */
  probed(container: string, kind: string, { outcome, output }: CheckResult): void {
    const title = kind.charAt(0).toUpperCase() + kind.slice(1);
    if (outcome === 'failure') this.tell('Warning', 'Unhealthy', `${title} probe failed: ${output}`, container);
    if (outcome === 'warning') this.tell('Warning', 'ProbeWarning', `${title} probe warning: ${output}`, container);
    if (outcome === 'error')
      this.tell('Warning', 'Unhealthy', `${title} probe errored and resulted in unknown state: ${output}`, container);
  }

  #fieldPath(container: string): string {
    const { initContainers = [], ephemeralContainers = [] } = this.#pod.spec ?? {};
    if (initContainers.some(({ name }) => name === container)) return `spec.initContainers{${container}}`;
    if (ephemeralContainers.some(({ name }) => name === container)) return `spec.ephemeralContainers{${container}}`;
    return `spec.containers{${container}}`;
  }
}

function killingText(container: string, reason: StopReason, returns: boolean): string {
  switch (reason) {
    case 'pod':
      return `Stopping container ${container}`;
    case 'liveness':
    case 'startup':
      return `Container ${container} failed ${reason} probe${returns ? ', will be restarted' : ''}`;
    case 'changed':
      return `Container ${container} definition changed, will be restarted`;
    case 'resize':
      return `Container ${container} resize requires restart`;
    case 'postStart':
      return 'FailedPostStartHook';
  }
}
