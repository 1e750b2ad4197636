/** What members ask each other outside Raft: each method has one handler, found by its name. */

/** Answers one method. What it throws reaches the asker by its `code`. */
export type PeerMethod = (body: Uint8Array, from: string) => Promise<Uint8Array>;

/** The method is of a later version. */
export class UnknownPeerMethodError extends Error {
  override readonly name = 'UnknownPeerMethodError';
  readonly code = 'STORE_UNKNOWN_METHOD';
}

export class PeerMethods {
  readonly #methods = new Map<string, PeerMethod>();

  /** From now on `handler` answers `method`. */
  on(method: string, handler: PeerMethod): void {
    this.#methods.set(method, handler);
  }

  /** For Raft's `onRequest`. @throws {UnknownPeerMethodError} nobody answers that */
  async answer(from: string, method: string, body: Uint8Array): Promise<Uint8Array> {
    const handler = this.#methods.get(method);
    if (handler === undefined) throw new UnknownPeerMethodError(`this member does not know the method ${method}`);
    return handler(body, from);
  }
}
