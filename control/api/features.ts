/** Features of Kubernetes 1.33 that are off by default there and that a cluster may switch on. Pure. */

/** Which are on. */
export interface FeatureGates {
  /** Volumes that are the files of an image (KEP-4639, beta in 1.33). */
  readonly ImageVolume: boolean;
}

/** As Kubernetes 1.33 has them where nobody says anything. */
export const DEFAULT_FEATURES: FeatureGates = { ImageVolume: false };

const NAMES = Object.keys(DEFAULT_FEATURES);

const isFeature = (name: string): name is keyof FeatureGates => NAMES.includes(name);

/**
 * Reads kube-apiserver's form, `NAME=true|false` with commas between; of a name that is there twice the last counts. Throws
 * a RangeError that says what there is.
 */
export function parseFeatureGates(text: string): FeatureGates {
  const gates: { -readonly [Name in keyof FeatureGates]: boolean } = { ...DEFAULT_FEATURES };
  for (const part of text.split(',').map(one => one.trim())) {
    if (part === '') continue;
    const [name = '', value, ...more] = part.split('=').map(one => one.trim());
    if (!isFeature(name))
      throw new RangeError(`unrecognized feature gate ${JSON.stringify(name)}: there is ${NAMES.join(', ')}`);
    if ((value !== 'true' && value !== 'false') || more.length > 0)
      throw new RangeError(`invalid value in ${JSON.stringify(part)}: it is ${name}=true or ${name}=false`);
    gates[name] = value === 'true';
  }
  return gates;
}
