/** The calls of CRI's two services: their paths, and what goes there and comes back. */
import { method } from '../../grpc/method.ts';
import * as m from './messages.ts';

const runtimeService = 'runtime.v1.RuntimeService';
const imageService = 'runtime.v1.ImageService';

export const runtimeCalls = {
  version: method(runtimeService, 'Version', { request: m.versionRequest, response: m.versionResponse }),
  status: method(runtimeService, 'Status', { request: m.statusRequest, response: m.statusResponse }),
  runPodSandbox: method(runtimeService, 'RunPodSandbox', { request: m.runSandboxRequest, response: m.sandboxId }),
  stopPodSandbox: method(runtimeService, 'StopPodSandbox', { request: m.sandboxId, response: m.empty }),
  removePodSandbox: method(runtimeService, 'RemovePodSandbox', { request: m.sandboxId, response: m.empty }),
  podSandboxStatus: method(runtimeService, 'PodSandboxStatus', {
    request: m.sandboxStatusRequest,
    response: m.sandboxStatusResponse,
  }),
  listPodSandbox: method(runtimeService, 'ListPodSandbox', {
    request: m.listSandboxRequest,
    response: m.listSandboxResponse,
  }),
  createContainer: method(runtimeService, 'CreateContainer', {
    request: m.createContainerRequest,
    response: m.containerId,
  }),
  startContainer: method(runtimeService, 'StartContainer', { request: m.containerId, response: m.empty }),
  stopContainer: method(runtimeService, 'StopContainer', { request: m.stopContainerRequest, response: m.empty }),
  removeContainer: method(runtimeService, 'RemoveContainer', { request: m.containerId, response: m.empty }),
  updateContainerResources: method(runtimeService, 'UpdateContainerResources', {
    request: m.updateResourcesRequest,
    response: m.empty,
  }),
  listContainers: method(runtimeService, 'ListContainers', {
    request: m.listContainersRequest,
    response: m.listContainersResponse,
  }),
  containerStatus: method(runtimeService, 'ContainerStatus', {
    request: m.containerStatusRequest,
    response: m.containerStatusResponse,
  }),
  reopenContainerLog: method(runtimeService, 'ReopenContainerLog', { request: m.containerId, response: m.empty }),
  exec: method(runtimeService, 'Exec', { request: m.execRequest, response: m.streamResponse }),
  attach: method(runtimeService, 'Attach', { request: m.attachRequest, response: m.streamResponse }),
  listContainerStats: method(runtimeService, 'ListContainerStats', {
    request: m.listStatsRequest,
    response: m.listStatsResponse,
  }),
  getContainerEvents: method(runtimeService, 'GetContainerEvents', { request: m.empty, response: m.containerEvent }),
} as const;

export const imageCalls = {
  listImages: method(imageService, 'ListImages', { request: m.empty, response: m.listImagesResponse }),
  imageFsInfo: method(imageService, 'ImageFsInfo', { request: m.empty, response: m.imageFsInfoResponse }),
  imageStatus: method(imageService, 'ImageStatus', { request: m.imageRequest, response: m.imageStatusResponse }),
  pullImage: method(imageService, 'PullImage', { request: m.pullImageRequest, response: m.pullImageResponse }),
  removeImage: method(imageService, 'RemoveImage', { request: m.imageRequest, response: m.empty }),
} as const;
