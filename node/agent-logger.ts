/** The agent's log: one line of JSON an event. */
import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';

/**
 * Logs to the destination. The agent's parts call what went wrong `error`: pino by itself would write an Error there with its
 * own fields alone, without its message.
 */
export function agentLogger(
  options: { readonly node: string; readonly level: string },
  destination: DestinationStream,
): PinoLogger {
  const { node, level } = options;
  return pino({ level, base: { node }, serializers: { error: pino.stdSerializers.err } }, destination);
}
