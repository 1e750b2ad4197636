/** API values as Go's %#v prints them, for the few messages that show whole structs. */
import type { LabelSelector, LabelSelectorRequirement } from '../generated/types.ts';
import { goQuote } from './errors.ts';

/** `map[string]string{"a":"b"}`. */
export function goStringMap(map: Readonly<Record<string, string>> | undefined): string {
  if (!map || Object.keys(map).length === 0) return map ? 'map[string]string{}' : 'map[string]string(nil)';
  const entries = Object.entries(map)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${goQuote(key)}:${goQuote(value)}`);
  return `map[string]string{${entries.join(', ')}}`;
}

/** `[]string{"a"}`. */
export function goStrings(list: readonly string[] | undefined): string {
  return list ? `[]string{${list.map(goQuote).join(', ')}}` : '[]string(nil)';
}

/** `[]int32{1, 2}`. */
export const goInts = (list: readonly number[] | null | undefined): string =>
  list ? `[]int32{${list.join(', ')}}` : '[]int32(nil)';

const goRequirement = ({ key, operator, values }: LabelSelectorRequirement): string =>
  `v1.LabelSelectorRequirement{Key:${goQuote(key)}, Operator:${goQuote(operator)}, Values:${goStrings(values)}}`;

/** A label selector. */
export function goLabelSelector({ matchLabels, matchExpressions }: LabelSelector): string {
  const labels = matchLabels && Object.keys(matchLabels).length > 0 ? goStringMap(matchLabels) : goStringMap(undefined);
  const expressions =
    matchExpressions && matchExpressions.length > 0
      ? `[]v1.LabelSelectorRequirement{${matchExpressions.map(goRequirement).join(', ')}}`
      : '[]v1.LabelSelectorRequirement(nil)';
  return `v1.LabelSelector{MatchLabels:${labels}, MatchExpressions:${expressions}}`;
}

/** A number or percentage. */
/** The same as its generated String method has it: what Go prints of it in a sentence. */
export function printLabelSelector({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  const labels = Object.entries(matchLabels)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}: ${value},`);
  const expressions = matchExpressions.map(
    ({ key, operator, values = [] }) =>
      `LabelSelectorRequirement{Key:${key},Operator:${operator},Values:[${values.join(' ')}],},`,
  );
  return `&LabelSelector{MatchLabels:map[string]string{${labels.join('')}},MatchExpressions:[]LabelSelectorRequirement{${expressions.join('')}},}`;
}

export function goIntOrString(value: number | string): string {
  return typeof value === 'number'
    ? `intstr.IntOrString{Type:0, IntVal:${value}, StrVal:""}`
    : `intstr.IntOrString{Type:1, IntVal:0, StrVal:${goQuote(value)}}`;
}

/** A pointer inside a struct, of which Go shows the address only. Ours says no more than that there is something. */
export function goPointer(type: string, value: unknown): string {
  return `(*${type})(${value === undefined || value === null ? 'nil' : '0xc000000000'})`;
}
