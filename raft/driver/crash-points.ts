/**
 * Named places around each durable step, for tests that stop a member exactly there. In production nothing listens.
 * A hook that throws stops the member as a failed write would: nothing after the point happens.
 */
export type CrashPoint =
  | 'beforeSave'
  | 'afterSave'
  | 'beforeApply'
  | 'afterApply'
  | 'beforeFlush'
  | 'beforeCompact'
  | 'afterCompact'
  | 'beforeRestore'
  | 'beforeReset'
  | 'afterReset'
  | 'afterRestore';

export type CrashPointHook = (point: CrashPoint) => void;
