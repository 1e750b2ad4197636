import test from 'ava';
import { DEFAULT_FEATURES, parseFeatureGates } from './features.ts';

test('feature gates are read as kube-apiserver reads them', t => {
  t.deepEqual(parseFeatureGates(''), DEFAULT_FEATURES);
  t.false(DEFAULT_FEATURES.ImageVolume);
  t.deepEqual(parseFeatureGates('ImageVolume=true'), { ImageVolume: true });
  t.deepEqual(parseFeatureGates(' ImageVolume=true , ImageVolume=false,'), { ImageVolume: false });
});

test('what is no feature gate, or has no such value, is told with what there is', t => {
  for (const [text, message] of [
    ['Nothing=true', 'unrecognized feature gate "Nothing": there is ImageVolume'],
    ['imagevolume=true', 'unrecognized feature gate "imagevolume": there is ImageVolume'],
    ['toString=true', 'unrecognized feature gate "toString": there is ImageVolume'],
    ['ImageVolume', 'invalid value in "ImageVolume": it is ImageVolume=true or ImageVolume=false'],
    ['ImageVolume=yes', 'invalid value in "ImageVolume=yes": it is ImageVolume=true or ImageVolume=false'],
    ['ImageVolume=true=true', 'invalid value in "ImageVolume=true=true": it is ImageVolume=true or ImageVolume=false'],
  ] as const)
    t.throws(() => parseFeatureGates(text), { instanceOf: RangeError, message }, text);
});
