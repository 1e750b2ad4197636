/** From a query's bytes to a response's: the cluster's names from their records, all others from the forwarder. */
import { type Answer, decode } from 'dns-packet';
import { ALIASES_MAX } from './limits.ts';
import {
  type Content,
  encodeResponse,
  finish,
  formatError,
  parseQuery,
  type Query,
  questionFor,
  RCODE,
  rcodeOf,
} from './message.ts';
import { addressOfReverse, reverseZoneOf } from './names.ts';
import { type Finding, lookUp, soaOf, type ZoneConfig } from './records.ts';
import type { ServiceView } from './view.ts';

export interface ResponderOptions {
  readonly zone: ZoneConfig;
  readonly view: ServiceView;
  readonly forwarder: { resolve(query: Query): Promise<Buffer> };
  /** In [0, 1): which of several answers comes first. */
  readonly random: () => number;
}

const OPCODE_QUERY = 0;

export class Responder {
  readonly #options: ResponderOptions;

  constructor(options: ResponderOptions) {
    this.#options = options;
  }

  /** Undefined for what gets no answer. */
  async respond(message: Buffer, { stream }: { readonly stream: boolean }): Promise<Buffer | undefined> {
    const query = parseQuery(message);
    if (!('asked' in query)) return query.id === undefined ? undefined : formatError(query.id);
    const refusal = refusalOf(query);
    if (refusal !== undefined)
      return finish(encodeResponse(query, { rcode: refusal }), query, { stream, rcode: refusal });
    return finish(await this.#answer(query), query, { stream });
  }

  /** What is said to a client that asks too much. */
  refuse(message: Buffer): Buffer | undefined {
    const query = parseQuery(message);
    if (!('asked' in query)) return undefined;
    return finish(encodeResponse(query, { rcode: RCODE.SERVFAIL }), query, { stream: false });
  }

  async #answer(query: Query): Promise<Buffer> {
    const { view, forwarder } = this.#options;
    const finding = this.#find(query, query.asked);
    if (finding.found === 'elsewhere') return forwarder.resolve(query);
    // Before all is known, nothing can be said to be missing.
    if (!view.ready && finding.found !== 'alias' && !(finding.found === 'records' && finding.answers.length > 0))
      return encodeResponse(query, { rcode: RCODE.SERVFAIL });
    if (finding.found === 'alias') return this.#follow(query, finding);
    return encodeResponse(query, this.#contentOf(query.asked, finding));
  }

  /** The alias, and what its target has of the type that was asked for. */
  async #follow(query: Query, first: Finding & { found: 'alias' }): Promise<Buffer> {
    const { forwarder } = this.#options;
    const chain: Answer[] = [first.record];
    if (query.type === 'CNAME' || query.type === 'ANY')
      return encodeResponse(query, { rcode: RCODE.NOERROR, authoritative: true, answers: chain });
    let target = first.target;
    while (chain.length <= ALIASES_MAX) {
      const finding = this.#find(query, target);
      if (finding.found === 'elsewhere') {
        const answer = decodeAnswers(await forwarder.resolve(questionFor(query, target)), query.type);
        return encodeResponse(query, { rcode: answer.rcode, answers: [...chain, ...answer.answers] });
      }
      if (finding.found !== 'alias') {
        const content = this.#contentOf(target, finding);
        return encodeResponse(query, { ...content, answers: [...chain, ...(content.answers ?? [])] });
      }
      chain.push(finding.record);
      target = finding.target;
    }
    return encodeResponse(query, { rcode: RCODE.SERVFAIL, answers: chain });
  }

  #find(query: Query, asked: string): Finding {
    const { view, zone } = this.#options;
    return lookUp({ name: asked.toLowerCase(), asked, type: query.type }, view, zone);
  }

  #contentOf(asked: string, finding: Finding & { found: 'records' | 'nothing' }): Content {
    const { zone, random } = this.#options;
    const authoritative = true;
    if (finding.found === 'nothing')
      return { rcode: RCODE.NXDOMAIN, authoritative, authorities: [soaOf(finding.zone, zone)] };
    const { answers, additionals } = finding;
    if (answers.length > 0)
      return { rcode: RCODE.NOERROR, authoritative, answers: shuffled(answers, random), additionals };
    const name = asked.toLowerCase();
    const owner = addressOfReverse(name) === undefined ? zone.domain : reverseZoneOf(name);
    return { rcode: RCODE.NOERROR, authoritative, authorities: [soaOf(owner, zone)] };
  }
}

/** The code with which a query is turned down, if it is. */
function refusalOf({ opcode, edns, type, isInternet }: Query): number | undefined {
  if (opcode !== OPCODE_QUERY) return RCODE.NOTIMP;
  if (edns && edns.version !== 0) return RCODE.BADVERS;
  if (!isInternet || type === 'AXFR' || type === 'IXFR') return RCODE.REFUSED;
  return undefined;
}

/** Clients take the first: each shall be that as often. Turning them around would not do, as A and AAAA are asked in pairs. */
function shuffled(answers: readonly Answer[], random: () => number): Answer[] {
  const result = [...answers];
  for (let index = result.length - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1));
    [result[index], result[other]] = [result[other] as Answer, result[index] as Answer];
  }
  return result;
}

/** The records of the type and of aliases: behind another question they have to be written anew. */
function decodeAnswers(message: Buffer, type: string): { rcode: number; answers: readonly Answer[] } {
  const rcode = rcodeOf(message);
  try {
    const { answers = [] } = decode(message);
    return { rcode, answers: answers.filter(record => record.type === type || record.type === 'CNAME') };
  } catch {
    // The library has its own kinds of errors for what it cannot read.
    return { rcode: RCODE.SERVFAIL, answers: [] };
  }
}
