/** Volumes that are the files of an image. The cluster has them switched on. */
import { imageOf, savedImage, tarOf } from '../../../node/testing/image-archive.ts';
import { type Manifest, type PodCase, sh } from '../case.ts';

const FILES = 'raftsman-pods/files:1';
const volumes = (reference = FILES, pullPolicy = 'IfNotPresent') => [{ name: 'v', image: { reference, pullPolicy } }];
const at = (more: Manifest = {}) => ({ volumeMounts: [{ name: 'v', mountPath: '/v', ...more }] });

/** An archive of the image that the cases have as a volume. */
export async function filesImage(): Promise<Buffer> {
  const layer = await tarOf([
    { name: './', type: 'directory', mode: 0o755 },
    { name: 'dir', type: 'directory', mode: 0o755 },
    { name: 'dir/file', mode: 0o644, content: 'of the image\n' },
    { name: 'out', type: 'symlink', linkname: '/etc' },
    { name: 'run', mode: 0o755, content: '#!/bin/sh\necho ran\n' },
  ]);
  return savedImage(FILES, imageOf([layer]));
}

export const imageVolumes: readonly PodCase[] = [
  {
    name: 'image-volume-is-read',
    short: true,
    spec: {
      volumes: volumes(),
      initContainers: [sh('cat /v/dir/file', { name: 'first', ...at() })],
      containers: [sh('exec 2>&1; cat /v/dir/file; echo /v/*; touch /v/x; /v/run', at())],
    },
    end: { phase: 'Failed', containers: { main: { exitCode: 126 } } },
    logs: {
      first: 'of the image\n',
      main: /^of the image\n\/v\/dir \/v\/out \/v\/run\ntouch: .*Read-only file system\n.*\/v\/run: Permission denied\n$/,
    },
    events: [['Pulled', /^Pulled: Container image "raftsman-pods\/files:1" already present on machine/]],
  },
  {
    name: 'image-volume-by-sub-path',
    short: true,
    spec: { volumes: volumes(), containers: [sh('cat /v/file', at({ subPath: 'dir' }))] },
    end: { phase: 'Succeeded' },
    logs: { main: 'of the image\n' },
  },
  {
    name: 'image-volume-that-leads-out',
    short: true,
    spec: { volumes: volumes(), containers: [sh('cat /v/passwd', at({ subPath: 'out' }))] },
    end: { containers: { main: { state: 'waiting', reason: 'CreateContainerConfigError', message: /subPath/ } } },
  },
  {
    name: 'image-volume-that-is-absent',
    short: true,
    spec: {
      volumes: volumes('raftsman-pods/none:1', 'Never'),
      containers: [sh('true', { name: 'waits', ...at() }), sh('echo goes on', { name: 'goes' })],
    },
    end: {
      phase: 'Pending',
      containers: {
        waits: {
          state: 'waiting',
          reason: 'ErrImageNeverPull',
          message: 'Container image "raftsman-pods/none:1" is not present with pull policy of Never',
        },
        goes: { state: 'terminated', exitCode: 0 },
      },
    },
    logs: { goes: 'goes on\n' },
    events: [['ErrImageNeverPull', /none:1/]],
  },
  {
    name: 'image-volume-that-cannot-be-pulled',
    short: true,
    spec: { volumes: volumes('localhost:1/none:1', 'Always'), containers: [sh('true', at())] },
    end: {
      containers: {
        main: { state: 'waiting', reason: /^(ErrImagePull|ImagePullBackOff)$/, message: /localhost:1/ },
      },
    },
    events: [
      ['Failed', /Failed to pull image "localhost:1\/none:1"/],
      ['Failed', /Error: ErrImagePull/],
      ['BackOff', /Back-off pulling image "localhost:1\/none:1"/],
    ],
    then: pod => pod.becomes({ containers: { main: { reason: 'ImagePullBackOff' } } }),
  },
];
