import test from 'ava';
import { RequestEnd } from './request-end.ts';

test('a signal that was asked for before the end aborts with its reason', t => {
  const end = new RequestEnd([]);
  const { signal } = end;
  t.false(signal.aborted);
  end.end('late');
  end.end('gone');
  t.is(signal.reason, 'late');
  t.is(end.signal, signal);
});

test('a signal that is asked for after the end has aborted', t => {
  const end = new RequestEnd([]);
  end.end('gone');
  t.true(end.signal.aborted);
  t.is(end.signal.reason, 'gone');
});

test('the request ends with the others', t => {
  const [closing, given] = [new AbortController(), new AbortController()];
  const end = new RequestEnd([closing.signal, given.signal]);
  const { signal } = end;
  given.abort('caller');
  t.is(signal.reason, 'caller');
  closing.abort('closing');
  t.is(new RequestEnd([closing.signal]).signal.reason, 'closing');
});
