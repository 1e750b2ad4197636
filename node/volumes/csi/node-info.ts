/**
 * What the API knows of a node's drivers: the CSINode object, and on the Node itself the drivers' names for it and its place
 * in their topology (kubelet: pkg/volume/csi/nodeinfomanager). What is written is planned by pure functions.
 */
import { type Client, type CSINode, type CSINodeDriver, csinodes, hasReason, type Node, nodes } from '../../api.ts';
import { Semaphore } from '../../semaphore.ts';
import { writeAttemptsMax } from './limits.ts';

/** What a driver says of itself and of the node. */
export interface DriverFacts {
  readonly name: string;
  readonly nodeId: string;
  /** Volumes that it can attach to this node; 0 for as many as one likes. */
  readonly volumesMax: number;
  readonly topology: Readonly<Record<string, string>>;
}

/** The drivers' names for the node, by driver, as JSON. */
const NODE_ID_ANNOTATION = 'csi.volume.kubernetes.io/nodeid';

export class TopologyError extends Error {
  override readonly name = 'TopologyError';
  readonly code = 'NODE_CSI_TOPOLOGY';
}

export interface NodeInfoOptions {
  readonly client: Client;
  readonly nodeName: string;
}

export class NodeInfo {
  readonly #client: Client;
  readonly #nodeName: string;
  /** One write at a time: they change the same two objects. */
  readonly #turn = new Semaphore(1);

  constructor({ client, nodeName }: NodeInfoOptions) {
    this.#client = client;
    this.#nodeName = nodeName;
  }

  /**
   * Makes the driver known. Throws {@link TopologyError} if the node already says otherwise of its place, and what the API
   * says.
   */
  add(facts: DriverFacts): Promise<void> {
    return this.#turn.run(async () => {
      const node = await this.#client.get(nodes, { name: this.#nodeName });
      await this.#patchNode(planNode(node, facts));
      // What is known of a driver cannot be changed but by taking it out first.
      await this.#writeDrivers(drivers => {
        const known = drivers.find(({ name }) => name === facts.name);
        return known && !sameDriver(known, entryOf(facts)) ? withoutDrivers(drivers, [facts.name]) : drivers;
      });
      await this.#writeDrivers(drivers =>
        drivers.some(({ name }) => name === facts.name) ? drivers : [...drivers, entryOf(facts)],
      );
    });
  }

  /** Takes drivers out; those that are not known are fine. The node keeps its place in their topology. */
  remove(names: readonly string[]): Promise<void> {
    return this.#turn.run(async () => {
      await this.#writeDrivers(drivers => withoutDrivers(drivers, names));
      const node = await this.#client.get(nodes, { name: this.#nodeName });
      await this.#patchNode(planNodeWithout(node, names));
    });
  }

  /** Sees to it that the object is there, also without any driver; gives the names of those that it holds. */
  ensure(): Promise<readonly string[]> {
    return this.#turn.run(async () => (await this.#writeDrivers(drivers => drivers)).map(({ name }) => name));
  }

  async #patchNode(metadata: NodePatch | undefined): Promise<void> {
    if (!metadata) return;
    const patch = { type: 'application/merge-patch+json' as const, body: { metadata } };
    await this.#client.patch(nodes, { name: this.#nodeName }, patch);
  }

  /** `change` gives the very list that it was given where nothing is to be written. */
  async #writeDrivers(change: (drivers: readonly CSINodeDriver[]) => readonly CSINodeDriver[]) {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#tryWrite(change);
      } catch (error) {
        const isRace =
          hasReason(error, 'Conflict') || hasReason(error, 'AlreadyExists') || hasReason(error, 'NotFound');
        if (!isRace || attempt >= writeAttemptsMax) throw error;
      }
    }
  }

  async #tryWrite(change: (drivers: readonly CSINodeDriver[]) => readonly CSINodeDriver[]) {
    const node = await this.#client.get(nodes, { name: this.#nodeName });
    const known = await this.#client.get(csinodes, { name: this.#nodeName }).catch((error: unknown) => {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    });
    // Where there is none, the server says so, and gives no empty list.
    const before = (known && isOwnedBy(known, node) ? known.spec.drivers : undefined) ?? [];
    const drivers = change(before);
    // One of an earlier node of this name says nothing of this one.
    if (known && !isOwnedBy(known, node)) {
      const uid = known.metadata?.uid;
      await this.#client.delete(csinodes, { name: this.#nodeName }, { ...(uid && { uid }) });
    } else if (known) {
      if (drivers !== before) await this.#client.update(csinodes, { ...known, spec: { drivers: [...drivers] } });
      return drivers;
    }
    await this.#client.create(csinodes, newCsiNode(node, drivers));
    return drivers;
  }
}

