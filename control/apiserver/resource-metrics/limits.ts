/** Every bound of the resource metrics, with its reason. */

export interface MetricsLimits {
  /** Measurements as young as this are told again without asking the agents. */
  readonly freshMs: number;
  /** Over less time a rate is mostly noise. */
  readonly windowMsMin: number;
  /** An older look says nothing of now: it is looked twice then. */
  readonly windowMsMax: number;
  /** How long an agent may take to answer. */
  readonly answerMsMax: number;
  /** Agents asked at a time. */
  readonly asksAtOnce: number;
  /** The largest answer that is read. */
  readonly answerBytesMax: number;
}

export const DEFAULT_METRICS_LIMITS: MetricsLimits = {
  freshMs: 10_000,
  windowMsMin: 1_000,
  windowMsMax: 60_000,
  answerMsMax: 5_000,
  asksAtOnce: 16,
  answerBytesMax: 4 * 1024 * 1024,
};
