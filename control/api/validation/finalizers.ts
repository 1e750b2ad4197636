/** What is told of new finalizers of custom resources (apiextensions-apiserver pkg/registry/customresource/validator.go). */
import type { KubernetesObject } from '../kind.ts';
import { goQuote } from './errors.ts';
import { qualifiedName } from './names.ts';

const STANDARD: ReadonlySet<string> = new Set(['orphan', 'foregroundDeletion', 'kubernetes']);

export function finalizerWarnings(object: KubernetesObject, old: KubernetesObject | undefined): string[] {
  const before = new Set(old?.metadata?.finalizers ?? []);
  const added = new Set((object.metadata?.finalizers ?? []).filter(name => !before.has(name)));
  return [...added].sort().flatMap(name => {
    const told = qualifiedName(name);
    if (!name.includes('/') && !STANDARD.has(name)) {
      const path = name.includes('.') ? ' including a path (/)' : '';
      told.push(
        `prefer a domain-qualified finalizer name${path} to avoid accidental conflicts with other finalizer writers`,
      );
    }
    return told.map(sentence => `metadata.finalizers: ${goQuote(name)}: ${sentence}`);
  });
}
