/** A node's CSI side with a driver, an API in memory and folders of its own, for tests. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { RestClient } from '../../../../control/client/rest.ts';
import { systemClock } from '../../../../control/client/system-clock.ts';
import { MemoryApi } from '../../../../control/client/testing/memory-api.ts';
import { until } from '../../../../control/client/testing/until.ts';
import {
  attachmentName,
  type CSIDriver,
  csidrivers,
  nodes,
  type PersistentVolume,
  type Pod,
  persistentvolumeclaims,
  persistentvolumes,
  type Volume,
  volumeattachments,
} from '../../../api.ts';
import { TestCsiDriver, type TestCsiDriverOptions } from '../../../testing/csi-driver.ts';
import { quiet } from '../../../testing/world.ts';
import { LocalFolder } from '../../local-folder.ts';
import { VolumeManager } from '../../manager.ts';
import { mountsBelow, unmount } from '../../mounts.ts';
import { Sources } from '../../sources.ts';
import { NodeCsi } from '../csi.ts';

export const DRIVER = 'csi.test.example';

/** An agent's part that has to do with volumes. */
interface TestAgent {
  readonly csi: NodeCsi;
  readonly volumes: VolumeManager;
  stop(): Promise<void>;
}

export class CsiBench {
  readonly client: RestClient;
  readonly api: MemoryApi;
  readonly dataDir: string;
  readonly kubeletDir: string;
  agent!: TestAgent;
  /** What the node's status is taken to name; undefined: whatever is in use. */
  reported: readonly string[] | undefined;
  /** What was told of pods and claims, as `Kind reason: message`. */
  readonly events: string[] = [];
  readonly #drivers: TestCsiDriver[] = [];

  private constructor(root: string) {
    this.api = new MemoryApi(systemClock);
    this.client = new RestClient({ transport: this.api, clock: systemClock, userAgent: 'test' });
    this.dataDir = join(root, 'd');
    this.kubeletDir = join(root, 'k');
  }

  static async make(t: ExecutionContext): Promise<CsiBench> {
    const root = await mkdtemp(join(tmpdir(), 'csi-'));
    const bench = new CsiBench(root);
    await bench.client.create(nodes, { metadata: { name: 'node-1' } });
    await bench.startAgent();
    t.teardown(async () => {
      await bench.agent.stop();
      for (const driver of bench.#drivers) await driver.stop();
      for (const point of await mountsBelow(root)) await unmount(point);
      await rm(root, { recursive: true, force: true });
    });
    return bench;
  }

  /** As an agent that starts makes it: nothing is known but what is on the disk. */
  async startAgent(): Promise<void> {
    const { client, dataDir, kubeletDir } = this;
    const common = { client, clock: systemClock, logger: quiet };
    const sources = new Sources({ ...common, cacheMs: 0 });
    const uid = (await client.get(nodes, { name: 'node-1' })).metadata?.uid;
    const csi: NodeCsi = new NodeCsi({
      ...{ ...common, nodeName: 'node-1', dataDir, kubeletDir, sources, scanMs: 20 },
      recorder: {
        record: ({ kind }, { reason, message }) => this.events.push(`${kind} ${reason}: ${message}`),
      },
      nodeUid: () => uid,
      reportedInUse: () => this.reported ?? csi.volumes.inUse(),
      onInUse: () => {},
    });
    await csi.volumes.load();
    const stopping = new AbortController();
    const running = csi.run(stopping.signal);
    const volumes = new VolumeManager({
      ...{ ...common, dataDir, sources, canMount: true, csi: csi.volumes, expansion: csi.expansion },
      localFolder: new LocalFolder(join(dataDir, 'storage'), 'node-1'),
    });
    const stop = async () => {
      stopping.abort();
      await csi.close();
      await running;
    };
    this.agent = { csi, volumes, stop };
  }

  async restartAgent(): Promise<void> {
    await this.agent.stop();
    await this.startAgent();
    for (const driver of this.#drivers) await this.untilRegistered(driver);
  }

  /** A driver that is registered, with its CSIDriver object. */
  async startDriver(
    options: Partial<TestCsiDriverOptions> = {},
    spec: CSIDriver['spec'] | 'no object' = { attachRequired: false },
  ): Promise<TestCsiDriver> {
    const driver = new TestCsiDriver({ kubeletDir: this.kubeletDir, ...options });
    this.#drivers.push(driver);
    if (spec !== 'no object') await this.client.create(csidrivers, { metadata: { name: driver.name }, spec });
    await driver.start();
    await this.untilRegistered(driver);
    return driver;
  }

  async untilRegistered(driver: TestCsiDriver): Promise<void> {
    const before = driver.notices.length;
    await until('the driver is registered', () =>
      driver.notices.slice(before).some(({ pluginRegistered }) => pluginRegistered),
    );
  }

  /** A bound claim `c` and its volume `pv`, whose handle is `handle`. */
  async bind(more: Partial<NonNullable<PersistentVolume['spec']>> = {}, handle = 'vol-1'): Promise<void> {
    const { csi, ...spec } = more;
    const claim = await this.client.create(persistentvolumeclaims, {
      metadata: { name: 'c', namespace: 'ns' },
      spec: { volumeName: 'pv' },
      status: { phase: 'Bound' },
    });
    await this.client.create(persistentvolumes, {
      metadata: { name: 'pv' },
      spec: {
        accessModes: ['ReadWriteOnce'],
        ...spec,
        csi: { driver: DRIVER, volumeHandle: handle, ...csi },
        claimRef: { namespace: 'ns', name: 'c', uid: claim.metadata?.uid ?? '' },
      },
      status: { phase: 'Bound' },
    });
  }

  /** What an external attacher does when it is asked to. */
  async attach(metadata: Record<string, string> = {}, handle = 'vol-1'): Promise<void> {
    await this.client.create(volumeattachments, {
      metadata: { name: attachmentName({ handle, driver: DRIVER }, 'node-1') },
      spec: { attacher: DRIVER, nodeName: 'node-1', source: { persistentVolumeName: 'pv' } },
      status: { attached: true, attachmentMetadata: metadata },
    });
  }

  pod(uid: string, volume: Partial<Volume> = {}, more: Partial<NonNullable<Pod['spec']>> = {}): Pod {
    const own = Object.keys(volume).length > 0 ? volume : { persistentVolumeClaim: { claimName: 'c' } };
    return {
      metadata: { name: uid, namespace: 'ns', uid },
      spec: { containers: [], serviceAccountName: 'robot', volumes: [{ name: 'v', ...own }], ...more },
    };
  }

  mount(pod: Pod): Promise<void> {
    return this.agent.volumes.mount(pod, contextOf(pod));
  }

  /** What is done from time to time. */
  async refresh(pod: Pod): Promise<void> {
    await this.agent.volumes.refresh(pod, contextOf(pod));
  }

  /** Where the pod's volume is for its containers. */
  path(pod: Pod, subPath = ''): Promise<string> {
    return this.agent.volumes.pathOf(pod, { volume: 'v', container: 'app', index: 0, subPath });
  }

  unmount(pod: Pod): Promise<void> {
    return this.agent.volumes.unmount(pod.metadata?.uid ?? '');
  }
}

const contextOf = (pod: Pod) => ({
  pod,
  podIP: '',
  hostIP: '',
  hostIPs: [],
  nodeName: 'node-1',
  allocatable: { cpuMilli: 1000, memoryBytes: 1000, storageBytes: 64 * 2 ** 30 },
});
