import test from 'ava';
import { negotiate } from './negotiate.ts';

const TABLE = 'application/json;as=Table;g=meta.k8s.io;v=v1';

test('a header is answered alike however often and in whatever company it comes', t => {
  for (let round = 0; round < 2; round++) {
    t.is(negotiate(TABLE).form, 'Table');
    t.throws(() => negotiate(TABLE, { isPlain: true }), { message: /only the following media types/ });
    t.is(negotiate(`${TABLE},application/json`, { isPlain: true }).form, 'Object');
    t.throws(() => negotiate('text/html'), { message: /^406: Not Acceptable/ });
    t.throws(() => negotiate('text/html', { isCollection: true }), { message: /stream=watch/ });
    for (const accept of [undefined, '', ' ', '*/*']) t.is(negotiate(accept).mediaType, 'application/json');
    // More of them than are remembered.
    for (let number = 0; number < 600; number++) {
      const isYaml = number % 2 === 0;
      const accept = `application/${isYaml ? 'yaml' : 'json'};x=${number}`;
      t.is(negotiate(accept).mediaType, isYaml ? 'application/yaml' : 'application/json');
    }
  }
});
