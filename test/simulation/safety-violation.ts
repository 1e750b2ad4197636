/** Thrown by those who judge a run: a property of Raft, or a promise of the store, was broken. */
export class SafetyViolation extends Error {
  override readonly name = 'SafetyViolation';
}
