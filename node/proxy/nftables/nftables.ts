/**
 * The service proxy in nftables: the kernel translates, this process only keeps the table equal to the services. Rules
 * outlive the agent, so a restart of it disturbs no connection. On a dual-stack cluster each family has a table.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type Clock, systemClock } from '../../clock.ts';
import { formatCidr, parseAddress, parseCidr } from '../../network/cidr.ts';
import { ipv6AddressOf, ipv6RangeText } from '../../network/second-family.ts';
import {
  CommandMissingError,
  CommandOutputError,
  commandExists,
  mustRun,
  type RunCommand,
  runCommand,
} from '../../runtime/command.ts';
import { type Frontend, planFrontends } from '../frontends.ts';
import { ProxyUnavailableError, type ServicePort, type ServiceProxy } from '../proxy.ts';
import { listingOf, planConntrackDeletions, planStaleDeletions } from './conntrack.ts';
import {
  planTable,
  type RulesetConfig,
  routeLocalnetMarker,
  type TableFamily,
  type TablePlan,
  timeoutOfServices,
} from './ruleset.ts';
import { renderChange, renderRemoval, renderTable, type TableContents } from './script.ts';

export interface NftablesProxyOptions {
  readonly clusterId: string;
  readonly nodeName: string;
  /** Runs `nft`; for tests in a network namespace of their own. */
  readonly run?: RunCommand;
  readonly clock?: Clock;
}

/**
 * How often it is looked, at a change, whether the rules that lead to all others still stand. `nft` reads the elements of
 * each set for that, also of those that rules have inside: with 1,000 services it takes as long as two changes.
 */
const rulesCheckMs = 10_000;
/** A change so long after the last whole table writes all of it again: what somebody changed in it by hand ends there. */
const wholeAgainMs = 3_600_000;
/**
 * The names of one kind of thing that are read before a whole table is written: of some 600,000 chains, or of half as many sets.
 * A table with more is removed and written anew in one step; clients with affinity may then get another endpoint once.
 */
const namesBytesMax = 64 * 1024 * 1024;
/** `nft` has this long for one thing: to write a table of 18,000 services takes it a minute and more on a busy machine. */
const nftMsMax = 600_000;
/** Connections in UDP that are looked at when an agent starts: some 300,000. */
const connectionsBytesMax = 64 * 1024 * 1024;
const tablePrefix = 'raftsman-svc-';
const routeLocalnetFile = '/proc/sys/net/ipv4/conf/all/route_localnet';

export function createNftablesProxy(options: NftablesProxyOptions): ServiceProxy {
  return new NftablesProxy(options);
}

interface Started {
  readonly config: RulesetConfig;
  /** What is known to be in the kernel; undefined if the whole table has to be written. */
  present: TablePlan | undefined;
  /** What the table led to when it was last written; undefined if another agent wrote it. */
  frontends: readonly Frontend[] | undefined;
}

type Ranges = Omit<Parameters<ServiceProxy['start']>[0], 'ipv6'>;

class NftablesProxy implements ServiceProxy {
  readonly #options: NftablesProxyOptions;
  readonly #ipv4: FamilyProxy;
  #ipv6: FamilyProxy | undefined;

  constructor(options: NftablesProxyOptions) {
    this.#options = options;
    this.#ipv4 = new FamilyProxy(options, 'ip');
  }

  async start({ ipv6, ...ranges }: Parameters<ServiceProxy['start']>[0]): Promise<void> {
    await this.#ipv4.start(ranges);
    if (!ipv6) return;
    this.#ipv6 ??= new FamilyProxy(this.#options, 'ip6');
    await this.#ipv6.start({ ...ranges, ...ipv6 });
  }

