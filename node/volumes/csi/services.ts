/** The calls of plugin registration and of CSI's services Identity and Node that are used here. */
import { method } from '../../grpc/method.ts';
import * as m from './messages.ts';

// The package was never given a version.
const registration = 'pluginregistration.Registration';
const node = 'csi.v1.Node';

export const registrationCalls = {
  getInfo: method(registration, 'GetInfo', { request: m.empty, response: m.pluginInfo }),
  notify: method(registration, 'NotifyRegistrationStatus', { request: m.registrationStatus, response: m.empty }),
} as const;

export const nodeCalls = {
  getInfo: method(node, 'NodeGetInfo', { request: m.empty, response: m.nodeInfo }),
  getCapabilities: method(node, 'NodeGetCapabilities', { request: m.empty, response: m.nodeCapabilities }),
  stage: method(node, 'NodeStageVolume', { request: m.stageVolume, response: m.empty }),
  unstage: method(node, 'NodeUnstageVolume', { request: m.unstageVolume, response: m.empty }),
  publish: method(node, 'NodePublishVolume', { request: m.publishVolume, response: m.empty }),
  unpublish: method(node, 'NodeUnpublishVolume', { request: m.unpublishVolume, response: m.empty }),
  expand: method(node, 'NodeExpandVolume', { request: m.expandVolume, response: m.expandedVolume }),
  stats: method(node, 'NodeGetVolumeStats', { request: m.statsRequest, response: m.volumeStats }),
} as const;
