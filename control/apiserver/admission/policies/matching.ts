/** Whether a policy or a binding is about a request (apiserver/pkg/admission/plugin/policy/matching). */
import { namespaces } from '../../../api/generated/kinds.ts';
import type { Namespace } from '../../../api/generated/types.ts';
import type { KindDeclaration } from '../../../api/kind.ts';
import { declarationOf } from '../../../api/registry.ts';
import { type LabelRequirements, matchesLabels } from '../../../api/selectors.ts';
import { notFound } from '../../../api/status.ts';
import type { WatchCache } from '../../cache/watch-cache.ts';
import { resourceName } from '../../keys.ts';
import type { States } from '../admission.ts';
import { findFresh } from '../lookup.ts';
import { isNamespaces } from '../webhooks/rules.ts';
import { type KnownKinds, type Subject, versionFor } from '../webhooks/subject.ts';
import type { Matcher } from './policies.ts';

export interface MatchSources {
  readonly cache: WatchCache;
  readonly kinds: KnownKinds;
}

/** A request, with what is looked up for it once. */
export class Candidate {
  readonly states: States;
  readonly subject: Subject;
  readonly #cache: WatchCache;
  readonly #kinds: KnownKinds;
  #namespace: Promise<Namespace | undefined> | undefined;

  constructor({ cache, kinds }: MatchSources, subject: Subject, states: States) {
    this.#cache = cache;
    this.#kinds = kinds;
    this.subject = subject;
    this.states = states;
  }

  /** The namespace that the request is in; undefined for what is in none, and for namespaces themselves. */
  namespace(): Promise<Namespace | undefined> {
    const { asked } = this.subject;
    if (asked.namespace === '' || isNamespaces(asked)) return Promise.resolve(undefined);
    this.#namespace ??= findFresh(this.#cache, namespaces, asked.namespace);
    return this.#namespace;
  }

  /** In which version the matcher wants to see the request; undefined if it is not about it. */
  async version(matcher: Matcher): Promise<KindDeclaration | undefined> {
    if (!(await this.#isInNamespace(matcher.namespaceSelector)) || !this.#isObject(matcher.objectSelector)) {
      return undefined;
    }
    if (this.#versionBy(matcher, 'excluded')) return undefined;
    // Without rules everything is meant: a binding need not say again what its policy does.
    return matcher.rules.length === 0 ? this.subject.resource : this.#versionBy(matcher, 'rules');
  }

  #versionBy(matcher: Matcher, which: 'rules' | 'excluded'): KindDeclaration | undefined {
    const { name } = this.subject;
    const rules = matcher[which].filter(
      ({ resourceNames = [] }) => resourceNames.length === 0 || resourceNames.includes(name),
    );
    return versionFor({ rules, matchesEquivalents: matcher.matchesEquivalents }, this.subject, this.#kinds);
  }

  /** Either state may fit. */
  #isObject(selector: LabelRequirements): boolean {
    if (selector.length === 0) return true;
    return [this.states.object, this.states.old].some(
      state => state?.metadata && matchesLabels(selector, state.metadata.labels ?? {}),
    );
  }

  async #isInNamespace(selector: LabelRequirements): Promise<boolean> {
    const { asked } = this.subject;
    if (selector.length === 0 || asked.namespace === '') return true;
    if (isNamespaces(asked)) {
      const { object, old } = this.states;
      return matchesLabels(selector, (object ?? old)?.metadata?.labels ?? {});
    }
    const namespace = await this.namespace();
    if (!namespace) throw notFound(resourceName(declarationOf(namespaces)), asked.namespace);
    return matchesLabels(selector, namespace.metadata?.labels ?? {});
  }
}
