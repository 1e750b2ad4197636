import test from 'ava';
import { CORE_LIMITS } from './limits.ts';
import { Progress } from './progress.ts';

const limits = { ...CORE_LIMITS, inflightBytesMax: 100 };

function replicating(): Progress {
  const progress = new Progress(1);
  progress.becomeReplicate();
  return progress;
}

test('bytes on their way are counted, and no longer once they are acknowledged', t => {
  const progress = replicating();
  progress.noteSent(1, 60);
  t.true(progress.canSend(limits));
  progress.noteSent(2, 60);
  t.false(progress.canSend(limits));
  progress.noteMatched(1);
  t.is(progress.inflightBytes, 60);
  t.true(progress.canSend(limits));
});

test('bytes on their way are forgotten with the state (etcd-io/raft e419ba5)', t => {
  const progress = replicating();
  progress.noteSent(3, 100);
  progress.becomeProbe();
  progress.becomeReplicate();
  t.is(progress.inflightBytes, 0);
  t.true(progress.canSend(limits));
});

test('an old acknowledgement takes nothing back', t => {
  const progress = replicating();
  progress.noteSent(5, 10);
  t.true(progress.noteMatched(5));
  t.false(progress.noteMatched(3));
  t.is(progress.matchIndex, 5);
  t.is(progress.nextIndex, 6);
});
