/**
 * What the agent and the supervisor say to each other, over a socket in the data directory: one line of JSON as a
 * request, and an answer that depends on it.
 */
import { z } from 'zod';

export const requestSchema = z.discriminatedUnion('ask', [
  /** Answer: one line, {@link Answer}. */
  z.object({ ask: z.literal('hello') }),
  /** Runs a container that was prepared on disk. Answer: one line, when its command runs or cannot. */
  z.object({ ask: z.literal('start'), id: z.string() }),
  /** Answer: one line, then frames of output; what follows the request is input. */
  z.object({ ask: z.literal('attach'), id: z.string(), stdin: z.boolean() }),
  /** Answer: one line, then a line with a pod's uid at each change. */
  z.object({ ask: z.literal('news') }),
  /** Ends the supervisor if it has no container. Answer: one line. */
  z.object({ ask: z.literal('leave') }),
]);
export type Request = z.infer<typeof requestSchema>;

export const answerSchema = z.discriminatedUnion('result', [
  /** `supervisor` tells this one from those before it. */
  z.object({ result: z.literal('ok'), supervisor: z.string() }),
  z.object({ result: z.literal('failed'), message: z.string() }),
]);
export type Answer = z.infer<typeof answerSchema>;

/** Docker's framing: `[stream, 0, 0, 0, length]` and the bytes. */
export function frameOf(stream: 'stdout' | 'stderr', data: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt8(stream === 'stdout' ? 1 : 2, 0);
  head.writeUInt32BE(data.length, 4);
  return Buffer.concat([head, data]);
}
