import test from 'ava';
import { Command } from 'commander';
import { featureGatesArguments, featureGatesOption } from './feature-gates.ts';

const read = (...words: string[]) =>
  new Command()
    .addOption(featureGatesOption())
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .parse(words, { from: 'user' })
    .opts().featureGates;

test('what the flag says is handed on to masters as it was', t => {
  t.deepEqual(featureGatesArguments(read()), []);
  t.deepEqual(featureGatesArguments(read('--feature-gates', 'ImageVolume=false')), []);
  t.deepEqual(featureGatesArguments(read('--feature-gates=ImageVolume=true')), ['--feature-gates', 'ImageVolume=true']);
});

test('a gate that is not there is refused before anything starts', t => {
  t.throws(() => read('--feature-gates', 'Other=true'), {
    message: /unrecognized feature gate "Other": there is ImageVolume/,
  });
});