  async sync(ports: readonly ServicePort[]): Promise<void> {
    const both = [this.#ipv4, ...(this.#ipv6 ? [this.#ipv6] : [])];
    const results = await Promise.allSettled(both.map(family => family.sync(ports)));
    // One family's failure must not keep the other's rules from being made.
    const failed = results.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }

  async close(options: { readonly remove: boolean }): Promise<void> {
    await this.#ipv4.close(options);
    await (this.#ipv6 ?? new FamilyProxy(this.#options, 'ip6')).close(options);
  }
}

/** One family's table. */
class FamilyProxy {
  readonly #family: TableFamily;
  readonly #table: string;
  readonly #run: RunCommand;
  readonly #clock: Clock;
  #rulesSeenMs = Number.NEGATIVE_INFINITY;
  #wholeMs = Number.NEGATIVE_INFINITY;
  #started: Started | undefined;
  /** One change after the other: each builds on what the one before left. */
  #working: Promise<void> = Promise.resolve();

  constructor(options: NftablesProxyOptions, family: TableFamily) {
    const hash = createHash('sha256').update(`${options.clusterId}\0${options.nodeName}`).digest('hex');
    this.#family = family;
    this.#table = `${tablePrefix}${hash.slice(0, 10)}`;
    this.#run = options.run ?? runCommand;
    this.#clock = options.clock ?? systemClock;
  }

  async start(options: Ranges): Promise<void> {
    await readTable(this.#run, this.#family, this.#table).catch((error: unknown) => {
      const missing = error instanceof CommandMissingError;
      const why = missing ? 'nft is missing: install nftables' : `nft does not work: ${String(error)}`;
      throw new ProxyUnavailableError(why, { cause: error });
    });
    this.#started = { config: await this.#configOf(options), present: undefined, frontends: undefined };
  }

  async #configOf({ clusterCIDR, nodeAddresses }: Ranges): Promise<RulesetConfig> {
    const hasTimeouts = await this.#hasTimeouts();
    if (this.#family === 'ip6') {
      return {
        family: 'ip6',
        table: this.#table,
        clusterCIDR: ipv6RangeText(clusterCIDR),
        nodeAddresses: nodeAddresses.filter(address => address.includes(':')).map(ipv6AddressOf),
        ownsRouteLocalnet: false,
        hasTimeouts,
      };
    }
    return {
      table: this.#table,
      clusterCIDR: formatCidr(parseCidr(clusterCIDR)),
      nodeAddresses: nodeAddresses.filter(address => !address.includes(':')).map(checked),
      ownsRouteLocalnet: await this.#takeRouteLocalnet(),
      hasTimeouts,
    };
  }

  async #hasTimeouts(): Promise<boolean> {
    const [family, table] = [this.#family, `${this.#table}-trial`];
    const input = `add table ${family} ${table}
add ct timeout ${family} ${table} trial { ${timeoutOfServices(family)} }
delete table ${family} ${table}
`;
    return (await this.#run('nft', ['-f', '-'], { input, timeoutMs: nftMsMax })).code === 0;
  }

  sync(ports: readonly ServicePort[]): Promise<void> {
    return this.#inOrder(async () => {
      const started = this.#state();
      const frontends = planFrontends(ports, this.#family === 'ip' ? 4 : 6);
      await this.#write(started, planTable(started.config, frontends, started.present));
      await this.#forgetConnections(started.frontends, frontends);
      started.frontends = frontends;
    });
  }

