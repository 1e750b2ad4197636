/** What befalls leaders and nodes, and how it ends. */
import * as kinds from '../../control/api/generated/kinds.ts';
import type { Pod } from '../../control/api/generated/types.ts';
import { hasReason } from '../../control/api/status.ts';
import type { Clock } from '../../control/client/clock.ts';
import { integerBetween, pick, type Random } from '../simulation/random.ts';
import type { EventName } from './coverage.ts';
import type { HollowNode } from './hollow-node.ts';
import type { Masters } from './masters.ts';
import { evictTogether } from './operations.ts';
import type { Users } from './users.ts';

export interface MisfortunesOptions {
  readonly masters: Masters;
  readonly nodes: Map<string, HollowNode>;
  readonly addNode: () => HollowNode;
  readonly users: Users;
  readonly clock: Clock;
  readonly random: Random;
  readonly note: (name: EventName) => void;
  readonly tell: (line: string) => void;
}

const NODES_MAX = 7;
const WITHOUT_LEADER_MS_MAX = 20_000;
const DRAIN_ROUNDS_MAX = 40;

export class Misfortunes {
  readonly #options: MisfortunesOptions;
  #isLeaderless = false;
  readonly #underWay = new Set<Promise<void>>();
  #isOver = false;
  #failure: unknown;

  constructor(options: MisfortunesOptions) {
    this.#options = options;
  }

  strike(): void {
    const strokes = [
      () => this.#leader(),
      () => this.#leader(),
      () => this.#nodeDies(),
      () => this.#nodeIsCut(),
      () => this.#nodeIsLost(),
      () => this.#nodeIsDrained(),
      () => this.#containers(),
      () => this.#containers(),
    ];
    if (this.#failure !== undefined) throw this.#failure;
    this.#start(pick(this.#options.random, strokes)?.() ?? Promise.resolve());
  }

  /** A busy time is over: whoever leads leads, though nodes may stay away. */
  async relent(): Promise<void> {
    while (this.#isLeaderless) await this.#pause(1_000);
    this.#options.masters.thaw();
    await this.#pause(5_000);
    this.#options.masters.endDeposed();
  }

  async heal(): Promise<void> {
    const { nodes, addNode, users } = this.#options;
    this.#isOver = true;
    await Promise.all(this.#underWay);
    if (this.#failure !== undefined) throw this.#failure;
    await this.relent();
    for (const node of nodes.values()) {
      if (node.isAlive) node.cut(false);
      else if (users.view.get('nodes', node.name)) node.boot();
    }
    for (const { metadata } of users.view.list('nodes')) await this.#cordon(metadata?.name ?? '', false);
    while ([...nodes.values()].filter(({ isAlive }) => isAlive).length < 4) addNode();
  }

  #start(work: Promise<void>): void {
    this.#options.users.operations++;
    const tracked = work
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
  }

  async #leader(): Promise<void> {
    const { masters, random, tell } = this.#options;
    if (this.#isLeaderless) return;
    const how = integerBetween(random, 0, 3);
    tell(`leader ${masters.term}: ${['dies', 'hands over', 'is deposed', 'stands still'][how]}`);
    if (how === 2) {
      masters.depose();
      await this.#pause(random() * 60_000);
      masters.endDeposed();
      return;
    }
    this.#isLeaderless = true;
    if (how === 0) masters.kill();
    else if (how === 1) masters.handOver();
    else masters.freeze();
    await this.#pause(random() * WITHOUT_LEADER_MS_MAX);
    masters.elect();
    this.#isLeaderless = false;
    tell(`leader ${masters.term} leads`);
    if (how !== 3) return;
    await this.#pause(random() * 30_000);
    masters.thaw();
    await this.#pause(random() * 30_000);
    masters.endDeposed();
  }

  #alive(): HollowNode | undefined {
    const alive = [...this.#options.nodes.values()].filter(({ isAlive, isCut }) => isAlive && !isCut);
    return pick(this.#options.random, alive);
  }

  async #nodeDies(): Promise<void> {
    const { note, tell, random } = this.#options;
    const node = this.#alive();
    if (!node) return;
    note('node died');
    tell(`${node.name} dies`);
    node.die();
    await this.#away();
    // Whoever has taken it for lost has removed it.
    if (node.isAlive || !this.#options.users.view.get('nodes', node.name)) return;
    note('node came back');
    tell(`${node.name} comes back`);
    if (random() < 0.9) node.boot();
  }

  async #nodeIsCut(): Promise<void> {
    const { note, tell } = this.#options;
    const node = this.#alive();
    if (!node) return;
    note('node cut off');
    tell(`${node.name} is cut off`);
    node.cut(true);
    await this.#away();
    tell(`${node.name} is reached again`);
    note('node came back');
    node.cut(false);
  }

  /** For a moment, or for so long that its pods move. */
  async #away(): Promise<void> {
    const { random } = this.#options;
    const awayMs = random() < 0.5 ? random() * 120_000 : random() * 3 * 3_600_000;
    for (let passed = 0; passed < awayMs && !this.#isOver; passed += 30_000) await this.#pause(30_000);
  }

  async #nodeIsLost(): Promise<void> {
    const { note, tell, addNode, nodes, users } = this.#options;
    const node = this.#alive();
    if (!node || nodes.size >= NODES_MAX) return;
    note('node lost for ever');
    tell(`${node.name} is lost, and removed`);
    node.die();
    await users.client.delete(kinds.nodes, { name: node.name }).catch(ignoreMissing);
    note('node added');
    addNode();
  }

  async #nodeIsDrained(): Promise<void> {
    const { note, tell, users, random } = this.#options;
    const node = this.#alive();
    if (!node) return;
    note('node drained');
    tell(`${node.name} is drained`);
    await this.#cordon(node.name, true);
    for (let round = 0; round < DRAIN_ROUNDS_MAX && !this.#isOver; round++) {
      const pods = users.view
        .list<Pod>('pods')
        .filter(pod => pod.spec?.nodeName === node.name && !pod.metadata?.deletionTimestamp && !isDaemon(pod));
      if (pods.length === 0) break;
      await evictTogether(users, pods);
      await this.#pause(5_000);
    }
    await this.#pause(random() * 300_000);
    await this.#cordon(node.name, false);
  }

  async #cordon(name: string, unschedulable: boolean): Promise<void> {
    const body = { spec: { unschedulable: unschedulable || null } };
    await this.#options.users.client
      .patch(kinds.nodes, { name }, { type: 'application/merge-patch+json', body })
      .catch(ignoreMissing);
  }

  async #containers(): Promise<void> {
    const { random, note } = this.#options;
    for (const node of this.#options.nodes.values()) {
      const how = random() < 0.5 ? 'dies' : 'unready';
      if (node.disturb(Math.floor(random() * 100), how)) note(how === 'dies' ? 'container died' : 'readiness lost');
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise(resolve => void this.#options.clock.setTimeout(resolve, delayMs));
  }
}

const isDaemon = (pod: Pod) => pod.metadata?.ownerReferences?.some(({ kind }) => kind === 'DaemonSet') ?? false;

function ignoreMissing(error: unknown): void {
  if (!hasReason(error, 'NotFound')) throw error;
}
