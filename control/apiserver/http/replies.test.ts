import test from 'ava';
import { NoSpaceError, QuotaExceededError, UnavailableError, UnknownOutcomeError } from '../../../store/index.ts';
import { errorReply } from './replies.ts';

test('what the store refuses is told as what it is: to be tried again, or not to be known', t => {
  const cases: [Error, number, string, RegExp][] = [
    [new QuotaExceededError('the store is full'), 503, 'ServiceUnavailable', /no room: the store is full/],
    [new NoSpaceError('the disk of a member is nearly full'), 503, 'ServiceUnavailable', /no room: the disk/],
    [new UnavailableError('nobody leads'), 503, 'ServiceUnavailable', /nobody leads/],
    [new UnknownOutcomeError('lost'), 504, 'Timeout', /not known/],
    [new Error('a bug'), 500, 'InternalError', /./],
  ];
  for (const [error, code, reason, message] of cases) {
    const reply = errorReply(error);
    t.is(reply.status, code);
    const body = 'body' in reply ? reply.body : undefined;
    const status = JSON.parse(Buffer.from(body as Uint8Array).toString());
    t.like(status, { kind: 'Status', status: 'Failure', reason, code });
    t.regex(status.message, message);
  }
});