  /** Tells the kernel what differs from what it was told last, or all where that is not known or no longer true. */
  async #write(started: Started, plan: TablePlan): Promise<void> {
    const before = started.present;
    // Until it has worked nothing is known.
    started.present = undefined;
    const isDue = this.#clock.now() - this.#wholeMs >= wholeAgainMs;
    const change = before && !isDue ? renderChange(before, plan) : undefined;
    const isWritten = change !== undefined && (await this.#maybeChange(change));
    if (!isWritten) {
      const existing = await readTable(this.#run, this.#family, this.#table);
      const removal = existing ? '' : renderRemoval(this.#table, this.#family);
      await this.#nft(removal + renderTable(plan, existing ?? nothing));
      this.#rulesSeenMs = this.#clock.now();
      this.#wholeMs = this.#rulesSeenMs;
    }
    started.present = plan;
  }

  /** False if the table is not what we left: the kernel refuses the change, or something that all else hangs on is gone. */
  async #maybeChange(change: string): Promise<boolean> {
    const options = { input: change, timeoutMs: nftMsMax };
    if (change !== '' && (await this.#run('nft', ['-f', '-'], options)).code !== 0) return false;
    // Asked after the change, which so is in place sooner.
    return this.#clock.now() - this.#rulesSeenMs < rulesCheckMs
      ? change !== '' || (await this.#finds(['set', 'node-addresses'], 'node-addresses'))
      : await this.#findsRules();
  }

  async #findsRules(): Promise<boolean> {
    const isThere = await this.#finds(['chain', 'services'], '@service-ips');
    if (isThere) this.#rulesSeenMs = this.#clock.now();
    return isThere;
  }

  /** Whether the table has a thing of this name, with this word in it. */
  async #finds([kind, name]: readonly [kind: 'chain' | 'set', name: string], word: string): Promise<boolean> {
    const args = ['-t', 'list', kind, this.#family, this.#table, name];
    const { code, stdout } = await this.#run('nft', args, { timeoutMs: nftMsMax });
    return code === 0 && stdout.includes(word);
  }

  close(options: { readonly remove: boolean }): Promise<void> {
    return this.#inOrder(async () => {
      this.#started = undefined;
      if (!options.remove) return;
      if (this.#family === 'ip6') {
        // Fails on a kernel without IPv6, where there is none.
        await this.#run('nft', ['-f', '-'], { input: renderRemoval(this.#table, 'ip6'), timeoutMs: nftMsMax });
        return;
      }
      const chains = await readChains(this.#run, 'ip');
      await this.#nft(renderRemoval(this.#table));
      const wasOff = chains?.get(this.#table)?.has(routeLocalnetMarker) === true;
      if (!wasOff || [...(chains?.keys() ?? [])].some(table => table !== this.#table)) return;
      await mustRun(this.#run, 'tee', [routeLocalnetFile], { input: '0' });
    });
  }

  async #nft(input: string): Promise<void> {
    await mustRun(this.#run, 'nft', ['-f', '-'], { input, timeoutMs: nftMsMax });
  }

  #inOrder(work: () => Promise<void>): Promise<void> {
    const result = this.#working.then(work);
    // A failure is its caller's to handle; the next change is tried all the same.
    this.#working = result.catch(() => undefined);
    return result;
  }

  #state(): Started {
    if (this.#started === undefined) throw new ProxyUnavailableError('the service proxy was not started');
    return this.#started;
  }

  /**
   * Node ports on 127.0.0.1 need `route_localnet`. It is switched off again by the last of us, if it was off before the
   * first: true says so.
   */
  async #takeRouteLocalnet(): Promise<boolean> {
    const isOn = (await mustRun(this.#run, 'cat', [routeLocalnetFile])).trim() === '1';
    if (!isOn) {
      // The rule that drops foreign packets to 127.0.0.0/8 has to be there first.
      await this.#guardLoopback();
      await mustRun(this.#run, 'tee', [routeLocalnetFile], { input: '1' }).catch((error: unknown) => {
        throw new ProxyUnavailableError(`${routeLocalnetFile} cannot be set: run the agent as root`, { cause: error });
      });
      return true;
    }
    const tables = await readChains(this.#run, 'ip');
    if (!tables) return await this.#finds(['chain', routeLocalnetMarker], routeLocalnetMarker);
    return [...tables.values()].some(chains => chains.has(routeLocalnetMarker));
  }

  async #guardLoopback(): Promise<void> {
    const input = [
      `add table ip ${this.#table}`,
      `add chain ip ${this.#table} ${routeLocalnetMarker}`,
      `add chain ip ${this.#table} martians { type filter hook prerouting priority -300 ; }`,
      `flush chain ip ${this.#table} martians`,
      `add rule ip ${this.#table} martians iifname != "lo" ip daddr 127.0.0.0/8 drop`,
    ].join('\n');
    await this.#nft(`${input}\n`);
  }

  /** See `conntrack.ts`. */
  async #forgetConnections(before: readonly Frontend[] | undefined, after: readonly Frontend[]): Promise<void> {
    const family = this.#family === 'ip' ? 4 : 6;
    const isNeeded = (frontends: readonly Frontend[]) => frontends.some(({ protocol }) => protocol === 'udp');
    if (!isNeeded(after) && !isNeeded(before ?? [])) return;
    const deletions = before ? planConntrackDeletions(before, after, family) : undefined;
    if (deletions?.length === 0 || !(await commandExists(this.#run, 'conntrack', ['--version']))) return;
    // It fails if it finds nothing to delete.
    for (const deletion of deletions ?? (await this.#stale(after, family))) await this.#run('conntrack', deletion);
  }

  async #stale(frontends: readonly Frontend[], family: 4 | 6): Promise<string[][]> {
    const listing = await this.#run('conntrack', listingOf(family), { outputBytesMax: connectionsBytesMax }).catch(
      (error: unknown) => {
        if (error instanceof CommandOutputError) return undefined;
        throw error;
      },
    );
    // Of too many to look at each, all that go to these services are forgotten: they begin anew with the next packet.
    return listing
      ? planStaleDeletions(listing.stdout, frontends, family)
      : planConntrackDeletions([], frontends, family);
  }
}

const nothing: TableContents = { chains: new Set(), sets: new Set() };
const named = z.object({ name: z.string(), table: z.string() }).optional();
const listSchema = z.object({ nftables: z.array(z.object({ chain: named, set: named, map: named })) });

/** The names in a table; none if there is no table, undefined if they are more than {@link namesBytesMax}. */
async function readTable(run: RunCommand, family: TableFamily, table: string): Promise<TableContents | undefined> {
  // Declaring it is harmless and says whether nft works at all.
  await mustRun(run, 'nft', ['add', 'table', family, table]);
  const [chains, sets, maps] = await Promise.all([
    readChains(run, family),
    readNames(run, family, 'set'),
    readNames(run, family, 'map'),
  ]);
  if (!chains || !sets || !maps) return undefined;
  const own = (names: NamesByTable) => names.get(table) ?? new Set<string>();
  return { chains: own(chains), sets: new Set([...own(sets), ...own(maps)]) };
}

/**
 * The chains of our tables, those of other nodes on the machine too, by table; undefined if they are more than
 * {@link namesBytesMax}. Read so because a listing of a table, and even one of all tables' names, has `nft` read all rules,
 * which with 18,000 services takes it minutes.
 */
function readChains(run: RunCommand, family: TableFamily): Promise<NamesByTable | undefined> {
  return readNames(run, family, 'chain');
}

type NamesByTable = ReadonlyMap<string, ReadonlySet<string>>;

async function readNames(
  run: RunCommand,
  family: TableFamily,
  kind: 'chain' | 'set' | 'map',
): Promise<NamesByTable | undefined> {
  // `-t` leaves the elements out.
  const args = ['-j', '-t', 'list', `${kind}s`, family];
  const limits = { outputBytesMax: namesBytesMax, timeoutMs: nftMsMax };
  const text = await mustRun(run, 'nft', args, limits).catch((error: unknown) => {
    if (error instanceof CommandOutputError) return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const names = new Map<string, Set<string>>();
  for (const entry of listSchema.parse(JSON.parse(text)).nftables) {
    const one = entry[kind];
    if (!one?.table.startsWith(tablePrefix)) continue;
    const known = names.get(one.table) ?? new Set();
    names.set(one.table, known.add(one.name));
  }
  return names;
}

/** Throws on what is no address: it goes into a script. */
function checked(address: string): string {
  parseAddress(address);
  return address;
}