function newCsiNode({ metadata }: Node, drivers: readonly CSINodeDriver[]): CSINode {
  const { name = '', uid = '' } = metadata ?? {};
  return {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'CSINode',
    metadata: { name, ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name, uid }] },
    spec: { drivers: [...drivers] },
  };
}

/** True for one without owners, which somebody else made, too. */
function isOwnedBy({ metadata }: CSINode, node: Node): boolean {
  const owners = metadata?.ownerReferences ?? [];
  return owners.length === 0 || owners.some(({ uid }) => uid === node.metadata?.uid);
}

/** The driver as a CSINode names it. */
function entryOf({ name, nodeId, volumesMax, topology }: DriverFacts): CSINodeDriver {
  return {
    name,
    nodeID: nodeId,
    topologyKeys: Object.keys(topology).sort(),
    ...(volumesMax > 0 && { allocatable: { count: Math.min(volumesMax, 2 ** 31 - 1) } }),
  };
}

function sameDriver(a: CSINodeDriver, b: CSINodeDriver): boolean {
  const keys = ({ topologyKeys = [] }: CSINodeDriver) => topologyKeys.toSorted().join(' ');
  return a.nodeID === b.nodeID && keys(a) === keys(b) && a.allocatable?.count === b.allocatable?.count;
}

const withoutDrivers = (drivers: readonly CSINodeDriver[], names: readonly string[]): readonly CSINodeDriver[] =>
  drivers.some(({ name }) => names.includes(name)) ? drivers.filter(({ name }) => !names.includes(name)) : drivers;

interface NodePatch {
  readonly annotations?: Readonly<Record<string, string | null>>;
  readonly labels?: Readonly<Record<string, string>>;
}

/** What the Node is to say more for a driver; undefined if it says it. Throws {@link TopologyError}. Pure. */
function planNode({ metadata }: Node, { name, nodeId, topology }: DriverFacts): NodePatch | undefined {
  const labels = metadata?.labels ?? {};
  for (const [key, value] of Object.entries(topology)) {
    if (labels[key] === undefined || labels[key] === value) continue;
    throw new TopologyError(
      `detected topology value collision: driver reported "${key}":"${value}" but existing label is "${key}":"${labels[key]}"`,
    );
  }
  const missing = Object.entries(topology).filter(([key]) => labels[key] === undefined);
  const ids = nodeIds(metadata?.annotations?.[NODE_ID_ANNOTATION]);
  const isKnown = ids[name] === nodeId;
  if (isKnown && missing.length === 0) return undefined;
  return {
    ...(!isKnown && { annotations: { [NODE_ID_ANNOTATION]: JSON.stringify({ ...ids, [name]: nodeId }) } }),
    ...(missing.length > 0 && { labels: Object.fromEntries(missing) }),
  };
}

/** The same for drivers that went. Pure. */
function planNodeWithout({ metadata }: Node, names: readonly string[]): NodePatch | undefined {
  const ids = nodeIds(metadata?.annotations?.[NODE_ID_ANNOTATION]);
  const left = Object.entries(ids).filter(([name]) => !names.includes(name));
  if (left.length === Object.keys(ids).length) return undefined;
  return {
    annotations: { [NODE_ID_ANNOTATION]: left.length > 0 ? JSON.stringify(Object.fromEntries(left)) : null },
  };
}

/** What users may have written into the annotation counts for nothing unless it is what agents write. */
function nodeIds(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
  } catch {
    return {};
  }
}
