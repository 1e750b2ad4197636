/**
 * Probes one running container: startup first, then liveness and readiness, each at its own period and never two of the
 * same kind at once. What the answers prove goes into the container's verdicts; who looks at those is told of changes.
 */
import type { Container, EphemeralContainer, Probe } from '../api.ts';
import type { Verdicts } from '../pods/record.ts';
import { type CheckResult, type CheckTarget, check } from './check.ts';
import { concluded, extend, type ProbeKind, type Run, timingOf } from './verdict.ts';

export interface ProberOptions {
  readonly target: CheckTarget;
  readonly verdicts: Verdicts;
  /** When the container started. */
  readonly startedAt: number;
  readonly onChange: () => void;
  /** A probe was answered, or could not be made. */
  readonly onAnswer: (kind: ProbeKind, result: CheckResult) => void;
}

export class Prober {
  readonly #options: ProberOptions;
  readonly #stopping = new AbortController();
  readonly #cancels = new Map<ProbeKind, () => void>();
  readonly #runs = new Map<ProbeKind, Run>();
  /** Those that are not made any more. */
  readonly #held = new Set<ProbeKind>();

  constructor(options: ProberOptions) {
    this.#options = options;
  }

  start(): void {
    const { container } = this.#options.target;
    if (container.startupProbe && !this.#options.verdicts.started)
      this.#schedule('startup', container.startupProbe, true);
    else this.#startOthers();
  }

  stop(): void {
    this.#stopping.abort();
    for (const cancel of this.#cancels.values()) cancel();
    this.#cancels.clear();
  }

  /** The container is to end: nothing restarts it any more, but whether it is ready is still asked (k/k: prober/worker.go). */
  stopRestarting(): void {
    for (const kind of ['startup', 'liveness'] as const) {
      this.#held.add(kind);
      this.#cancels.get(kind)?.();
      this.#cancels.delete(kind);
    }
  }

  #startOthers(): void {
    const { livenessProbe, readinessProbe } = this.#options.target.container;
    if (livenessProbe) this.#schedule('liveness', livenessProbe, true);
    if (readinessProbe) this.#schedule('readiness', readinessProbe, true);
  }

  #schedule(kind: ProbeKind, probe: Probe, first: boolean): void {
    if (this.#stopping.signal.aborted || this.#held.has(kind)) return;
    const { target, startedAt } = this.#options;
    const timing = timingOf(probe);
    const delayMs = first ? Math.max(0, startedAt + timing.initialDelayMs - target.clock.now()) : timing.periodMs;
    const cancel = target.clock.setTimeout(() => void this.#probe(kind, probe), delayMs);
    this.#cancels.set(kind, cancel);
  }

  async #probe(kind: ProbeKind, probe: Probe): Promise<void> {
    const { target, onAnswer } = this.#options;
    const { signal } = this.#stopping;
    const timing = timingOf(probe);
    const result = await check(target, probe, { timeoutMs: timing.timeoutMs, signal });
    if (signal.aborted || this.#held.has(kind)) return;
    onAnswer(kind, result);
    // It says nothing of the container: what was believed of it stays.
    if (result.outcome === 'error') return this.#schedule(kind, probe, false);
    const ok = result.outcome !== 'failure';
    const run = extend(this.#runs.get(kind), ok ? 'success' : 'failure');
    this.#runs.set(kind, run);
    const outcome = concluded(run, timing);
    const goOn = outcome === undefined || this.#conclude(kind, outcome === 'success');
    if (goOn) this.#schedule(kind, probe, false);
  }

  /** Gives whether this probe goes on. */
  #conclude(kind: ProbeKind, ok: boolean): boolean {
    const { verdicts, onChange } = this.#options;
    if (kind === 'readiness') {
      if (verdicts.ready !== ok) {
        verdicts.ready = ok;
        onChange();
      }
      return true;
    }
    if (!ok) {
      verdicts.unhealthy = kind;
      onChange();
      return false;
    }
    if (kind === 'liveness') return true;
    verdicts.started = true;
    onChange();
    this.#startOthers();
    return false;
  }
}

/** True if there is anything to probe. */
export function hasProbes(container: Container | EphemeralContainer): boolean {
  return Boolean(container.startupProbe || container.livenessProbe || container.readinessProbe);
}
