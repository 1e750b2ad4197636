/** `--feature-gates`, named and written as kube-apiserver's. */
import { InvalidArgumentError, Option } from 'commander';
import { DEFAULT_FEATURES, type FeatureGates, parseFeatureGates } from '../../control/api/features.ts';

export function featureGatesOption(): Option {
  return new Option(
    '--feature-gates <gates>',
    'features of Kubernetes that are off by default: ImageVolume=true; the same on every master',
  )
    .argParser(featureGates)
    .default(DEFAULT_FEATURES, 'all off');
}

/** The flag that says the same to a process that is started; none where nothing is on. */
export function featureGatesArguments(gates: FeatureGates): readonly string[] {
  const on = Object.entries(gates).flatMap(([name, isOn]) => (isOn ? [`${name}=true`] : []));
  return on.length === 0 ? [] : ['--feature-gates', on.join(',')];
}

function featureGates(text: string): FeatureGates {
  try {
    return parseFeatureGates(text);
  } catch (error) {
    if (error instanceof RangeError) throw new InvalidArgumentError(`${error.message}.`);
    throw error;
  }
}
