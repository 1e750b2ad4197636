import test from 'ava';
import { Register } from './workload.ts';

test('a stale read and a value from nowhere are seen', t => {
  const register = new Register('r');
  register.tried = 2;
  register.acknowledged = 1;
  const stale = register.beginRead();
  register.acknowledged = 2;
  stale(1);
  t.deepEqual(register.violations, [], 'what was acknowledged during the read need not be seen');
  register.beginRead()(1);
  t.is(register.violations.length, 1);
  register.beginRead()(3);
  t.is(register.violations.length, 2);
});
