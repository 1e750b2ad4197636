/** What the attacher of CSI volumes and the agents of nodes agree on (k/k pkg/volume/csi): names made of names. */
import { createHash } from 'node:crypto';

/** A CSI volume, as its driver knows it. */
export interface CsiVolumeName {
  readonly driver: string;
  readonly handle: string;
}

/** The name of the VolumeAttachment of a volume to a node. */
export const attachmentName = ({ driver, handle }: CsiVolumeName, nodeName: string): string =>
  `csi-${createHash('sha256').update(`${handle}${driver}${nodeName}`).digest('hex')}`;

/** How a node's status names a volume that it uses: nobody detaches what stands there. */
export const inUseName = ({ driver, handle }: CsiVolumeName): string => `kubernetes.io/csi/${driver}^${handle}`;

/** On a Node: the controller attaches its volumes, not the node itself. */
export const MANAGED_ATTACH = 'volumes.kubernetes.io/controller-managed-attach-detach';
