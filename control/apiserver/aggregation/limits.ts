/** Every bound of the aggregation layer, with its reason. */

export interface AggregationLimits {
  /** How long a server behind this one may take for one of its documents, or to show that it lives. */
  readonly documentMsMax: number;
  /** A document that is older than this is asked for anew, while the old one is still told. */
  readonly freshMs: number;
  /** A server whose documents could not be had is not asked again before this. */
  readonly retryMs: number;
  /** Between two looks at whether something has changed. */
  readonly lookMs: number;
  /** A server that was there is looked at again after this, one that was not after that. */
  readonly recheckMs: number;
  readonly recheckFailedMs: number;
  /** Servers that are looked at, and documents that are fetched, at a time. */
  readonly checksAtOnce: number;
}

export const DEFAULT_AGGREGATION_LIMITS: AggregationLimits = {
  documentMsMax: 5_000,
  freshMs: 30_000,
  retryMs: 2_000,
  lookMs: 500,
  recheckMs: 30_000,
  recheckFailedMs: 2_000,
  checksAtOnce: 8,
};
