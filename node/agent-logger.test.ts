import test from 'ava';
import { agentLogger } from './agent-logger.ts';
import { NetworkUnavailableError } from './network/network.ts';

test('an error in the log says what went wrong', t => {
  const lines: string[] = [];
  const logger = agentLogger({ node: 'one', level: 'info' }, { write: line => void lines.push(line) });
  logger.error({ error: new NetworkUnavailableError('nft is missing') }, 'network could not be started');
  logger.error({ error: 'in words' }, 'another');
  logger.debug({ error: 'no' }, 'too little');
  const [first, second, ...more] = lines.map(line => JSON.parse(line) as { node: string; error: unknown });
  t.like(first, { node: 'one', error: { message: 'nft is missing', code: 'NETWORK_UNAVAILABLE' } });
  t.is(second?.error, 'in words');
  t.is(more.length, 0);
});
