/**
 * A static pod's manifest: text → the pod as this node runs it. It is read, defaulted and judged as the API server would
 * (k/k: pkg/kubelet/config/common.go). Pure. Loaded only where there are manifests: the schemas take their memory.
 */
import { createHash } from 'node:crypto';
import { pod as podKind } from '../../control/api/kinds/pods.ts';
import { decode } from '../../control/api/schema/decode.ts';
import { ApiError, type Pod, type Toleration } from '../api.ts';
import { SOURCE_ANNOTATION } from '../pods/admission.ts';

const HASH_ANNOTATION = 'kubernetes.io/config.hash';

/** The file holds no pod that could run. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
  readonly code = 'NODE_MANIFEST';
}

export interface ManifestOptions {
  readonly text: string;
  /** Where it stands: two files with the same text are two pods. */
  readonly file: string;
  readonly nodeName: string;
}

/** Trouble of the node does not end what keeps the node going. */
const STAYS: Toleration = { operator: 'Exists', effect: 'NoExecute' };
const HASH_LENGTH = 32;

/**
 * The pod of a manifest, named after the node and with a UID that is the manifest's hash: one that is changed is another
 * pod. Throws {@link ManifestError}.
 */
export function readManifest({ text, file, nodeName }: ManifestOptions): Pod {
  const { metadata = {}, spec } = decodePod(text);
  const uid = createHash('sha256')
    .update(JSON.stringify({ metadata, spec, nodeName, file }))
    .digest('hex')
    .slice(0, HASH_LENGTH);
  const { name, namespace, labels, annotations } = metadata;
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: name && `${name}-${nodeName}`,
      namespace: namespace || 'default',
      uid,
      ...(labels && { labels }),
      annotations: { ...annotations, [HASH_ANNOTATION]: uid, [SOURCE_ANNOTATION]: 'file' },
    },
    ...(spec && { spec: { ...spec, nodeName, tolerations: [...(spec.tolerations ?? []), STAYS] } }),
  };
  const image = pod.spec?.volumes?.findIndex(volume => volume.image) ?? -1;
  // Whether the cluster has them is something that the API's masters know, and a static pod waits for none.
  if (image >= 0) throw new ManifestError(`invalid pod: spec.volumes[${image}].image: not for static pods`);
  podKind.defaults(pod);
  const [error] = podKind.validate(pod);
  if (error) throw new ManifestError(`invalid pod: ${error.field}: ${error.message}`);
  return pod;
}

/** What the text says, without what a manifest has no say in: JSON is YAML too. */
function decodePod(text: string): Pod {
  try {
    return decode(podKind, text, { format: 'yaml', fieldValidation: 'Ignore' }).object;
  } catch (error) {
    if (error instanceof ApiError) throw new ManifestError(`couldn't parse as pod: ${error.message}`, { cause: error });
    throw error;
  }
}
