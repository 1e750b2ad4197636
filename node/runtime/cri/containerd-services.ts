/**
 * The few calls of containerd's own API that are needed to bring an image without a registry: CRI has none for that.
 * Names and numbers of containerd's `api/services` (content, images, leases), which are stable since 1.0.
 */

import { method } from '../../grpc/method.ts';
import { bytes, int, message, one, text, textMap } from '../../grpc/proto.ts';

export const contentAction = { stat: 0, write: 1, commit: 2 } as const;
const writeContentRequest = message({
  action: int(1),
  ref: text(2),
  total: int(3),
  expected: text(4),
  offset: int(5),
  data: bytes(6),
  labels: textMap(7),
});
const writeContentResponse = message({ action: int(1), offset: int(4), total: int(5), digest: text(6) });

const descriptor = message({ mediaType: text(1), digest: text(2), size: int(3) });
const image = message({ name: text(1), labels: textMap(2), target: one(3, descriptor) });
const lease = message({ id: text(1), createdAt: one(2, message({ seconds: int(1) })), labels: textMap(3) });
const any = message({});

export const containerdCalls = {
  writeContent: method('containerd.services.content.v1.Content', 'Write', {
    request: writeContentRequest,
    response: writeContentResponse,
  }),
  createImage: method('containerd.services.images.v1.Images', 'Create', {
    request: message({ image: one(1, image) }),
    response: message({ image: one(1, image) }),
  }),
  updateImage: method('containerd.services.images.v1.Images', 'Update', {
    request: message({ image: one(1, image) }),
    response: message({ image: one(1, image) }),
  }),
  createLease: method('containerd.services.leases.v1.Leases', 'Create', {
    request: message({ id: text(1), labels: textMap(3) }),
    response: message({ lease: one(1, lease) }),
  }),
  deleteLease: method('containerd.services.leases.v1.Leases', 'Delete', {
    request: message({ id: text(1) }),
    response: any,
  }),
} as const;
